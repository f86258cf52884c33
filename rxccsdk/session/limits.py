"""How much a turn may use."""

from __future__ import annotations

from collections.abc import Iterable

from rxccsdk.chunks import Chunk, MessageChunk
from rxccsdk.session.tokens import count_of


class TokenLimit:
    """Watches the output tokens of a turn's messages.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_message: dict[str | None, int] = {}

    def exceeded_by(self, chunks: Iterable[Chunk]) -> str | None:
        """Take the next chunks; return in words that there are too many, or `None`."""
        for chunk in chunks:
            if isinstance(chunk, MessageChunk) and chunk.event == "delta" and chunk.usage:
                self._by_message[chunk.message_id] = count_of(chunk.usage, "output_tokens")
        used = sum(self._by_message.values())
        return f"max_output_tokens={self._most} was exceeded: {used} tokens." if used > self._most else None
