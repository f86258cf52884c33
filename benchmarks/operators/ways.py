"""Ways to do the work of an operator, and the cases they are compared in."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiostream
import reactivex as rx
from reactivex.scheduler.eventloop import AsyncIOScheduler

from benchmarks.harness import Aim, Case, Contender, Stopwatch, at_most, times_less
from benchmarks.sources import Tally, items, past_turn, pushing
from rxccsdk import Chunk

OURS = "rxccsdk"
NOT_OURS = "rxccsdk, over a source that is not ours"

BY_HAND = at_most(1.5)
BUFFER = times_less(20)  # than buffer_with_time_or_count

SECONDS = 0.05  # what buffers and printers wait
NO_COUNT = 10**9  # makes buffer_with_time_or_count a buffer by time alone
PASSES = 3  # over the chunks; who takes microseconds per chunk makes one

Got = list[Any]
Emit = Callable[[Any], object]
Loop = Callable[[list[Chunk], Emit], Awaitable[None] | None]
Source = Callable[[list[Chunk]], rx.Observable[Chunk]]
"""Makes what is subscribed to, of its chunks; in a running loop."""

Play = Callable[[list[Chunk], list[Emit], Stopwatch], Coroutine[Any, Any, None]]


# -- contenders and cases -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way to do the work of a case. `loses` says that it does not do all of it."""

    name: str
    play: Play
    aim: Aim | None = None
    passes: int = 1
    loses: bool = False


def compare(
    name: str,
    chunks: list[Chunk],
    ways: Sequence[Way],
    check: Callable[[Got], bool],
    *,
    sink: Callable[[Got], Emit] = lambda got: got.append,
    tally: Tally | None = None,
    told: int = 0,
) -> Case:
    """Make a case.

    Args:
        name: of the operator.
        chunks: what comes in.
        ways: the contenders; ours is the first.
        check: whether what came out in a pass is right.
        sink: makes the function that what comes out goes to.
        tally: what callbacks tell.
        told: what it has to count in a pass.
    """

    def contender(way: Way) -> Contender:
        def run() -> float:
            watch = Stopwatch()
            passes: list[list[Any]] = [[] for _ in range(way.passes)]
            before = tally.count if tally is not None else 0
            asyncio.run(way.play(chunks, list(map(sink, passes)), watch))
            assert all(map(check, passes)), f"{name}, {way.name}: what came out is wrong"
            if tally is not None and not way.loses:
                assert tally.count - before == told * way.passes, (
                    f"{name}, {way.name}: something was not told"
                )
            return watch.seconds / len(chunks) / way.passes * 1e6

        return Contender(way.name, run, way.aim)

    return Case(name, list(map(contender, ways)), OURS)


def subscribed(source: Source, operators: Callable[[], Sequence[Any]]) -> Play:
    """Subscribe to a pipe of a source, once for each function that what comes out goes to."""

    async def play(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
        loop, of = asyncio.get_running_loop(), source(chunks)
        piped = [of.pipe(*operators()) for _ in emits]
        with watch:
            for one, emit in zip(piped, emits, strict=True):
                done = loop.create_future()
                one.subscribe(emit, done.set_exception, partial(done.set_result, None))
                await done

    return play


def our_ways(*operators: Any) -> list[Way]:
    """Take ours, over a turn; and over a source that is not ours, which lets in one chunk at a time."""
    return [
        Way(OURS, subscribed(past_turn, lambda: operators), passes=PASSES),
        Way(NOT_OURS, subscribed(pushing, lambda: operators), passes=PASSES),
    ]


def stock_way(name: str, operators: Callable[[], Sequence[Any]], **more: Any) -> Way:
    """Take reactivex's operators, made anew for each pass, for some have state."""
    return Way(f"reactivex: {name}", subscribed(past_turn, operators), **{"passes": PASSES, **more})


def loop_scheduler() -> AsyncIOScheduler:
    """For the operators that need time. Given to `subscribe` it would put off what others do, too."""
    return AsyncIOScheduler(asyncio.get_running_loop())


def looped(loop: Loop) -> Play:
    async def play(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
        with watch:
            for emit in emits:
                waiting = loop(chunks, emit)
                if inspect.isawaitable(waiting):
                    await waiting

    return play


def hand_way(loop: Loop, note: str = "", aim: Aim | None = BY_HAND, passes: int = PASSES) -> Way:
    return Way(f"by hand: {note}" if note else "by hand", looped(loop), aim, passes)


def peer_way(name: str, loop: Loop) -> Way:
    return Way(name, looped(loop))


def streamed(operator: Callable[[], Any]) -> Loop:
    """Take an operator of aiostream's."""

    async def loop(chunks: list[Chunk], emit: Emit) -> None:
        async with (aiostream.stream.iterate(items(chunks)) | operator()).stream() as streamer:
            async for item in streamer:
                emit(item)

    return loop


async def generated(chunks: list[Chunk], emit: Emit) -> None:
    async for chunk in items(chunks):
        emit(chunk)


def is_a(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    return lambda chunk: isinstance(chunk, kind)
