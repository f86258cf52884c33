"""One text out of many blocks: where a blank line stands between two blocks, and where nothing does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Protocol

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    ResultChunk,
    RetractedChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk.session.flow import End
from rxccsdk.session.stretch import Alike, none_of, text_of


class Prose:
    """Tells of each text block whether it goes on where the one before it ended.

    It does within one message, where only citations split the text, and where a message that was cut short
    is continued; everywhere else a blank line belongs between two blocks. Feed it every chunk, in order.
    """

    def __init__(self) -> None:
        self.last: TextChunk | None = None  # the last text that came here
        self._neighbours = False  # nothing but text since the last block, in its message
        self._texts: set[int] = set()  # the text blocks of this turn
        self._standing: dict[int | str, bool] = {}  # the main agent's blocks, in order: is it text
        self._cut_short = False  # the main agent's message ended at max_tokens
        self._continues = False  # the CLI asked the agent to go on where its text was cut off
        self._continued_by: int | None = None  # the block that did, or that did something else

    def joins(self, chunk: TextChunk) -> bool:
        """Whether this text follows the text before it directly. The first text joins too."""
        last, self.last = self.last, chunk
        if (
            last is not None
            and last.block == chunk.block
            and last.agent == chunk.agent
            and last.turn == chunk.turn
        ):
            return True
        self._texts.add(chunk.block)
        joins = last is None or (
            last.agent == chunk.agent and self._neighbours and last.message_id == chunk.message_id
        )
        if chunk.agent is None:
            self._standing[chunk.block] = True
            if self._continues:
                joins = last is None or last.agent is None
                self._continues, self._continued_by = False, chunk.block
        self._neighbours = True
        return joins

    def retracts(self, chunk: RetractedChunk) -> bool:
        """Whether text that passed here is taken back."""
        return not self._texts.isdisjoint(chunk.blocks)

    def pass_over(self, chunk: Chunk) -> None:
        """Take note of a chunk that is no text."""
        note = _NOTES.get(type(chunk))
        if note is not None:
            note(self, chunk)

    def _message(self, chunk: MessageChunk) -> None:
        if chunk.event == "start" and self.last is not None and self.last.agent == chunk.agent:
            self._neighbours = False
        elif chunk.event == "delta" and chunk.agent is None:
            self._cut_short = chunk.stop_reason == "max_tokens"

    def _user(self, chunk: UserChunk) -> None:
        if chunk.agent is None and chunk.synthetic:
            asked = self._cut_short or "resume directly" in chunk.text.lower()
            ends_in_text = next(reversed(self._standing.values()), False)
            self._continues = asked and (ends_in_text or self._continues)

    def _retraction(self, chunk: RetractedChunk) -> None:
        for block in chunk.blocks:
            self._standing.pop(block, None)
        if self._continued_by in chunk.blocks:
            self._continues = True  # what continued does not stand; what replaces it continues instead

    def _result(self, chunk: ResultChunk) -> None:
        self._texts.clear()
        self._standing.clear()
        self._neighbours = self._cut_short = self._continues = False

    def _other_content(self, chunk: ThinkingChunk | ToolInputChunk | ToolUseChunk | UnknownChunk) -> None:
        if isinstance(chunk, UnknownChunk):
            if chunk.message_id is None:
                return  # a frame we do not model, no block of a message
            block: int | str = chunk.message_id  # it has no number; the last one of its message counts
            self._standing.pop(block, None)
        else:
            block = chunk.block
        last = self.last
        if last is not None and last.agent == chunk.agent and last.message_id == chunk.message_id:
            self._neighbours = False
        if chunk.agent is None:
            self._standing[block] = False
            if self._continues and isinstance(chunk, (ToolInputChunk, ToolUseChunk)):
                self._continues, self._continued_by = False, chunk.block


_NOTES: dict[type[Chunk], Callable[[Prose, Any], None]] = {
    ThinkingChunk: Prose._other_content,
    ToolInputChunk: Prose._other_content,
    ToolUseChunk: Prose._other_content,
    UnknownChunk: Prose._other_content,
    MessageChunk: Prose._message,
    UserChunk: Prose._user,
    RetractedChunk: Prose._retraction,
    ResultChunk: Prose._result,
}


class Listener(Protocol):
    """Who is told of pieces, one after the other.

    Attributes:
        say: takes a piece; what it gives is something to wait for, if it is not `None`.
    """

    say: Callable[[Any], Any]

    def follow(self, given: Any) -> object:
        """Wait for what `say` gave."""

    def failed(self, error: Exception) -> None:
        """Take note of what `say` raised."""

    def hear_texts(self, items: Iterable[Any], end: End) -> Iterator[Any]:
        """Give items as they are, each when its text was said; none when the pipe's end has left."""


class Pieces:
    """The text of a stream of chunks, piece by piece, with the separators between blocks.

    Args:
        separator: what stands between two blocks that do not join; it travels with the piece after it.
        agents: "main", "all", or the id of one sub-agent.
    """

    def __init__(self, separator: str = "\n\n", agents: str = "main") -> None:
        self.prose = Prose()
        self._separator = separator
        self._everyone = agents == "all"
        self._agent = None if agents in ("main", "all") else agents
        self._none_yet = True
        # What the last piece was of: by the ten thousand more of the same follows, and needs no thought.
        self._same: tuple[Any, str | None, int | None] = (self, None, None)

    def of(self, chunk: Chunk) -> str | None:
        """Give the piece a chunk brings, or `None` where it brings none."""
        if isinstance(chunk, TextChunk):
            if not self._brings_text(chunk):
                return None
            self._none_yet = False
            return chunk.text if self.prose.joins(chunk) else self._separator + chunk.text
        self.prose.pass_over(chunk)
        if isinstance(chunk, ResultChunk) and self._none_yet and self._agent is None and not chunk.is_error:
            return chunk.result or None  # the CLI's own commands answer in the result alone
        return None

    def flow(self, items: Iterable[Any]) -> Iterable[str]:
        """Give the pieces of the items of a burst; a string is one."""
        if not isinstance(items, Alike):
            return self._flow(items)
        if self._goes_on(items.first):
            return map(text_of, items)
        coming = iter(items)
        first = self._flow(islice(coming, 1))
        if self._brings_text(items.first):
            return chain(first, map(text_of, coming))
        return none_of(chain(first, coming))

    def _flow(self, items: Iterable[Any]) -> Iterator[str]:
        block, agent, turn = self._same
        kind = TextChunk
        for item in items:
            if item.__class__ is kind and item.block is block and item.agent is agent and item.turn is turn:
                yield item.text
            elif isinstance(item, str):
                yield item
            else:
                piece = self.of(item)
                if piece is not None:
                    if item.__class__ is kind:
                        block, agent, turn = self._same = item.block, item.agent, item.turn
                    yield piece

    def hear(
        self,
        items: Iterable[Any],
        listener: Listener,
        end: End,
        on_retraction: Callable[[RetractedChunk], object] | None = None,
    ) -> Iterable[Any]:
        """Give the items of a burst as they are, each after its piece was said.

        Args:
            items: chunks or strings.
            listener: is told each piece; a string is one.
            end: of the pipe; when it has left, also by what a listener does, nothing more is given.
            on_retraction: gets the chunk that takes back text which was said.
        """
        if not isinstance(items, Alike):
            return self._hear(items, listener, end, on_retraction)
        if self._goes_on(items.first):
            return Alike(items.first, listener.hear_texts(items, end))
        coming = iter(items)
        first = self._hear(islice(coming, 1), listener, end)
        more = listener.hear_texts(coming, end) if self._brings_text(items.first) else coming
        return Alike(items.first, chain(first, more))

    def _goes_on(self, chunk: Any) -> bool:
        """Whether it is more of the same as the last piece."""
        return type(chunk) is TextChunk and (chunk.block, chunk.agent, chunk.turn) == self._same

    def _brings_text(self, chunk: Any) -> bool:
        return isinstance(chunk, TextChunk) and (self._everyone or chunk.agent == self._agent)

    def _hear(
        self,
        items: Iterable[Any],
        listener: Listener,
        end: End,
        on_retraction: Callable[[RetractedChunk], object] | None = None,
    ) -> Iterator[Any]:
        block, agent, turn = self._same
        kind = TextChunk
        piece: str | None
        for item in items:
            if item.__class__ is kind and item.block is block and item.agent is agent and item.turn is turn:
                piece = item.text
            elif isinstance(item, str):
                piece = item
            else:
                piece = self.of(item)
                if piece is not None and item.__class__ is kind:
                    block, agent, turn = self._same = item.block, item.agent, item.turn
                elif (
                    on_retraction is not None
                    and isinstance(item, RetractedChunk)
                    and self.prose.retracts(item)
                ):
                    on_retraction(item)
            if piece is not None:
                try:
                    given = listener.say(piece)
                    if given is not None:
                        listener.follow(given)
                except Exception as error:
                    listener.failed(error)
            if end.stopped:
                return
            yield item
