"""The kinds of lines of `--json`, in words."""

from __future__ import annotations

import textwrap

from rxccsdk.chunk_json import chunk_classes, json_keys
from rxccsdk.chunks import Chunk


def fields_in_words() -> str:
    """Return every kind of chunk and its fields, a line each, for the help."""
    shared = [key for name, key in json_keys(Chunk) if name != "raw"]
    own = {
        name: [key for field, key in json_keys(kind) if field not in Chunk.__struct_fields__]
        for name, kind in chunk_classes().items()
    }
    width = max(map(len, own))
    lines = [
        textwrap.fill(
            " ".join(names), 78, initial_indent=f"  {name:{width}}  ", subsequent_indent=" " * (width + 4)
        )
        for name, names in {"every chunk": ["kind", "v", *shared], **own}.items()
    ]
    return "\n".join(lines)
