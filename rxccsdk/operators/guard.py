"""Noticing that nothing comes any more."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk.errors import StallError
from rxccsdk.operators.reduce import turn_of
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn
from rxccsdk.text.clock import SLACK, Clock, Timer
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.pieces import PIECES
from rxccsdk.text.sink import Sink

_T = TypeVar("_T")

_NAMES: dict[type, str] = {
    TextChunk: "text",
    ThinkingChunk: "thinking",
    ToolInputChunk: "a tool's input",
    ToolUseChunk: "a tool call",
    ToolProgressChunk: "a tool's progress",
    ToolResultChunk: "a tool's result",
    TaskChunk: "a task",
    MessageChunk: "a message",
    UserChunk: "a user message",
    RetractedChunk: "a retraction",
    NoticeChunk: "a notice",
}
_HELD_UP = 0.5  # a timer that is later than this shows that the loop was busy, not that the agent was silent
_LOOKS = 10  # how often to look, within `first`, whether a queued turn has begun


def stall(
    first: float | None = None,
    between: float | None = None,
    tool: float | None = None,
    *,
    scheduler: abc.SchedulerBase | None = None,
) -> Keeping:
    """Fail when nothing comes for too long. A hung API sends nothing for minutes, and raises no error.

        T"a" T"b" -------------------------|
        T"a" T"b" --------- Notice #             stall(between=...)

    First a `NoticeChunk` of kind "stall" says what was waited for and what came last, then the stream
    fails with `StallError`; its `partial` is the turn's response so far. Failing leaves the turn: if nobody
    else watches it, it is interrupted. Time in which the agent waits for a permission never counts, nor does
    the time a turn waits for the turns before it.

    Args:
        first: seconds from the start to the first content (text, thinking, a tool call, a result).
        between: seconds between two chunks, from the first content on; without `first`, from the first chunk
            of any kind on.
        tool: seconds between two chunks while a tool runs; what reports a tool's progress is one. Without
            it, time does not count while a tool runs.
        scheduler: what to wait on; `None` is the one given to `subscribe`, else the running loop. Where
            there is none, as when a turn is subscribed to from another thread, the start is the first chunk.

    Raises:
        ValueError: no limit is given, or one is not positive.

    At a `RetractedChunk`: it is a sign of life like any other; tool calls it takes back do not run.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk
        >>> rx.of(TextChunk("in time")).pipe(stall(between=30)).run().text
        'in time'
    """
    limits = (first, between, tool)
    if all(limit is None for limit in limits) or not all(limit is None or limit > 0 for limit in limits):
        raise ValueError(
            "stall() needs a limit in seconds, and only positive ones, "
            f"not first={first!r}, between={between!r}, tool={tool!r}."
        )

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            silence = _Silence(first, between, tool)
            guard = _Guard(silence, downstream, Timer(scheduler or given), turn_of(source))
            guard.begin()
            return Handlers(guard.on_next, None, guard.on_error, guard.on_completed, guard.end)

        return Stage(source, attach)

    return operator


class _Silence:
    """What is waited for, and how long it may take. It reads no clock: the time is an argument, in seconds.

    Attributes:
        start: when the wait for the first content began, or `None`.
        content: whether any content came.
        last: what came last, at `last_at`.
    """

    def __init__(self, first: float | None, between: float | None, tool: float | None) -> None:
        self.first, self._between, self._tool = first, between, tool
        self.start: float | None = None
        self.last: Any = None
        self.last_at = 0.0
        self.content = False
        self._asking = False  # the agent waits for a permission answer
        self._tools: dict[str, str] = {}  # the calls that run, with their tools' names

    @property
    def had_any(self) -> bool:
        """Whether anything came at all."""
        return self.last is not None

    def end_with(self, item: Any, now: float) -> None:
        """Note what came, and when."""
        self.last, self.last_at = item, now
        if self.start is None:
            self.start = now
        if isinstance(item, PIECES) or not isinstance(item, Chunk):
            self.content = True
        elif isinstance(item, ToolUseChunk):
            self.content = True
            self._tools[item.id] = item.name
        elif isinstance(item, ToolResultChunk):
            self.content = True
            self._tools.pop(item.tool_use_id, None)
        elif isinstance(item, RetractedChunk):
            for call in item.tool_ids:
                self._tools.pop(call, None)
        elif isinstance(item, SystemChunk):
            if item.subtype == "session_state_changed":
                self._asking = item.data.get("state") == "requires_action"
        elif isinstance(item, UnknownChunk):
            self.content = self.content or item.message_id is not None
        elif isinstance(item, ResultChunk):
            # What follows in the same stream, as in `session.chunks`, is another turn.
            self.content = self._asking = False
            self.last = self.start = None
            self._tools.clear()

    def due(self) -> float | None:
        """Return when it will have been silent for too long, if nothing more comes; `None` for never."""
        limit, since = self._limit()
        return None if limit is None or since is None else since + limit

    def _limit(self) -> tuple[float | None, float | None]:
        if self._asking:
            return None, None
        if not self.content and self.first is not None:
            return self.first, self.start
        if not self.had_any:
            return None, None
        return (self._tool if self._tools else self._between), self.last_at

    def words(self) -> str:
        """Return what was waited for, and what came last, in words."""
        limit, _ = self._limit()
        if not self.content and self.first is not None:
            words = f"No content came within {limit:g} s"
        elif self._tools:
            words = f"Nothing came for {limit:g} s while a tool ran ({', '.join(self._tools.values())})"
        else:
            words = f"Nothing came for {limit:g} s"
        return f"{words}; {self._last_seen()}."

    def _last_seen(self) -> str:
        last = self.last
        if last is None:
            return "nothing was heard at all"
        if isinstance(last, SystemChunk):
            return f"last heard: system/{last.subtype}"
        if isinstance(last, UnknownChunk):
            return f"last heard: {last.type}"
        return f"last heard: {_NAMES.get(type(last), type(last).__name__)}"

    def notice(self, now: float) -> NoticeChunk:
        """Return the chunk that says so, placed after the last one."""
        last = self.last
        if not isinstance(last, Chunk):
            return NoticeChunk("stall", self.words())
        at = last.at + now - self.last_at
        return NoticeChunk("stall", self.words(), turn=last.turn, seq=last.seq + 1, at=at)


class _Guard:
    """Lets one timer wait for the silence to become too long; re-armed when it fires, not at each chunk."""

    def __init__(self, silence: _Silence, downstream: Sink, timer: Timer, turn: Turn | None) -> None:
        self._silence = silence
        self._downstream = downstream
        self._timer = timer
        self._turn = turn
        self._wake_at = 0.0
        self._begun = False
        self._over = False

    def begin(self) -> None:
        """Start to wait for the first content."""
        clock = self._timer.clock if self._silence.first is not None else None
        if clock is not None:
            self._wait(clock, clock.now())

    def on_next(self, item: Any) -> None:
        """Note that something came, and pass it on."""
        if self._over:
            return
        self._begun = True
        clock, silence = self._timer.clock, self._silence
        now = clock.now() if clock is not None else 0.0
        if silence.content and isinstance(item, PIECES):
            silence.last, silence.last_at = item, now  # all that is new, and the timer goes on
        elif clock is not None:
            silence.end_with(item, now)
            self._arm(clock)
        self._downstream.on_next(item)

    def _arm(self, clock: Clock) -> None:
        """See to it that the timer waits, and not past the limit that counts now."""
        due = self._silence.due()
        # A timer that waits for what is no longer due finds that out when it fires.
        if due is not None and (not self._timer.waits or due < self._wake_at - SLACK):
            self._wait(clock, due)

    def _wait(self, clock: Clock, until: float) -> None:
        self._wake_at = until
        self._timer.start(max(until - clock.now(), 0.0), partial(self._wake, clock))

    def _wake(self, clock: Clock) -> None:
        if self._over:
            return
        now, silence = clock.now(), self._silence
        if not self._begun and silence.first is not None:
            if self._turn is not None and self._turn.status == "pending":
                self._wait(clock, now + silence.first / _LOOKS)  # it may wait for the turns before it
                return
            silence.start, self._begun = now, True
        due = silence.due()
        if due is None:
            return
        if now > self._wake_at + _HELD_UP:
            self._wait(clock, max(due, now + _HELD_UP))  # what came meanwhile has yet to get here
        elif now < due - SLACK:
            self._wait(clock, due)
        else:
            self._fail(now)

    def _fail(self, now: float) -> None:
        self._over = True
        error = StallError(self._silence.words(), partial=self._partial())
        try:
            self._downstream.on_next(self._silence.notice(now))
        finally:
            self._downstream.on_error(error)

    def _partial(self) -> SessionResponse | None:
        if self._turn is None:
            return None
        response = self._turn.response
        response.error, response.error_kind = self._silence.words(), "timeout"
        return response

    def on_error(self, error: Exception) -> None:
        if not self._over:
            self.end()
            self._downstream.on_error(error)

    def on_completed(self) -> None:
        if not self._over:
            self.end()
            self._downstream.on_completed()

    def end(self) -> None:
        """Wait no more."""
        self._over = True
        self._timer.stop()
