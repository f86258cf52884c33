"""One text out of many blocks: what goes on with the same block, and what separates two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

PIECES = (TextChunk, ThinkingChunk, ToolInputChunk)
"""What a content block that streams comes in."""


def same_block(last: Any, item: Any) -> bool:
    """Whether `item` is more of the block that `last` was of.

    Both are pieces of text, thinking or tool input, or strings; strings are all of one block. `last` may be
    `None`.
    """
    if last.__class__ is not item.__class__:
        return False
    if isinstance(last, str):
        return True
    return bool(last.block == item.block and last.agent == item.agent and last.turn == item.turn)


def answer_without_text(result: ResultChunk) -> str:
    """Return the answer of a turn in which the main agent wrote no text: the CLI's own commands have one."""
    return "" if result.is_error else result.result or ""


class Separators:
    """Decides for each text block whether it joins the one before it.

    It does within one message, where only citations split the text, and where a message that was cut short
    is continued; everywhere else a separator belongs between two blocks. Feed it every chunk, in order.
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
        if same_block(last, chunk):
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
        """Whether text that came here is taken back."""
        return not self._texts.isdisjoint(chunk.blocks)

    def pass_over(self, chunk: Chunk) -> None:
        """Note a chunk that is no text."""
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


_NOTES: dict[type[Chunk], Callable[[Separators, Any], None]] = {
    ThinkingChunk: Separators._other_content,
    ToolInputChunk: Separators._other_content,
    ToolUseChunk: Separators._other_content,
    UnknownChunk: Separators._other_content,
    MessageChunk: Separators._message,
    UserChunk: Separators._user,
    RetractedChunk: Separators._retraction,
    ResultChunk: Separators._result,
}


class Pieces:
    """Makes text of chunks, with the separators between blocks.

    Args:
        separator: stands between two blocks that do not join; it travels with the piece after it.
        agents: "main", "all", or the id of one sub-agent.
    """

    def __init__(self, separator: str = "\n\n", agents: str = "main") -> None:
        self._separators = Separators()
        self._separator = separator
        self._everyone = agents == "all"
        self._agent = None if agents in ("main", "all") else agents
        self._none_yet = True
        self._last: Any = None  # the chunk of the last piece

    def of(self, item: Any) -> str:
        """Return the text that a chunk brings, "" where it brings none. A string is its own text."""
        if item.__class__ is TextChunk:
            if same_block(self._last, item):
                return item.text
            return self._begin_block(item)
        if isinstance(item, str):
            return item
        self._separators.pass_over(item)
        if isinstance(item, ResultChunk) and self._none_yet and self._agent is None:
            return answer_without_text(item)
        return ""

    def retracts(self, chunk: RetractedChunk) -> bool:
        """Whether text that was returned is taken back."""
        return self._separators.retracts(chunk)

    def _begin_block(self, chunk: TextChunk) -> str:
        if not self._everyone and chunk.agent != self._agent:
            return ""
        self._last, self._none_yet = chunk, False
        joins = self._separators.joins(chunk)
        return chunk.text if joins else self._separator + chunk.text
