"""A hot Observable: its subscribers get what is sent while they are there; nothing is kept."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable

from reactivex import abc
from reactivex.disposable import Disposable

from rxccsdk.chunks import Chunk
from rxccsdk.session.talk import Talk
from rxccsdk.text.flow import Source
from rxccsdk.text.sink import Failures, Sink, end, ended_by

_log = logging.getLogger("rxccsdk")

_RAISED = "a subscriber of session.chunks raised"


class HotChunks(Source[Chunk]):
    """What `ClaudeSession.chunks` is. A subscriber that raises costs nobody else anything.

    Args:
        talk: returns what answers the agent's questions; raises `SessionClosedError` where nothing does.
    """

    def __init__(self, talk: Callable[[], Talk]) -> None:
        super().__init__()
        self._talk = talk
        self._sinks: tuple[Sink, ...] = ()
        self._waiting: deque[Chunk] = deque()
        self._sending = False
        self._ended = False
        self._error: Exception | None = None

    def _send(self, chunk: Chunk) -> None:
        """Send a chunk to the subscribers of now; what a subscriber makes the session send comes after it."""
        self._waiting.append(chunk)
        if self._sending:
            return
        self._sending = True
        try:
            while self._waiting:
                next_chunk = self._waiting.popleft()
                for sink in self._sinks:
                    self._isolate(sink, next_chunk)
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
        failures = Failures(_report, _RAISED)
        sink.subscriber.report = failures.add
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
    def _isolate(sink: Sink, chunk: Chunk) -> None:
        subscriber = sink.subscriber
        if subscriber.stopped:
            return
        try:
            sink.on_next(chunk)
        except Exception as error:
            assert subscriber.report is not None, "set when it subscribed"
            subscriber.report(error)
        except BaseException as error:
            end(sink, ended_by(error))
            if not isinstance(error, (CancelledError, GeneratorExit)):
                raise


def _report(error: Exception) -> None:
    _log.error(f"{_RAISED}; the session goes on", exc_info=error)
