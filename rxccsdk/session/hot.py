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
from rxccsdk.text.replay import ended_by
from rxccsdk.text.sink import Sink

_log = logging.getLogger("rxccsdk")


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
            self._end_sink(sink)

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put what is sent from now on into the sink."""
        sink.subscriber.report = _report
        if self._ended:
            self._end_sink(sink)
            return Disposable()
        with self.lock:
            self._sinks = (*self._sinks, sink)

        def leave() -> None:
            with self.lock:
                self._sinks = tuple(other for other in self._sinks if other is not sink)

        return Disposable(leave)

    @staticmethod
    def _isolate(sink: Sink, chunk: Chunk) -> None:
        if sink.subscriber.stopped:
            return
        try:
            sink.on_next(chunk)
        except Exception as error:
            _report(error)
        except (CancelledError, GeneratorExit) as error:
            sink.on_error(ended_by(error))

    def _end_sink(self, sink: Sink) -> None:
        try:
            if self._error is not None:
                sink.on_error(self._error)
            else:
                sink.on_completed()
        except Exception as error:
            _log.error("a subscriber of session.chunks raised at its end", exc_info=error)


def _report(error: Exception) -> None:
    _log.error("a subscriber of session.chunks raised; the session goes on", exc_info=error)
