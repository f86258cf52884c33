"""A hot Observable: its subscribers get what is sent while they are there."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections import deque
from typing import TypeVar

from reactivex import abc
from reactivex.disposable import Disposable

from rxccsdk.text.flow import Source
from rxccsdk.text.sink import Failures, Sink, end, ended_by

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")


class Hot(Source[_T]):
    """Sends items to its subscribers. One that raises costs nobody else anything.

    Args:
        name: what it is, for the log.
        keep: late subscribers get all items from the first.
    """

    def __init__(self, name: str, *, keep: bool = False) -> None:
        super().__init__()
        self._raised = f"a subscriber of {name} raised"
        self._sinks: tuple[Sink, ...] = ()
        self._kept: list[_T] | None = [] if keep else None
        self._waiting: deque[_T] = deque()
        self._sending = False
        self._ended = False
        self._error: Exception | None = None

    def _send(self, item: _T) -> None:
        """Send an item to the subscribers of now; what a subscriber makes the session send comes after it."""
        self._waiting.append(item)
        if self._sending:
            return
        self._sending = True
        try:
            while self._waiting:
                next_item = self._waiting.popleft()
                if self._kept is not None:
                    self._kept.append(next_item)
                for sink in self._sinks:
                    self._isolate(sink, next_item)
        finally:
            self._sending = False

    def _end(self, error: Exception | None = None) -> None:
        """Complete, or fail. Only the first end counts."""
        if self._ended:
            return
        self._ended, self._error = True, error
        sinks, self._sinks = self._sinks, ()
        for sink in sinks:
            end(sink, error)

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put what is sent from now on into the sink."""
        failures = Failures(self._report, self._raised)
        sink.subscriber.report = failures.add
        for item in self._kept or ():  # those that come meanwhile, too
            self._isolate(sink, item)
        if self._ended:
            end(sink, self._error)
            return Disposable()
        with self.lock:
            self._sinks = (*self._sinks, sink)

        def leave() -> None:
            failures.close()
            with self.lock:
                self._sinks = tuple(other for other in self._sinks if other is not sink)

        return Disposable(leave)

    @staticmethod
    def _isolate(sink: Sink, item: _T) -> None:
        subscriber = sink.subscriber
        if subscriber.stopped:
            return
        try:
            sink.on_next(item)
        except Exception as error:
            assert subscriber.report is not None, "set when it subscribed"
            subscriber.report(error)
        except BaseException as error:
            end(sink, ended_by(error))
            if not isinstance(error, (CancelledError, GeneratorExit)):
                raise

    def _report(self, error: Exception) -> None:
        _log.error(f"{self._raised}; it goes on", exc_info=error)
