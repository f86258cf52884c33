"""A chunk as a line of JSON."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from rxccsdk import chunks
from rxccsdk.chunks import Chunk

_RENAMED = {"kind": "notice"}  # of `NoticeChunk`: in JSON, `kind` is the class


def to_json(chunk: Chunk) -> str:
    """Return a chunk as one line of JSON: its class's name as `kind`, then its fields, `raw` left out.

    What JSON has no word for is still legal JSON: a number that is none becomes null, bytes become text.

    Example:
        >>> from rxccsdk import ToolProgressChunk
        >>> to_json(ToolProgressChunk("toolu_1", float("nan"), at=0.5))[:78]
        '{"kind":"ToolProgressChunk","turn":null,"seq":0,"at":0.5,"agent":null,"message'
    """
    shown = {
        _RENAMED.get(field.name, field.name): _plain(getattr(chunk, field.name))
        for field in fields(chunk)
        if field.name != "raw"
    }
    line = {"kind": type(chunk).__name__, **shown}
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def fields_in_words() -> str:
    """Return every kind of chunk and its fields, a line each, for the help."""
    shared = [field.name for field in fields(Chunk) if field.name != "raw"]
    kinds = [
        kind
        for kind in vars(chunks).values()
        if isinstance(kind, type) and is_dataclass(kind) and issubclass(kind, Chunk) and kind is not Chunk
    ]
    own = {
        kind.__name__: [_RENAMED.get(f.name, f.name) for f in fields(kind) if f.name not in (*shared, "raw")]
        for kind in kinds
    }
    width = max(map(len, own))
    lines = [
        textwrap.fill(
            " ".join(names), 78, initial_indent=f"  {name:{width}}  ", subsequent_indent=" " * (width + 4)
        )
        for name, names in {"every chunk": ["kind", *shared], **own}.items()
    ]
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
