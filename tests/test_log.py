"""A turn's log: a list of chunks to whoever reads it, whatever it keeps of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rxccsdk.chunks import Chunk, MessageChunk, SystemChunk, TextChunk, ThinkingChunk, ToolUseChunk
from rxccsdk.session.log import Log
from rxccsdk.testing.strategies import turns


def read_all(log: Log, place: int, most: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    while place + len(chunks) < len(log):
        some = log.read(place + len(chunks), most)
        assert 0 < len(some) <= most
        chunks += some
    assert not log.read(len(log), most)
    return chunks


@given(
    turns(), st.lists(st.integers(0, 12), min_size=1), st.integers(1, 9), st.randoms(use_true_random=False)
)
def test_reads_from_any_place_what_a_list_would_give(
    turn: list[Chunk], cuts: list[int], most: int, random: Random
) -> None:
    log, told = Log(), 0
    while told < len(turn):
        size = max(1, random.choice(cuts))
        log.extend(turn[told : told + size])
        if random.randint(0, 2):
            log.pack()
        told = min(told + size, len(turn))
        assert len(log) == told
        place = random.randrange(told + 1)
        assert read_all(log, place, most) == turn[place:told]
    assert read_all(log, 0, most) == turn


@given(turns(), st.randoms(use_true_random=False))
def test_what_is_ahead_of_a_reader_is_never_forgotten(turn: list[Chunk], random: Random) -> None:
    log, place = Log(), 0
    for told, chunk in enumerate(turn, 1):
        log.extend([chunk])
        if random.randint(0, 2):
            log.pack()
        place = random.randint(place, told)
        log.forget(place)
        assert read_all(log, place, 3) == turn[place:told]
    log.forget(len(turn))
    assert len(log) == len(turn)
    assert log._items == []


def test_every_field_comes_back_and_every_difference_is_kept() -> None:
    first = TextChunk("a", 3, turn=2, seq=7, at=0.5, agent=None, message_id="m")
    second = replace(first, text="b", seq=8, at=0.75)
    odd = [
        replace(second, seq=9, block=4),
        replace(second, seq=10, agent="toolu"),
        replace(second, seq=11, message_id="n"),
        replace(second, seq=12, turn=3),
        replace(second, seq=13, raw={"type": "x"}),
        replace(second, seq=14),
        replace(second, seq=19),
        ThinkingChunk("c", 4, turn=3, seq=20, at=1.0, message_id="n"),
        ToolUseChunk("id", "Bash", {}),
        MessageChunk("stop"),
        TextChunk("", at=1.0),
        _tokens(1, at=1.0),
        replace(second, seq=22),
        _tokens(2, seq=23, at=2.0),
        _tokens(3, seq=24, at=1.0, agent="toolu"),
        _tokens(4, seq=25, at=1.0, raw={"type": "x"}),
        SystemChunk("thinking_tokens", {"estimated_tokens": 5, "more": [6]}, at=1.0),
        SystemChunk("thinking_tokens", {"more": [7], "estimated_tokens": 8}, at=1.0),
        SystemChunk("status", {"estimated_tokens": 5, "more": None}, at=1.0),
        SystemChunk("status", {}, at=1.0),
        SystemChunk("status", {}, at=1.0),
    ]
    log = Log()
    for chunk in (first, second, *odd):
        log.extend([chunk])
        log.pack()
    again = read_all(log, 0, 100)
    assert again == [first, second, *odd]
    assert list(map(repr, again)) == list(map(repr, [first, second, *odd]))  # to the order of fields


def _tokens(count: int, **place: Any) -> SystemChunk:
    return SystemChunk("thinking_tokens", {"estimated_tokens": count, "uuid": f"{count:036}"}, **place)


def test_who_reads_as_it_comes_gets_the_very_chunks() -> None:
    log, chunk = Log(), TextChunk("a")
    log.extend([chunk])
    assert log.read(0, 5)[0] is chunk


def _text(seq: int) -> Chunk:
    return TextChunk(f"{seq:05}", 0, turn=0, seq=seq, at=seq / 7, message_id="m")


def _counted_thinking(seq: int) -> Chunk:
    if seq % 2:
        return ThinkingChunk(f"{seq:05}", 0, turn=0, seq=seq, at=seq / 7, message_id="m")
    return _tokens(1000 + seq, turn=0, seq=seq, at=seq / 7)


@pytest.mark.parametrize(("chunk", "most"), [(_text, 230), (_counted_thinking, 280)])
def test_a_chunk_is_kept_in_less_than_its_line_on_the_wire(chunk: Callable[[int], Chunk], most: int) -> None:
    """A line of a piece takes 266 bytes, of a count of tokens 290; its figures and strings are its own."""
    log, pieces = Log(), 20_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for seq in range(pieces):
            log.extend([chunk(seq)])
            log.pack()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / pieces < most


def test_a_long_turn_is_forgotten_piece_by_piece() -> None:
    log = Log()
    for seq in range(0, 200_000, 2000):
        log.extend([_text(seq + n) for n in range(2000)])
        log.pack()
        log.forget(max(0, seq - 2000))
    assert len(log._items) <= 4000
