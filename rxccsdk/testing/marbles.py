"""Marble diagrams: streams drawn as text and played on virtual time.

    marbles = Marbles({"a": TextChunk("Hel"), "b": TextChunk("lo"), "c": TextChunk("Hello")}, tick=0.01)
    source = marbles.cold("-a-b------|")
    marbles.check(source.pipe(cc.buffer_text(seconds=0.05)), "------c---|")

The syntax is that of reactivex: `-` is one tick, `|` completes, `#` fails, `(a,b)` are at the same moment
(and take, as drawn, five ticks), and spaces only align. `ab` is one mark and takes two ticks, unless `a` and
`b` have values and `ab` has none: then it is `a` followed by `b`. Operators use the virtual clock, because it
is the scheduler of the subscription.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any

from msgspec import structs
from reactivex import Notification, Observable, abc, notification
from reactivex.disposable import Disposable
from reactivex.observable.marbles import parse
from reactivex.testing import Recorded, TestScheduler
from reactivex.testing.coldobservable import ColdObservable
from reactivex.testing.hotobservable import HotObservable
from reactivex.testing.subscription import Subscription

from rxccsdk.chunks import Chunk

_START = 200.0  # the time of subscription: reactivex's own default; any time above 0 works
_MAX_TICKS = 10_000  # after which a stream that does not end is disposed
_ANY_ERROR = Exception("any error")


class Marbles:
    """Play drawn streams through operators, on a `TestScheduler`. An instance plays once.

    Args:
        values: The values of the marks in all drawings. A mark without a value stands for itself, as a
            string: `Marbles().cold("-a-b-|")` is a stream of text.
        tick: Seconds per character.

    Example:
        >>> marbles = Marbles(tick=0.1)
        >>> from rxccsdk import operators as cc
        >>> marbles.check(marbles.cold("-a-b----|").pipe(cc.buffer_text(seconds=0.4)), "-----ab-|")
    """

    def __init__(self, values: Mapping[str, Any] | None = None, *, tick: float = 1.0) -> None:
        self._values = _MarkValues(values or {})
        self._tick = tick
        self._played = False
        self.scheduler = TestScheduler()

    def cold(self, line: str, *, error: Exception | None = None) -> ColdObservable[Any]:
        """Return a stream that starts from the beginning for each subscriber, as a turn does.

        Args:
            line: The drawing.
            error: The exception of `#`.
        """
        return _Cold(self.scheduler, self._records(line, 0.0, error))

    def hot(self, line: str, *, error: Exception | None = None) -> HotObservable[Any]:
        """Return a stream that runs with or without subscribers, as `session.chunks` does.

        The first column is the moment at which `check` subscribes; an item there is not observed.

        Args:
            line: The drawing.
            error: The exception of `#`.
        """
        return self.scheduler.create_hot_observable(self._records(line, _START, error))

    def play(
        self, source: Observable[Any] | Callable[[], Observable[Any]], *, leave_at: float | None = None
    ) -> list[tuple[float, Notification[Any]]]:
        """Subscribe, run the virtual clock, and return the notifications, each with its tick.

        Args:
            source: The stream, or a function that creates it just before the subscription.
            leave_at: The tick at which to dispose.

        Raises:
            RuntimeError: This instance has been played before.
        """
        if self._played:
            raise RuntimeError("These marbles have been played: make new ones for another stream.")
        self._played = True
        create = (lambda: source) if isinstance(source, Observable) else source
        disposed = _START + (_MAX_TICKS if leave_at is None else leave_at) * self._tick
        observer = self.scheduler.start(create, created=_START - 1.0, subscribed=_START, disposed=disposed)
        return [(self._ticks(record.time), record.value) for record in observer.messages]  # type: ignore[misc]

    def check(
        self,
        source: Observable[Any] | Callable[[], Observable[Any]],
        expected: str,
        *,
        error: Exception | None = None,
        leave_at: float | None = None,
    ) -> None:
        """Play a stream and compare it with a drawing: values, moments, and how it ends.

        Args:
            source: The stream, or a function that creates it just before the subscription.
            expected: The drawing. Without `|` and `#` the stream must not end.
            error: The exception `#` must have, compared by class and message; `None` accepts any.
            leave_at: The tick at which to dispose; nothing may be emitted after it.

        Raises:
            AssertionError: They differ; the message shows both side by side.
        """
        drawn = self._parse(expected, error or _ANY_ERROR)
        seen = self.play(source, leave_at=leave_at)
        if len(seen) != len(drawn) or not all(map(_same_event, seen, drawn)):
            raise AssertionError(self._difference(expected, drawn, seen))

    def subscriptions(self, source: ColdObservable[Any] | HotObservable[Any]) -> list[tuple[float, float]]:
        """Return the ticks of subscription and disposal of each subscriber; infinity if never disposed.

        An operator can emit the right values and still subscribe twice, or never dispose.
        """
        return [(self._ticks(item.subscribe), self._ticks(item.unsubscribe)) for item in source.subscriptions]

    def _ticks(self, time: float) -> float:
        ticks = (time - _START) / self._tick
        # TestScheduler represents "never" by the largest integer.
        return float("inf") if ticks > 1e15 else round(ticks, 6)

    def _records(self, line: str, start: float, error: Exception | None) -> list[Recorded[Any]]:
        # Not reactivex.testing.marbles: its records have whole seconds only, and its scheduler is hidden.
        messages: Any = parse(line, self._tick, start, self._values, error, raise_stopped=True)
        grouped = {mark for group in re.findall(r"\((.*?)\)", line) for mark in group.split(",")}
        records: list[Recorded[Any]] = []
        for time, item in messages:
            values = self._split_mark(item.value) if isinstance(item, notification.OnNext) else None
            if values is None:
                records.append(Recorded(time, item))
                continue
            if item.value in grouped:
                raise ValueError(f"Marks at one moment need commas between them: ({','.join(item.value)}).")
            for index, value in enumerate(values):
                records.append(Recorded(time + index * self._tick, notification.OnNext(value)))
        return records

    def _parse(self, line: str, error: Exception) -> _Timeline:
        records: list[Any] = self._records(line, 0.0, error)
        return [(round(record.time / self._tick, 6), record.value) for record in records]

    def _split_mark(self, value: Any) -> list[Any] | None:
        """Return the values of adjacent marks, which `parse` reads as one; `None` for a single mark."""
        if not isinstance(value, _BareMark) or len(value) == 1:
            return None
        if not all(mark in self._values for mark in value):
            return None
        return [self._values[mark] for mark in value]

    def _difference(self, expected: str, drawn: _Timeline, seen: _Timeline) -> str:
        lines = [f"the stream is not as drawn (a tick is {self._tick:g} s)", f"  drawn: {expected}"]
        if drawing := self._draw(seen):
            lines.append(f"  seen:  {drawing}")
        rows = _side_by_side(self._described(drawn), self._described(seen))
        width = max([len("drawn"), *(len(left) for _, left, _ in rows)])
        lines += ["", f"      tick  {'drawn':{width}}  seen"]
        lines += [
            f"{'>' if left != right else ' ':>4} {tick:>5g}  {left:{width}}  {right}".rstrip()
            for tick, left, right in rows
        ]
        return "\n".join(lines)

    def _described(self, events: _Timeline) -> list[tuple[float, str]]:
        return [(tick, self._describe(item)) for tick, item in events]

    def _describe(self, item: Notification[Any]) -> str:
        if isinstance(item, notification.OnNext):
            mark = self._mark(item.value)
            return f"{mark} = {_brief(item.value)}" if mark else _brief(item.value)
        if isinstance(item, notification.OnError):
            return "# any error" if item.exception is _ANY_ERROR else f"# {item.exception!r}"
        return "|"

    def _mark(self, value: Any) -> str | None:
        return next((mark for mark, known in self._values.items() if _same_value(known, value)), None)

    def _draw(self, events: _Timeline) -> str | None:
        """Return the drawing of events, or `None` if there is none: off a tick, or a value without mark."""
        moments: dict[float, list[str]] = {}
        for tick, item in events:
            if isinstance(item, notification.OnNext):
                mark = self._mark(item.value) or (item.value if _is_mark(item.value) else None)
            else:
                mark = "#" if isinstance(item, notification.OnError) else "|"
            moments.setdefault(tick, []).append(mark or "")
        line = ""
        for tick, marks in moments.items():
            if not all(marks) or tick != int(tick) or tick < len(line):
                return None
            line += "-" * (int(tick) - len(line))
            line += marks[0] if len(marks) == 1 else f"({','.join(marks)})"
        # Adjacent marks without values, `x` and then `y`, would parse as one mark.
        parsed = self._parse(line, _ANY_ERROR)
        return line if len(parsed) == len(events) and all(map(_same_event, events, parsed)) else None


_Timeline = list[tuple[float, Notification[Any]]]


class _MarkValues(dict[Any, Any]):
    """The values of marks, looked up by `parse`, which converts a mark like `1` to a number before."""

    def __bool__(self) -> bool:
        return True  # `parse` would replace an empty dict by its own

    def get(self, mark: Any, default: Any = None) -> Any:
        return super().get(str(mark), _BareMark(mark))


class _BareMark(str):
    """A mark without a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(str(self))


class _Cold(ColdObservable[Any]):
    """A cold observable that records the exact time of disposal; reactivex's truncates it to seconds."""

    def _subscribe_core(
        self, observer: abc.ObserverBase[Any] | None = None, scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        index, start = len(self.subscriptions), self.scheduler.clock
        subscription = super()._subscribe_core(observer, scheduler)

        def dispose() -> None:
            subscription.dispose()
            self.subscriptions[index] = Subscription(start, self.scheduler.clock)

        return Disposable(dispose)


def _same_event(seen: tuple[float, Notification[Any]], drawn: tuple[float, Notification[Any]]) -> bool:
    (tick, item), (drawn_tick, drawn_item) = seen, drawn
    if tick != drawn_tick or type(item) is not type(drawn_item):
        return False
    if isinstance(item, notification.OnNext) and isinstance(drawn_item, notification.OnNext):
        return _same_value(item.value, drawn_item.value)
    if isinstance(item, notification.OnError) and isinstance(drawn_item, notification.OnError):
        error, expected = item.exception, drawn_item.exception
        return expected is _ANY_ERROR or (type(error) is type(expected) and str(error) == str(expected))
    return True


def _same_value(one: Any, other: Any) -> bool:
    """Return whether two values have the same class and are equal: `1` is not `True`."""
    kinds = {str if isinstance(value, str) else type(value) for value in (one, other)}
    return len(kinds) == 1 and bool(one == other)


def _is_mark(value: Any) -> bool:
    """Return whether a value can stand for itself in a drawing."""
    return isinstance(value, str) and re.fullmatch(r"[^-,()#|\s]+", value) is not None


def _side_by_side(
    drawn: list[tuple[float, str]], seen: list[tuple[float, str]]
) -> list[tuple[float, str, str]]:
    """Return rows of tick, drawn and seen, with events of the same moment in one row."""
    rows: list[tuple[float, str, str]] = []
    for tick in sorted({tick for tick, _ in (*drawn, *seen)}):
        left, right = ([text for at, text in events if at == tick] for events in (drawn, seen))
        rows += [(tick, one, other) for one, other in zip_longest(left, right, fillvalue="")]
    return rows


def _brief(value: Any) -> str:
    """Return the `repr` of a value; for a chunk, without the fields that have their default."""
    if not isinstance(value, Chunk):
        return repr(value)
    fields = ((field, getattr(value, field.name)) for field in structs.fields(value))
    shown = [f"{field.name}={content!r}" for field, content in fields if content != field.default]
    return f"{type(value).__name__}({', '.join(shown)})"
