"""The laws, over any turn: one text however it is read, lossless buffering at any timing, true snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest

from rxccsdk import (
    Chunk,
    RetractedChunk,
    SessionResponse,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolProgressChunk,
    UnknownChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing.strategies import turns
from tests.operator_laws import (
    Clock,
    Writes,
    gathered,
    naive_text,
    result,
    said,
    within_subscribe,
    without_retractions,
)

delays = st.lists(st.sampled_from([0.0, 0.01, 0.04, 0.3, 2.0]), min_size=1, max_size=8)


class Broken(Exception):
    """What sources fail with."""


def joined(chunks: list[Chunk], **kwargs: Any) -> str:
    return "".join(gathered(within_subscribe(chunks).pipe(cc.text(**kwargs))))


def response(chunks: list[Chunk]) -> SessionResponse:
    (answer,) = gathered(within_subscribe(chunks).pipe(cc.to_response()))
    return answer


def printed(chunks: list[Chunk]) -> str:
    file = Writes()
    gathered(within_subscribe(chunks).pipe(cc.print_text(file=file)))
    return file.text


def timed(
    items: list[Any], waits: list[float], operator: Callable[[Clock], Any], error: Exception | None = None
) -> tuple[list[Any], Exception | None]:
    """What comes out of an operator when time passes between the items."""
    clock, now, messages = Clock(), 1.0, []
    for place, item in enumerate(items):
        now += waits[place % len(waits)]
        messages.append(ReactiveTest.on_next(now, item))  # type: ignore[arg-type]
    end = ReactiveTest.on_completed(now) if error is None else ReactiveTest.on_error(now, error)  # type: ignore[arg-type]
    source = clock.create_cold_observable(*messages, end)
    seen = clock.start(lambda: source.pipe(operator(clock)), disposed=100_000.0)
    assert not clock.timers
    values = [message.value for message in seen.messages]
    *items, last = values
    return [item.value for item in items], getattr(last, "exception", None)  # type: ignore[union-attr]


# -- one text, however it is read -----------------------------------------------------------------------


@given(chunks=turns(retractions=False))
def test_text_print_and_content_are_one(chunks: list[Chunk]) -> None:
    content = naive_text(chunks)
    assert (
        joined(chunks)
        == printed(chunks)
        == response(chunks).content
        == joined(chunks, settled=True)
        == content
    )


@given(chunks=turns())
def test_only_what_stood_is_settled(chunks: list[Chunk]) -> None:
    content = naive_text(chunks)
    assert joined(chunks, settled=True) == content
    assert response(chunks).content == content
    if without_retractions(chunks):
        assert joined(chunks) == content


@given(chunks=turns(), waits=delays, cut=st.integers(0, 40))
def test_text_and_print_agree_at_any_timing_and_before_an_error(
    chunks: list[Chunk], waits: list[float], cut: int
) -> None:
    chunks = [chunk for chunk in chunks[:cut] if not isinstance(chunk, RetractedChunk)]
    file = Writes()
    timed(chunks, waits, lambda clock: cc.print_text(0.05, file, scheduler=clock), Broken())
    assert file.text == joined(chunks)


@given(chunks=turns(retractions=False))
def test_one_agent_or_all(chunks: list[Chunk]) -> None:
    agents = {chunk.agent for chunk in chunks if chunk.agent is not None}
    for agent in agents:
        text = naive_text(chunks, agent)
        assert joined(chunks, agents=agent) == text
        assert joined(chunks, agents=agent, settled=True) == text
    everything = joined(chunks, agents="all", separator="")
    told = "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))
    assert everything == (told or naive_text(chunks))


def test_what_a_tap_gets_is_what_text_gives() -> None:
    chunks: list[Chunk] = [said("a"), said("s", 1, "x", agent="t"), said("b", 2, "n"), result()]
    for agents in ("main", "all", "t"):
        got: list[str] = []
        gathered(within_subscribe(chunks).pipe(cc.tap_text(got.append, agents)))
        assert got == gathered(within_subscribe(chunks).pipe(cc.text(agents=agents)))


def test_settled_text_waits_for_the_message() -> None:
    source: rx.Subject[Chunk] = rx.Subject()
    got: list[str] = []
    source.pipe(cc.text(settled=True)).subscribe(got.append)
    from rxccsdk import MessageChunk

    for chunk in (MessageChunk("start", message_id="m"), said("a"), said("s", 9, "x", agent="t"), said("b")):
        source.on_next(chunk)
    assert got == []
    source.on_next(MessageChunk("stop", message_id="m"))
    assert got == ["a", "b"]
    source.on_next(said("whole", 1, "n"))
    assert got == ["a", "b", "\n\nwhole"]
    source.on_next(MessageChunk("start", message_id="o"))
    source.on_next(said("cut", 2, "o"))
    source.on_completed()
    assert got[-1] == "\n\ncut"


# -- buffering ------------------------------------------------------------------------------------------

_FREE = (SystemChunk, TaskChunk, ToolProgressChunk)  # these may overtake


def overtakes(chunk: Chunk) -> bool:
    return isinstance(chunk, _FREE) or (isinstance(chunk, UnknownChunk) and chunk.message_id is None)


def flow(chunks: list[Chunk], agent: str | None) -> list[Any]:
    """One agent's content, text and thinking merged: what buffering must not change."""
    told: list[Any] = []
    for chunk in chunks:
        if chunk.agent != agent or overtakes(chunk):
            continue
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            last = told[-1] if told else None
            if isinstance(last, tuple) and last[:2] == (type(chunk), chunk.block):
                told[-1] = (*last[:2], last[2] + chunk.text)
            else:
                told.append((type(chunk), chunk.block, chunk.text))
        else:
            told.append(chunk)
    return told


@given(
    chunks=turns(),
    waits=delays,
    seconds=st.none() | st.sampled_from([0.01, 0.05, 1.0]),
    chars=st.none() | st.integers(1, 40),
    fails=st.booleans(),
)
def test_buffering_loses_and_reorders_nothing(
    chunks: list[Chunk], waits: list[float], seconds: float | None, chars: int | None, fails: bool
) -> None:
    error = Broken() if fails else None
    seen, ended = timed(chunks, waits, lambda clock: cc.buffer_text(seconds, chars, scheduler=clock), error)
    assert ended is error
    agents = {chunk.agent for chunk in chunks}
    for agent in agents:
        assert flow(seen, agent) == flow(chunks, agent)
    whole = [chunk for chunk in chunks if not isinstance(chunk, (TextChunk, ThinkingChunk))]
    passed = [chunk for chunk in seen if not isinstance(chunk, (TextChunk, ThinkingChunk))]
    assert Counter(map(id, passed)) == Counter(map(id, whole))
    # A merged chunk has the place of its first piece, and nothing else of it is changed.
    sources = {chunk.seq: chunk for chunk in chunks}
    for chunk in seen:
        first = sources[chunk.seq]
        assert type(chunk) is type(first)
        assert (chunk.at, chunk.agent, chunk.message_id, chunk.turn) == (
            first.at,
            first.agent,
            first.message_id,
            first.turn,
        )
        if isinstance(chunk, (TextChunk, ThinkingChunk)) and isinstance(first, type(chunk)):
            assert chunk.text.startswith(first.text)
            assert chunk.block == first.block
    assert len({chunk.seq for chunk in seen}) == len(seen)
    # And so every reading of it is the same.
    assert response(seen).content == response(chunks).content
    assert joined(seen) == joined(chunks)
    assert joined(seen, settled=True) == joined(chunks, settled=True)
    if isinstance(chunks[-1], type(result())):
        assert seen[-1] is chunks[-1]


@given(words=st.lists(st.text()), waits=delays, chars=st.none() | st.integers(1, 9))
def test_buffering_strings(words: list[str], waits: list[float], chars: int | None) -> None:
    seen, _ = timed(words, waits, lambda clock: cc.buffer_text(0.05, chars, scheduler=clock))
    assert "".join(seen) == "".join(words)
    if chars is not None:
        assert all(len(piece) < chars + max(map(len, words)) for piece in seen)


def test_buffering_keeps_turns_apart() -> None:
    chunks = [said("a", 0, "m", turn=0), said("b", 0, "n", turn=1)]
    assert gathered(within_subscribe(chunks).pipe(cc.buffer_text())) == chunks


def test_text_and_thinking_of_one_number_are_two_things() -> None:
    chunks: list[Chunk] = [said("a", 0), ThinkingChunk("b", 0), said("c", 0)]
    assert gathered(within_subscribe(chunks).pipe(cc.buffer_text())) == chunks


@pytest.mark.parametrize(
    "arguments", [{"seconds": 0}, {"seconds": -1}, {"seconds": float("nan")}, {"chars": 0}]
)
def test_impossible_buffers_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        cc.buffer_text(**arguments)


# -- snapshots ------------------------------------------------------------------------------------------


@given(chunks=turns(), waits=delays, every=st.sampled_from([0, 0.05, 1.0]))
def test_snapshots(chunks: list[Chunk], waits: list[float], every: float) -> None:
    kept: list[tuple[SessionResponse, str]] = []

    def keep(snapshot: SessionResponse) -> None:
        kept.append((snapshot, snapshot.model_copy(deep=True).model_dump_json()))

    late, _ = timed(chunks, waits, lambda clock: cc.scan_response(every, scheduler=clock))
    timed(
        chunks, waits, lambda clock: rx.compose(cc.scan_response(every, scheduler=clock), cc.tap_chunks(keep))
    )
    final = response(chunks)
    assert late[-1] == final
    for snapshot, at_once in kept:
        assert snapshot.model_dump_json() == at_once
    # Contents that were never read until the end are what they would have been then.
    assert [snapshot.content for snapshot in late] == [snapshot.content for snapshot, _ in kept]
    if every == 0:
        assert len(late) == len(chunks) + 1
        assert [snapshot.content for snapshot in late[:-1]] == [
            response(chunks[: count + 1]).content for count in range(len(chunks))
        ]
