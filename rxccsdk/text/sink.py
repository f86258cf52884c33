"""Where items go: downstream, to the subscriber at the end of a pipe."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Callable, Iterable
from typing import Any, cast

from reactivex import abc

_log = logging.getLogger("rxccsdk")

Report = Callable[[Exception], None]
"""Takes what a subscriber raises at an item; it gets the other items all the same."""


class Failures:
    """Reports the first failure with its traceback, and counts the others.

    Args:
        report: takes the first one.
        what: names what fails, for the log.
    """

    __slots__ = ("_more", "_report", "_what")

    def __init__(self, report: Report, what: str) -> None:
        self._report = report
        self._what = what
        self._more = -1

    def add(self, error: Exception) -> None:
        """Report it, or count it."""
        self._more += 1
        if not self._more:
            self._report(error)

    def close(self) -> None:
        """Log how many were only counted."""
        if self._more > 0:
            _log.error("%s: it raised at %d more chunks", self._what, self._more)
        self._more = -1


class Subscriber:
    """The end of a pipe: an observer that gets nothing after its end, nor after it was disposed.

    Args:
        on_next: gets each item. What it raises goes to `report`.
        on_error: gets the error; without, the error is raised.
        on_completed: called at the end.

    Attributes:
        stopped: whether it was disposed or has had its end.
        handles_errors: whether it was given an `on_error`.
        report: set by the source; without, what `on_next` raises goes to whoever puts the item.
        on_stop: called once when it is stopped.
    """

    __slots__ = (
        "_on_completed",
        "_on_error",
        "_on_next",
        "handles_errors",
        "on_stop",
        "report",
        "stopped",
    )

    def __init__(
        self,
        on_next: abc.ObserverBase[Any] | Callable[[Any], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        on_completed: Callable[[], object] | None = None,
    ) -> None:
        if hasattr(on_next, "on_next"):
            observer = cast("abc.ObserverBase[Any]", on_next)
            on_next, on_error, on_completed = observer.on_next, observer.on_error, observer.on_completed
        self._on_next = cast("Callable[[Any], object]", on_next or _ignore)
        self.handles_errors = on_error is not None
        self._on_error = on_error or _raise
        self._on_completed = on_completed or _ignore
        self.stopped = False
        self.report: Report | None = None
        self.on_stop: Callable[[], object] = _ignore

    def on_next(self, item: Any) -> None:
        """Pass an item on, unless it was stopped."""
        if self.stopped:
            return
        try:
            self._on_next(item)
        except Exception as error:
            if self.report is None:
                raise
            self.report(error)

    def on_error(self, error: Exception) -> None:
        """End with an error, unless it was stopped."""
        if not self.stopped:
            self.stopped = True
            try:
                self._on_error(error)
            finally:
                self.stop()

    def on_completed(self) -> None:
        """End, unless it was stopped."""
        if not self.stopped:
            self.stopped = True
            try:
                self._on_completed()
            finally:
                self.stop()

    def stop(self) -> None:
        """Pass nothing on any more."""
        self.stopped = True
        on_stop, self.on_stop = self.on_stop, _ignore
        on_stop()


class Sink:
    """Where a source or a stage puts its items: the stages downstream, and the subscriber at their end.

    Args:
        subscriber: the end.
        on_next: takes an item; without these three, the subscriber's own.
        on_error: takes the error.
        on_completed: takes the end.
    """

    __slots__ = ("on_completed", "on_error", "on_next", "subscriber")

    def __init__(
        self,
        subscriber: Subscriber,
        on_next: Callable[[Any], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        on_completed: Callable[[], object] | None = None,
    ) -> None:
        self.subscriber = subscriber
        self.on_next = on_next or subscriber.on_next
        self.on_error = on_error or subscriber.on_error
        self.on_completed = on_completed or subscriber.on_completed

    def emit(self, items: Iterable[Any]) -> None:
        """Put several items, as long as the subscriber is not stopped.

        Raises:
            Exception: the first that was raised at one of them; the others were put all the same.
        """
        on_next, subscriber = self.on_next, self.subscriber
        failure: Exception | None = None
        for item in items:
            if subscriber.stopped:
                break
            try:
                on_next(item)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure


def end(sink: Sink, error: Exception | None = None) -> None:
    """Put the end into a sink; what its subscriber raises there goes to its `report`, where it has one."""
    report = sink.subscriber.report
    try:
        if error is not None:
            sink.on_error(error)
        else:
            sink.on_completed()
    except Exception as raised:
        if report is None:
            raise
        report(raised)
    except (CancelledError, GeneratorExit) as raised:
        if report is None:
            raise
        report(ended_by(raised))


def ended_by(error: BaseException) -> RuntimeError:
    """Return the error that a subscriber ends with whose callback raised what is no `Exception`."""
    ending = RuntimeError(f"A callback of this subscriber raised {type(error).__name__}.")
    ending.__cause__ = error
    return ending


def _ignore(*_: object) -> None:
    return None


def _raise(error: Exception) -> None:
    raise error
