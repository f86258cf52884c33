"""Pieces of one block that came one after the other: what is asked of one of them holds for all.

A block streams in pieces by the ten thousand, which differ in their words and places only. Whose they are and
of which block is asked once for a stretch of them, where it arrives; no stage asks it again for each piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from rxccsdk.chunks import Chunk, Stretch, TextChunk, ThinkingChunk, ToolInputChunk

PIECES = (TextChunk, ThinkingChunk, ToolInputChunk)
text_of = attrgetter("text")


class Alike:
    """Pieces of one block on their way through the stages of a pipe.

    Attributes:
        first: one of them, to ask what they are. It may have passed already.
        items: the pieces that come, each when it is asked for.
        unseen: no stage has had to do with them yet: nobody can tell when all are asked for at once.
    """

    __slots__ = ("first", "items", "unseen")

    def __init__(self, first: Any, items: Iterable[Any], *, unseen: bool = False) -> None:
        self.first = first
        self.items = items
        self.unseen = unseen

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def none_of(pieces: Iterable[Any]) -> tuple[()]:
    """Let them come, and give none of them on."""
    deque(pieces, maxlen=0)
    return ()


def stretches(chunks: Sequence[Any]) -> list[Sequence[Chunk]]:
    """Cut chunks that arrived together into stretches, and what lies between these."""
    if len(chunks) < Stretch.LEAST or isinstance(chunks, Stretch):
        return [chunks] if chunks else []
    parts: list[Sequence[Chunk]] = []
    kind: Any = None
    block = agent = message = turn = raw = None
    told = begun = 0  # where what is not in a part yet begins, and the pieces that are alike

    def end(at: int) -> None:
        nonlocal told
        if kind is not None and at - begun >= Stretch.LEAST:
            if told < begun:
                parts.append(chunks[told:begun])
            parts.append(Stretch(chunks[begun:at]))
            told = at

    for at, piece in enumerate(chunks):
        if (
            piece.__class__ is kind
            and piece.block is block
            and piece.message_id is message
            and piece.agent is agent
            and piece.turn is turn
            and piece.raw is raw
        ):
            continue
        end(at)
        begun, kind = at, None
        if isinstance(piece, PIECES):
            kind, block, message = piece.__class__, piece.block, piece.message_id
            agent, turn, raw = piece.agent, piece.turn, piece.raw
    end(len(chunks))
    if told < len(chunks):
        parts.append(chunks[told:])
    return parts
