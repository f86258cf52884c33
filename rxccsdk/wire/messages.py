"""What was shown of the messages that stream, until the CLI confirms them whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rxccsdk.chunks import Chunk, Frame, TextChunk, ThinkingChunk, ToolInputChunk
from rxccsdk.wire.frames import InputDelta, TextDelta, ThinkingDelta, join_surrogates

# What String.prototype.trim takes off: the CLI decides with it whether a block is empty.
JS_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


PIECES: dict[Any, Any] = {
    "text_delta": TextChunk,
    "thinking_delta": ThinkingChunk,
    "input_json_delta": ToolInputChunk,
    TextDelta: TextChunk,
    ThinkingDelta: ThinkingChunk,
    InputDelta: ToolInputChunk,
}
"""The chunk that a delta becomes, by its type on the wire and by its decoded class."""

NO_START_SEEN: dict[type[Chunk], str] = {
    TextChunk: "text",
    ThinkingChunk: "thinking",
    ToolInputChunk: "input",
}
"""The type of a block whose first piece comes before its start, by the chunk it becomes."""


@dataclass(slots=True)
class TurnCounter:
    """Numbers the chunks and blocks of one turn, or of all that is outside any turn.

    Attributes:
        turn: the turn's number, `None` outside any.
        started_at: when its prompt was written, on the clock that `Connection.receive` is given.
        seq: the next chunk's number.
        blocks: the next block's number.
    """

    turn: int | None
    started_at: float = 0.0
    seq: int = 0
    blocks: int = 0

    def next_seq(self) -> int:
        """Number a chunk."""
        seq = self.seq
        self.seq = seq + 1
        return seq


@dataclass(slots=True)
class StreamedBlock:
    """A content block that streams, and what was shown of it.

    Attributes:
        kind: the block's type as the API spells it.
        number: its number in the turn, -1 before its first piece is shown: an empty block takes none.
        shown: the pieces of text or thinking that were shown.
        confirmed: whether the CLI has it whole.
        held: leading white space, or half a surrogate pair.
    """

    kind: str
    id: str = ""
    name: str = ""
    number: int = -1
    shown: list[str] = field(default_factory=list)
    confirmed: bool = False
    held: str = ""

    def numbered(self, counter: TurnCounter) -> int:
        """Return its number; it takes the counter's next one when it is shown first."""
        if self.number < 0:
            self.number = counter.blocks
            counter.blocks += 1
        return self.number

    def hold_back(self, text: str) -> str:
        """Return what can be shown of the next piece, after what was held.

        Leading white space is held until something visible follows, and half a surrogate pair until its other
        half.
        """
        text, half = join_surrogates(self.held + text)
        visible = self.number >= 0 or self.kind == "tool_use" or bool(text.strip(JS_SPACE))
        self.held = half if visible else text + half
        return text if visible else ""


@dataclass(slots=True)
class StreamedMessage:
    """A message of one agent, as far as it has come.

    Attributes:
        blocks: by their index in the message.
        streams: its deltas come too, not only its whole blocks.
        complete: the API said why it stopped.
        stopped: no more of it follows.
    """

    id: str | None
    blocks: dict[int, StreamedBlock] = field(default_factory=dict)
    streams: bool = False
    complete: bool = False
    stopped: bool = False

    def settle(self) -> None:
        """Note that it is over, and that what the CLI has not confirmed of it was taken back."""
        self.stopped = True
        for block in self.unconfirmed():
            block.confirmed = True

    def unconfirmed(self) -> list[StreamedBlock]:
        """Return the blocks that were shown and that nothing says the CLI has whole."""
        if self.complete:
            return []
        return [block for block in self.blocks.values() if block.number >= 0 and not block.confirmed]

    def match(self, whole: Frame) -> StreamedBlock | None:
        """Return the streamed block that a whole block repeats, if any."""
        kind = whole["type"]
        candidates = [b for b in self.blocks.values() if b.kind == kind and not b.confirmed]
        if kind == "tool_use":
            return next((b for b in candidates if b.id == whole["id"]), None)
        shown = [b for b in candidates if b.shown]
        exact = (b for b in shown if whole[kind].startswith("".join(b.shown)))
        return next(exact, shown[0] if shown else candidates[0] if candidates else None)
