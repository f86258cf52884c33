"""Data out of what the agent writes, while it still writes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter
from reactivex import Observable, abc

from rxccsdk.chunks import Chunk, RetractedChunk, TextChunk, ToolInputChunk, ToolUseChunk
from rxccsdk.errors import StructureError
from rxccsdk.operators.core import Sink, Stage
from rxccsdk.operators.growing_json import JsonScan, JsonSearch
from rxccsdk.operators.reduce import turn_of
from rxccsdk.session.flow import Inlet
from rxccsdk.session.prose import Pieces

_M = TypeVar("_M")
_M_co = TypeVar("_M_co", covariant=True)

# Read again only when the JSON has grown by this part of itself: all readings together stay linear.
_GROWTH = 16

# Nobody's text: a string that is valid with it at its end is free to grow.
_MORE = "\ue0ff"

_NOTHING: Any = object()


class Structuring(Protocol[_M_co]):
    """An operator that reads chunks or text. A protocol, because mypy infers no alias inside a pipe."""

    def __call__(self, source: Observable[Chunk] | Observable[str], /) -> Observable[_M_co]: ...


def parse_json(model: type[_M] | TypeAdapter[_M], tool: str | None = None) -> Structuring[_M]:
    r"""Give ever more complete instances of a model while the agent writes its JSON.

        T'{"city": "Par'   T'is", "sq'   T'km": 105'   T'.4}'   |
        M(city="Par")      M(city="Paris")             M(city="Paris", sqkm=105.4) |

    Every instance is validated; nothing comes before the required fields are there. Until the end each one
    goes on from the one before: a string grows where any string would be valid, so that a date or a
    `Literal` comes when it is whole; a number or literal comes when it cannot grow any more. The last one is
    the whole JSON, validated. Of a long JSON not every piece gives an instance, so that the work stays in
    proportion to its length.

    The JSON may stand in prose or in a code fence. It is the first object or array of the text that fits the
    model. With `tool` it is the input of the first call that fits: a call that does not is answered with an
    error and made again. Where an instance was given of what then does not fit after all, the next value
    starts over. The main agent's text, or its calls, are read. Works on `str` streams too.

    Args:
        model: a pydantic model, dataclass, `TypedDict` or `list[...]`, or a `TypeAdapter` of any of these.
        tool: read the input of this tool instead of the text.

    Fails with `StructureError`, which has the text, where nothing fits. That is known at the end of the
    source, not before: what does not fit may yet be taken back.

    At a `RetractedChunk`: where it takes back text or input that was read, it starts over with what stands.

    Example:
        >>> import reactivex as rx
        >>> from pydantic import BaseModel
        >>> class City(BaseModel):
        ...     name: str
        ...     people: int | None = None
        >>> pieces = rx.of('Here: {"name": "Pa', 'ris", "peo', 'ple": 21', '03} Voila.')
        >>> pieces.pipe(parse_json(City)).subscribe(print).dispose()
        name='Pa' people=None
        name='Paris' people=None
        name='Paris' people=2103
    """
    adapter = _adapter(model)

    def operator(source: Observable[Chunk] | Observable[str]) -> Observable[_M]:
        def wrap(following: Inlet, scheduler: abc.SchedulerBase | None) -> Sink:
            return _sink(source, following, tool, lambda: _Growing(adapter))

        return Stage(source, wrap)

    return operator


def elements(model: type[_M] | TypeAdapter[_M]) -> Structuring[_M]:
    r"""Give each item of a JSON array, validated, as soon as it is complete.

        T'[{"n": 1}, {"'   T'n": 2}'   T']'   |
        M(n=1)             M(n=2)             |

    The array may stand in prose, in a code fence or in an object: it is the first array of the text's first
    JSON that has one, if its first item fits. The main agent's text is read. Works on `str` streams too.

    Args:
        model: of one item: a pydantic model, dataclass, `TypedDict` or other type, or a `TypeAdapter`.

    Fails with `StructureError`, which has the text, where an item does not fit, the array is not complete,
    or there is none. That is known at the end of the source, not before: it may yet be taken back.

    At a `RetractedChunk`: where it takes back text that was read, it starts over with what stands; items that
    stand are not given again, items of what replaces the text are.

    Example:
        >>> import reactivex as rx
        >>> rx.of('The primes: [2, 3', ', 5] and so', ' on.').pipe(elements(int)).subscribe(print).dispose()
        2
        3
        5
    """
    adapter = _adapter(model)

    def operator(source: Observable[Chunk] | Observable[str]) -> Observable[_M]:
        def wrap(following: Inlet, scheduler: abc.SchedulerBase | None) -> Sink:
            return _sink(source, following, None, lambda: _Items(adapter))

        return Stage(source, wrap)

    return operator


def _adapter(model: Any) -> TypeAdapter[Any]:
    return model if isinstance(model, TypeAdapter) else TypeAdapter(model)


class _Reading(Protocol[_M]):
    """Makes values of a text that comes in pieces.

    Attributes:
        cause: the exception behind the fault.
    """

    cause: Exception | None

    def feed(self, piece: str) -> list[_M]:
        """Append to the text; give what that makes."""

    def rest(self) -> list[_M]:
        """No more text comes: give what was put off."""

    def fault(self) -> str | None:
        """Why the text does not fit, if this is all of it; `None` where it does."""

    def replaces(self, before: Any, kept: int) -> None:
        """Give nothing again of what another reading made of the first `kept` characters."""


def _sink(
    source: Observable[Any],
    following: Inlet,
    tool: str | None,
    begin: Callable[[], _Reading[_M]],
) -> Sink:
    """Feed what is written to a reading; begin a new one where something of it is taken back."""
    text = _Written() if tool is None else _Called(tool)
    reading = begin()

    def flow(items: Iterable[Any]) -> Iterator[_M]:
        nonlocal reading
        for item in items:
            if isinstance(item, RetractedChunk):
                kept = text.retract(item)
                if kept is not None:
                    before, reading = reading, begin()
                    reading.replaces(before, kept)
                    yield from reading.feed("".join(text.pieces))
                continue
            if text.begins_anew(item) and reading.fault() is not None:
                text.clear()
                reading = begin()
            piece = text.take(item)
            if piece:
                yield from reading.feed(piece)

    def on_completed() -> None:
        fault = reading.fault()
        if fault is None:
            following.on_completed()
        else:
            following.on_error(_error(fault))

    def _error(fault: str) -> StructureError:
        turn = turn_of(source)
        partial = turn.response if turn is not None else None
        error = StructureError(fault, text="".join(text.pieces), partial=partial)
        error.__cause__ = reading.cause
        return error

    return Sink(flow, lambda: reading.rest(), None, on_completed)


class _Written:
    """The main agent's text, so that blocks of it can be taken back."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._blocks: list[tuple[int | None, int | None]] = []  # the turn and block of each piece
        self._prose = Pieces()

    def take(self, item: Any) -> str:
        """Give what an item brings."""
        if isinstance(item, str):
            piece: str | None = item
        else:
            piece = self._prose.of(item)
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
        """Take blocks back; say how many characters before them stand, or `None` where none was of here."""
        self._prose.of(chunk)
        gone = {(chunk.turn, block) for block in chunk.blocks}
        if gone.isdisjoint(self._blocks):
            return None
        first = next(place for place, block in enumerate(self._blocks) if block in gone)
        kept = sum(map(len, self.pieces[:first]))
        stands = [place for place, block in enumerate(self._blocks) if block not in gone]
        self.pieces = [self.pieces[place] for place in stands]
        self._blocks = [self._blocks[place] for place in stands]
        return kept


class _Called:
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
        """Give what an item brings: a piece of the input, or where there were none, all of it."""
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
        those who came late, that one may."""
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


class _Model(Generic[_M]):
    """Validates JSON, and says in words what does not fit."""

    def __init__(self, adapter: TypeAdapter[_M]) -> None:
        self._adapter = adapter
        self.error: Exception | None = None

    def read(self, text: str) -> _M:
        """Give what the JSON makes, or `_NOTHING`, and then `error` says why."""
        try:
            return self._adapter.validate_json(text)
        except Exception as error:  # a validator of the user's may raise anything at incomplete data
            self.error = error
            return _NOTHING  # type: ignore[no-any-return]

    def unfit(self) -> str:
        """Why the last text was no such thing."""
        return f"What the agent wrote does not fit: {self.error}"


class _Growing(Generic[_M]):
    """Reads one object or array again and again while it grows."""

    def __init__(self, adapter: TypeAdapter[_M]) -> None:
        self.cause: Exception | None = None
        self._model = _Model(adapter)
        self._search = JsonSearch()
        self._scan: JsonScan | None = None  # the value that is being read
        self._read_at = 0  # it is read again when it has this length
        self._safe = 1  # what was read of it without the string at its end; at 1 it is empty
        self._last: Any = _NOTHING
        self._fits = False
        self._unfit: tuple[int, str] | None = None  # the longest value that did not fit, and why

    def replaces(self, before: _Growing[_M], kept: int) -> None:
        self._last = before._last

    def feed(self, piece: str) -> list[_M]:
        if self._fits:
            return []
        self._search.feed(piece)
        while (scan := self._search.next()) is not None:
            if scan is not self._scan:
                self._scan, self._read_at, self._safe = scan, 0, 1
            if scan.whole:
                value = self._model.read(self._search.text(0, scan.length))
                if value is not _NOTHING:
                    self._fits = True
                    return self._news(value)
                if self._unfit is None or scan.length > self._unfit[0]:
                    self._unfit, self.cause = (scan.length, self._model.unfit()), self._model.error
            elif not scan.broken:
                return self._news(self._so_far(scan)) if scan.length >= self._read_at else []
            self._search.leave()
        return []

    def _so_far(self, scan: JsonScan) -> _M:
        """Read what there is, closed."""
        self._read_at = scan.length + 1 + scan.length // _GROWTH
        closers = scan.closers
        if scan.string >= 0:
            begun = self._search.text(0, scan.shown)
            value = self._model.read(f'{begun}"{closers}')
            if value is not _NOTHING:
                longer = self._model.read(f'{begun}{_MORE}"{closers}')
                # Where a longer string gives the same, the string is none of the model's own, or is made
                # something else of, which may change when it is whole.
                if longer is not _NOTHING and longer != value:
                    self._safe = scan.safe
                    return value
        if scan.safe <= self._safe:
            return _NOTHING  # type: ignore[no-any-return]
        self._safe = scan.safe
        return self._model.read(self._search.text(0, scan.safe) + closers)

    def _news(self, value: _M) -> list[_M]:
        if value is _NOTHING:
            return []
        if self._last is not _NOTHING and self._last == value:
            return []
        self._last = value
        return [value]

    def rest(self) -> list[_M]:
        scan = self._search.scan
        return [] if scan is None or self._fits else self._news(self._so_far(scan))

    def fault(self) -> str | None:
        if self._fits:
            return None
        if self._search.scan is not None:
            return "The JSON that the agent wrote is not complete."
        return self._unfit[1] if self._unfit is not None else "There is no JSON in what the agent wrote."


class _Items(Generic[_M]):
    """Reads the items of one array."""

    def __init__(self, adapter: TypeAdapter[_M]) -> None:
        self.cause: Exception | None = None
        self._model = _Model(adapter)
        self._search = JsonSearch()
        self._refused: JsonScan | None = None  # a value whose first item does not fit: it is another array
        self._ends: list[int] = []  # from where in the text on each item is beyond doubt
        self._already = 0  # so many were given before
        self._whole = self._empty = False
        self._fault: str | None = None

    def replaces(self, before: _Items[_M], kept: int) -> None:
        self._already = sum(end <= kept for end in before._ends)

    def feed(self, piece: str) -> list[_M]:
        if self._whole or (self._fault is not None and self._ends):
            return []
        self._search.feed(piece)
        items: list[_M] = []
        while (scan := self._search.next()) is not None:
            if scan is not self._refused:
                self._read(scan, items)
            if self._ends:
                if self._fault is None and scan.broken and not scan.array_whole:
                    self._fault = f"The array is no JSON after item {len(self._ends)}."
                self._whole = scan.array_whole and self._fault is None
                return items
            if not scan.whole and not scan.broken:
                return items
            self._empty = self._empty or (scan.array_whole and scan is not self._refused)
            self._search.leave()
        return items

    def _read(self, scan: JsonScan, items: list[_M]) -> None:
        complete, scan.items = scan.items, []
        for start, end in complete:
            text = self._search.text(start, end)
            value = self._model.read(text)
            if value is _NOTHING:
                self._fault = f"Item {len(self._ends) + 1}: {self._model.unfit()}"
                self.cause = self._model.error
                if not self._ends:
                    self._refused = scan
                return
            if not self._ends:
                self._fault = self.cause = None  # of arrays that were others
            # A number is beyond doubt only with what follows it.
            self._ends.append(self._search.start + end + (text[-1] not in '"]}'))
            if len(self._ends) > self._already:
                items.append(value)
        if complete and self._ends:
            self._search.forget(self._search.start + complete[-1][1])

    def rest(self) -> list[_M]:
        return []

    def fault(self) -> str | None:
        if self._whole or (self._empty and not self._ends):
            return None
        if self._fault is not None:
            return self._fault
        if self._ends or (self._search.scan is not None and self._search.scan.has_array):
            return f"The array is not complete: it breaks off after item {len(self._ends)}."
        return "There is no JSON array in what the agent wrote."
