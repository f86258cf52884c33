"""Stretches: what is said of one of their pieces holds for all, and cutting into them changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk import Chunk, ClaudeSession, SessionOptions, SystemChunk, TextChunk, ThinkingChunk
from rxccsdk import operators as cc
from rxccsdk.chunks import Frame, Stretch
from rxccsdk.session.stretch import stretches
from rxccsdk.testing import ScriptedCli, init_frame, result_frame, steps
from rxccsdk.testing.steps import to_line
from rxccsdk.testing.strategies import turns
from rxccsdk.wire.deltas import DeltaRun
from rxccsdk.wire.parser import Parser, Scope


def pieces(count: int, block: int = 0, **more: Any) -> list[Chunk]:
    return [TextChunk(f"{number} ", block, seq=number, at=number / 10, **more) for number in range(count)]


def told_apart(chunk: Any) -> Any:
    """A chunk without what differs within a stretch."""
    words = {name: "" for name in ("text", "partial_json") if hasattr(chunk, name)}
    return replace(chunk, seq=0, at=0.0, **words)


@given(turns(), st.integers(1, 5))
def test_cutting_loses_and_adds_nothing(turn: list[Chunk], least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stretch, "LEAST", least)
        parts = stretches(turn)
    assert list(chain.from_iterable(parts)) == turn
    for part in parts:
        assert part
        if isinstance(part, Stretch):
            assert len(part) >= least
            assert len({repr(told_apart(chunk)) for chunk in part}) == 1


@pytest.mark.parametrize(
    "other",
    [
        ThinkingChunk("x", 0),
        TextChunk("x", 1),
        TextChunk("x", 0, agent="toolu"),
        TextChunk("x", 0, message_id="msg"),
        TextChunk("x", 0, turn=3),
        TextChunk("x", 0, raw={"type": "stream_event"}),
        SystemChunk("status", {}),
    ],
    ids=repr,
)
def test_whatever_differs_ends_a_stretch(other: Chunk) -> None:
    before, after = pieces(Stretch.LEAST), pieces(Stretch.LEAST)
    parts = stretches([*before, other, *after])
    assert parts == [before, [other], after]
    assert [type(part) for part in parts] == [Stretch, list, Stretch]


def test_what_is_short_is_no_stretch() -> None:
    few = pieces(Stretch.LEAST - 1)
    assert [type(part) for part in stretches(few)] == [list]
    assert [type(part) for part in stretches([*few, SystemChunk("status", {}), *few])] == [list]
    assert stretches([]) == []


def test_a_stretch_stays_as_it_is() -> None:
    stretch = Stretch(pieces(Stretch.LEAST))
    assert stretches(stretch)[0] is stretch


def deltas(count: int) -> Iterator[Frame]:
    for number in range(count):
        delta = {"type": "text_delta", "text": f"{number} "}
        event = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "stream_event", "event": event, "parent_tool_use_id": None, "uuid": f"{number:036}"}


async def test_the_deltas_of_a_read_come_as_a_stretch(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"".join(map(to_line, deltas(500))))
    answer = steps(init_frame()).file(body).frame(result_frame("499"))
    with ScriptedCli(tmp_path / "cli", [answer]) as cli:
        async with ClaudeSession(SessionOptions(cli_path=cli.path)) as session:
            turn = session.stream("go")
            text = [piece async for piece in turn.pipe(cc.text(), cc.to_async_iterator())]
    assert "".join(text) == "".join(f"{number} " for number in range(500))
    assert sum(len(part) for part in turn._log._parts if isinstance(part, Stretch)) > 400


def test_a_run_of_deltas_is_parsed_as_a_stretch() -> None:
    texts = [f"{number} " for number in range(Stretch.LEAST)]
    for kind, cls in (("text_delta", TextChunk), ("thinking_delta", ThinkingChunk)):
        chunks = Parser().parse(DeltaRun(0, kind, "msg", texts), Scope(0), 1.0)
        assert chunks == [
            cls(text, 0, turn=0, seq=n, at=1.0, message_id="msg") for n, text in enumerate(texts)
        ]
        assert type(chunks) is Stretch
    assert type(Parser().parse(DeltaRun(0, "text_delta", "msg", texts[1:]), Scope(0), 1.0)) is list
