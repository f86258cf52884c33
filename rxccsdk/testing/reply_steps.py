"""The steps of a scripted reply: content blocks, pauses, and a break that ends it early."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Pieces: TypeAlias = int | Sequence[str] | None

_WORD = re.compile(r"\s*\S+\s*|\s+")


@dataclass(frozen=True)
class Block:
    """A content block: its start, its deltas, and the pause in seconds before each delta."""

    start: dict[str, Any]
    deltas: tuple[dict[str, Any], ...] = ()
    delay: float = 0.0


@dataclass(frozen=True)
class Pause:
    """A pause between two events, for `seconds` or until `event` is set; a disconnect ends it."""

    seconds: float = 0.0
    event: threading.Event | None = None
    mid_block: bool = False


@dataclass(frozen=True)
class Break:
    """The end of an incomplete reply: `cut` drops the connection, `hang` keeps it open and sends nothing."""

    kind: Literal["cut", "hang"]
    mid_block: bool = True


Step: TypeAlias = Block | Pause | Break


def split_text(text: str, pieces: Pieces = None) -> tuple[str, ...]:
    """Split a text into the pieces it is streamed in. Their concatenation is the text.

    Args:
        text: The whole text.
        pieces: `None` splits by word (whitespace stays with the word before it); a number makes that many
            nearly equal pieces (fewer if the text has fewer characters); a list is used unchanged.

    Raises:
        ValueError: The number is below 1, or the list does not join to `text`.

    Example:
        >>> split_text("one two ", 2)
        ('one ', 'two ')
    """
    if pieces is None:
        return tuple(_WORD.findall(text))
    if isinstance(pieces, int):
        if pieces < 1:
            raise ValueError(f"a text cannot be split into {pieces} pieces")
        count = min(pieces, len(text))
        cuts = [len(text) * i // count for i in range(count + 1)] if count else []
        return tuple(text[start:end] for start, end in itertools.pairwise(cuts))
    if "".join(pieces) != text:
        raise ValueError("the pieces do not join to the text")
    return tuple(pieces)
