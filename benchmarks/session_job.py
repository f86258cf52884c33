"""The job a session is made for: call back with each piece of text, print it now and then, build the answer.

Once over a turn of a session that is over and hands out its log, so that nothing but the job costs time; and
once with chunks that come in bursts, as the reads of a pipe bring them, with the event loop running in
between.

All do the same: a callback that raises harms nobody, what is printed is the text with a blank line between
blocks, at most once in 50 ms and none of it lost, and the answer leaves out what was retracted and has the
tools and figures. What was called back, printed and answered is checked.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import reactivex as rx
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler

from benchmarks.harness import Aim, Case, Contender, Measure, Stopwatch, at_most, times_less
from benchmarks.sources import (
    BATCH,
    Answer,
    Tally,
    Throttle,
    batches,
    piece_of,
    pushed_turn,
    record,
    replayed_turn,
    report_error,
)
from rxccsdk import Chunk, TextChunk, Turn
from rxccsdk import operators as cc

OURS = "rxccsdk: tap_text, print_text, to_response"

_DELTAS = 20_000
_READS = 3  # of the turn, in one figure
_BURST = 64  # chunks
_SECONDS = 0.05

Operators = Callable[[Tally, Tally], Sequence[Any]]
"""Makes the operators of the job, given who is called back and what is printed to."""

Loop = Callable[[list[Chunk], int, Tally, Tally], Coroutine[Any, Any, Answer]]
"""Does the job over chunks that come as many at once, given who is called back and what is printed to."""

Job = Callable[[Tally, Tally, Stopwatch], Coroutine[Any, Any, tuple[Any, str]]]
"""Does the job under the watch; gives the last answer, and the text it should have."""


def ours(heard: Tally, paper: Tally) -> Sequence[Any]:
    """Our operators."""
    return cc.tap_text(heard.write), cc.print_text(_SECONDS, file=paper), cc.to_response()


def nothing(heard: Tally, paper: Tally) -> Sequence[Any]:
    """No operators: what the turn alone costs."""
    return ()


def stock(heard: Tally, paper: Tally) -> Sequence[Any]:
    """reactivex's: its one lossless way to wait for more is a buffer, so the text is printed from that."""
    # Given to `subscribe`, it would also put off what needs no time.
    scheduler = AsyncIOScheduler(asyncio.get_running_loop())

    def beside(shared: rx.Observable[Any]) -> rx.Observable[Any]:
        printed = shared.pipe(
            ops.filter(lambda chunk: isinstance(chunk, TextChunk)),
            ops.map(piece_of()),
            ops.buffer_with_time_or_count(_SECONDS, 10**9, scheduler),
            ops.do_action(show),
            ops.ignore_elements(),
        )
        return rx.merge(shared, printed)

    def show(pieces: list[str]) -> None:
        if pieces:
            paper.write("".join(pieces))
            paper.flush()

    return ops.do_action(_telling(heard)), ops.publish(beside), ops.reduce(_fold, Answer())


def stock_throttled_by_hand(heard: Tally, paper: Tally) -> Sequence[Any]:
    """reactivex's, but for the throttle: that is the one of the loop by hand."""
    throttle = Throttle(paper, _SECONDS)
    printed = ops.do_action(_showing(throttle), on_completed=throttle.end)
    return ops.do_action(_telling(heard)), printed, ops.reduce(_fold, Answer())


def _telling(heard: Tally) -> Callable[[Chunk], None]:
    """Call back with the text of chunks; what the callback raises harms nobody."""
    piece = piece_of()

    def tell(chunk: Chunk) -> None:
        if isinstance(chunk, TextChunk):
            try:
                heard.write(piece(chunk))
            except Exception as error:
                report_error(error)

    return tell


def _showing(throttle: Throttle) -> Callable[[Chunk], None]:
    """Print the text of chunks now and then."""
    piece = piece_of()

    def show(chunk: Chunk) -> None:
        if isinstance(chunk, TextChunk):
            throttle.held.append(piece(chunk))
            if throttle.timer is None:
                throttle.begin()

    return show


def _fold(answer: Answer, chunk: Chunk) -> Answer:
    answer.add(chunk)
    return answer


async def by_hand_with_callbacks(chunks: list[Chunk], burst: int, heard: Tally, paper: Tally) -> Answer:
    """A loop over the callbacks that are handed to reactivex."""
    answer, throttle = Answer(), Throttle(paper, _SECONDS)
    tell, show = _telling(heard), _showing(throttle)
    for batch in batches(chunks, burst):
        for chunk in batch:
            tell(chunk)
            show(chunk)
            answer.add(chunk)
        await asyncio.sleep(0)
    throttle.end()
    return answer


async def by_hand(chunks: list[Chunk], burst: int, heard: Tally, paper: Tally) -> Answer:
    """One loop with everything written out in it: no callback but the user's."""
    answer, throttle, block = Answer(), Throttle(paper, _SECONDS), -1
    callback, held, pieces = heard.write, throttle.held, answer.pieces
    for batch in batches(chunks, burst):
        for chunk in batch:
            if isinstance(chunk, TextChunk):
                if chunk.agent is not None:
                    continue
                piece = chunk.text
                if chunk.block == block:
                    pieces.append(piece)
                else:
                    block, before = chunk.block, answer.begin(chunk)
                    pieces.append(piece)
                    piece = before + piece
            else:
                said, pieces = answer.note(chunk), answer.pieces
                if not said:
                    continue
                piece = said
            try:
                callback(piece)
            except Exception as error:
                report_error(error)
            held.append(piece)
            if throttle.timer is None:
                throttle.begin()
        await asyncio.sleep(0)
    throttle.end()
    return answer


def _begun(turn: Turn, operators: Sequence[Any]) -> asyncio.Future[Any]:
    """Subscribe to the turn; give the answer to come."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    got: list[Any] = []
    piped = turn.pipe(*operators)
    piped.subscribe(got.append, answer.set_exception, lambda: answer.set_result(got[-1]))
    return answer


def _at_once(cassette: Path, operators: Operators | None, loop: Loop = by_hand) -> Job:
    async def do(heard: Tally, paper: Tally, watch: Stopwatch) -> tuple[Any, str]:
        async with replayed_turn(cassette) as (turn, chunks):
            with watch:
                for _ in range(_READS):
                    if operators is None:
                        answer: Any = await loop(chunks, BATCH, heard, paper)
                    else:
                        answer = await _begun(turn, operators(heard, paper))
            return answer, turn.response.content

    return do


def _in_bursts(cassette: Path, operators: Operators | None, loop: Loop = by_hand) -> Job:
    async def do(heard: Tally, paper: Tally, watch: Stopwatch) -> tuple[Any, str]:
        async with replayed_turn(cassette) as (whole, chunks):
            bursts = list(batches(chunks, _BURST))
            with watch:
                for _ in range(_READS):
                    if operators is None:
                        answer: Any = await loop(chunks, _BURST, heard, paper)
                    else:
                        turn = pushed_turn()
                        coming = _begun(turn, operators(heard, paper))
                        for burst in bursts:
                            turn._push(burst)
                            await asyncio.sleep(0)
                        turn._finish("completed")
                        answer = await coming
            return answer, whole.response.content

    return do


def _contender(
    name: str, job: Job, chunks: int, aim: Aim | None = None, *, does_nothing: bool = False
) -> Contender:
    def run() -> float:
        heard, paper, watch = Tally(), Tally(), Stopwatch()
        answer, content = asyncio.run(job(heard, paper, watch))
        if does_nothing:
            return watch.seconds / chunks / _READS * 1e6
        assert answer.content == content, "the answer is wrong"
        assert heard.count == paper.count == _READS * len(content), "not all was called back and printed"
        return watch.seconds / chunks / _READS * 1e6

    return Contender(name, run, aim)


async def _count(cassette: Path) -> int:
    async with replayed_turn(cassette) as (_, chunks):
        return len(chunks)


def cases(quick: bool) -> Iterator[Case]:
    """At once and in bursts; a quick run has a hundredth of the chunks."""
    with tempfile.TemporaryDirectory() as folder:
        cassette = record(Path(folder), _DELTAS // 100 if quick else _DELTAS)
        chunks = asyncio.run(_count(cassette))
        for name, job, most in (
            ("all at once", _at_once, 1.4),
            (f"in bursts of {_BURST}, the loop runs in between", _in_bursts, 1.2),
        ):
            contenders = [
                _contender(OURS, job(cassette, ours), chunks),
                _contender("rxccsdk, the turn alone", job(cassette, nothing), chunks, does_nothing=True),
                _contender(
                    "a loop by hand over the callbacks",
                    job(cassette, None, by_hand_with_callbacks),
                    chunks,
                    at_most(most),
                ),
                _contender("a loop by hand, all in one", job(cassette, None), chunks, at_most(most)),
                _contender(
                    "reactivex: do_action, buffer, reduce", job(cassette, stock), chunks, times_less(8)
                ),
                _contender("reactivex, throttled by hand", job(cassette, stock_throttled_by_hand), chunks),
            ]
            yield Case(name, contenders, OURS)


MEASURE = Measure(
    name="session_job",
    title="Tap, print and reduce: what a session is for",
    unit="microseconds per chunk",
    cases=cases,
    packages=("reactivex",),
)
