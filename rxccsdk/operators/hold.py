"""Text that waits: what is held of each agent, what releases it, and what may overtake it.

Every operator that holds text holds it here, so that the rules are one: an agent's next content, a
retraction, a result, an error and the end release what is held; what is not an agent's words may overtake it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import structs
from reactivex import Observable, abc

from rxccsdk.chunks import (
    Chunk,
    ResultChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolProgressChunk,
    UnknownChunk,
)
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.pieces import same_block
from rxccsdk.text.sink import Sink

_T = TypeVar("_T")

# Not what an agent says or does: these may overtake text that is held.
MAY_OVERTAKE = (SystemChunk, TaskChunk, ToolProgressChunk)


class Cutter(Protocol):
    """Holds the text of one run and decides which pieces of it are ready. Pieces are never empty."""

    def add(self, words: str) -> Sequence[str]:
        """Take more text; return the pieces that are ready."""

    def rest(self) -> Sequence[str]:
        """Return all that is held. Nothing is added after it."""


class Held:
    """What waits, per agent, each agent's of one block.

    Args:
        begin: makes a run of its first item: the pieces of one block that follow each other.
    """

    def __init__(self, begin: Callable[[Any], Run]) -> None:
        self._begin = begin
        self._runs: dict[str | None, Run] = {}

    def add(self, item: Any) -> Sequence[Any]:
        """Take an item: hold it if it is text.

        Returns:
            What goes downstream: what it released, and then itself if it is no text.
        """
        if isinstance(item, str):
            agent, words = None, item
        elif isinstance(item, (TextChunk, ThinkingChunk)):
            agent, words = item.agent, item.text
        else:
            return [*self._before(item), item]
        run = self._runs.get(agent)
        if run is not None and run.goes_on_with(item):
            return run.items(run.add(item, words))
        released = self.release(agent)
        self._runs[agent] = run = self._begin(item)
        return [*released, *run.items(run.add(item, words))]

    def _before(self, item: Any) -> Sequence[Any]:
        """Return what an item that is no text releases."""
        if not isinstance(item, Chunk) or isinstance(item, ResultChunk):
            return self.release_all()
        if isinstance(item, MAY_OVERTAKE) or _is_unknown_frame(item):
            return ()
        return self.release(item.agent)

    def run_of(self, agent: str | None) -> Any:
        """Return the run of this agent that goes on, if any."""
        return self._runs.get(agent)

    @property
    def runs(self) -> list[Any]:
        """The runs that go on."""
        return list(self._runs.values())

    def release(self, agent: str | None) -> Sequence[Any]:
        """Return what is held of one agent."""
        run = self._runs.pop(agent, None)
        return () if run is None else run.last_items()

    def release_all(self) -> Sequence[Any]:
        """Return all that is held."""
        runs = self.runs
        self._runs.clear()
        return [item for run in runs for item in run.last_items()]


class Run(ABC):
    """The text of one block as it is held, and the pieces made of it.

    Args:
        first: its first item.

    Attributes:
        emitted: whether any of its text was.
    """

    __slots__ = ("emitted", "first")

    def __init__(self, first: Any) -> None:
        self.first = first
        self.emitted = False

    @abstractmethod
    def add(self, item: Any, words: str) -> Sequence[str]:
        """Take another item and its text; return the pieces that are ready. None of them is empty."""

    @abstractmethod
    def rest(self) -> Sequence[str]:
        """Return all that is held. Nothing is added after it."""

    @abstractmethod
    def source(self, piece: str) -> Any:
        """Return the item that the first character of the next piece came in."""

    def goes_on_with(self, item: Any) -> bool:
        """Whether this item is more of the same."""
        return same_block(self.first, item)

    def items(self, pieces: Sequence[str]) -> Sequence[Any]:
        """Make items of the next pieces."""
        return [self._item(piece) for piece in pieces] if pieces else ()

    def last_items(self) -> Sequence[Any]:
        """Make items of all that is held."""
        pieces = self.rest()
        if not pieces and not self.emitted:
            return [self.first]  # text that is empty: nothing is dropped
        return self.items(pieces)

    def _item(self, piece: str) -> Any:
        """Make an item of the next piece: it has the place of the one its first character came in."""
        self.emitted = True
        source = self.source(piece)
        if isinstance(source, str):
            return piece
        if source.text == piece:
            return source
        return structs.replace(source, text=piece)


class CutRun(Run):
    """A run whose pieces a cutter makes."""

    __slots__ = ("_emitted", "_items", "cutter")

    def __init__(self, first: Any, cutter: Cutter) -> None:
        super().__init__(first)
        self.cutter = cutter
        self._items: deque[Any] = deque()  # those with text that is still held
        self._emitted = 0  # characters of the first of them that are not

    def add(self, item: Any, words: str) -> Sequence[str]:
        self._items.append(item)
        return self.cutter.add(words)

    def rest(self) -> Sequence[str]:
        return self.cutter.rest()

    def source(self, piece: str) -> Any:
        items = self._items
        while (size := len(text_of(items[0]))) <= self._emitted:
            self._emitted -= size
            items.popleft()
        self._emitted += len(piece)
        return items[0]


def text_of(item: Any) -> str:
    """Return the text of an item of a text stream."""
    return item if isinstance(item, str) else item.text


def rechunking(cutter: Callable[[], Cutter]) -> Keeping:
    """Make an operator that emits text in the pieces a cutter makes of it.

    Args:
        cutter: makes a cutter, one for each run of text.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            held = Held(lambda first: CutRun(first, cutter()))
            last: Any = None  # the last piece of text,
            run: Any = None  # and its run

            def on_next(item: Any) -> None:
                nonlocal last, run
                if last is not None and same_block(last, item):
                    pieces = run.add(item, text_of(item))
                    if pieces:
                        downstream.emit(run.items(pieces))
                    return
                released = held.add(item)
                last = item if isinstance(item, (TextChunk, ThinkingChunk, str)) else None
                if last is not None:
                    run = held.run_of(None if isinstance(item, str) else item.agent)
                downstream.emit(released)

            return Handlers(on_next, held.release_all)

        return Stage(source, attach)

    return operator


def _is_unknown_frame(chunk: Chunk) -> bool:
    """Whether it is a frame we do not model, and no block of a message."""
    return isinstance(chunk, UnknownChunk) and chunk.message_id is None
