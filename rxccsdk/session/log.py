"""The chunks of a turn, kept for late subscribers, and the response they reduce to so far."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from rxccsdk.chunks import Chunk, SystemChunk
from rxccsdk.session.fold import ResponseFold
from rxccsdk.session.response import SessionResponse

_BATCH = 2048  # chunks that are reduced at once


class Log:
    """A list of chunks to append to, to read from any place, and to forget the beginning of.

    Places count from the turn's first chunk, whatever was forgotten. Chunks are kept as they are: a piece of
    text takes less than its line on the wire, and the garbage collector does not see it. Only the reports of
    the CLI on itself, one of which comes before each piece of thinking, are packed.

    It is appended to on one thread; others may ask for the response. The reduction is made only when somebody
    asks for it, or before chunks are forgotten.

    Attributes:
        lock: held while it changes, and by readers.
        start: the place of the first chunk that was not forgotten.
        length: the place after the last one.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.start = 0
        self.length = 0
        self._items: list[Any] = []
        self._packed = 0  # how many of them need no packing any more
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        self._fold: ResponseFold | None = None
        self._folded = 0

    def __len__(self) -> int:
        """Return the place after the last chunk."""
        return self.length

    def extend(self, chunks: Sequence[Chunk]) -> None:
        """Append chunks."""
        with self.lock:
            self._items.extend(chunks)
            self.length += len(chunks)

    def read(self, place: int, most: int) -> Sequence[Chunk]:
        """Return chunks from a place on: some, not more than asked for; none at the end only."""
        start = place - self.start
        items = self._items[start : start + most]
        if start < self._packed:
            return [item if item.__class__ is not tuple else item[0].unpack(item) for item in items]
        return items

    def pack(self) -> None:
        """Pack what was appended since the last call."""
        items = self._items
        with self.lock:
            for place in range(self._packed, len(items)):
                item = items[place]
                if item.__class__ is SystemChunk and item.raw is None:
                    items[place] = self._shape(item).pack(item)
            self._packed = len(items)

    def forget(self, place: int | None) -> None:
        """Drop what is before a place; all of it where that is `None`."""
        with self.lock:
            self._fold_up()
            dropped = (self.length if place is None else place) - self.start
            if dropped > 0:
                del self._items[:dropped]
                self.start += dropped
                self._packed = max(self._packed - dropped, 0)

    def response(self, backend: str | None, ended: tuple[str, str] | None) -> SessionResponse:
        """Return what the chunks reduce to so far.

        Args:
            backend: the SDK the prompt went through.
            ended: for a turn that ended without a result: the error kind, and the error in words.
        """
        with self.lock:
            fold = self._fold_up()
            fold.backend = backend
            return fold.response(ended=ended)

    def _fold_up(self) -> ResponseFold:
        fold = self._fold = self._fold or ResponseFold()
        while self._folded < self.length:
            chunks = self.read(self._folded, _BATCH)
            for chunk in chunks:
                fold.add(chunk)
            self._folded += len(chunks)
        return fold

    def _shape(self, chunk: SystemChunk) -> _Shape:
        key = (chunk.turn, chunk.agent, chunk.message_id, chunk.subtype, *chunk.data)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = _Shape(chunk)
        return shape


class _Shape:
    """What reports with the same fields have in common; the rest of each is packed into one tuple."""

    __slots__ = ("_fields", "_first")

    def __init__(self, first: SystemChunk) -> None:
        self._first = first
        self._fields = tuple(first.data)

    def pack(self, chunk: SystemChunk) -> tuple[Any, ...]:
        return (self, chunk.seq, chunk.at, *chunk.data.values())

    def unpack(self, packed: tuple[Any, ...]) -> SystemChunk:
        _, seq, at, *values = packed
        first = self._first
        data = dict(zip(self._fields, values, strict=True))
        return SystemChunk(
            first.subtype,
            data,
            turn=first.turn,
            seq=seq,
            at=at,
            agent=first.agent,
            message_id=first.message_id,
        )
