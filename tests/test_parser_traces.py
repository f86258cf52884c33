"""Laws 1 to 3 on generated sessions: every piece once, in its turn, however it was cut and interleaved."""

from __future__ import annotations

import asyncio
import copy
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxccsdk import ClaudeSession, Turn
from rxccsdk.chunks import Chunk, Frame
from tests.wire_strategies import Answer, Trace, random_trace, wire_traces
from tests.wire_traces import (
    TraceChunks,
    blocks_of,
    check,
    inputs_of,
    notices_of,
    read_trace,
    reread,
    response_of,
    results_of,
    write_cassette,
)


def assert_answer(chunks: list[Chunk], expected: Answer) -> None:
    by_agent: dict[str | None, list[tuple[str, str]]] = {}
    for agent, kind, text in expected.blocks:
        by_agent.setdefault(agent, []).append((kind, text))
    assert blocks_of(chunks) == by_agent
    assert inputs_of(chunks) == expected.inputs
    assert results_of(chunks) == expected.results
    assert notices_of(chunks) == expected.notices


def assert_trace(got: TraceChunks, trace: Trace) -> None:
    check(got)
    assert got.ended == [True] * len(trace.turns)
    for chunks, expected in zip(got.turns, trace.turns, strict=True):
        assert_answer(chunks, expected)
        response = response_of(chunks)
        assert (response.content, response.error_kind) == (expected.content, expected.error_kind)
    assert_answer(got.outside, trace.outside)


@given(wire_traces())
def test_every_piece_comes_once_in_its_turn_and_nothing_else_does(trace: Trace) -> None:
    assert_trace(read_trace(trace.frames, trace.prompts), trace)


@given(wire_traces(max_turns=1), st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_any_split_of_the_bytes_into_reads_gives_the_same_answer(trace: Trace, reads: list[int]) -> None:
    assert_trace(read_trace(reread(trace.frames, reads), trace.prompts), trace)


@given(wire_traces(), st.randoms(use_true_random=False))
def test_any_split_of_the_text_into_deltas_gives_the_same_answer(trace: Trace, random: Random) -> None:
    assert_trace(read_trace(*_resplit(trace, random)), trace)


@given(wire_traces(names=True))
def test_without_partial_messages_the_answers_are_the_same(trace: Trace) -> None:
    assert_trace(read_trace(*_without_partial_messages(trace)), trace)


@pytest.mark.parametrize("batch", range(10))
def test_long_sessions(batch: int) -> None:
    """The same laws on larger traces than Hypothesis likes to draw."""
    for seed in range(batch * 50, batch * 50 + 50):
        random = Random(seed)
        trace = random_trace(random, names=None if seed % 3 else True)
        assert_trace(read_trace(trace.frames, trace.prompts), trace)
        assert_trace(read_trace(*_resplit(trace, random)), trace)
        assert_trace(read_trace(reread(trace.frames, [random.randint(1, 5000)]), trace.prompts), trace)
        if seed % 3 == 0:
            assert_trace(read_trace(*_without_partial_messages(trace)), trace)


@settings(max_examples=25)
@given(wire_traces())
def test_a_session_that_replays_it_gives_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, trace: Trace
) -> None:
    path = tmp_path_factory.mktemp("replay") / "cassette.jsonl"
    write_cassette(path, trace.frames, trace.prompts)

    async def replay() -> None:
        outside: list[Chunk] = []
        async with ClaudeSession.replay(path, speed=float("inf")) as session:
            session.chunks.subscribe(lambda chunk: outside.append(chunk) if chunk.turn is None else None)
            turns = [session.stream("whatever") for _ in trace.turns]
            waiting = [asyncio.ensure_future(_collect(turn)) for turn in turns]
            got = [await waiter for waiter in waiting]
            for _ in trace.frames:  # what follows the last result
                await asyncio.sleep(0)
        for turn, chunks, expected in zip(turns, got, trace.turns, strict=True):
            assert_answer(chunks, expected)
            assert (turn.response.content, turn.response.error_kind) == (
                expected.content,
                expected.error_kind,
            )
        assert_answer(outside, trace.outside)

    asyncio.run(replay())


async def _collect(turn: Turn) -> list[Chunk]:
    return [chunk async for chunk in turn]


def _resplit(trace: Trace, random: Random) -> tuple[list[Frame], list[tuple[int, str]]]:
    """Cut every delta anew, in any number of pieces, and put others' frames nowhere else than they were."""
    frames: list[Frame] = []
    at = dict(trace.prompts)
    prompts: list[tuple[int, str]] = []
    for position, frame in enumerate(trace.frames):
        if position in at:
            prompts.append((len(frames), at[position]))
        delta = frame["event"].get("delta", {}) if frame["type"] == "stream_event" else {}
        kind = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}.get(
            delta.get("type", "")
        )
        if kind is None:
            frames.append(frame)
            continue
        cut = random.randint(0, len(delta[kind]))
        for piece in (delta[kind][:cut], delta[kind][cut:]):
            again = copy.deepcopy(frame)
            again["event"]["delta"][kind] = piece
            frames.append(again)
    return frames, prompts


def _without_partial_messages(trace: Trace) -> tuple[list[Frame], list[tuple[int, str]]]:
    kept = [n for n, frame in enumerate(trace.frames) if frame["type"] != "stream_event"]
    prompts = [(sum(n < at for n in kept), uuid) for at, uuid in trace.prompts]
    return [trace.frames[n] for n in kept], prompts
