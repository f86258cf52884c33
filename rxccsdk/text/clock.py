"""Time: the running loop, a clock to wait on, and a timer that waits for one thing."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from reactivex import abc
from reactivex.scheduler import (
    CurrentThreadScheduler,
    ImmediateScheduler,
    NewThreadScheduler,
    TrampolineScheduler,
    VirtualTimeScheduler,
)

_T = TypeVar("_T")

SLACK = 0.001  # seconds a timer may be early; clocks are not that exact

# They run what is scheduled on a thread of its own, or block until it is due.
_NO_CLOCK = (CurrentThreadScheduler, ImmediateScheduler, NewThreadScheduler, TrampolineScheduler)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return this thread's running event loop, or `None`."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def on_loop(loop: asyncio.AbstractEventLoop | None, call: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Call a coroutine function on a loop, and return what it returns; from any loop.

    Raises:
        RuntimeError: the loop does not run any more.
    """
    if loop is None or loop is running_loop() or loop.is_closed():
        return await call()
    if not loop.is_running():
        raise RuntimeError(f"The session was opened on {loop!r}, which does not run: it cannot be reached.")
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop))


def call_on(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """Call a function on a loop: at once where that is the running one."""
    if running_loop() is loop:
        action()
    else:
        loop.call_soon_threadsafe(action)


class Moment:
    """A moment that comes once, and that any loop can wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_come = False
        self._waited_for: concurrent.futures.Future[None] | None = None

    def come(self) -> None:
        """Wake all who wait."""
        with self._lock:
            self._has_come, waited_for = True, self._waited_for
        if waited_for is not None:
            waited_for.set_result(None)

    async def wait(self) -> None:
        """Return when it has come."""
        with self._lock:
            if self._has_come:
                return
            waited_for = self._waited_for = self._waited_for or concurrent.futures.Future()
        await asyncio.shield(asyncio.wrap_future(waited_for))


@dataclass(frozen=True, slots=True)
class Clock:
    """Knows the time in seconds, from any zero, and calls back later.

    Attributes:
        now: returns the time.
        later: calls a function after some seconds; returns a function that takes that back.
    """

    now: Callable[[], float]
    later: Callable[[float, Callable[[], None]], Callable[[], object]]


def clock_on(scheduler: abc.SchedulerBase | None) -> Clock | None:
    """Return a clock on a scheduler, else on the running loop, else `None`. Never on a thread of its own.

    The time is a virtual scheduler's, else the running loop's, else a monotonic clock's: other schedulers
    have the wall clock's, which can be put back. `Observable.run` and some operators of reactivex hand down
    schedulers that are no clock: they block, or start a thread; those count as none.
    """
    loop = running_loop()
    if scheduler is None or isinstance(scheduler, _NO_CLOCK):
        if loop is None:
            return None
        call_later = loop.call_later
        return Clock(loop.time, lambda seconds, action: call_later(seconds, action).cancel)

    def later(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        return scheduler.schedule_relative(seconds, lambda *_: action()).dispose

    if isinstance(scheduler, VirtualTimeScheduler):
        return Clock(lambda: scheduler.now.timestamp(), later)
    return Clock(loop.time if loop is not None else time.monotonic, later)


class Timer:
    """Calls one function at a time, once, later.

    It looks for its clock when it is first needed: a turn that was subscribed to from another thread delivers
    on its session's loop all the same.

    Args:
        scheduler: what to wait on, as for `clock_on`.

    Attributes:
        waits: whether a call is due.
    """

    __slots__ = ("_cancel", "_clock", "_scheduler", "waits")

    def __init__(self, scheduler: abc.SchedulerBase | None) -> None:
        self.waits = False
        self._scheduler = scheduler
        self._clock: Clock | None = None
        self._cancel: Callable[[], object] | None = None

    @property
    def clock(self) -> Clock | None:
        """The clock, where there is one."""
        if self._clock is None:
            self._clock = clock_on(self._scheduler)
        return self._clock

    def start(self, seconds: float, action: Callable[[], None]) -> bool:
        """Call `action` in so many seconds, instead of what was to be called.

        Returns:
            Whether there is a clock to wait on; without, nothing is called.
        """
        self.stop()
        clock = self.clock
        if clock is None:
            return False

        def fire() -> None:
            self.waits, self._cancel = False, None
            action()

        self.waits = True
        self._cancel = clock.later(seconds, fire)
        return True

    def stop(self) -> None:
        """Call nothing."""
        self.waits = False
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()
