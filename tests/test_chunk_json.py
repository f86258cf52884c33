"""A chunk's public form: lossless, strict JSON, as its schema says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

import rxccsdk
from rxccsdk import NoticeChunk, ResultChunk, SystemChunk, TaskChunk, TextChunk, ToolProgressChunk
from rxccsdk.chunk_json import chunk_classes, from_json, json_schema, to_json
from rxccsdk.chunks import Chunk
from rxccsdk.testing import strategies as chunk_strategies
from rxccsdk.wire.connection import Connection
from tests.wire_traces import LOGS

SCHEMA = Path(rxccsdk.__file__).parents[1] / "docs" / "chunk.schema.json"
_check = jsonschema.Draft202012Validator(json_schema()).validate


def check_round_trip(chunk: Chunk) -> None:
    line = to_json(chunk)
    line.encode()
    assert not re.search("[\r\n]", line)
    again = from_json(line)
    assert type(again) is type(chunk)
    assert again == chunk
    _check(json.loads(line, parse_constant=pytest.fail))


@given(chunk_strategies.turns())
@settings(max_examples=25, deadline=None)
def test_every_chunk_of_any_turn_comes_back_as_it_was(turn: Any) -> None:
    for chunk in getattr(turn, "chunks", turn):
        check_round_trip(chunk)


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_chunk_of_the_real_cli_comes_back_as_it_was(log: Path) -> None:
    connection = Connection(keep_raw=True)
    connection.prompt("x")
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    frames = b"".join(json.dumps(line.get("frame", line)).encode() + b"\n" for line in lines)
    chunks = [event for event in connection.receive(frames) if isinstance(event, Chunk)]
    assert all(chunk.raw for chunk in chunks if not isinstance(chunk, NoticeChunk))
    for kind in {type(chunk) for chunk in chunks}:
        for chunk in [chunk for chunk in chunks if type(chunk) is kind][:20]:
            check_round_trip(chunk)


def test_every_class_has_a_schema_and_its_defaults_come_back() -> None:
    assert set(chunk_classes()) == set(json_schema()["$defs"])
    for name, kind in chunk_classes().items():
        example = {"dict[str, Any]": {}, "Frame": {}, "bool": False, "float": 1.0, "tuple[int, ...]": ()}
        fields = kind.__struct_fields__[: len(kind.__struct_fields__) - len(kind.__struct_defaults__)]
        literals = {"decision": "deny", "event": "stop", "state": "queued"}
        literals |= {"kind": "plan"} if name == "AskChunk" else {}
        known: dict[str, Any] = {
            f: literals.get(f) or example.get(kind.__annotations__[f], "x") for f in fields
        }
        check_round_trip(kind(**known))


def test_a_field_that_is_called_kind_goes_by_its_class() -> None:
    assert json.loads(to_json(NoticeChunk("stall", "x")))["notice"] == "stall"
    assert json.loads(to_json(TaskChunk("t", None, "started", kind="local_bash")))["task"] == "local_bash"


def test_half_a_surrogate_pair_is_legal_json_and_comes_back() -> None:
    check_round_trip(TextChunk("a\ud83d"))
    check_round_trip(SystemChunk("x", {"\udc00": "\ud800"}))


def test_figures_that_are_none_are_null() -> None:
    assert json.loads(to_json(ToolProgressChunk("t", 1.0, at=float("inf"))))["at"] is None
    assert from_json(to_json(ToolProgressChunk("t", 1.0, at=float("inf")))).seq == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "no line of JSON"),
        ("[1]", "no chunk"),
        ('{"kind":"Chunk"}', "no chunk: its `kind` is 'Chunk'"),
        ('{"text":"x"}', "no chunk: its `kind` is None"),
        ('{"kind":"TextChunk"}', "TextChunk cannot be read.*text"),
        ('{"kind":"TextChunk","text":5}', r"TextChunk cannot be read.*\$.text"),
        ('{"kind":"TextChunk","text":"x","v":99}', "form 99.*update"),
    ],
)
def test_what_is_no_chunk_is_an_error_that_says_what_is_wrong(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_json(line)


def test_fields_of_a_later_version_are_passed_over() -> None:
    chunk = from_json('{"kind":"ResultChunk","v":1,"subtype":"success","is_error":false,"mood":"good"}')
    assert chunk == ResultChunk("success", False)


def test_the_schema_in_the_documentation_is_the_newest() -> None:
    newest = json.dumps(json_schema(), indent=1) + "\n"
    assert SCHEMA.read_text() == newest, "write rxccsdk.chunk_json.json_schema() to docs/chunk.schema.json"
