"""What operators are built on: a pipe of ours is subscribed in one go.

In stock reactivex every stage subscribes to the one before it, and every item passes a guarding observer
between two stages. Here a stage is only a way to wrap an observer; subscribing to the last one wraps the
observer once for each stage and subscribes once, to the first source that is no stage of ours. Items then go
from function to function. Where a stock operator stands between two of ours, it is such a source.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import NewThreadScheduler, VirtualTimeScheduler

from rxccsdk.session.printer import Later

_T = TypeVar("_T")
_R = TypeVar("_R")

Operator = Callable[[Observable[_T]], Observable[_R]]


class Keeping(Protocol):
    """An operator that keeps the kind of items. A protocol, because mypy infers no alias inside a pipe."""

    def __call__(self, source: Observable[_T], /) -> Observable[_T]: ...


Wrap = Callable[[abc.ObserverBase[_R], "abc.SchedulerBase | None"], "Sink[_T]"]
"""Makes a sink for one subscription: fresh state each time."""


class Sink(Generic[_T]):
    """What a stage hears for one subscription.

    Args:
        on_next: gets each item; calls the observer downstream.
        on_error: gets the error.
        on_completed: told of the end.
        dispose: called once when the subscription is disposed, also after the end.
    """

    __slots__ = ("dispose", "on_completed", "on_error", "on_next")

    def __init__(
        self,
        on_next: Callable[[_T], object],
        on_error: Callable[[Exception], None],
        on_completed: Callable[[], None],
        dispose: Callable[[], None] | None = None,
    ) -> None:
        self.on_next = on_next
        self.on_error = on_error
        self.on_completed = on_completed
        self.dispose = dispose


class Stage(Observable[_R]):
    """An operator applied to a source.

    Args:
        source: what comes in.
        wrap: makes the sink for a subscription, given the observer downstream and the scheduler.
    """

    def __init__(self, source: Observable[Any], wrap: Wrap[_R, Any]) -> None:
        super().__init__()
        self._source = source
        self._wrap = wrap

    def _subscribe_core(
        self, observer: abc.ObserverBase[_R], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        cleanups = CompositeDisposable()
        downstream: Any = observer
        source: Observable[Any] = self
        while isinstance(source, Stage):
            downstream = source._wrap(downstream, scheduler)
            if downstream.dispose is not None:
                cleanups.add(Disposable(downstream.dispose))
            source = source._source
        subscription = source.subscribe(downstream, scheduler=scheduler)
        # The source goes first: what a stage does on dispose must not be followed by another item.
        return CompositeDisposable(subscription, cleanups)

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
