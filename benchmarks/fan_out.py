"""Microseconds per chunk to hand one turn to several subscribers, each of which sees all of it.

The chunks are made beforehand and come in bursts, as the reads of a pipe bring them, with the event loop
running in between: what is timed is the fan-out and nothing below it. The source of every contender starts
with its first subscriber, so that one is always there from the first chunk; the others come with it, midway,
or after the end.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, Protocol

from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import ReplaySubject, Subject

from benchmarks.harness import Aim, Case, Contender, Measure, Stopwatch, at_most, times_less
from rxccsdk import Chunk, TextChunk, Turn
from rxccsdk.errors import SessionClosedError
from rxccsdk.session.talk import Talk

OURS = "rxccsdk, a turn"

_CHUNKS = 10_000
_BURST = 64
_PLAYS = 5  # of what is over in milliseconds: the middle one counts
_SUBSCRIBERS = (2, 3, 10)
_ENTRANCES = {"all from the first chunk": 0.0, "all but one midway": 0.5, "all but one after the end": 1.0}

OnNext = Callable[[Chunk], Any]
OnCompleted = Callable[[], None]


class FanOut(Protocol):
    """One stream of chunks for many."""

    def subscribe(self, on_next: OnNext, on_completed: OnCompleted) -> None:
        """Hand somebody every chunk, also those that came before, and then the end."""

    def push(self, burst: list[Chunk]) -> None:
        """Take the chunks of one read."""

    def finish(self) -> None:
        """There are no more."""


class OurTurn:
    """A turn whose session is a stand-in: it sends no prompt, and the chunks come from here."""

    exit = None

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.warnings: list[str] = []
        self.session_id: str | None = None
        self._turn = Turn(self, "go")

    @property
    def talk(self) -> Talk:
        raise SessionClosedError("There is no session.")

    def subscribe(self, on_next: OnNext, on_completed: OnCompleted) -> None:
        self._turn.subscribe(on_next, on_completed=on_completed)

    def push(self, burst: list[Chunk]) -> None:
        self._turn._push(burst)

    def finish(self) -> None:
        self._turn._finish("completed")

    # What a turn asks of its session.

    def enqueue(self, turn: Turn) -> None:
        turn._begin(0, lambda: "none")

    def withdraw(self, turn: Turn) -> None:
        raise AssertionError("nobody leaves")

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        raise AssertionError("nobody leaves")


class HandWritten:
    """A list as the log and a list of callbacks, none of which can harm another."""

    def __init__(self) -> None:
        self._log: list[Chunk] = []
        self._subscribers: list[tuple[OnNext, OnCompleted]] = []
        self._finished = False

    def subscribe(self, on_next: OnNext, on_completed: OnCompleted) -> None:
        for chunk in self._log:
            _call(on_next, chunk)
        if self._finished:
            on_completed()
        else:
            self._subscribers.append((on_next, on_completed))

    def push(self, burst: list[Chunk]) -> None:
        for chunk in burst:
            self._log.append(chunk)
            for on_next, _ in self._subscribers:
                try:
                    on_next(chunk)
                except Exception as error:
                    _report(error)

    def finish(self) -> None:
        self._finished = True
        for _, on_completed in self._subscribers:
            on_completed()


class Rx:
    """What reactivex has for it, between its own subject and its own subscribers."""

    def __init__(self, source: Subject[Chunk], shared: Observable[Chunk]) -> None:
        self._source = source
        self._shared = shared

    def subscribe(self, on_next: OnNext, on_completed: OnCompleted) -> None:
        self._shared.subscribe(on_next, on_completed=on_completed)

    def push(self, burst: list[Chunk]) -> None:
        for chunk in burst:
            self._source.on_next(chunk)

    def finish(self) -> None:
        self._source.on_completed()


def share_replay() -> Rx:
    """What other Rx libraries call `share_replay` is two operators here."""
    source: Subject[Chunk] = Subject()
    return Rx(source, source.pipe(ops.replay(), ops.ref_count()))


def replay_subject() -> Rx:
    """The same without the operators: whoever has the chunks pushes them into the subject."""
    subject: ReplaySubject[Chunk] = ReplaySubject()
    return Rx(subject, subject)


class Queues:
    """A queue and a task for each subscriber, and a list for those who come late."""

    def __init__(self) -> None:
        self._log: list[Chunk] = []
        self._queues: list[asyncio.Queue[Chunk | None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._finished = False

    def subscribe(self, on_next: OnNext, on_completed: OnCompleted) -> None:
        queue: asyncio.Queue[Chunk | None] = asyncio.Queue()
        for chunk in self._log:
            queue.put_nowait(chunk)
        if self._finished:
            queue.put_nowait(None)
        self._queues.append(queue)
        self._tasks.append(asyncio.create_task(self._read(queue, on_next, on_completed)))

    def push(self, burst: list[Chunk]) -> None:
        for chunk in burst:
            self._log.append(chunk)
            for queue in self._queues:
                queue.put_nowait(chunk)

    def finish(self) -> None:
        self._finished = True
        for queue in self._queues:
            queue.put_nowait(None)

    async def _read(
        self, queue: asyncio.Queue[Chunk | None], on_next: OnNext, on_completed: OnCompleted
    ) -> None:
        while (chunk := await queue.get()) is not None:
            _call(on_next, chunk)
        on_completed()


def _call(on_next: OnNext, chunk: Chunk) -> None:
    try:
        on_next(chunk)
    except Exception as error:
        _report(error)


def _report(error: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": "a subscriber raised", "exception": error})


class _Subscriber:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Chunk] = []
        self.ends = 0
        self.ended = asyncio.Event()

    def on_next(self, chunk: Chunk) -> None:
        self.got.append(chunk)

    def on_completed(self) -> None:
        self.ends += 1
        self.ended.set()


async def _play(make: Callable[[], FanOut], chunks: list[Chunk], subscribers: int, entrance: float) -> float:
    """Give the seconds from the first subscription until all have seen all chunks and the end."""
    bursts = [chunks[start : start + _BURST] for start in range(0, len(chunks), _BURST)]
    enter_at = round(len(bursts) * entrance)
    first, *others = audience = [_Subscriber() for _ in range(subscribers)]
    fan_out = make()

    def enter(entering: list[_Subscriber]) -> None:
        for one in entering:
            fan_out.subscribe(one.on_next, one.on_completed)

    watch = Stopwatch()
    with watch:
        enter([first])
        for number, burst in enumerate(bursts):
            if number == enter_at:
                enter(others)
            fan_out.push(burst)
            await asyncio.sleep(0)
        fan_out.finish()
        if enter_at == len(bursts):
            enter(others)
        for one in audience:
            await one.ended.wait()
    for one in audience:
        assert one.ends == 1, "the end came more than once"
        assert len(one.got) == len(chunks), "chunks are missing, or came twice"
        assert all(map(operator.eq, one.got, chunks)), "chunks came in another order"
    return watch.seconds


def cases(quick: bool) -> Iterator[Case]:
    """How many subscribe, and when; a quick run has a thousandth of the chunks."""
    count = _CHUNKS // 1000 if quick else _CHUNKS
    chunks: list[Chunk] = [TextChunk("piece", turn=0, seq=seq) for seq in range(count)]
    plays = 1 if quick else _PLAYS
    yield _case("1 subscriber", chunks, 1, 0.0, plays)
    for words, entrance in _ENTRANCES.items():
        for subscribers in _SUBSCRIBERS:
            yield _case(f"{subscribers} subscribers, {words}", chunks, subscribers, entrance, plays)


def _case(name: str, chunks: list[Chunk], subscribers: int, entrance: float, plays: int) -> Case:
    def row(name: str, make: Callable[[], FanOut], aim: Aim | None = None, plays: int = plays) -> Contender:
        def run() -> float:
            done = [asyncio.run(_play(make, chunks, subscribers, entrance)) for _ in range(plays)]
            return median(done) / len(chunks) * 1e6

        return Contender(name, run, aim)

    rows = [
        row(OURS, OurTurn),
        row("a loop by hand", HandWritten, at_most(1.4) if subscribers == 2 else None),
        row("an asyncio.Queue each", Queues),
        row("reactivex, replay() and ref_count()", share_replay, times_less(20), plays=1),
        row("reactivex, ReplaySubject", replay_subject, plays=1),
    ]
    return Case(name, rows, OURS)


MEASURE = Measure(
    name="fan_out",
    title="One turn for several subscribers",
    unit="microseconds per chunk, for all subscribers together",
    cases=cases,
    packages=("reactivex",),
)
