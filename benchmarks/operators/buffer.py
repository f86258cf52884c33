"""Buffer and pace: `buffer_text()`, `smooth()`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from math import ceil
from typing import Any

import aiostream
import reactivex as rx
from pydantic_ai._utils import group_by_temporal  # what `stream_text(debounce_by=...)` is made of
from reactivex import operators as ops

from benchmarks.harness import Case
from benchmarks.operators.pieces import MAY_OVERTAKE, goes_on, like, lossless, merged_chunk
from benchmarks.operators.ways import (
    BUFFER,
    NO_COUNT,
    SECONDS,
    Emit,
    Got,
    Way,
    compare,
    hand_way,
    loop_scheduler,
    our_ways,
    peer_way,
    stock_way,
)
from benchmarks.sources import batches, items
from rxccsdk import Chunk, TextChunk, ThinkingChunk
from rxccsdk import operators as cc


def cases(prose: list[Chunk]) -> Iterator[Case]:
    check = lossless(prose)

    def fewer(got: Got) -> bool:
        return check(got) and len(got) < len(prose) / 2

    def stock(count: int) -> Way:
        def operators() -> Sequence[Any]:
            buffer = ops.buffer_with_time_or_count(SECONDS, count, loop_scheduler())
            return buffer, ops.map(_merged_runs), ops.flat_map(rx.from_iterable)

        return stock_way("buffer_with_time_or_count", operators, aim=BUFFER, passes=1)

    async def debounced(chunks: list[Chunk], emit: Emit) -> None:
        async with group_by_temporal(items(chunks), SECONDS) as groups:
            async for group in groups:
                for chunk in _merged_runs(group):
                    emit(chunk)

    async def counted(chunks: list[Chunk], emit: Emit) -> None:
        groups_of: Any = aiostream.stream.chunks  # its types want a list of what comes
        async with groups_of(items(chunks), 20).stream() as groups:
            async for group in groups:
                for chunk in _merged_runs(group):
                    emit(chunk)

    ways = [
        *our_ways(cc.buffer_text(SECONDS)),
        hand_way(partial(_buffer_by_hand, most=None)),
        stock(NO_COUNT),
        peer_way("pydantic-ai: group_by_temporal, its debounce_by", debounced),
    ]
    yield compare("buffer_text(0.05)", prose, ways, fewer)

    ways = [
        *our_ways(cc.buffer_text(SECONDS, chars=100)),
        hand_way(partial(_buffer_by_hand, most=100)),
        stock(20),
        peer_way("aiostream: chunks (no time)", counted),
    ]
    yield compare("buffer_text(0.05, chars=100); others count 20 pieces", prose, ways, fewer)

    yield compare(
        "smooth()", prose, [*our_ways(cc.smooth()), hand_way(_smooth_by_hand, "graphemes are cut")], check
    )


def _merged_runs(group: list[Any]) -> list[Any]:
    """Merge the text of each block, for what has buffered all chunks alike."""
    merged: list[Any] = []
    for place, run in groupby(
        group, lambda chunk: isinstance(chunk, TextChunk) and (chunk.agent, chunk.block)
    ):
        same = list(run)
        merged += [merged_chunk(same)] if place else same
    return merged


async def _buffer_by_hand(chunks: list[Chunk], emit: Emit, most: int | None) -> None:
    loop = asyncio.get_running_loop()
    held: list[Any] = []
    size, timer = 0, None

    def release() -> None:
        nonlocal size, timer
        if timer is not None:
            timer.cancel()
            timer = None
        if held:
            merged = merged_chunk(held)
            held.clear()
            size = 0
            emit(merged)

    for batch in batches(chunks):
        for chunk in batch:
            if isinstance(chunk, (TextChunk, ThinkingChunk)):
                if held and not goes_on(held[0], chunk):
                    release()
                held.append(chunk)
                if timer is None:
                    timer = loop.call_later(SECONDS, release)
                if most is not None:
                    size += len(chunk.text)
                    if size >= most:
                        release()
            else:
                if not isinstance(chunk, MAY_OVERTAKE):
                    release()
                emit(chunk)
        await asyncio.sleep(0)
    release()


async def _smooth_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    loop, frame, lag = asyncio.get_running_loop(), 0.02, 0.3
    clock = loop.time
    held: deque[Any] = deque()
    deadlines: deque[float] = deque()  # theirs
    timer = None

    def tick() -> None:
        nonlocal timer
        first, said = held[0], []
        size = sum(len(chunk.text) for chunk in held)
        room = ceil(size * frame / max(deadlines[0] - clock(), frame))
        while held and room >= len(held[0].text):
            said.append(held.popleft().text)
            room -= len(said[-1])
            deadlines.popleft()
        if held and room:
            said.append(held[0].text[:room])
            held[0] = like(held[0], held[0].text[room:])
        timer = loop.call_later(frame, tick) if held else None
        emit(like(first, "".join(said)))

    def release() -> None:
        nonlocal timer
        if timer is not None:
            timer.cancel()
            timer = None
        if held:
            merged = merged_chunk(held)
            held.clear()
            deadlines.clear()
            emit(merged)

    for batch in batches(chunks):
        for chunk in batch:
            if isinstance(chunk, (TextChunk, ThinkingChunk)):
                if held and not goes_on(held[0], chunk):
                    release()
                held.append(chunk)
                deadlines.append(clock() + lag)
                if timer is None:
                    timer = loop.call_later(frame, tick)
            else:
                if not isinstance(chunk, MAY_OVERTAKE):
                    release()
                emit(chunk)
        await asyncio.sleep(0)
    release()
