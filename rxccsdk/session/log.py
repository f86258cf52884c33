"""What a turn has said, kept for those who come late, in little more than its words take.

A chunk takes twenty times the text of a short delta, and the garbage collector walks over each one that is
kept, again and again. So the pieces of a block are kept as what differs between them, and made into chunks
again, equal to those that passed, for who reads them later.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from rxccsdk.chunks import Chunk, TextChunk, ThinkingChunk, quick_constructor

_CONSTRUCT: dict[type, Callable[..., Chunk]] = {
    TextChunk: quick_constructor(TextChunk),
    ThinkingChunk: quick_constructor(ThinkingChunk),
}


class Log:
    """A list of chunks to append to, to read on from any place, and to forget the beginning of.

    Places count from the turn's first chunk, whatever was forgotten.
    """

    def __init__(self) -> None:
        self._parts: list[list[Chunk] | _Run] = []
        self._starts: list[int] = []  # the place of each part's first chunk
        self._fresh: list[Chunk] = []  # what came last: most who read are there
        self._fresh_start = 0

    def __len__(self) -> int:
        """The place after the last chunk."""
        return self._fresh_start + len(self._fresh)

    def extend(self, chunks: Sequence[Chunk]) -> None:
        """Append chunks that arrived together."""
        self._keep_fresh()
        self._fresh = list(chunks)

    def read(self, place: int, most: int) -> list[Chunk]:
        """Give the chunks from a place on: some, not more than asked for; none at the end only."""
        if place >= self._fresh_start:
            start = place - self._fresh_start
            return self._fresh[start : start + most]
        part = bisect_right(self._starts, place) - 1
        start = place - self._starts[part]
        return self._parts[part][start : start + most]

    def forget(self, place: int) -> None:
        """Drop what is before this place, or not much more than it."""
        if place >= len(self):
            self._fresh_start = len(self)
            self._fresh, self._parts, self._starts = [], [], []
            return
        whole = bisect_right(self._starts, place) - 1  # a part that is still read from stays
        if whole > 0:
            del self._parts[:whole], self._starts[:whole]

    def _keep_fresh(self) -> None:
        last = self._parts[-1] if self._parts else None
        for place, chunk in enumerate(self._fresh, self._fresh_start):
            if isinstance(last, _Run) and last.take(chunk):
                continue
            if type(chunk) in _CONSTRUCT and chunk.raw is None:
                last = _Run(chunk)
            elif isinstance(last, list):
                last.append(chunk)
                continue
            else:
                last = [chunk]
            self._parts.append(last)
            self._starts.append(place)
        self._fresh_start += len(self._fresh)
        self._fresh = []


class _Run:
    """Pieces of one block that follow each other."""

    __slots__ = ("_ats", "_first", "_next", "_texts")

    def __init__(self, first: Any) -> None:
        self._first = first
        self._texts: list[str] = [first.text]
        self._ats = array("d", (first.at,))
        self._next: int = first.seq + 1

    def take(self, chunk: Any) -> bool:
        """Take a chunk if it is the next piece; say whether it is."""
        first = self._first
        if (
            chunk.seq != self._next
            or chunk.__class__ is not first.__class__
            or chunk.block != first.block
            or chunk.agent != first.agent
            or chunk.message_id != first.message_id
            or chunk.turn != first.turn
            or chunk.raw is not None
        ):
            return False
        self._texts.append(chunk.text)
        self._ats.append(chunk.at)
        self._next += 1
        return True

    def __getitem__(self, places: slice) -> list[Chunk]:
        first = self._first
        construct = _CONSTRUCT[type(first)]
        start, stop, _ = places.indices(len(self._texts))
        return [
            construct(
                first.turn,
                first.seq + n,
                self._ats[n],
                first.agent,
                first.message_id,
                None,
                self._texts[n],
                first.block,
            )
            for n in range(start, stop)
        ]
