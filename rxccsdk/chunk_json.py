"""The public form of a chunk: one line of JSON, for logs, other programs and other machines.

A line has the class's name as `kind`, then the chunk's fields by their names. A field that is itself called
`kind` goes by its class: `notice` of a `NoticeChunk`, `ask` of an `AskChunk`. `docs/chunk.schema.json` is the
JSON Schema of a line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cache
from inspect import cleandoc
from typing import Any

import msgspec

from rxccsdk import chunks
from rxccsdk.chunks import Chunk

VERSION = 1
"""Which form a line has, in its `v`. Fields that are added later do not change it."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def to_json(chunk: Chunk) -> str:
    r"""Return a chunk as one line of JSON, without a newline; `from_json` reads it.

    `raw` is there only where the chunk has it. What JSON has no word for is still legal JSON: a number that
    is none becomes null, bytes become text.

    Args:
        chunk: any chunk.

    Example:
        >>> from rxccsdk import TextChunk
        >>> to_json(TextChunk("Hi", turn=0, seq=3, at=0.5))[:69]
        '{"kind":"TextChunk","v":1,"turn":0,"seq":3,"at":0.5,"agent":null,"mes'
    """
    line: dict[str, Any] = {"kind": type(chunk).__name__, "v": VERSION}
    for name, key in json_keys(type(chunk)):
        line[key] = _plain(getattr(chunk, name))
    if chunk.raw is None:
        del line["raw"]
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", _encode(line))


def from_json(line: str | bytes) -> Chunk:
    """Return the chunk that `to_json` wrote.

    Fields it does not know, of a later version, are passed over.

    Args:
        line: the JSON text.

    Raises:
        ValueError: it is no JSON, or no chunk; the error says which field is wrong.

    Example:
        >>> from_json('{"kind":"TextChunk","v":1,"turn":0,"text":"Hi"}').text
        'Hi'
    """
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise ValueError(f"This is no line of JSON: {error}") from None
    name = fields.get("kind") if isinstance(fields, dict) else None
    kind = chunk_classes().get(str(name))
    if kind is None:
        raise ValueError(f"This is no chunk: its `kind` is {name!r}, not the name of a chunk's class.")
    if not isinstance(version := fields.get("v", VERSION), int) or version > VERSION:
        raise ValueError(
            f"This chunk has form {version!r}; this rxccsdk reads forms up to {VERSION}: update it."
        )
    given = {name: fields[key] for name, key in json_keys(kind) if key in fields}
    if given.get("at", 0.0) is None:
        given["at"] = math.nan
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"This {name} cannot be read: {error}") from None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a line, of every kind of chunk."""
    _, components = msgspec.json.schema_components(chunk_classes().values(), ref_template="#/$defs/{name}")
    for name, schema in components.items():
        keys = dict(json_keys(chunk_classes()[name]))
        own = {keys[field]: of for field, of in schema["properties"].items()}
        schema["properties"] = {"kind": {"const": name}, "v": {"const": VERSION}, **own}
        schema["description"] = cleandoc(schema["description"])  # Python 3.13 has done it before
        schema["required"] = ["kind", "v", *(keys[field] for field in schema.get("required", []))]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A chunk of rxccsdk",
        "description": "One line of `rxccsdk ask --json`, and what `rxccsdk.to_json` returns.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in components],
        "$defs": components,
    }


@cache
def chunk_classes() -> dict[str, type[Chunk]]:
    """Return every kind of chunk by its name."""
    found = (value for value in vars(chunks).values() if isinstance(value, type))
    return {kind.__name__: kind for kind in found if issubclass(kind, Chunk) and kind is not Chunk}


@cache
def json_keys(kind: type[Chunk]) -> tuple[tuple[str, str], ...]:
    """Return each field's name and its key in JSON, those that every chunk has first."""
    shared = Chunk.__struct_fields__
    own = [name for name in kind.__struct_fields__ if name not in shared]
    as_kind = kind.__name__.removesuffix("Chunk").lower()
    return tuple((name, as_kind if name == "kind" else name) for name in (*shared, *own))


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
