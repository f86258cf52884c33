"""What a turn has said, kept for those who come late, in little more than its words take.

A chunk takes twenty times the text of a short delta, and the garbage collector walks over each one that is
kept, again and again. So in a long turn the pieces of a block are kept as what differs between them, and made
into chunks again, equal to those that passed, for who reads them later. Up to some length that is not worth
its time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, cast

from rxccsdk.chunks import Chunk, TextChunk, ThinkingChunk, quick_constructor

_CONSTRUCT: dict[type, Callable[..., Chunk]] = {
    TextChunk: quick_constructor(TextChunk),
    ThinkingChunk: quick_constructor(ThinkingChunk),
}


_LONG = 16_384  # chunks: as many are kept as they are


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
        fresh, self._fresh = self._fresh, []
        at = 0
        if self._fresh_start < _LONG:
            if not self._parts:
                self._begin([], 0)
            cast("list[Chunk]", self._parts[-1]).extend(fresh)
            at = len(fresh)
        while at < len(fresh):
            last = self._parts[-1] if self._parts else None
            taken = last.take(fresh, at) if isinstance(last, _Run) else 0
            if taken:
                at += taken
                continue
            chunk = fresh[at]
            if type(chunk) in _CONSTRUCT and chunk.raw is None:
                self._begin(_Run(chunk), at)
            elif isinstance(last, list):
                last.append(chunk)
            else:
                self._begin([chunk], at)
            at += 1
        self._fresh_start += len(fresh)

    def _begin(self, part: list[Chunk] | _Run, at: int) -> None:
        self._parts.append(part)
        self._starts.append(self._fresh_start + at)


class _Run:
    """Pieces of one block that follow each other."""

    __slots__ = ("_ats", "_first", "_next", "_texts")

    def __init__(self, first: Any) -> None:
        self._first = first
        self._texts: list[str] = [first.text]
        self._ats = array("d", (first.at,))
        self._next: int = first.seq + 1

    def take(self, chunks: Sequence[Any], start: int) -> int:
        """Take the chunks from there on that are the next pieces; say how many."""
        first = self._first
        kind, block, turn = first.__class__, first.block, first.turn
        agent, message_id = first.agent, first.message_id
        texts, ats, seq = self._texts, self._ats, self._next
        for at in range(start, len(chunks)):
            chunk = chunks[at]
            if (
                chunk.seq != seq
                or chunk.__class__ is not kind
                or chunk.block != block
                or chunk.turn != turn
                or chunk.agent != agent
                or chunk.message_id != message_id
                or chunk.raw is not None
            ):
                break
            texts.append(chunk.text)
            ats.append(chunk.at)
            seq += 1
        taken, self._next = seq - self._next, seq
        return taken

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
