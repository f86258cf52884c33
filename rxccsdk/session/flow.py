"""How items get to a subscriber: those that arrived together, in one go.

A burst of items is pulled through generators, one for each stage. An item is through all of them before the
next one is taken, as where each stage calls the one behind it; but a generator keeps its place and its names
from item to item, which costs half of a call. What comes alone is a burst of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import length_hint
from typing import Any, cast

from reactivex import abc

from rxccsdk.chunks import Stretch
from rxccsdk.session.stretch import Alike

Flow = Callable[[Iterable[Any]], Iterable[Any]]
"""Takes the items of a burst and gives what comes of them, each before it takes the next. It is called anew
for every burst, so what it has to remember is not its own, and is up to date whenever an item is given. The
items may be `Alike`: then it may ask the first what it would ask each, and say so of what it gives on."""

Report = Callable[[Exception], None]
"""Told what a subscriber raises at an item; it gets the other items all the same."""


def _ignore(*_: object) -> None:
    return None


def _raise(error: Exception) -> None:
    raise error


class End:
    """The subscriber at the end of a pipe, as functions. It hears nothing after its end, or once it left.

    Attributes:
        stopped: whether it left or was told of the end.
        on_stop: called when it is.
    """

    __slots__ = ("_coming", "_on_completed", "_on_error", "_on_next", "on_stop", "stopped")

    def __init__(
        self,
        on_next: Callable[[Any], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        on_completed: Callable[[], object] | None = None,
    ) -> None:
        self._on_next = on_next or _ignore
        self._on_error = on_error or _raise
        self._on_completed = on_completed or _ignore
        self._coming: list[Iterator[Any]] = []  # the bursts that are on their way
        self.stopped = False
        self.on_stop: Callable[[], object] = _ignore

    @classmethod
    def of(
        cls,
        on_next: abc.ObserverBase[Any] | abc.OnNext[Any] | None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
    ) -> End:
        """Make one of what `subscribe` is given: an observer, or functions."""
        if hasattr(on_next, "on_next"):
            observer = cast("abc.ObserverBase[Any]", on_next)
            return cls(observer.on_next, observer.on_error, observer.on_completed)
        return cls(on_next, on_error, on_completed)

    def take(self, items: Sequence[Any], flows: Iterable[Flow], report: Report | None) -> None:
        """Pull a burst through the stages, and tell of what comes out. As `Inlet.take`."""
        source = iter(items)
        self._coming.append(source)
        try:
            while True:
                try:
                    pulled: Iterable[Any] = source
                    if type(items) is Stretch:
                        pulled = Alike(items[0], source, unseen=True)
                    for flow in flows:
                        pulled = flow(pulled)
                    self.tell(pulled, report)
                except Exception as error:
                    if report is None:
                        raise
                    report(error)
                if not length_hint(source):
                    return  # else a stage has failed at one of them
        finally:
            self._coming.pop()

    def tell(self, items: Iterable[Any], report: Report | None) -> None:
        """Tell of the items that come out of the stages. As `Inlet.take`."""
        on_next, failure = self._on_next, None
        for item in items:
            try:
                on_next(item)
            except Exception as error:
                if report is not None:
                    report(error)
                else:
                    failure = failure or error
            if self.stopped:
                break
        if failure is not None:
            raise failure

    def on_error(self, error: Exception) -> None:
        """Tell of the error, unless it has left."""
        if not self.stopped:
            self.stopped = True
            try:
                self._on_error(error)
            finally:
                self.stop()

    def on_completed(self) -> None:
        """Tell of the end, unless it has left."""
        if not self.stopped:
            self.stopped = True
            try:
                self._on_completed()
            finally:
                self.stop()

    def stop(self) -> None:
        """It has left: what is on its way comes no further, not even to the next stage."""
        self.stopped = True
        for source in tuple(self._coming):
            for _ in source:
                pass
        self.on_stop()


class Inlet(abc.ObserverBase[Any]):
    """A way into a pipe: from here on items pass the stages that follow, and get to the end.

    Args:
        end: the subscriber at the end.
        flows: those of the stages that follow, in order.
        on_error: of the first of them; without, the end's.
        on_completed: likewise.
    """

    def __init__(
        self,
        end: End,
        flows: tuple[Flow, ...] = (),
        on_error: Callable[[Exception], None] | None = None,
        on_completed: Callable[[], None] | None = None,
    ) -> None:
        self.end = end
        self._flows = flows
        self._on_error = on_error or end.on_error
        self._on_completed = on_completed or end.on_completed

    def behind(
        self, flow: Flow, on_error: Callable[[Exception], None], on_completed: Callable[[], None]
    ) -> Inlet:
        """Give the way in that has one more stage before this one."""
        return Inlet(self.end, (flow, *self._flows), on_error, on_completed)

    def take(self, items: Sequence[Any], report: Report | None = None) -> None:
        """Let items in that came together.

        Args:
            items: a list or tuple.
            report: gets what the subscriber raises. Without, the first of it is raised when all items are in.
        """
        if not self.end.stopped:
            self.end.take(items, self._flows, report)

    def on_next(self, item: Any) -> None:
        """Let an item in; what the subscriber raises is raised."""
        if not self.end.stopped:
            pulled: Iterable[Any] = (item,)
            for flow in self._flows:
                pulled = flow(pulled)
            self.end.tell(pulled, None)

    def on_error(self, error: Exception) -> None:
        """Tell the stages of the error, each at its time."""
        if not self.end.stopped:
            self._on_error(error)

    def on_completed(self) -> None:
        """Tell the stages of the end, each at its time."""
        if not self.end.stopped:
            self._on_completed()
