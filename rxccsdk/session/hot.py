"""A hot Observable: it tells those who watch and keeps nothing."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxccsdk.chunks import Chunk

_log = logging.getLogger("rxccsdk")


class Hot(Observable[Chunk]):
    """What `ClaudeSession.chunks` is. A watcher that raises costs nobody else anything."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: tuple[abc.ObserverBase[Chunk], ...] = ()
        self._waiting: deque[Chunk] = deque()
        self._telling = False
        self._ended = False
        self._error: Exception | None = None

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def tell(self, chunks: Iterable[Chunk]) -> None:
        """Tell chunks to those who watch now; what comes of telling them is told after them."""
        self._waiting.extend(chunks)
        if self._telling:
            return
        self._telling = True
        try:
            while self._waiting:
                self._tell_one(self._waiting.popleft())
        finally:
            self._telling = False

    def _tell_one(self, chunk: Chunk) -> None:
        for watcher in self._watchers:
            try:
                watcher.on_next(chunk)
            except Exception as error:
                _log.error("a subscriber of session.chunks raised; the session goes on", exc_info=error)

    def complete(self) -> None:
        """End well. Only the first end counts."""
        self._end(None)

    def fail(self, error: Exception) -> None:
        """End with an error. Only the first end counts."""
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._ended, self._error = True, error
        watchers, self._watchers = self._watchers, ()
        for watcher in watchers:
            try:
                self._tell_end(watcher)
            except Exception as failure:
                _log.error("a subscriber of session.chunks raised at its end", exc_info=failure)

    def _tell_end(self, watcher: abc.ObserverBase[Chunk]) -> None:
        if self._error is not None:
            watcher.on_error(self._error)
        else:
            watcher.on_completed()

    def _subscribe_core(
        self, observer: abc.ObserverBase[Chunk], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        if self._ended:
            self._tell_end(observer)
            return Disposable()
        with self.lock:
            self._watchers = (*self._watchers, observer)

        def dispose() -> None:
            with self.lock:
                self._watchers = tuple(watcher for watcher in self._watchers if watcher is not observer)

        return Disposable(dispose)
