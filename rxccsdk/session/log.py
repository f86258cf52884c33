"""What a turn has said, kept for those who come late, in little more than its words take.

A chunk takes twenty times the text of a short delta, and the garbage collector walks over each one that is
kept, again and again. So chunks that are alike are kept as what differs between them, and made into chunks
again, equal to those that passed, for who reads them later. Where many come at once there is a hurry, and
they are kept as they are; but not in a long turn.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Protocol

from rxccsdk.chunks import Chunk, Stretch, SystemChunk, TextChunk, ThinkingChunk, quick_constructor
from rxccsdk.session.stretch import text_of

_FEW = 4  # chunks that come one by one wait until they are as many: to fold one takes as long
_MANY = 32  # chunks that come together: they are kept as they are,
_LONG = 16_384  # but not from this place in the turn on
_WEAVE = 32_768  # chunks kept in one weave: a read counts from its beginning, and it is forgotten as one
_STRANDS = 256  # as many as a byte can tell apart


class Log:
    """A list of chunks to append to, to read on from any place, and to forget the beginning of.

    Places count from the turn's first chunk, whatever was forgotten.
    """

    def __init__(self) -> None:
        self._parts: list[Sequence[Chunk] | _Weave] = []
        self._starts: list[int] = []  # the place of each part's first chunk
        self._fresh = 0  # parts that came last and may yet be folded
        self._length = 0

    def __len__(self) -> int:
        """The place after the last chunk."""
        return self._length

    def extend(self, parts: Sequence[Sequence[Chunk]]) -> None:
        """Append chunks that arrived together, as `stretches` gives them. They are the log's from now on.

        They are kept as they are until `fold` is called, so that who waits for them need not wait for that.
        """
        for part in parts:
            self._append(part)
        self._fresh += len(parts)

    def read(self, place: int, most: int) -> Sequence[Chunk]:
        """Give the chunks from a place on: some, not more than asked for; none at the end only.

        They are the log's; where all of them are pieces of one block, they may be a `Stretch`.
        """
        if place >= self._length:
            return ()
        number = bisect_right(self._starts, place) - 1
        part, start = self._parts[number], place - self._starts[number]
        if isinstance(part, _Weave):
            return part.read(start, most)
        if start == 0 and len(part) <= most:
            return part
        chunks = part[start : start + most]
        return Stretch(chunks) if isinstance(part, Stretch) else chunks

    def forget(self, place: int) -> None:
        """Drop what is before this place, or not much more than it."""
        whole = bisect_right(self._starts, place) - 1  # a part that is still read from stays
        if place >= self._length:
            whole = len(self._parts)
        if whole > 0:
            del self._parts[:whole], self._starts[:whole]
            self._fresh = min(self._fresh, len(self._parts))

    def _append(self, part: Sequence[Chunk] | _Weave) -> None:
        self._parts.append(part)
        self._starts.append(self._length)
        self._length += len(part)

    def fold(self) -> None:
        """Fold what came since the last call, where that is worth its time."""
        if not self._fresh:
            return
        count, start = self._fresh, self._starts[-self._fresh]
        came = self._length - start
        if came < _FEW:
            return
        self._fresh = 0
        if came >= _MANY and start < _LONG:
            return
        fresh: list[Any] = self._parts[-count:]
        if came < _MANY:
            fresh = [[*chain.from_iterable(fresh)]]
        del self._parts[-count:], self._starts[-count:]
        self._length = start
        for chunks in fresh:
            at = 0
            while at < len(chunks):
                weave = self._parts[-1] if self._parts else None
                if not isinstance(weave, _Weave) or weave.full:
                    self._append(weave := _Weave())
                taken = weave.take(chunks, at)
                self._length += taken
                at += taken


class _Weave:
    """Chunks in their order, and the alike among them together.

    Alike chunks need not follow each other: the CLI counts tokens between any two pieces of thinking, and a
    sub-agent's words may come between the main agent's.
    """

    def __init__(self) -> None:
        self._order = bytearray()  # which strand each chunk is in
        self._strands: list[_Strand] = [_Odd()]
        self._like: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    @property
    def full(self) -> bool:
        """Whether this one should take no more."""
        return len(self._order) >= _WEAVE or len(self._strands) == _STRANDS

    def take(self, chunks: Sequence[Chunk], at: int) -> int:
        """Take chunks from there on, until full; say how many."""
        before = len(self._order)
        while at < len(chunks) and not self.full:
            number = self._strand_for(chunks[at])
            taken = self._strands[number].take(chunks, at)
            self._order += number.to_bytes(1, "big") * taken
            at += taken
        return len(self._order) - before

    def read(self, start: int, most: int) -> list[Chunk]:
        """Give chunks from a place on."""
        order = self._order[start : start + most]
        strands = {
            number: self._strands[number].read(self._order.count(number, 0, start), order.count(number))
            for number in set(order)
        }
        if len(strands) == 1 and isinstance(self._strands[order[0]], _Pieces):
            return Stretch(strands[order[0]])
        return [next(strands[number]) for number in order]

    def _strand_for(self, chunk: Chunk) -> int:
        kind, key = type(chunk), _likeness(chunk)
        if key is None:
            return 0
        number = self._like.get(key)
        if number is None:
            number = self._like[key] = len(self._strands)
            self._strands.append(_Pieces(chunk) if kind is not SystemChunk else _Reports(chunk))
        return number


class _Strand(Protocol):
    """Chunks that are alike, in their order."""

    def take(self, chunks: Sequence[Any], start: int) -> int:
        """Take the chunks from there on that are alike, one at least; say how many."""

    def read(self, start: int, count: int) -> Iterator[Chunk]:
        """Give as many from there on."""


class _Pieces:
    """Pieces of one block: only their words differ."""

    __slots__ = ("_ats", "_construct", "_first", "_seqs", "_texts")

    def __init__(self, first: Any) -> None:
        self._first = first
        self._construct = _PIECE[type(first)]
        self._texts: list[str] = []
        self._seqs, self._ats = array("q"), array("d")

    def take(self, chunks: Sequence[Any], start: int) -> int:
        first = self._first
        kind, block, turn = first.__class__, first.block, first.turn
        agent, message_id = first.agent, first.message_id
        texts, seqs, ats = self._texts, self._seqs, self._ats
        before = len(texts)
        if isinstance(chunks, Stretch) and start == 0:
            texts.extend(map(text_of, chunks))
            seqs.extend(map(_seq_of, chunks))
            ats.extend(map(_at_of, chunks))
            return len(chunks)
        for chunk in islice(chunks, start, None):
            if (
                chunk.__class__ is not kind
                or chunk.block != block
                or chunk.turn != turn
                or chunk.agent != agent
                or chunk.message_id != message_id
                or chunk.raw is not None
            ):
                break
            texts.append(chunk.text)
            seqs.append(chunk.seq)
            ats.append(chunk.at)
        return len(texts) - before

    def read(self, start: int, count: int) -> Iterator[Chunk]:
        first, construct = self._first, self._construct
        turn, agent, message_id, block = first.turn, first.agent, first.message_id, first.block
        for n in range(start, start + count):
            yield construct(turn, self._seqs[n], self._ats[n], agent, message_id, None, self._texts[n], block)


class _Reports:
    """What the CLI says of itself again and again: frames of the same fields."""

    __slots__ = ("_ats", "_fields", "_first", "_seqs", "_values")

    def __init__(self, first: Any) -> None:
        self._first = first
        self._fields = tuple(first.data)
        self._values: list[Any] = []  # of all of them, frame after frame
        self._seqs, self._ats = array("q"), array("d")

    def take(self, chunks: Sequence[Any], start: int) -> int:
        self._values += chunks[start].data.values()
        self._seqs.append(chunks[start].seq)
        self._ats.append(chunks[start].at)
        return 1  # other chunks come between them

    def read(self, start: int, count: int) -> Iterator[Chunk]:
        first, fields, values = self._first, self._fields, self._values
        turn, agent, message_id, subtype = first.turn, first.agent, first.message_id, first.subtype
        size = len(fields)
        for n in range(start, start + count):
            data = dict(zip(fields, values[n * size : (n + 1) * size], strict=True))
            yield _report(turn, self._seqs[n], self._ats[n], agent, message_id, None, subtype, data)


class _Odd:
    """Chunks that are like no other, as they are."""

    __slots__ = ("_chunks",)

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []

    def take(self, chunks: Sequence[Chunk], start: int) -> int:
        self._chunks.append(chunks[start])
        return 1

    def read(self, start: int, count: int) -> Iterator[Chunk]:
        return islice(self._chunks, start, start + count)


_seq_of, _at_of = attrgetter("seq"), attrgetter("at")
_PIECE = {kind: quick_constructor(kind) for kind in (TextChunk, ThinkingChunk)}
_report = quick_constructor(SystemChunk)


def _likeness(chunk: Chunk) -> Hashable | None:
    """What alike chunks have in common; `None` for those that are like no other."""
    if chunk.raw is not None:
        return None
    shared = (type(chunk), chunk.turn, chunk.agent, chunk.message_id)
    if isinstance(chunk, TextChunk | ThinkingChunk):
        return (*shared, chunk.block)
    if isinstance(chunk, SystemChunk):
        return (*shared, chunk.subtype, *chunk.data)
    return None
