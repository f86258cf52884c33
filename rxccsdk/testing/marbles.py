"""Marbles: streams drawn as text and played on virtual time.

    marbles = Marbles({"a": TextChunk("Hel"), "b": TextChunk("lo"), "c": TextChunk("Hello")}, tick=0.01)
    source = marbles.cold("-a-b------|")
    marbles.check(source.pipe(cc.buffer_text(seconds=0.05)), "------c---|")

The drawings are reactivex's own: `-` lets one tick pass, `|` completes, `#` fails, `(a,b)` are at one moment
(and take, as drawn, five ticks), spaces only align. `ab` is a mark of its own and takes two ticks, unless `a`
and `b` have values and `ab` has none: then it is one after the other. Operators get the virtual clock as the
scheduler they are subscribed with, so none has to be given it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from typing import Any

from reactivex import Notification, Observable, abc, notification
from reactivex.disposable import Disposable
from reactivex.observable.marbles import parse
from reactivex.testing import Recorded, TestScheduler
from reactivex.testing.coldobservable import ColdObservable
from reactivex.testing.hotobservable import HotObservable
from reactivex.testing.subscription import Subscription

_START = 200.0  # where reactivex's tests subscribe; any time above 0 would do
_LONGEST = 10_000  # ticks after which a stream that does not end is left
_ANY_ERROR = Exception("any error")


class Marbles:
    """Plays drawn streams through operators, on a `TestScheduler`. One object plays once.

    Args:
        values: What the marks in all drawings stand for. A mark without a value stands for itself, as a
            string, so that `Marbles().cold("-a-b-|")` is a stream of text.
        tick: Seconds one character takes.

    Example:
        >>> marbles = Marbles(tick=0.1)
        >>> from rxccsdk import operators as cc
        >>> marbles.check(marbles.cold("-a-b----|").pipe(cc.buffer_text(seconds=0.4)), "-----ab-|")
    """

    def __init__(self, values: Mapping[str, Any] | None = None, *, tick: float = 1.0) -> None:
        self._values = _Values(values or {})
        self._tick = tick
        self._played = False
        self.scheduler = TestScheduler()

    def cold(self, line: str, *, error: Exception | None = None) -> ColdObservable[Any]:
        """Return a stream that begins again for each subscriber, as a turn's replay does.

        Args:
            line: The drawing.
            error: What `#` fails with.
        """
        return _Cold(self.scheduler, self._records(line, 0.0, error))

    def hot(self, line: str, *, error: Exception | None = None) -> HotObservable[Any]:
        """Return a stream that runs whether anybody listens or not, as `session.chunks` does.

        Its first column is the moment at which `check` subscribes: too early to be seen.
        """
        return self.scheduler.create_hot_observable(self._records(line, _START, error))

    def play(
        self, source: Observable[Any] | Callable[[], Observable[Any]], *, leave_at: float | None = None
    ) -> list[tuple[float, Notification[Any]]]:
        """Subscribe, let the time pass, and return what came, each with its tick.

        Args:
            source: The stream, or a function that makes it just before it is subscribed to.
            leave_at: The tick at which to dispose.

        Raises:
            RuntimeError: This object has played already.
        """
        if self._played:
            raise RuntimeError("The time of these marbles is over: make new ones for another stream.")
        self._played = True
        create = (lambda: source) if isinstance(source, Observable) else source
        leave = _START + (_LONGEST if leave_at is None else leave_at) * self._tick
        seen = self.scheduler.start(create, created=_START - 1.0, subscribed=_START, disposed=leave)
        return [(self._ticks(record.time), record.value) for record in seen.messages]  # type: ignore[misc]

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
            source: The stream, or a function that makes it just before it is subscribed to.
            expected: The drawing. Without `|` and `#` the stream must not end.
            error: What `#` must be, by its class and its words; `None` for any error.
            leave_at: The tick at which to dispose; nothing may come after it.

        Raises:
            AssertionError: They differ; it shows both, side by side.
        """
        wanted = self._drawn(expected, error or _ANY_ERROR)
        seen = self.play(source, leave_at=leave_at)
        if len(seen) != len(wanted) or not all(map(_same, seen, wanted)):
            raise AssertionError(self._difference(expected, wanted, seen))

    def subscriptions(self, source: ColdObservable[Any] | HotObservable[Any]) -> list[tuple[float, float]]:
        """From which tick to which each subscriber of a source stayed: one that never left has infinity.

        An operator that gives the right values can still subscribe twice, or forget to leave.
        """
        return [(self._ticks(item.subscribe), self._ticks(item.unsubscribe)) for item in source.subscriptions]

    def _ticks(self, time: float) -> float:
        ticks = (time - _START) / self._tick
        # TestScheduler says "never" with the largest integer.
        return float("inf") if ticks > 1e15 else round(ticks, 6)

    def _records(self, line: str, start: float, error: Exception | None) -> list[Recorded[Any]]:
        # Not reactivex.testing.marbles: its records have whole seconds only, and its scheduler is hidden.
        messages: Any = parse(line, self._tick, start, self._values, error, raise_stopped=True)
        grouped = {mark for group in re.findall(r"\((.*?)\)", line) for mark in group.split(",")}
        records: list[Recorded[Any]] = []
        for time, item in messages:
            several = self._several(item.value) if isinstance(item, notification.OnNext) else None
            if several is None:
                records.append(Recorded(time, item))
                continue
            if item.value in grouped:
                raise ValueError(f"Marks at one moment need commas between them: ({','.join(item.value)}).")
            for index, value in enumerate(several):
                records.append(Recorded(time + index * self._tick, notification.OnNext(value)))
        return records

    def _drawn(self, line: str, error: Exception) -> _Played:
        """Return what a drawing shows, with ticks from 0."""
        shown: list[Any] = self._records(line, 0.0, error)
        return [(round(record.time / self._tick, 6), record.value) for record in shown]

    def _several(self, value: Any) -> list[Any] | None:
        """Return the values of neighbouring marks, which `parse` takes for one; `None` for what is one."""
        if (
            not isinstance(value, _Itself)
            or len(value) == 1
            or not all(mark in self._values for mark in value)
        ):
            return None
        return [self._values[mark] for mark in value]

    def _difference(self, expected: str, wanted: _Played, seen: _Played) -> str:
        lines = [f"the stream is not as drawn (a tick is {self._tick:g} s)", f"  drawn: {expected}"]
        if drawing := self._draw(seen):
            lines.append(f"  seen:  {drawing}")
        named = [[(tick, self._named(item)) for tick, item in items] for items in (wanted, seen)]
        rows = _side_by_side(*named)
        width = max([len("drawn"), *(len(drawn) for _, drawn, _ in rows)])
        lines += ["", f"      tick  {'drawn':{width}}  seen"]
        lines += [
            f"{'>' if drawn != found else ' ':>4} {tick:>5g}  {drawn:{width}}  {found}".rstrip()
            for tick, drawn, found in rows
        ]
        return "\n".join(lines)

    def _named(self, item: Notification[Any]) -> str:
        if isinstance(item, notification.OnNext):
            mark = self._mark(item.value)
            return f"{mark} = {_brief(item.value)}" if mark else _brief(item.value)
        if isinstance(item, notification.OnError):
            return "# any error" if item.exception is _ANY_ERROR else f"# {item.exception!r}"
        return "|"

    def _mark(self, value: Any) -> str | None:
        return next((mark for mark, known in self._values.items() if _equal(known, value)), None)

    def _draw(self, seen: _Played) -> str | None:
        """Return what was seen as a drawing, if it can be one: in whole ticks, a mark for each value."""
        moments: dict[float, list[str]] = {}
        for tick, item in seen:
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
        # Neighbours without values, `x` and then `y`, would read as one mark.
        drawn = self._drawn(line, _ANY_ERROR)
        return line if len(drawn) == len(seen) and all(map(_same, seen, drawn)) else None


_Played = list[tuple[float, Notification[Any]]]


class _Values(dict[Any, Any]):
    """Marks and their values, for `parse`, which makes numbers of marks like `1` before it looks them up."""

    def __bool__(self) -> bool:
        return True  # `parse` would put an empty dict of its own in the place of this

    def get(self, mark: Any, default: Any = None) -> Any:
        return super().get(str(mark), _Itself(mark))


class _Itself(str):
    """A mark without a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(str(self))


class _Cold(ColdObservable[Any]):
    """reactivex's, with the time of leaving to the fraction: it knows whole seconds only."""

    def _subscribe_core(
        self, observer: abc.ObserverBase[Any] | None = None, scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        index, start = len(self.subscriptions), self.scheduler.clock
        subscription = super()._subscribe_core(observer, scheduler)

        def dispose() -> None:
            subscription.dispose()
            self.subscriptions[index] = Subscription(start, self.scheduler.clock)

        return Disposable(dispose)


def _same(seen: tuple[float, Notification[Any]], wanted: tuple[float, Notification[Any]]) -> bool:
    (tick, item), (when, other) = seen, wanted
    if tick != when or type(item) is not type(other):
        return False
    if isinstance(item, notification.OnNext) and isinstance(other, notification.OnNext):
        return _equal(item.value, other.value)
    if isinstance(item, notification.OnError) and isinstance(other, notification.OnError):
        known, error = other.exception, item.exception
        return known is _ANY_ERROR or (type(error) is type(known) and str(error) == str(known))
    return True


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are of one class and equal: `1` is not `True` and no chunk is another's subclass."""
    kinds = {str if isinstance(value, str) else type(value) for value in (one, other)}
    return len(kinds) == 1 and bool(one == other)


def _is_mark(value: Any) -> bool:
    """Whether a value can stand for itself in a drawing."""
    return isinstance(value, str) and re.fullmatch(r"[^-,()#|\s]+", value) is not None


def _side_by_side(
    drawn: list[tuple[float, str]], seen: list[tuple[float, str]]
) -> list[tuple[float, str, str]]:
    """Return the two lists as rows, what is of one moment in one row."""
    rows: list[tuple[float, str, str]] = []
    for tick in sorted({tick for tick, _ in (*drawn, *seen)}):
        left, right = ([named for when, named in items if when == tick] for items in (drawn, seen))
        rows += [(tick, one, other) for one, other in zip_longest(left, right, fillvalue="")]
    return rows


def _brief(value: Any) -> str:
    """Return a value in words: of a chunk only the fields that differ from their defaults."""
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    unusual = []
    for each in fields(value):
        content = getattr(value, each.name)
        usual = each.default_factory() if callable(each.default_factory) else each.default
        if content != usual:
            unusual.append(f"{each.name}={content!r}")
    return f"{type(value).__name__}({', '.join(unusual)})"
