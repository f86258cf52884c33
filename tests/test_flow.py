"""Two ways into a pipe: the bursts of a turn, and item by item from a source that is not ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from rxccsdk import Chunk, SessionClosedError, TextChunk, Turn
from rxccsdk import operators as cc
from rxccsdk.operators.replay import Opening
from rxccsdk.session.talk import Talk
from rxccsdk.testing.strategies import turns
from rxccsdk.text.flow import Handlers, Stage
from rxccsdk.text.sink import Sink, Subscriber
from tests.operator_laws import EVERY, Case, Clock, Hot, Strict, said
from tests.test_operators_contract import readable

Journal = list[tuple[str, Any]]
"""What happened, in order: at a tap before the operator, at one behind it, and at the subscriber."""


class Broken(Exception):
    """What observers raise."""


class Alone:
    """What a turn asks of its session, without one."""

    exit = None

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.errors: list[dict[str, Any]] = []
        self.interrupted: list[str] = []
        self.warnings: list[str] = []
        self.session_id: str | None = None
        self.loop.set_exception_handler(lambda loop, context: self.errors.append(context))

    @property
    def talk(self) -> Talk:
        raise SessionClosedError("There is no session.")

    def enqueue(self, turn: Turn) -> None:
        turn._begin(0, lambda: "none")

    def withdraw(self, turn: Turn) -> None:
        raise AssertionError("it was sent")

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        self.interrupted.append(why)


class Watcher:
    """Taps and a subscriber that note what they get, and misbehave at some place."""

    def __init__(self, raises_at: int | None, leaves_at: int | None, *, before: bool = True) -> None:
        self.journal: Journal = []
        self._raises_at, self._leaves_at, self._before = raises_at, leaves_at, before
        self.leave: Callable[[], None] = lambda: None

    def operators(self, case: Case, clock: Clock) -> list[Any]:
        before = [cc.tap_chunks(self._noting("in"))] if self._before else []
        return [*before, case.make(clock), cc.tap_chunks(self._noting("out"))]

    def _noting(self, where: str) -> Callable[[Any], None]:
        def take(item: Any) -> None:
            self._note(where, item)

        return take

    def on_next(self, item: Any) -> None:
        self._note("end", item)
        if len(self.journal) == self._raises_at:
            raise Broken

    def _note(self, where: str, item: Any) -> None:
        self.journal.append((where, *readable([item])))
        if len(self.journal) == self._leaves_at:
            self.leave()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst is read to its end, however slow the machine."""
    monkeypatch.setattr("rxccsdk.session.turn._SLICE", 1e9)


Bursts = list[list[Chunk]]


async def by_bursts(case: Case, bursts: Bursts, watcher: Watcher, seconds: float = 2.0) -> Journal:
    clock, conductor = Clock(), Alone()
    turn = Turn(conductor, "go")
    subscription = turn.pipe(*watcher.operators(case, clock)).subscribe(watcher.on_next, ignore)
    watcher.leave = subscription.dispose
    await asyncio.sleep(0)
    for burst in bursts:
        turn._push(burst)
        if seconds:
            clock.advance_by(seconds)
    turn._finish("completed")
    assert not clock.timers
    assert all(isinstance(error["exception"], Broken) for error in conductor.errors)
    return watcher.journal


def one_by_one(case: Case, bursts: Bursts, watcher: Watcher, seconds: float = 2.0) -> Journal:
    clock, source = Clock(), Hot()
    subscription = source.pipe(*watcher.operators(case, clock)).subscribe(watcher.on_next, ignore)
    watcher.leave = subscription.dispose
    for burst in bursts:
        source.send(*burst)
        clock.advance_by(seconds)
    source.complete()
    return watcher.journal


def ignore(error: Exception) -> None:
    pass


def cut(items: list[Chunk], sizes: list[int]) -> Iterator[list[Chunk]]:
    at = 0
    for size in sizes:
        yield items[at : at + size]
        at += size
    yield items[at:]


@given(
    turn=turns(),
    sizes=st.lists(st.integers(0, 9), max_size=6),
    leaves_at=st.none() | st.integers(1, 40),
    before=st.booleans(),
)
def test_bursts_are_items_one_by_one(
    turn: list[Chunk], sizes: list[int], leaves_at: int | None, before: bool
) -> None:
    """All that is seen, and in what order: also where one leaves midway, before the operator or behind it."""
    bursts = list(cut(turn, sizes))

    async def main() -> None:
        for case in EVERY:
            note(str(case))
            seen = await by_bursts(case, bursts, Watcher(None, leaves_at, before=before))
            assert seen == one_by_one(case, bursts, Watcher(None, leaves_at, before=before))

    asyncio.run(main())


@given(turn=turns(), sizes=st.lists(st.integers(0, 9), max_size=6), raises_at=st.integers(1, 40))
def test_who_raises_in_a_burst_gets_the_rest_of_it(
    turn: list[Chunk], sizes: list[int], raises_at: int
) -> None:
    bursts = list(cut(turn, sizes))

    async def main() -> None:
        for case in EVERY:
            note(str(case))
            if not isinstance(case.make(None)(Hot()), Opening):  # they have no stages
                quiet = await by_bursts(case, bursts, Watcher(None, None), 0)
                assert await by_bursts(case, bursts, Watcher(raises_at, None), 0) == quiet

    asyncio.run(main())


def test_what_a_subscriber_raises_is_reported_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[Any]:
        conductor = Alone()
        turn = Turn(conductor, "go")

        def fail(item: Any) -> None:
            raise Broken(item)

        turn.pipe(cc.text()).subscribe(fail)
        await asyncio.sleep(0)
        turn._push([said("a"), said("b"), said("c", 1)])
        turn._finish("completed")
        return [error["exception"].args[0] for error in conductor.errors]

    assert asyncio.run(main()) == ["a"]
    assert "raised at 2 more chunks" in caplog.text


def test_nothing_follows_the_end_of_a_pipe() -> None:
    """As reactivex guards others: an end comes once, and nothing after it, nor after a dispose."""
    observer = Strict()
    subscriber = Subscriber(observer)
    sink = Sink(subscriber)
    sink.emit(["a"])
    sink.on_completed()
    sink.emit(["b"])
    sink.on_next("c")
    sink.on_completed()
    sink.on_error(Broken())
    assert observer.items == ["a"]
    assert observer.completed
    assert not observer.faults


def test_the_end_cleans_up_also_where_the_observer_raises() -> None:
    stopped: list[int] = []
    ends: list[Callable[[Subscriber], None]] = [lambda s: s.on_completed(), lambda s: s.on_error(Broken())]
    for end in ends:

        def fail(*_: object) -> None:
            raise Broken

        subscriber = Subscriber(None, fail, fail)
        subscriber.on_stop = lambda: stopped.append(1)
        with pytest.raises(Broken):
            end(subscriber)
    assert stopped == [1, 1]


def test_an_error_without_a_handler_is_raised() -> None:
    with pytest.raises(Broken):
        Subscriber().on_error(Broken())


def test_a_stage_that_fails_costs_one_item() -> None:
    """A defect of ours, and still the others go on downstream where errors are reported."""

    def attach(downstream: Sink, scheduler: object) -> Handlers:
        def on_next(item: Any) -> None:
            if item.text == "b":
                raise Broken
            downstream.on_next(item)

        return Handlers(on_next)

    async def main() -> tuple[list[str], int]:
        conductor, got = Alone(), []
        turn = Turn(conductor, "go")
        Stage[Any](turn, attach).subscribe(lambda chunk: got.append(chunk.text))
        await asyncio.sleep(0)
        turn._push([said("a"), said("b"), said("c")])
        return got, len(conductor.errors)

    assert asyncio.run(main()) == (["a", "c"], 1)
    source, got = Hot(), []
    Stage[Any](source, attach).subscribe(lambda chunk: got.append(chunk.text))
    source.send(said("a"))
    with pytest.raises(Broken):
        source.send(said("b"))
    assert got == ["a"]


def test_what_is_emitted_together_all_gets_there_though_one_is_raised_at() -> None:
    got: list[str] = []

    def take(item: str) -> None:
        got.append(item)
        if item == "a":
            raise Broken

    with pytest.raises(Broken):
        Sink(Subscriber(take)).emit(["a", "b"])
    assert got == ["a", "b"]


def test_leaving_empties_what_is_on_its_way() -> None:
    """A stage that takes many and gives one must not go on taking after its subscriber has left."""
    taken: list[str] = []

    def take(item: Any) -> None:
        taken.append(item.text)
        if len(taken) == 2:
            subscription.dispose()

    async def main() -> None:
        nonlocal subscription  # type: ignore[misc]
        turn = Turn(Alone(), "go")
        subscription = turn.pipe(cc.tap_chunks(take), cc.of_type(TextChunk), cc.to_response()).subscribe()
        await asyncio.sleep(0)
        turn._push([said("a"), said("b"), said("c")])

    subscription: Any = None
    asyncio.run(main())
    assert taken == ["a", "b"]
