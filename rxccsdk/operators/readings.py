"""Values out of JSON text that is still being written."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from rxccsdk.operators.growing_json import JsonScan, JsonSearch

_M = TypeVar("_M")

# Read again only when the JSON has grown by this part of itself: all readings together stay linear.
_GROWTH = 16

# Up to this length it is also read at the end of each item of its array.
_EACH_ITEM = 16_384

# Nobody's text: a string that is valid with it at its end is free to grow.
_MORE = "\ue0ff"

_NOTHING: Any = object()


class Reading(Protocol[_M]):
    """Makes values of a text that comes in pieces.

    Attributes:
        cause: the exception behind the fault.
    """

    cause: Exception | None

    def feed(self, piece: str) -> list[_M]:
        """Append to the text; return what that makes."""

    def rest(self) -> list[_M]:
        """Return what was put off: no more text comes."""

    def fault(self) -> str | None:
        """Return why the text does not fit, if this is all of it; `None` where it does."""

    def replaces(self, before: Any, kept: int) -> None:
        """Leave out what another reading made of the first `kept` characters."""


class _Model(Generic[_M]):
    """Validates JSON, and explains what does not fit."""

    def __init__(self, adapter: TypeAdapter[_M]) -> None:
        self._adapter = adapter
        self.error: Exception | None = None

    def read(self, text: str) -> _M:
        """Return what the JSON makes, or `_NOTHING`; then `error` says why."""
        try:
            return self._adapter.validate_json(text)
        except Exception as error:  # a validator of the user's may raise anything at incomplete data
            self.error = error
            return _NOTHING  # type: ignore[no-any-return]

    def unfit(self) -> str:
        """Return why the last text was none."""
        return f"What the agent wrote does not fit: {self.error}"


class GrowingValue(Generic[_M]):
    """Reads one object or array again and again while it grows."""

    def __init__(self, adapter: TypeAdapter[_M]) -> None:
        self.cause: Exception | None = None
        self._model = _Model(adapter)
        self._search = JsonSearch()
        self._scan: JsonScan | None = None  # the value that is being read
        self._read_at = 0  # it is read again when it has this length
        self._safe = 1  # what was read of it without the string at its end; at 1 it is empty
        self._items_read = 0
        self._last: Any = _NOTHING
        self._fits = False
        self._unfit: tuple[int, str] | None = None  # the longest value that did not fit, and why

    def replaces(self, before: GrowingValue[_M], kept: int) -> None:
        self._last = before._last

    def feed(self, piece: str) -> list[_M]:
        if self._fits:
            return []
        self._search.feed(piece)
        while (scan := self._search.next()) is not None:
            if scan is not self._scan:
                self._scan, self._read_at, self._safe, self._items_read = scan, 0, 1, 0
            if scan.whole:
                value = self._model.read(self._search.text(0, scan.length))
                if value is not _NOTHING:
                    self._fits = True
                    return self._news(value)
                if self._unfit is None or scan.length > self._unfit[0]:
                    self._unfit, self.cause = (scan.length, self._model.unfit()), self._model.error
            elif not scan.broken:
                values = self._closed_items(scan)
                return values + (self._news(self._so_far(scan)) if scan.length >= self._read_at else [])
            self._search.leave()
        return []

    def _closed_items(self, scan: JsonScan) -> list[_M]:
        """Read up to the end of each item that has closed: what follows may not fit for a while."""
        values: list[_M] = []
        for _, end in scan.items[self._items_read :] if scan.length <= _EACH_ITEM else ():
            if end > self._safe:
                self._safe = end
                values += self._news(self._model.read(self._search.text(0, end) + scan.item_closers))
        self._items_read = len(scan.items)
        return values

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


class ArrayItems(Generic[_M]):
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

    def replaces(self, before: ArrayItems[_M], kept: int) -> None:
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
