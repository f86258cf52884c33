"""Text that waits: what is held of each agent, what releases it, and what may overtake it.

Every operator that holds text holds it here, so that the rules are one: an agent's next content, a
retraction, a result, an error and the end release what is held; what is not an agent's words may overtake it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from rxccsdk.session.flow import Inlet
from rxccsdk.session.stretch import Alike, text_of

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

    Args:
        begin: makes a run of its first item: the pieces of one block that follow each other.
    """

    def __init__(self, begin: Callable[[Any], Run]) -> None:
        self._begin = begin
        self._runs: dict[str | None, Run] = {}

    def add(self, item: Any) -> Sequence[Any]:
        """Take an item: hold it if it is text; give it on if it is not, after what it must not overtake.

        Returns:
            What is given on.
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
        """What an item that is no text releases."""
        if not isinstance(item, Chunk) or isinstance(item, ResultChunk):
            return self.release_all()
        if isinstance(item, MAY_OVERTAKE) or _is_unknown_frame(item):
            return ()
        return self.release(item.agent)

    def run_of(self, agent: str | None) -> Any:
        """The run of this agent that goes on, if any."""
        return self._runs.get(agent)

    @property
    def runs(self) -> list[Any]:
        """The runs that go on."""
        return list(self._runs.values())

    def release(self, agent: str | None) -> Sequence[Any]:
        """Give what is held of one agent."""
        run = self._runs.pop(agent, None)
        return () if run is None else run.last_items()

    def release_all(self) -> Sequence[Any]:
        """Give all that is held."""
        runs = self.runs
        self._runs.clear()
        return [item for run in runs for item in run.last_items()]


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

    def items(self, pieces: Sequence[str]) -> Sequence[Any]:
        """Make items of the next pieces."""
        return [self._item(piece) for piece in pieces] if pieces else ()

    def last_items(self) -> Sequence[Any]:
        """Make items of all that is held."""
        pieces = self.rest()
        if not pieces and not self.said:
            return [self.first]  # text that is empty: nothing is dropped
        return self.items(pieces)

    def _item(self, piece: str) -> Any:
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

    def add_all(self, items: Sequence[Any]) -> Sequence[str]:
        """Take items of one kind that came together; give the pieces that are ready."""
        self._items.extend(items)
        return self.cutter.add("".join(map(text_of, items)))

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


def rechunking(cutter: Callable[[], Cutter], *, at_once: bool = False) -> Keeping:
    """Make an operator that gives text in the pieces a cutter makes of it.

    Args:
        cutter: makes a cutter, one for each run of text.
        at_once: it cuts at the same places whether it gets a text piece by piece or whole.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def wrap(following: Inlet, scheduler: abc.SchedulerBase | None) -> Sink:
            held = Held(lambda first: CutRun(first, cutter()))

            # What the last piece was of, and its run: more of the same comes by the ten thousand.
            kind: type | None = None
            run: Any = None
            block: int | None = None
            agent: str | None = None
            turn: int | None = None

            def flow(items: Iterable[Any]) -> Iterator[Any]:
                nonlocal kind, run, block, agent, turn
                coming = iter(items)
                for item in coming:
                    same = type(item) is kind
                    if same and item.block is block and item.agent is agent and item.turn is turn:
                        if at_once and isinstance(items, Alike) and items.unseen:
                            pieces = run.add_all([item, *coming])
                        else:
                            pieces = run.add(item, item.text)
                        if pieces:
                            yield from run.items(pieces)
                        continue
                    given_on = held.add(item)
                    kind = None
                    if isinstance(item, (TextChunk, ThinkingChunk)):
                        kind, block, agent, turn = type(item), item.block, item.agent, item.turn
                        run = held.run_of(agent)
                    yield from given_on

            return Sink(flow, held.release_all)

        return Stage(source, wrap)

    return operator


def _is_unknown_frame(chunk: Chunk) -> bool:
    """Whether it is a frame we do not model, and no block of a message."""
    return isinstance(chunk, UnknownChunk) and chunk.message_id is None
