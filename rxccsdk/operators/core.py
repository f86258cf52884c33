"""What operators are built on: a pipe of ours is subscribed in one go.

In stock reactivex every stage subscribes to the one before it, and every item passes a guarding observer
between two stages. Here a stage is a flow, a generator that items are pulled through; subscribing to the last
one chains the flows of all and subscribes once, to the first source that is no stage of ours. A turn lets in
the chunks that arrived together as one burst; any other source, a stock operator between two of ours too,
lets in one item at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import NewThreadScheduler, VirtualTimeScheduler

from rxccsdk.session.flow import End, Flow, Inlet
from rxccsdk.session.iterate import last
from rxccsdk.session.printer import Later
from rxccsdk.session.turn import Turn

_T = TypeVar("_T")
_R = TypeVar("_R")

Operator = Callable[[Observable[_T]], Observable[_R]]


class Keeping(Protocol):
    """An operator that keeps the kind of items. A protocol, because mypy infers no alias inside a pipe."""

    def __call__(self, source: Observable[_T], /) -> Observable[_T]: ...


Wrap = Callable[[Inlet, "abc.SchedulerBase | None"], "Sink"]
"""Makes a sink for one subscription, with fresh state; given the way into what follows, and the scheduler."""


@dataclass(frozen=True, slots=True)
class Sink:
    """What a stage does in one subscription.

    Args:
        flow: makes of the items that come what is given on.
        rest: gives what is held at the end, before the others are told of it.
        on_error: told of the error; without, what follows is.
        on_completed: told of the end; without, what follows is.
        dispose: called once when the subscription is disposed, also after the end.
    """

    flow: Flow
    rest: Callable[[], Sequence[Any]] | None = None
    on_error: Callable[[Exception], None] | None = None
    on_completed: Callable[[], None] | None = None
    dispose: Callable[[], None] | None = None

    def inlet(self, following: Inlet) -> Inlet:
        """Give the way in that leads here first."""
        on_error = self.on_error or following.on_error
        on_completed = self.on_completed or following.on_completed
        rest = self.rest
        if rest is None:
            return following.behind(self.flow, on_error, on_completed)

        def fail(error: Exception) -> None:
            try:
                following.take(rest())
            finally:
                on_error(error)

        def complete() -> None:
            try:
                following.take(rest())
            finally:
                on_completed()

        return following.behind(self.flow, fail, complete)


class Stage(Observable[_R]):
    """An operator applied to a source.

    Args:
        source: what comes in.
        wrap: makes the sink for a subscription.
    """

    def __init__(self, source: Observable[Any], wrap: Wrap) -> None:
        super().__init__()
        self._source = source
        self._wrap = wrap

    def subscribe(
        self,
        on_next: abc.ObserverBase[_R] | abc.OnNext[_R] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer, or functions, as to any Observable.

        A pipe that begins with a turn needs none of the guards that others have around an observer.
        """
        if isinstance(self.root, Turn):
            return self._connect(End.of(on_next, on_error, on_completed), scheduler)
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)

    def __await__(self) -> Generator[Any, None, _R]:
        return last(self).__await__()

    def _subscribe_core(
        self, observer: abc.ObserverBase[_R], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._connect(End.of(observer), scheduler)

    def _connect(self, end: End, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        subscription = CompositeDisposable()
        end.on_stop = subscription.dispose
        cleanups: list[abc.DisposableBase] = []
        inlet, source = Inlet(end), cast("Observable[Any]", self)
        while isinstance(source, Stage):
            sink = source._wrap(inlet, scheduler)
            if sink.dispose is not None:
                cleanups.append(Disposable(sink.dispose))
            inlet, source = sink.inlet(inlet), source._source
        # The source goes first: what a stage does on dispose must not be followed by another item.
        for part in (source.subscribe(inlet, scheduler=scheduler), *cleanups):
            subscription.add(part)
        return Disposable(end.stop)

    @property
    def root(self) -> Observable[Any]:
        """The source at the start of the pipe, as far as it is made of stages."""
        source: Observable[Any] = self
        while isinstance(source, Stage):
            source = source._source
        return source


def later_on(scheduler: abc.SchedulerBase | None) -> Later | None:
    """Give a way to wait: on a scheduler, else on the running loop, else none. Never a thread.

    A stage asks when it first has to wait: a turn that was subscribed to from another thread delivers on its
    session's loop all the same.
    """
    # `run()` subscribes with a scheduler that has a thread for each timer; it is not what anybody asked for.
    if scheduler is not None and not isinstance(scheduler, NewThreadScheduler):

        def on_scheduler(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
            return scheduler.schedule_relative(seconds, lambda *_: action()).dispose

        return on_scheduler
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return lambda seconds, action: loop.call_later(seconds, action).cancel


SLACK = 0.001  # seconds a timer may be early; clocks are not that exact


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time in seconds, from any zero, and calls back later."""

    now: Callable[[], float]
    later: Later


def clock_on(scheduler: abc.SchedulerBase | None) -> Clock | None:
    """Give a clock: a virtual scheduler's, else the running loop's, else a monotonic one. Never a thread.

    A scheduler that is not virtual says what the clock on the wall says, which can be put back.
    """
    later = later_on(scheduler)
    if later is None:
        return None
    if isinstance(scheduler, VirtualTimeScheduler):
        return Clock(lambda: scheduler.now.timestamp(), later)
    try:
        return Clock(asyncio.get_running_loop().time, later)
    except RuntimeError:
        return Clock(time.monotonic, later)
