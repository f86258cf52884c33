"""Reading a log at one's own pace: every subscriber sees it from its first item."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Sequence
from contextvars import copy_context
from math import inf
from threading import Lock
from time import monotonic
from typing import Any, Protocol

from rxccsdk.text.sink import Sink, end, ended_by

_BATCH = 2048  # items that are read from the log at once


class Readable(Protocol):
    """A log that grows at its end.

    Attributes:
        length: the place after the last item.
    """

    length: int

    def read(self, place: int, most: int) -> Sequence[Any]:
        """Return items from a place on: some, not more than asked for; none at the end only."""


class Cursor:
    """How far one subscriber has read a log. Its observers run in the context in which it was made.

    Args:
        sink: where the items go.
        place: where it begins.
        lock: the log's. It is never held while an observer runs.

    Attributes:
        place: the next item's.
        subscriber: the sink's.
        is_reading: whether it is in the middle of `read`.
        is_due: whether whoever owns it will call `read` again, for the rest.
    """

    __slots__ = ("_context", "_lock", "is_due", "is_reading", "place", "sink", "subscriber")

    def __init__(self, sink: Sink, place: int, lock: Lock) -> None:
        self.sink = sink
        self.subscriber = sink.subscriber
        self.place = place
        self.is_reading = False
        self.is_due = False
        self._lock = lock
        self._context = copy_context()

    def read(self, log: Readable, seconds: float = inf) -> bool:
        """Put what the log has and the subscriber has not seen into the sink.

        A call from inside an observer does nothing: the call it is in goes on with what was appended.

        Args:
            log: the log.
            seconds: how long it may take; it stops after the item at which they are over, and after 2,048.

        Returns:
            Whether the subscriber has now seen all.
        """
        with self._lock:
            if self.is_reading or self.subscriber.stopped:
                return False
            self.is_reading = True
        try:
            return self._context.run(self._read, log, monotonic() + seconds)
        finally:
            self.is_reading = False

    def _read(self, log: Readable, until: float) -> bool:
        on_next, subscriber = self.sink.on_next, self.subscriber
        while True:
            with self._lock:
                if self.place >= log.length:
                    self.is_reading = False  # under the lock: whoever appends now must read
                    return True
                items = log.read(self.place, _BATCH)
            for item in items:
                try:
                    on_next(item)
                except Exception as error:  # of a stage: it costs this item
                    if subscriber.report is None:
                        raise
                    subscriber.report(error)
                except BaseException as error:  # it ends this subscriber and no other
                    end(self.sink, ended_by(error))
                    if not isinstance(error, (CancelledError, GeneratorExit)):
                        raise
                finally:
                    self.place += 1  # only now: what was not read must not be forgotten
                if subscriber.stopped or monotonic() > until:
                    return False
            if until < inf:
                return self.place >= log.length

    def end(self, error: Exception | None) -> None:
        """Put the end into the sink."""
        self._context.run(end, self.sink, error)
