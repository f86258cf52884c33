"""Random content of a session, the frames that carry it, and the answer a reader must derive from them."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from random import Random
from typing import Any

from rxccsdk.chunks import Frame

_FRAGMENTS = (
    *("a", "word ", "Two words.", "\n", "  ", "\t", "\r\n", "```\n", "\x00", "é", "e\u0301", "日本", "😀"),
    *("👨\u200d👩\u200d👧", "\ufeff", "\u0085", "\u00a0", "\u2028", "</p>", '"', "\\ud83d"),
)


@dataclass
class Answer:
    """The content of a turn, or of everything outside any turn.

    Attributes:
        content: The text of the response.
        error_kind: The `SessionResponse.error_kind`.
        blocks: Agent, kind and text (of a tool call: its id) of the blocks that stand, in order per agent.
        inputs: The input of each tool call.
        results: The content of each tool result.
        notices: The API errors in the form of assistant messages.
    """

    content: str = ""
    error_kind: str | None = None
    blocks: list[tuple[str | None, str, str]] = field(default_factory=list)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


class RandomContent:
    """A source of random decisions, texts, content blocks and new ids."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ids = 0
        self.choice = random.choice
        self.count = random.randint
        self.shuffle = random.shuffle

    def chance(self, probability: float) -> bool:
        """Return true with some probability."""
        return self._random.random() < probability

    def new_id(self, prefix: str) -> str:
        """Return a new id."""
        self._ids += 1
        return f"{prefix}_{self._ids}"

    def text(self) -> str:
        """Return a short text, which may be blank or empty."""
        return "".join(self.choice(_FRAGMENTS) for _ in range(self.count(0, 4)))

    def split(self, text: str) -> list[str]:
        """Split a text anywhere, even within a surrogate pair as JavaScript does; pieces may be empty."""
        units = text.encode("utf-16-le")
        cuts = sorted(2 * self.count(0, len(units) // 2) for _ in range(self.count(0, 4)))
        pieces = [units[a:b] for a, b in zip([0, *cuts], [*cuts, len(units)], strict=True)]
        return [piece.decode("utf-16-le", "surrogatepass") for piece in pieces]

    def kinds_and_texts(self) -> list[tuple[str, str]]:
        """Return kind and text of up to three content blocks."""
        kinds = ("text", "text", "text", "thinking", "tool_use", "redacted_thinking")
        return [(self.choice(kinds), self.text()) for _ in range(self.count(0, 3))]

    def block(self, kind: str, text: str) -> tuple[Frame, list[Frame]]:
        """Return a content block and the deltas it is streamed in."""
        if kind in ("text", "thinking"):
            deltas: list[Frame] = [{"type": f"{kind}_delta", kind: piece} for piece in self.split(text)]
            if kind == "text":
                return {"type": kind, "text": text}, deltas
            signature = {"type": "signature_delta", "signature": "S"}
            return {"type": kind, "thinking": text, "signature": "S"}, [*deltas, signature]
        if kind == "redacted_thinking":
            return {"type": kind, "data": "ENCRYPTED"}, []
        name = "Agent" if self.chance(0.4) else "Bash"
        call = {"prompt": text}
        block = {"type": kind, "id": self.new_id("toolu"), "name": name, "input": call}
        partial_json = self.split(json.dumps(call, ensure_ascii=self.chance(0.5)))
        return block, [{"type": "input_json_delta", "partial_json": piece} for piece in partial_json]


def new_frame(type: str, **fields: Any) -> Frame:
    """Return a frame of the session."""
    return {"type": type, **fields, "session_id": "session"}


def assistant_frame(message_id: str, block: Frame, **fields: Any) -> Frame:
    """Return the frame that confirms one block of a message."""
    message = {"id": message_id, "role": "assistant", "model": "claude", "content": [block]}
    return new_frame("assistant", message=message, **{"parent_tool_use_id": None, **fields})


def user_frame(content: list[Frame], **fields: Any) -> Frame:
    """Return the frame of a user message."""
    message = {"role": "user", "content": content}
    return new_frame("user", message=message, **{"parent_tool_use_id": None, **fields})


def result_frame(subtype: str, **fields: Any) -> Frame:
    """Return the frame that ends a turn, in the CLI's order of keys."""
    fields = {"is_error": False, "total_cost_usd": 0.25, "num_turns": 1, **fields}
    return {"duration_ms": 1, **fields, "subtype": subtype, "type": "result", "session_id": "session"}


def is_visible(text: str) -> bool:
    """Return whether JavaScript's `trim` leaves any text: if not, the CLI drops the block."""
    return not all(c in "\t\n\v\f\r\ufeff\u2028\u2029" or unicodedata.category(c) == "Zs" for c in text)
