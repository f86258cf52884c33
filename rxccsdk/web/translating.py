"""A turn in the words of another protocol: what all of them have in common."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from rxccsdk.chunks import (
    AskChunk,
    Chunk,
    CompactChunk,
    DecisionChunk,
    LimitChunk,
    NoticeChunk,
    PromptChunk,
    RetractedChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolOutputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.session.since import batches
from rxccsdk.session.turn import Turn

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_BESIDE = (
    *(CompactChunk, LimitChunk, NoticeChunk, PromptChunk),
    *(TaskChunk, ToolOutputChunk, ToolProgressChunk),
)
_CONTENT = (TextChunk, ThinkingChunk, ToolInputChunk, ToolUseChunk, ToolResultChunk, RetractedChunk)


class Translator(ABC):
    """Says a turn's chunks as events. The main agent's blocks begin and end; what else happens goes beside.

    Args:
        turn: the turn.

    Attributes:
        tools: the main agent's calls that have begun, by id: whether the input is whole.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.tools: dict[str, bool] = {}
        self._has_text = False
        self._open: tuple[str, int] | None = None  # the kind and number of the block that is open

    @abstractmethod
    def begin(self) -> Iterator[bytes]:
        """Yield what comes first; the prompt was sent."""

    @abstractmethod
    def block(self, event: str, kind: str, block: int, text: str = "") -> Iterator[bytes]:
        """Yield what a "text" or "thinking" block does: "start", "delta" or "end"."""

    @abstractmethod
    def tool(self, chunk: ToolInputChunk | ToolUseChunk | ToolResultChunk) -> Iterator[bytes]:
        """Yield what becomes of a call of the main agent."""

    @abstractmethod
    def retract(self, chunk: RetractedChunk) -> Iterator[bytes]:
        """Yield that blocks do not stand."""

    @abstractmethod
    def beside(self, name: str, chunk: Chunk) -> Iterator[bytes]:
        """Yield what is no content: questions, progress, notices, sub-agents."""

    @abstractmethod
    def end(self) -> Iterator[bytes]:
        """Yield how it ended."""

    def of(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the events of a chunk."""
        if chunk.agent is not None:
            if isinstance(chunk, (*_CONTENT, *_BESIDE, AskChunk, DecisionChunk)):
                yield from self.beside("agent", chunk)
        elif isinstance(chunk, TextChunk):
            self._has_text = True
            yield from self._piece("text", chunk.block, chunk.text)
        elif isinstance(chunk, ThinkingChunk):
            yield from self._piece("thinking", chunk.block, chunk.text)
        elif isinstance(chunk, (ToolInputChunk, ToolUseChunk)):
            yield from self.close()
            yield from self.tool(chunk)
            self.tools[chunk.id] = isinstance(chunk, ToolUseChunk)
        elif isinstance(chunk, ToolResultChunk):
            yield from self.close()
            if self.tools.pop(chunk.tool_use_id, False):
                yield from self.tool(chunk)
        elif isinstance(chunk, RetractedChunk):
            yield from self.close()
            yield from self.retract(chunk)
            for call in chunk.tool_ids:
                self.tools.pop(call, None)
        elif isinstance(chunk, (*_BESIDE, AskChunk, DecisionChunk)):
            yield from self.beside(_WORD.sub("-", type(chunk).__name__.removesuffix("Chunk")).lower(), chunk)

    def close(self) -> Iterator[bytes]:
        """End the block that is open."""
        if self._open is not None:
            kind, block = self._open
            self._open = None
            yield from self.block("end", kind, block)

    def rest(self) -> Iterator[bytes]:
        """Yield what is left to say at the end."""
        yield from self.close()
        if not self._has_text and (content := self.turn.response.content):
            yield from self._piece("text", -1, content)  # the result has the text, and no block had
            yield from self.close()
        yield from self.end()

    def _piece(self, kind: str, block: int, text: str) -> Iterator[bytes]:
        if self._open != (kind, block):
            yield from self.close()
            self._open = (kind, block)
            yield from self.block("start", kind, block)
        if text:
            yield from self.block("delta", kind, block, text)


async def translated(translator: Translator) -> AsyncGenerator[bytes, None]:
    """Yield a turn in a protocol's events, from its first chunk to its end."""
    has_begun = False
    async with aclosing(batches(translator.turn)) as found:
        async for chunks in found:
            first = () if has_begun else translator.begin()
            has_begun = True
            said = (event for chunk in chunks for event in translator.of(chunk))
            yield b"".join((*first, *said))
    first = () if has_begun else translator.begin()
    yield b"".join((*first, *translator.rest()))


def text_of(content: Any) -> str:
    """Return the content of a tool's result as text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(
            block["text"]
            if isinstance(block, dict) and isinstance(block.get("text"), str)
            else json.dumps(block)
            for block in content
        )
    return json.dumps(content)
