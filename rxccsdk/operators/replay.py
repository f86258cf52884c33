"""Streams that open while another one runs: a sub-agent's, a code block's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import (
    CompositeDisposable,
    Disposable,
    RefCountDisposable,
    SingleAssignmentDisposable,
)

from rxccsdk.errors import RxccError
from rxccsdk.text.flow import Source
from rxccsdk.text.replay import Cursor
from rxccsdk.text.sink import Failures, Sink

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")
_S = TypeVar("_S", bound="Replay[Any]")

_RAISED = "a subscriber of a sub-agent's or code block's stream raised"
_LEFT = (
    "This {} was cut off: it had no subscriber, nor had the stream that emitted it. "
    "Subscribe to it inside the pipe, as with ops.flat_map, or stay subscribed to the pipe."
)

Keep = Callable[[], abc.DisposableBase]
"""Keeps the source subscribed until the result is disposed."""


class _Items:
    """A list that a cursor can read."""

    def __init__(self) -> None:
        self.length = 0
        self._items: list[Any] = []

    def append(self, item: Any) -> None:
        self._items.append(item)
        self.length += 1

    def read(self, place: int, most: int) -> Sequence[Any]:
        return self._items[place : place + most]


class Replay(Source[_T]):
    """A stream that each subscriber sees from its first item, whenever it subscribes.

    A subscriber that raises costs nobody else anything: it is logged, and goes on with the next item.

    Args:
        keep: keeps the source subscribed while this is open and has a subscriber.
    """

    def __init__(self, keep: Keep) -> None:
        super().__init__()
        self._keep = keep
        self._items = _Items()
        self._cursors: list[Cursor] = []
        self._lock = Lock()
        self._ended = False
        self._error: Exception | None = None

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return not self._ended

    def _push(self, item: _T) -> None:
        """Append an item and let every subscriber read on."""
        with self._lock:
            self._items.append(item)
            cursors = tuple(self._cursors)
        for cursor in cursors:
            self._read(cursor)

    def _end(self, error: Exception | None = None) -> None:
        """Complete, or fail. Only the first end counts."""
        with self._lock:
            if self._ended:
                return
            self._ended, self._error = True, error
            cursors = tuple(self._cursors)
        for cursor in cursors:
            self._read(cursor)

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put all items into the sink, from the first one."""
        failures = Failures(_report, _RAISED)
        sink.subscriber.report = failures.add
        cursor = Cursor(sink, 0, self._lock)
        keeping = self._keep() if self.is_open else Disposable()
        with self._lock:
            self._cursors.append(cursor)

        def leave() -> None:
            failures.close()
            self._remove(cursor)

        self._read(cursor)
        return CompositeDisposable(Disposable(leave), keeping)

    def _read(self, cursor: Cursor) -> None:
        if cursor.read(self._items) and self._ended and self._remove(cursor):
            cursor.end(self._error)

    def _remove(self, cursor: Cursor) -> bool:
        """Remove a cursor; return whether it was there."""
        with self._lock:
            found = cursor in self._cursors
            if found:
                self._cursors.remove(cursor)
            return found


def _report(error: Exception) -> None:
    _log.error(_RAISED, exc_info=error)


class Reader(Protocol):
    """Reads the source of `Opening`, and opens streams."""

    def take(self, item: Any) -> None:
        """Take the next item."""

    def flush(self) -> None:
        """Hand on what is held: the source has ended."""


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
                stream._end(RxccError(_LEFT.format(type(stream).__name__)))

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
                    stream._end(error)
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
