"""Text at an even pace."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.operators.graphemes import units
from rxccsdk.operators.hold import CutRun, Held
from rxccsdk.text.clock import SLACK, Timer
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.sink import Sink

_T = TypeVar("_T")

_TICK = 0.02  # seconds: text that comes more often than this looks no smoother
_MOMENTS = 16  # deadlines are told apart by this part of max_lag


def smooth(max_lag: float = 0.3, *, scheduler: abc.SchedulerBase | None = None) -> Keeping:
    """Emit text at an even pace, however unevenly it arrives, and never late.

        T"abcd" ------------------- T"ef" ---- [tool] |
        T"a" -- T"b" -- T"c" ------ T"d" T"e"- T"f" [tool] |     smooth(max_lag=...)

    Each character comes out at most `max_lag` after it went in. Within that, the pace is the slowest that
    keeps every deadline: it rises and falls with the rate of arrival. Text is split, between graphemes, and
    merged. A grapheme that may still grow waits for the next character, at most until its deadline.

    Text is held per agent and block. That agent's next content (a tool call), a retraction, a result, an
    error and the end release what is held at once; chunks of the system and of other agents may overtake it.
    A piece keeps `seq` and `at` of the chunk its first character came in. Works on `str` streams too.

    Args:
        max_lag: how many seconds a character may be held. Waits on `scheduler`, else on the one given to
            `subscribe`, else on the running loop; where there is none, everything passes as it comes.
        scheduler: what to wait on.

    Raises:
        ValueError: `max_lag` is not positive and finite.

    At a `RetractedChunk`: what is held of that agent is released before it.

    Example:
        >>> import reactivex as rx
        >>> from reactivex.testing import TestScheduler
        >>> clock = TestScheduler()
        >>> source = rx.concat(rx.of("abcd"), rx.never())
        >>> paced = source.pipe(smooth(3.0, scheduler=clock))
        >>> _ = paced.subscribe(lambda text: print(text, clock.clock))
        a 0
        >>> clock.advance_to(5)
        b 0.75
        c 1.5
        d 3.0
    """
    if not 0 < max_lag < inf:
        raise ValueError(f"max_lag must be positive and finite, not {max_lag!r}.")

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            timer = Timer(scheduler or given)
            wakes = inf

            def begin(first: Any) -> CutRun:
                assert timer.clock is not None
                return CutRun(first, _Pace(max_lag, timer.clock.now))

            held = Held(begin)

            def wait() -> None:
                """See to it that the timer goes off when the next piece is due."""
                nonlocal wakes
                due = min((run.cutter.due for run in held.runs), default=inf)
                if timer.waits:
                    if wakes - SLACK <= due and due < inf:
                        return  # it goes off in time; if nothing is due then, it waits again
                    timer.stop()
                if due < inf and timer.clock is not None:
                    wakes = due
                    timer.start(max(due - timer.clock.now(), 0.0), wake)

            def wake() -> None:
                due = [item for run in held.runs for item in run.items(run.cutter.ready())]
                wait()
                downstream.emit(due)

            def on_next(item: Any) -> None:
                if timer.clock is None:
                    downstream.on_next(item)
                    return
                released = held.add(item)
                wait()
                downstream.emit(released)

            def rest() -> Sequence[Any]:
                timer.stop()
                return held.release_all()

            return Handlers(on_next, rest, dispose=timer.stop)

        return Stage(source, attach)

    return operator


class _Pace:
    """The text of one block, released evenly, so that each character is out by its deadline.

    `due` is when the next piece is; infinite where nothing is held.
    """

    __slots__ = (
        "_come",
        "_deadlines",
        "_gone",
        "_last",
        "_max_lag",
        "_more",
        "_next",
        "_now",
        "_released",
        "_text",
        "due",
    )

    def __init__(self, max_lag: float, now: Callable[[], float]) -> None:
        self._max_lag = max_lag
        self._now = now
        self._text = ""
        self._more: list[str] = []  # what came after it and was not looked at yet
        self._come = self._gone = 0  # characters
        self._deadlines: deque[tuple[float, int]] = deque()  # when as many characters must be out
        self._last = -inf  # when characters were released, how many, and when the pace releases more
        self._released = 0
        self._next = -inf
        self.due = inf

    def add(self, words: str) -> list[str]:
        """Take more text; return what is due."""
        if not words:
            return []
        now = self._now()
        self._more.append(words)
        self._come += len(words)
        # Text that comes at nearly one moment has one deadline, the first: so they stay few.
        deadline = now + self._max_lag
        if self._deadlines and deadline - self._deadlines[-1][0] < self._max_lag / _MOMENTS:
            deadline = self._deadlines.pop()[0]
        self._deadlines.append((deadline, self._come))
        if self.due > now + _TICK:
            sooner = min(self._next, self._last + self._released / self._rate(now))
            self.due = max(min(sooner, self._deadlines[0][0]), now)
        return self.ready()

    def ready(self) -> list[str]:
        """Return what is due now."""
        now = self._now()
        if self.due > now + SLACK:
            return []
        text = self._text + "".join(self._more)
        self._more.clear()
        overdue = 0  # as many characters must be out now, a grapheme that may still grow among them
        for deadline, characters in self._deadlines:
            if deadline > now + SLACK:
                break
            overdue = characters - self._gone
        rate = self._rate(now)
        cut = _cut(text, ceil(min(rate * _TICK, len(text))), overdue)
        piece, self._text = text[:cut], text[cut:]
        self._gone += cut
        while self._deadlines and self._deadlines[0][1] <= self._gone:
            self._deadlines.popleft()
        if cut:
            self._last, self._released, self._next = now, cut, now + cut / rate
        if not self._text:
            self.due = inf
        else:
            due = self._deadlines[0][0]
            self.due = min(due, self._next) if cut else due
        return [piece] if piece else []

    def rest(self) -> list[str]:
        """Return all that is held."""
        text = self._text + "".join(self._more)
        self._text, self.due = "", inf
        self._more.clear()
        return [text] if text else []

    def _rate(self, now: float) -> float:
        """Return the slowest pace that keeps all deadlines, in characters a second."""
        return max(
            (characters - self._gone) / max(deadline - now, _TICK) for deadline, characters in self._deadlines
        )


def _cut(text: str, wanted: int, overdue: int) -> int:
    """Return where to cut: after the grapheme that makes it enough, or before one that may still grow."""
    if wanted < len(text) and text.isascii() and text[wanted - 1 : wanted + 1] not in ("\r\n", "``", "~~"):
        return wanted
    before = 0
    for unit in units(text):
        end = int(unit.end())
        if end == len(text):
            return end if unit.start() < overdue else before
        if end >= wanted:
            return end
        before = end
    return 0
