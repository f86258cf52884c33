"""A terminal to look at: pyte's, with a scrollback, and lines that wrap and reflow as today they do."""

from __future__ import annotations

import re
from typing import Any

import pyte
from pyte.modes import DECAWM, LNM
from pyte.screens import Char, StaticDefaultDict

_WRAPPED = -1  # the column, in a row's cells, that says whether the row goes on in the next one
_MARK = Char("wrapped")
Row = dict[int, Char]


class Emulator(pyte.Screen):
    """A terminal's window and all that has scrolled out of it. Feed it what a program writes."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.scrollback: list[Row] = []
        self._drawing = False
        super().__init__(columns, lines)
        self.set_mode(LNM)  # a terminal driver makes CRLF of LF
        self._stream = pyte.Stream(self)

    def feed(self, written: str) -> None:
        """Take what a program wrote."""
        self._stream.feed(written)

    @property
    def wraps(self) -> bool:
        """Whether autowrap is on."""
        return DECAWM in self.mode

    def text(self) -> str:
        """All logical lines, without what is blank at their ends and at the end of all."""
        return "\n".join(line.rstrip() for line in self._logical(self._all())[0]).rstrip()

    def window(self) -> list[str]:
        """The rows that are seen."""
        return [_text(self.buffer[y], self.columns).rstrip() for y in range(self.lines)]

    # -- pyte's, changed --------------------------------------------------------------------------------

    def draw(self, data: str) -> None:
        """Draw, and know of it: a line feed in it is a wrap."""
        self._drawing = True
        for piece in re.split("([\u200b-\u200f\u2060\ufe00-\ufe0f])", data):
            before = self.cursor.x - 1
            if re.fullmatch("[\u200b-\u200f\u2060\ufe00-\ufe0f]", piece):  # where pyte stops
                row = self.buffer[self.cursor.y]
                while before > 0 and not row[before].data:
                    before -= 1
                row[before] = row[before]._replace(data=row[before].data + piece)
            elif piece:
                super().draw(piece)
        self._drawing = False

    def linefeed(self) -> None:
        """Note where a row goes on."""
        if self._drawing:
            self.buffer[self.cursor.y][_WRAPPED] = _MARK
        super().linefeed()

    def index(self) -> None:
        """Keep what scrolls out."""
        if self.cursor.y == self.lines - 1 and self.margins is None:
            self.scrollback.append(dict(self.buffer[0]))
        super().index()

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the window's size; lines are wrapped anew, and the cursor stays where it is in its line."""
        lines, columns = lines or self.lines, columns or self.columns
        if (lines, columns) == (self.lines, self.columns):
            return
        rows = self._all()[: max(len(self.scrollback) + self.cursor.y + 1, self._used())]
        logical, (at_line, at_column) = self._logical(rows, cells=True)
        wrapped: list[Row] = []
        cursor = 0
        for number, line in enumerate(logical):
            if number == at_line:
                cursor = len(wrapped) + at_column // columns
            wrapped += _wrap(line, columns)
        top = max(0, min(cursor, len(wrapped) - lines))
        self.scrollback = wrapped[:top]
        self.lines, self.columns = lines, columns
        self.buffer.clear()
        for y, row in enumerate(wrapped[top : top + lines]):
            self.buffer[y].update(row)
        self.cursor.y, self.cursor.x = cursor - top, at_column % columns
        self.dirty.update(range(lines))

    # -- rows and lines ---------------------------------------------------------------------------------

    def _all(self) -> list[Row]:
        return [*self.scrollback, *(self.buffer[y] for y in range(self.lines))]

    def _used(self) -> int:
        """How many rows there are, blank ones at the end not counted."""
        rows = self._all()
        while rows and not _text(rows[-1], self.columns).strip():
            rows.pop()
        return len(rows)

    def _logical(self, rows: list[Row], cells: bool = False) -> tuple[list[Any], tuple[int, int]]:
        """Join what was wrapped; say where in it the cursor is."""
        found: list[Any] = []
        cursor = (0, 0)
        going_on = False
        for number, row in enumerate(rows):
            piece: Any = _cells(row, self.columns) if cells else _text(row, self.columns)
            if going_on:
                before = len(found[-1])
                found[-1] = found[-1] + piece
            else:
                before = 0
                found.append(piece)
            if number == len(self.scrollback) + self.cursor.y:
                cursor = (len(found) - 1, before + self.cursor.x)
            going_on = row.get(_WRAPPED) == _MARK
        return found, cursor


def _cells(row: Row, columns: int) -> list[Char]:
    blank = Char(" ")
    return [row.get(x, blank) for x in range(columns)]


def _text(row: Row, columns: int) -> str:
    return "".join(cell.data for cell in _cells(row, columns))


def _wrap(cells: list[Char], columns: int) -> list[Row]:
    end = len(cells)
    while end and cells[end - 1].data == " ":
        end -= 1
    rows: list[Row] = []
    for start in range(0, max(end, 1), columns):
        row: Row = StaticDefaultDict(Char(" "))
        row.update(enumerate(cells[start : min(end, start + columns)]))
        if start + columns < end:
            row[_WRAPPED] = _MARK
        rows.append(row)
    return rows
