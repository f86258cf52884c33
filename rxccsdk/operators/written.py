"""What the agent has written so far, so that parts of it can be taken back."""

from __future__ import annotations

import json
from typing import Any

from rxccsdk.chunks import RetractedChunk, TextChunk, ToolInputChunk, ToolUseChunk
from rxccsdk.text.pieces import Pieces


class WrittenText:
    """The main agent's text, so that blocks of it can be taken back."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._blocks: list[tuple[int | None, int | None]] = []  # the turn and block of each piece
        self._text = Pieces()

    def take(self, item: Any) -> str:
        """Return the text that an item brings."""
        piece = self._text.of(item)
        if not piece:
            return ""
        self.pieces.append(piece)
        place = (item.turn, item.block) if isinstance(item, TextChunk) else (None, None)
        self._blocks.append(place)
        return piece

    def begins_anew(self, item: Any) -> bool:
        """Whether what comes is another text; it is all one."""
        return False

    def clear(self) -> None:
        """Never called: it is all one."""

    def retract(self, chunk: RetractedChunk) -> int | None:
        """Take blocks back; return how many characters before them stand, `None` where none was of here."""
        self._text.of(chunk)
        gone = {(chunk.turn, block) for block in chunk.blocks}
        if gone.isdisjoint(self._blocks):
            return None
        first = next(place for place, block in enumerate(self._blocks) if block in gone)
        kept = sum(map(len, self.pieces[:first]))
        stands = [place for place, block in enumerate(self._blocks) if block not in gone]
        self.pieces = [self.pieces[place] for place in stands]
        self._blocks = [self._blocks[place] for place in stands]
        return kept


class CalledInput:
    """The input of one call of a tool, the first one unless that is cleared."""

    def __init__(self, tool: str) -> None:
        self.pieces: list[str] = []
        self._tool = tool
        self._id: str | None = None
        self._place: tuple[int | None, int] = (None, -1)

    def _is_call(self, item: Any) -> bool:
        kinds = (ToolInputChunk, ToolUseChunk)
        return isinstance(item, kinds) and item.name == self._tool and item.agent is None

    def take(self, item: Any) -> str:
        """Return what an item brings: a piece of the input, or where there were none, all of it."""
        if not self._is_call(item):
            return ""
        if self._id is None:
            self._id, self._place = item.id, (item.turn, item.block)
        if item.id != self._id or (isinstance(item, ToolUseChunk) and self.pieces):
            return ""
        whole = isinstance(item, ToolUseChunk)
        piece = json.dumps(item.input, ensure_ascii=False) if whole else str(item.partial_json)
        self.pieces.append(piece)
        return piece

    def begins_anew(self, item: Any) -> bool:
        """Whether it is another call, or the whole input of this one: where its pieces did not fit, as for
        late subscribers, that one may."""
        return self._id is not None and self._is_call(item) and self._is_whole_or_other(item)

    def _is_whole_or_other(self, item: ToolInputChunk | ToolUseChunk) -> bool:
        return isinstance(item, ToolUseChunk) or item.id != self._id

    def clear(self) -> None:
        """Forget the call; the next one counts."""
        self.pieces, self._id = [], None

    def retract(self, chunk: RetractedChunk) -> int | None:
        """Take the call back, where it is among the chunk's; then nothing of it stands."""
        if self._id is None:
            return None
        turn, block = self._place
        if self._id not in chunk.tool_ids and not (turn == chunk.turn and block in chunk.blocks):
            return None
        self.clear()
        return 0
