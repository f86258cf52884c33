"""Streams that open while another one runs: a sub-agent's, a code block's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import (
    CompositeDisposable,
    Disposable,
    RefCountDisposable,
    SingleAssignmentDisposable,
)

from rxccsdk.errors import RxccError

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")
_S = TypeVar("_S", bound="Replay[Any]")

_LEFT = (
    "This {} was cut off: nobody was subscribed to it or to the stream that gave it. "
    "Subscribe to it inside the pipe, as with ops.flat_map, or stay subscribed to the pipe."
)

Keep = Callable[[], abc.DisposableBase]
"""Keeps the source subscribed, until what it gives is disposed."""


class _Cursor:
    """How far one subscriber has read."""

    __slots__ = ("index", "observer", "reading", "stopped")

    def __init__(self, observer: abc.ObserverBase[Any]) -> None:
        self.observer = observer
        self.index = 0
        self.reading = False
        self.stopped = False


class Replay(Observable[_T]):
    """A stream that each subscriber sees from its first item, whenever it comes.

    A subscriber that raises costs nobody else anything: it is logged, and goes on with the next item.

    Args:
        keep: keeps the source subscribed while somebody reads here and this is still open.
    """

    def __init__(self, keep: Keep) -> None:
        super().__init__()
        self._keep = keep
        self._items: list[_T] = []
        self._cursors: list[_Cursor] = []
        self._ended = False
        self._error: Exception | None = None

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return not self._ended

    def push(self, item: _T) -> None:
        """Append an item and let every subscriber read on."""
        with self.lock:
            self._items.append(item)
            cursors = tuple(self._cursors)
        for cursor in cursors:
            self._read(cursor)

    def end(self, error: Exception | None = None) -> None:
        """Complete, or fail. What was ended stays as it is."""
        with self.lock:
            if self._ended:
                return
            self._ended, self._error = True, error
            cursors = tuple(self._cursors)
        for cursor in cursors:
            self._read(cursor)

    def _subscribe_core(
        self, observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        cursor = _Cursor(observer)
        keeping = self._keep() if self.is_open else Disposable()
        with self.lock:
            self._cursors.append(cursor)

        def leave() -> None:
            cursor.stopped = True
            with self.lock:
                if cursor in self._cursors:
                    self._cursors.remove(cursor)

        self._read(cursor)
        return CompositeDisposable(Disposable(leave), keeping)

    def _read(self, cursor: _Cursor) -> None:
        """Hand a subscriber what it has not seen; a call from inside its own `on_next` changes nothing."""
        items: list[_T] = []
        while True:
            with self.lock:  # never held while an observer runs
                if cursor.stopped or (cursor.reading and not items):
                    return
                items = self._items[cursor.index :]
                cursor.index += len(items)
                cursor.reading = bool(items)
                if not items:
                    if not self._ended:
                        return
                    cursor.stopped = True
                    break
            for item in items:
                self._isolate(cursor.observer.on_next, item)
                if cursor.stopped:
                    return
        if self._error is not None:
            self._isolate(cursor.observer.on_error, self._error)
        else:
            self._isolate(cursor.observer.on_completed)

    @staticmethod
    def _isolate(tell: Callable[..., None], *arguments: Any) -> None:
        try:
            tell(*arguments)
        except Exception as error:
            _log.error("a subscriber of a sub-agent's or code block's stream raised", exc_info=error)


class Reader(Protocol):
    """Reads the source of `Opening`, and opens streams."""

    def take(self, item: Any) -> None:
        """Take the next item."""

    def flush(self) -> None:
        """The source has ended: hand on what is held."""


class Opening(Observable[_S]):
    """Emits streams that open while the source runs.

    The source stays subscribed until its own subscriber and those of all open streams have left, as with
    reactivex's `group_by`: `ops.take(1)` after it must not starve the one stream that was taken.

    Args:
        source: what comes in.
        open: makes the reader for a subscription, given how to emit a stream and how to keep the source.
    """

    def __init__(self, source: Observable[Any], open: Callable[[Callable[[_S], None], Keep], Reader]) -> None:
        super().__init__()
        self._source = source
        self._open = open

    def _subscribe_core(
        self, observer: abc.ObserverBase[_S], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        opened: list[_S] = []
        left = ended = False
        subscription = SingleAssignmentDisposable()

        def emit(stream: _S) -> None:
            opened[:] = [other for other in opened if other.is_open]
            opened.append(stream)
            if not left:
                observer.on_next(stream)

        def abandon() -> None:
            nonlocal ended
            ended = True
            subscription.dispose()
            for stream in tuple(opened):
                stream.end(RxccError(_LEFT.format(type(stream).__name__)))

        counted = RefCountDisposable(Disposable(abandon))
        reader = self._open(emit, lambda: counted.disposable)

        def end(error: Exception | None = None) -> None:
            nonlocal ended
            if ended:
                return
            try:
                reader.flush()
            finally:
                ended = True
                for stream in tuple(opened):
                    stream.end(error)
                if left:
                    counted.dispose()
                elif error is not None:
                    observer.on_error(error)
                else:
                    observer.on_completed()

        def on_next(item: Any) -> None:
            if not ended:
                reader.take(item)

        def leave() -> None:
            nonlocal left
            left = True
            counted.dispose()

        subscription.disposable = self._source.subscribe(on_next, end, end, scheduler=scheduler)
        return Disposable(leave)
