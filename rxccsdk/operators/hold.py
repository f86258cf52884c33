"""Text that waits: what is held of each agent, what releases it, and what may overtake it.

Every operator that holds text holds it here, so that the rules are one: an agent's next content, a
retraction, a result, an error and the end release what is held; what is not an agent's words may overtake it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

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
    quick_constructor,
)
from rxccsdk.operators.core import Keeping, Sink, Stage

_T = TypeVar("_T")

# Not what an agent says or does: these may overtake text that is held.
MAY_OVERTAKE = (SystemChunk, TaskChunk, ToolProgressChunk)

_QUICK: dict[type, Callable[..., Any]] = {
    TextChunk: quick_constructor(TextChunk),
    ThinkingChunk: quick_constructor(ThinkingChunk),
}


class Cutter(Protocol):
    """Holds the text of one run and says which pieces of it are ready. Pieces are never empty."""

    def add(self, words: str) -> Sequence[str]:
        """Take more text; give the pieces that are ready."""

    def rest(self) -> Sequence[str]:
        """Give all that is held. Nothing is added after it."""


class Held:
    """What waits, per agent, each agent's of one block.

    One item in may be several out: the observer may dispose between two (`stopped`), and where it raises
    at one it gets the others all the same.

    Args:
        emit: gets what is released.
        begin: makes a run of its first item: the pieces of one block that follow each other.
    """

    def __init__(self, emit: Callable[[Any], None], begin: Callable[[Any], Run]) -> None:
        self._emit = emit
        self._begin = begin
        self._runs: dict[str | None, Run] = {}
        self.stopped = False

    def add(self, item: Any) -> Run | None:
        """Take an item: hold it if it is text, else pass it on after what it must not overtake.

        Returns:
            The run that text went to.
        """
        if isinstance(item, str):
            agent, words = None, item
        elif isinstance(item, (TextChunk, ThinkingChunk)):
            agent, words = item.agent, item.text
        else:
            self._pass_on(item)
            return None
        run = self._runs.get(agent)
        if run is not None and not run.goes_on_with(item):
            try:
                self.release(agent)
            finally:
                if not self.stopped:
                    self._add_to_new(agent, item, words)
            return self._runs.get(agent)
        if run is None:
            return self._add_to_new(agent, item, words)
        pieces = run.add(item, words)
        if pieces:
            self._emit_pieces(run, pieces)
        return run

    def _add_to_new(self, agent: str | None, item: Any, words: str) -> Run:
        self._runs[agent] = run = self._begin(item)
        self._emit_pieces(run, run.add(item, words))
        return run

    def _pass_on(self, item: Any) -> None:
        try:
            if not isinstance(item, Chunk) or isinstance(item, ResultChunk):
                self.release_all()
            elif not isinstance(item, MAY_OVERTAKE) and not _is_unknown_frame(item):
                self.release(item.agent)
        finally:
            if not self.stopped:
                self._emit(item)

    def each(self, ready: Callable[[Any], Sequence[str]]) -> None:
        """Emit what each run says is ready now.

        Args:
            ready: asks a run.
        """
        self._emit_each([run.item(piece) for run in self.runs for piece in ready(run)])

    @property
    def runs(self) -> list[Any]:
        """The runs that go on."""
        return list(self._runs.values())

    def release(self, agent: str | None) -> None:
        """Emit what is held of one agent."""
        run = self._runs.pop(agent, None)
        if run is not None:
            self._emit_each(self._last_items(run))

    def release_all(self) -> None:
        """Emit all that is held."""
        runs = list(self._runs.values())
        self._runs.clear()
        self._emit_each([item for run in runs for item in self._last_items(run)])

    @staticmethod
    def _last_items(run: Run) -> list[Any]:
        pieces = run.rest()
        if not pieces and not run.said:
            return [run.first]  # text that is empty: nothing is dropped
        return [run.item(piece) for piece in pieces]

    def _emit_pieces(self, run: Run, pieces: Sequence[str]) -> None:
        if len(pieces) == 1:
            self._emit(run.item(pieces[0]))
        elif pieces:
            self._emit_each([run.item(piece) for piece in pieces])

    def _emit_each(self, items: Iterable[Any]) -> None:
        failure: BaseException | None = None
        for item in items:
            if self.stopped:
                break
            try:
                self._emit(item)
            except BaseException as error:
                failure = failure or error
        if failure is not None:
            raise failure


class Run(ABC):
    """The text of one block as it is held. It gives the text in pieces.

    Args:
        first: its first item.

    Attributes:
        said: whether any of its text was emitted.
    """

    __slots__ = ("first", "said")

    def __init__(self, first: Any) -> None:
        self.first = first
        self.said = False

    @abstractmethod
    def add(self, item: Any, words: str) -> Sequence[str]:
        """Take another item and its text; give the pieces that are ready. None of them is empty."""

    @abstractmethod
    def rest(self) -> Sequence[str]:
        """Give all that is held. Nothing is added after it."""

    @abstractmethod
    def source(self, piece: str) -> Any:
        """Give the item that the first character of the next piece came in."""

    def goes_on_with(self, item: Any) -> bool:
        """Whether this item is more of the same."""
        first = self.first
        if type(first) is not type(item):
            return isinstance(first, str) and isinstance(item, str)
        return isinstance(first, str) or bool(first.block == item.block and first.turn == item.turn)

    def item(self, piece: str) -> Any:
        """Make an item of the next piece: it has the place of the one its first character came in."""
        self.said = True
        source = self.source(piece)
        if isinstance(source, str):
            return piece
        if source.text == piece:
            return source
        make = _QUICK.get(type(source))
        if make is None:
            return replace(source, text=piece)
        return make(
            source.turn,
            source.seq,
            source.at,
            source.agent,
            source.message_id,
            source.raw,
            piece,
            source.block,
        )


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
        while (size := len(_words_of(items[0]))) <= self._emitted:
            self._emitted -= size
            items.popleft()
        self._emitted += len(piece)
        return items[0]


def _words_of(item: Any) -> str:
    """The text of an item of a text stream."""
    return item if isinstance(item, str) else item.text


def rechunking(cutter: Callable[[], Cutter]) -> Keeping:
    """Make an operator that gives text in the pieces a cutter makes of it.

    Args:
        cutter: makes a cutter, one for each run of text.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def wrap(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None) -> Sink[_T]:
            held = Held(observer.on_next, lambda first: CutRun(first, cutter()))

            def on_error(error: Exception) -> None:
                try:
                    held.release_all()
                finally:
                    if not held.stopped:
                        observer.on_error(error)

            def on_completed() -> None:
                try:
                    held.release_all()
                finally:
                    if not held.stopped:
                        observer.on_completed()

            def dispose() -> None:
                held.stopped = True

            return Sink(held.add, on_error, on_completed, dispose)

        return Stage(source, wrap)

    return operator


def _is_unknown_frame(chunk: Chunk) -> bool:
    """Whether it is a frame we do not model, and no block of a message."""
    return isinstance(chunk, UnknownChunk) and chunk.message_id is None
