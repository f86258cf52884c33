"""Leave Rx: `to_async_iterator()`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from reactivex import operators as ops

from benchmarks.harness import Case, Stopwatch
from benchmarks.operators.ways import (
    NOT_OURS,
    OURS,
    PASSES,
    Emit,
    Play,
    Source,
    Way,
    compare,
    generated,
    hand_way,
    peer_way,
)
from benchmarks.sources import batches, past_turn, pushing
from rxccsdk import Chunk
from rxccsdk import operators as cc


def cases(prose: list[Chunk]) -> Iterator[Case]:
    def ours(source: Source) -> Play:
        async def play(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
            of = source(chunks)
            with watch:
                for emit in emits:
                    async for chunk in of.pipe(cc.to_async_iterator()):
                        emit(chunk)

        return play

    async def materialized(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
        source = past_turn(chunks)
        with watch:
            for emit in emits:
                queue: asyncio.Queue[Any] = asyncio.Queue()
                source.pipe(ops.materialize(), ops.do_action(queue.put_nowait)).subscribe()
                while (told := await queue.get()).kind == "N":
                    emit(told.value)

    async def queued(chunks: list[Chunk], emit: Emit) -> None:
        queue: asyncio.Queue[Chunk | None] = asyncio.Queue()

        async def feed() -> None:
            for batch in batches(chunks):
                for chunk in batch:
                    queue.put_nowait(chunk)
                await asyncio.sleep(0)
            queue.put_nowait(None)

        feeding = asyncio.create_task(feed())
        while (chunk := await queue.get()) is not None:
            emit(chunk)
        await feeding

    ways = [
        Way(OURS, ours(past_turn), passes=PASSES),
        Way(NOT_OURS, ours(pushing), passes=PASSES),
        hand_way(queued, "a queue between callback and loop"),
        Way("reactivex: materialize into a queue, its recipe", materialized),
        peer_way("an async generator: nothing is pushed", generated),
    ]
    yield compare("to_async_iterator()", prose, ways, lambda got: got == prose)
