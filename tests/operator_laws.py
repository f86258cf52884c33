"""What the operator tests share: a table of every operator, observers, sources, clocks and a reference.

An operator that is not in `CASES` or `LEAVES` fails `test_operators_contract.py`.
"""

from __future__ import annotations

import asyncio
import heapq
import io
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.testing import TestScheduler

from rxccsdk import (
    Chunk,
    MessageChunk,
    ResultChunk,
    RetractedChunk,
    StructureError,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk import operators as cc

_T = TypeVar("_T")

Make = Callable[[abc.SchedulerBase | None], Callable[[Observable[Any]], Observable[Any]]]


@dataclass(frozen=True)
class Case:
    """An operator with some arguments.

    Attributes:
        make: makes it, given the scheduler to wait on.
        passes: it gives the chunks of its source, not something made of them.
        once: it gives one item, at the end.
        strings: it takes `str` streams too.
        recuts: it gives the text in other pieces.
        picks: it looks for something that most turns have none of.
        waits: it waits from the start, not from the first item.
    """

    name: str
    make: Make
    passes: bool = True
    once: bool = False
    strings: bool = False
    recuts: bool = False
    picks: bool = False
    waits: bool = False

    def __str__(self) -> str:
        return self.name


def unless_unfit(operator: Any) -> Any:
    """An operator that ends where it would say that a text has no such structure."""

    def end(error: Exception, source: Any) -> Observable[Any]:
        return rx.empty() if isinstance(error, StructureError) else rx.throw(error)

    return rx.compose(operator, ops.catch(end))


def stall(name: str, **limits: float) -> Case:
    """A guard that nothing here is silent enough for."""
    waits = "first" in limits
    return Case(name, lambda s: cc.stall(**limits, scheduler=s), strings=True, waits=waits)


CASES: dict[str, list[Case]] = {
    "buffer_text": [
        Case("buffer_text()", lambda s: cc.buffer_text(5.0, scheduler=s), strings=True, recuts=True),
        Case("buffer_text(chars=)", lambda s: cc.buffer_text(None, 7), strings=True, recuts=True),
        Case("buffer_text(both)", lambda s: cc.buffer_text(2.0, 20, scheduler=s), strings=True, recuts=True),
        Case("buffer_text(neither)", lambda s: cc.buffer_text(None), strings=True, recuts=True),
    ],
    "by_agent": [Case("by_agent()", lambda s: cc.by_agent(), passes=False, picks=True)],
    "by_block": [Case("by_block()", lambda s: cc.by_block(), strings=True, recuts=True)],
    "by_line": [Case("by_line()", lambda s: cc.by_line(), strings=True, recuts=True)],
    "by_sentence": [Case("by_sentence()", lambda s: cc.by_sentence(), strings=True, recuts=True)],
    "by_word": [
        Case("by_word()", lambda s: cc.by_word(), strings=True, recuts=True),
        Case("by_word(hold=)", lambda s: cc.by_word(3), strings=True, recuts=True),
    ],
    "answer_asks": [Case("answer_asks()", lambda s: cc.answer_asks(lambda ask: None))],
    "code_blocks": [Case("code_blocks()", lambda s: cc.code_blocks(), passes=False, picks=True)],
    "elements": [
        Case("elements()", lambda s: unless_unfit(cc.elements(dict[str, int])), passes=False, picks=True)
    ],
    "of_type": [Case("of_type()", lambda s: cc.of_type(TextChunk, RetractedChunk), passes=False)],
    "pages": [
        Case("pages()", lambda s: cc.pages(11), passes=False),
        Case("pages(limit=)", lambda s: cc.pages(7), passes=False),
    ],
    "parse_json": [
        Case(
            "parse_json()",
            lambda s: unless_unfit(cc.parse_json(list[dict[str, int]])),
            passes=False,
            picks=True,
        ),
        Case(
            "parse_json(tool=)",
            lambda s: unless_unfit(cc.parse_json(dict[str, str], "Bash")),
            passes=False,
            picks=True,
        ),
    ],
    "print_text": [
        Case("print_text()", lambda s: cc.print_text(5.0, io.StringIO(), scheduler=s), strings=True),
        Case("print_text(every=0)", lambda s: cc.print_text(0, io.StringIO(), "all"), strings=True),
    ],
    "progress": [Case("progress()", lambda s: cc.progress(5.0, scheduler=s), passes=False)],
    "scan_response": [
        Case("scan_response()", lambda s: cc.scan_response(5.0, scheduler=s), passes=False),
        Case("scan_response(every=0)", lambda s: cc.scan_response(0), passes=False),
    ],
    "smooth": [
        Case("smooth()", lambda s: cc.smooth(5.0, scheduler=s), strings=True, recuts=True),
        Case("smooth(max_lag=)", lambda s: cc.smooth(0.3, scheduler=s), strings=True, recuts=True),
    ],
    "spans": [Case("spans()", lambda s: cc.spans())],
    "stall": [
        stall("stall(between=)", between=90_000.0),
        stall("stall(all)", first=90_000.0, between=90_000.0, tool=90_000.0),
    ],
    "tap_chunks": [Case("tap_chunks()", lambda s: cc.tap_chunks(lambda chunk: None), strings=True)],
    "tap_latest": [
        Case("tap_latest()", lambda s: cc.tap_latest(lambda text: None, 5.0, scheduler=s), strings=True),
        Case("tap_latest(every=0)", lambda s: cc.tap_latest(lambda text: None, 0), strings=True),
    ],
    "tap_text": [Case("tap_text()", lambda s: cc.tap_text(lambda text: None, "all"), strings=True)],
    "text": [
        Case("text()", lambda s: cc.text(), passes=False),
        Case("text(settled=True)", lambda s: cc.text(settled=True), passes=False),
        Case("text(agents='all')", lambda s: cc.text("|", "all"), passes=False),
    ],
    "thinking": [
        Case("thinking()", lambda s: cc.thinking(), passes=False, picks=True),
        Case("thinking(agents='all')", lambda s: cc.thinking("|", "all"), passes=False, picks=True),
    ],
    "to_response": [Case("to_response()", lambda s: cc.to_response(), passes=False, once=True)],
    "tool_output": [Case("tool_output()", lambda s: cc.tool_output(), passes=False, picks=True)],
    "tools": [Case("tools()", lambda s: cc.tools(), passes=False, picks=True)],
}
"""Every operator that gives an Observable."""

LEAVES = {"to_async_iterator"}
"""Those that leave Rx; test_operators_leave.py has their laws."""

EVERY = [case for cases in CASES.values() for case in cases]


class Strict(abc.ObserverBase[Any]):
    """An observer that notes what it gets, and whether that was allowed.

    Args:
        at: called with each item, after it was noted.
    """

    def __init__(self, at: Callable[[Any], None] | None = None) -> None:
        self.items: list[Any] = []
        self.error: Exception | None = None
        self.completed = False
        self.faults: list[str] = []
        self.closed = False  # disposed or ended: nothing may come
        self._at = at

    def on_next(self, value: Any) -> None:
        if self.closed:
            self.faults.append(f"on_next({value!r}) after the end")
        self.items.append(value)
        if self._at is not None:
            self._at(value)

    def on_error(self, error: Exception) -> None:
        self._close(f"on_error({error!r})")
        self.error = error

    def on_completed(self) -> None:
        self._close("on_completed()")
        self.completed = True

    def _close(self, what: str) -> None:
        if self.closed:
            self.faults.append(f"{what} after the end")
        self.closed = True

    @property
    def ended(self) -> bool:
        return self.completed or self.error is not None


class Clock(TestScheduler):
    """A `TestScheduler` that knows which of its timers still wait. Seconds are its ticks."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[Any] = []
        self.most_waiting = 0
        self.started = 0

    def schedule_relative(self, duetime: Any, action: Any, state: Any = None) -> abc.DisposableBase:
        self.started += 1

        def act(scheduler: Any, state: Any = None) -> None:
            self.timers.remove(token)
            action(scheduler, state)

        scheduled = super().schedule_relative(duetime, act, state)
        token = object()
        self.timers.append(token)
        self.most_waiting = max(self.most_waiting, len(self.timers))

        def cancel() -> None:
            if token in self.timers:
                self.timers.remove(token)
            scheduled.dispose()

        return Disposable(cancel)


class Hot(Observable[Any]):
    """A source to drive by hand: counts its subscriptions, does not guard its grammar."""

    def __init__(self) -> None:
        super().__init__()
        self.observers: list[abc.ObserverBase[Any]] = []
        self.subscriptions = 0
        self.disposals = 0

    def _subscribe_core(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self.subscriptions += 1
        self.observers.append(observer)

        def leave() -> None:
            self.disposals += 1
            if observer in self.observers:
                self.observers.remove(observer)

        return Disposable(leave)

    def send(self, *items: Any) -> None:
        for item in items:
            for observer in tuple(self.observers):
                observer.on_next(item)

    def fail(self, error: Exception) -> None:
        for observer in tuple(self.observers):
            observer.on_error(error)

    def complete(self) -> None:
        for observer in tuple(self.observers):
            observer.on_completed()


def within_subscribe(items: Sequence[Any], error: Exception | None = None) -> Observable[Any]:
    """A source that gives everything before `subscribe` returns, and does not know of dispose."""

    def subscribe(observer: abc.ObserverBase[Any], scheduler: Any = None) -> abc.DisposableBase:
        for item in items:
            observer.on_next(item)
        if error is not None:
            observer.on_error(error)
        else:
            observer.on_completed()
        return Disposable()

    return rx.create(subscribe)


def gathered(source: Observable[_T], scheduler: abc.SchedulerBase | None = None) -> list[_T]:
    """All items of a source that ends within `subscribe`; raises its error."""
    observer = Strict()
    source.subscribe(observer, scheduler=scheduler)
    assert observer.ended
    assert not observer.faults
    if observer.error is not None:
        raise observer.error
    return observer.items


class Subscribed:
    """A subscription that its observer may dispose of at any time; the observer then knows that it did."""

    def __init__(self, source: Observable[Any], observer: Strict, **kwargs: Any) -> None:
        self._observer = observer
        self._inner = SingleAssignmentDisposable()
        self.is_disposed = False
        self._inner.disposable = source.subscribe(observer, **kwargs)

    def dispose(self) -> None:
        """Dispose; from now on nothing may come."""
        self.is_disposed = self._observer.closed = True
        self._inner.dispose()


# -- an event loop with a clock of its own --------------------------------------------------------------


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps: where it would wait for a timer, its clock jumps to it."""

    def __init__(self) -> None:
        self._now = 0.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                ready = super().select(0 if timeout is not None else None)
                if not ready and timeout:
                    loop._now += timeout
                return ready

        super().__init__(Selector())

    def time(self) -> float:
        return self._now

    @property
    def timers(self) -> int:
        """How many timers wait."""
        waiting: Any = self
        return sum(not handle.cancelled() for handle in waiting._scheduled)


def run_virtually(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


# -- files ----------------------------------------------------------------------------------------------


@dataclass
class Writes:
    """A file that notes each write, and when."""

    now: Callable[[], float] = lambda: 0.0
    log: list[tuple[float, str]] = field(default_factory=list)
    flushes: list[float] = field(default_factory=list)

    def write(self, text: str) -> int:
        self.log.append((self.now(), text))
        return len(text)

    def flush(self) -> None:
        self.flushes.append(self.now())

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.log)


# -- the reference --------------------------------------------------------------------------------------


def naive_text(chunks: Sequence[Chunk], agent: str | None = None) -> str:
    """One agent's text, worked out slowly, with the whole turn before us: only what stood."""
    gone = {block for chunk in chunks if isinstance(chunk, RetractedChunk) for block in chunk.blocks}
    story: list[list[Any]] = []  # kind, message, block, text
    stop_reason = None
    for chunk in chunks:
        if chunk.agent != agent or getattr(chunk, "block", None) in gone:
            continue
        if isinstance(chunk, MessageChunk) and chunk.event == "delta":
            stop_reason = chunk.stop_reason
        if isinstance(chunk, TextChunk):
            if story and story[-1][2] == chunk.block:
                story[-1][3] += chunk.text
            else:
                story.append(["text", chunk.message_id, chunk.block, chunk.text])
        elif isinstance(chunk, (ToolInputChunk, ToolUseChunk)):
            story.append(["tool", None, None, ""])
        elif isinstance(chunk, ThinkingChunk) or (isinstance(chunk, UnknownChunk) and chunk.message_id):
            story.append(["other", None, None, ""])
        elif isinstance(chunk, UserChunk) and chunk.synthetic:
            resume = stop_reason == "max_tokens" or "Resume directly" in chunk.text
            story.append(["resume" if resume else "stop", None, None, ""])
    result, before = "", None
    for place, (kind, message, _, text) in enumerate(story):
        if kind != "text":
            continue
        if before is not None:
            between = [entry[0] for entry in story[before + 1 : place]]
            neighbours = not between and story[before][1] == message
            continued = between[:1] == ["resume"] and not {"tool", "stop"} & set(between)
            if agent is not None:
                continued = False
            result += "" if neighbours or continued else "\n\n"
        result, before = result + text, place
    last = chunks[-1] if chunks else None
    if agent is None and before is None and isinstance(last, ResultChunk) and not last.is_error:
        return last.result or ""
    return result


def without_retractions(chunks: Sequence[Chunk]) -> bool:
    """Whether everything that was said stands."""
    return not any(isinstance(chunk, RetractedChunk) for chunk in chunks)


# -- a turn to look at ----------------------------------------------------------------------------------


def said(text: str, block: int = 0, message_id: str | None = "m", **place: Any) -> TextChunk:
    """A piece of text."""
    return TextChunk(text, block, message_id=message_id, **place)


def result(text: str | None = None, **fields: Any) -> ResultChunk:
    """The result of a turn that succeeded."""
    return ResultChunk(**{"subtype": "success", "is_error": False, "result": text, **fields})


RETRACTED_TURN: list[Chunk] = [
    SystemChunk("init", {"session_id": "s"}),
    MessageChunk("start", message_id="m1"),
    said("gone ", 0, "m1"),
    said("for good", 0, "m1"),
    RetractedChunk((0,), (), True, message_id="m1"),
    MessageChunk("stop", message_id="m1"),
    MessageChunk("start", message_id="m2"),
    said("stands", 1, "m2"),
    MessageChunk("stop", message_id="m2"),
    result("stands"),
]
"""A turn whose first words were taken back."""


def merge_by_time(*tracks: Sequence[tuple[float, Any]]) -> list[tuple[float, Any]]:
    """Several timed sequences as one."""
    return list(heapq.merge(*tracks, key=lambda timed: timed[0]))
