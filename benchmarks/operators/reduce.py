"""Reduce and guard: `to_response()`, `scan_response()`, `stall()`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import aiostream
from reactivex import operators as ops

from benchmarks.harness import Case
from benchmarks.operators.ways import (
    BUFFER,
    NO_COUNT,
    Emit,
    Got,
    compare,
    hand_way,
    loop_scheduler,
    our_ways,
    peer_way,
    stock_way,
    streamed,
)
from benchmarks.sources import Answer, batches, content
from rxccsdk import Chunk, SystemChunk, TextChunk, ToolResultChunk, ToolUseChunk
from rxccsdk import operators as cc


def cases(prose: list[Chunk], work: list[Chunk]) -> Iterator[Case]:
    def check(got: Got) -> bool:
        return bool(got[-1].content == content(prose))

    def fold(answer: Answer, chunk: Chunk) -> Answer:
        answer.add(chunk)
        return answer

    ways = [
        *our_ways(cc.to_response()),
        hand_way(_reduce_by_hand),
        stock_way("reduce", lambda: (ops.reduce(fold, Answer()),)),
        peer_way("aiostream: reduce", streamed(lambda: aiostream.pipe.reduce(fold, Answer()))),
    ]
    yield compare("to_response()", prose, ways, check)

    def stock_scan() -> Sequence[Any]:
        buffer = ops.buffer_with_time_or_count(0.1, NO_COUNT, loop_scheduler())
        snapshot = ops.map(lambda answers: answers[-1].snapshot())  # type: ignore[index]
        return ops.scan(fold, Answer()), buffer, ops.filter(bool), snapshot

    ways = [
        *our_ways(cc.scan_response(0.1)),
        hand_way(_scan_by_hand),
        stock_way("scan, buffer_with_time_or_count", stock_scan, aim=BUFFER, passes=1),
    ]
    yield compare("scan_response(0.1)", prose, ways, check)

    def stock_guard() -> Sequence[Any]:
        return (ops.timeout(30, scheduler=loop_scheduler()),)

    ways = [
        *our_ways(cc.stall(between=30)),
        hand_way(_guard_by_hand),
        stock_way("timeout (also while a tool runs)", stock_guard, passes=1),
    ]
    yield compare("stall(between=30)", work, ways, lambda got: got == work)


def _reduce_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    answer, block = Answer(), -1
    pieces = answer.pieces
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            if chunk.agent is None:
                if chunk.block != block:
                    block = chunk.block
                    answer.begin(chunk)
                pieces.append(chunk.text)
        else:
            answer.note(chunk)
            pieces = answer.pieces
    emit(answer)


async def _scan_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    loop, answer, block = asyncio.get_running_loop(), Answer(), -1
    pieces = answer.pieces
    timer, news = None, False

    def tell() -> None:
        nonlocal timer, news
        news = False
        timer = loop.call_later(0.1, interval_over)
        emit(answer.snapshot())

    def interval_over() -> None:
        nonlocal timer
        timer = None
        if news:
            tell()

    for batch in batches(chunks):
        for chunk in batch:
            if isinstance(chunk, TextChunk):
                if chunk.agent is None:
                    if chunk.block != block:
                        block = chunk.block
                        answer.begin(chunk)
                    pieces.append(chunk.text)
            else:
                answer.note(chunk)
                pieces = answer.pieces
            news = True
            if timer is None:
                tell()
        await asyncio.sleep(0)
    if timer is not None:
        timer.cancel()
    emit(answer.snapshot())


async def _guard_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    loop, between = asyncio.get_running_loop(), 30.0
    clock, failure = loop.time, loop.create_future()
    last, asking = clock(), False
    running: set[str] = set()

    def look() -> None:
        nonlocal timer  # type: ignore[misc]
        silent = clock() - last
        if silent >= between and not running and not asking:
            failure.set_result(None)
        else:
            timer = loop.call_later(max(between - silent, 1.0), look)

    timer = loop.call_later(between, look)
    for batch in batches(chunks):
        for chunk in batch:
            last = clock()
            if isinstance(chunk, ToolUseChunk):
                running.add(chunk.id)
            elif isinstance(chunk, ToolResultChunk):
                running.discard(chunk.tool_use_id)
            elif isinstance(chunk, SystemChunk) and chunk.subtype == "session_state_changed":
                asking = chunk.data.get("state") == "requires_action"
            emit(chunk)
        await asyncio.sleep(0)
    timer.cancel()
    assert not failure.done()
