"""Fenced code in Markdown that is still being written, by CommonMark's rules, lists and quotes included."""

from __future__ import annotations

import re
from copy import copy
from typing import Literal, NamedTuple

Event = tuple[Literal["open", "code", "close"], str]
"""A block opens (with its info string), goes on (with code) or closes."""

_LINES = re.compile(r"\r\n|\r|\n|[^\r\n]+")
_OPENING = re.compile(r"( {0,3})(?:(`{3,})([^`]*)|(~{3,})(.*))")
_QUOTE = re.compile(r" {0,3}>")
_ITEM = re.compile(r" {0,3}(?:[-+*]|\d{1,9}[.)])(?=[ \t]|$)")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*")

_HEADING = r" {0,3}#{1,6}(?:[ \t]|$)"
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(rf"{_HEADING}|{_RULE.pattern}$")
# What ends a paragraph by beginning, also where a lazy line could go on with it.
_INTERRUPTS = re.compile(
    rf"{_HEADING}|{_RULE.pattern}$| {{0,3}}(?:>|[-+*][ \t]+[^ \t]|1[.)][ \t]+[^ \t]|`{{3,}}[^`]*$|~{{3,}})"
)

# A line of nothing but these may yet turn out to close a block.
_UNDECIDED = " \t>`~"


class Seam(NamedTuple):
    """What makes two whole blocks of an open one, where its text is cut.

    Attributes:
        closing: the line that closes it before the cut, without a line end.
        opening: what opens it again after the cut, the beginning of a line that was cut included.
    """

    closing: str
    opening: str


class Fences:
    """Reads Markdown in pieces of any size, and reports its fenced code.

    Code is reported as soon as its line cannot be the closing fence any more. Fences and the indentation of
    the opening one are left out, as is what lists and quotes put before a line; line ends stay as they are.
    """

    def __init__(self) -> None:
        self._line: list[str] = []  # the line that is read, as long as it is not known to be code
        self._is_code = False  # it is
        self._return = ""  # a carriage return at the end of a piece: a newline may follow
        self._inside: list[int] = []  # the lists and quotes around: an item's width, 0 for a quote
        self._around: list[int] = []  # those around the open block
        self._in_paragraph = False  # the line before may go on in the next one
        self._fence = ""  # the fence of the open block
        self._info = ""  # its info string
        self._indent = 0  # and its indentation
        self._code: list[str] = []
        self._events: list[Event] = []

    @property
    def is_open(self) -> bool:
        """Whether a block is open."""
        return bool(self._fence)

    def feed(self, text: str) -> list[Event]:
        """Read on."""
        if not self._return and "\n" not in text and "\r" not in text:
            if text:
                self._part(text)  # the most common by far: part of a line
        else:
            self._lines(text)
        return self._report()

    def _lines(self, text: str) -> None:
        text = self._return + text
        self._return = "\r" if text.endswith("\r") else ""
        for match in _LINES.finditer(text, 0, len(text) - len(self._return)):
            self._part(match.group())

    def copy(self) -> Fences:
        """Return another reader that is as far as this one."""
        other = copy(self)
        for name in ("_line", "_inside", "_around", "_code", "_events"):
            setattr(other, name, getattr(self, name)[:])
        return other

    def cut(self) -> Seam | None:
        """Note that the text is cut here; return what the cut takes where a block is open."""
        if self._return:  # no newline follows it, or it would not be cut here
            self._part(self._return)
            self._return = ""
        if not self._fence:
            return None
        before = "".join(" " * width or "> " for width in self._around)
        # Four columns and more would be indented code: lists that deep are begun again.
        begins = before if _width(before, 0) < 4 else "".join(map(_mark, self._around))
        line = f"{before}{' ' * self._indent}" if self._line or self._is_code else ""
        opening = f"{begins}{' ' * self._indent}{self._fence}{self._info}\n{line}"
        return Seam(f"{before}{self._fence}", opening)

    def end(self) -> list[Event]:
        """End the text: what is open closes."""
        if self._return:
            self._part(self._return)
        if self._line:
            self._line_ends()
        if self._fence:
            self._close()
        return self._report()

    def _report(self) -> list[Event]:
        if not self._code and not self._events:
            return []
        self._report_code()
        events, self._events = self._events, []
        return events

    def _report_code(self) -> None:
        if self._code:
            self._events.append(("code", "".join(self._code)))
            self._code.clear()

    def _part(self, part: str) -> None:
        """Take a part of a line, or a line's end."""
        if part[0] in "\r\n":
            self._line_ends(part)
        elif self._is_code:
            self._code.append(part)
        else:
            self._line.append(part)
            if self._fence and part.strip(_UNDECIDED):
                self._begin_code("".join(self._line))

    def _line_ends(self, ending: str = "") -> None:
        line = "".join(self._line)
        if not self._is_code and self._fence and not self._closes(line):
            self._begin_code(line)
        if self._is_code:
            self._code.append(ending)
        elif self._fence:
            self._close()
        else:
            self._read_prose("".join(self._line))
        self._line.clear()
        self._is_code = False

    def _closes(self, line: str) -> bool:
        """Whether a whole line is the closing fence."""
        rest, matched, column = _without(self._around, line)
        return matched == len(self._around) and closes(self._fence, _spaced(rest, column))

    def _begin_code(self, line: str) -> None:
        """Take the beginning of a line that does not close the block, unless it is outside the block's list
        or quote: then that has closed the block."""
        rest, matched, column = _without(self._around, line)
        if matched < len(self._around):
            self._close()
        else:
            self._code.append(_unindented(rest, self._indent, column)[0])
            self._line.clear()
            self._is_code = True

    def _close(self) -> None:
        self._report_code()
        self._events.append(("close", ""))
        self._fence = ""

    def _read_prose(self, line: str) -> None:
        """Take a line that is no code: lists and quotes begin and end there, and code may begin."""
        rest, matched, column = _without(self._inside, line)
        rest = _spaced(rest, column)
        if (
            matched < len(self._inside)
            and self._in_paragraph
            and not (_INTERRUPTS.match(rest) or _ITEM.match(rest))
        ):
            self._in_paragraph = bool(rest.strip(" \t"))
            if self._in_paragraph:
                return  # a lazy line: it goes on with the paragraph, inside of what it has no marks of
        if matched < len(self._inside):
            del self._inside[matched:]
            self._in_paragraph = False
        while _width(rest, column) < 4 and not _RULE.fullmatch(rest):
            if quote := _QUOTE.match(rest):
                self._inside.append(0)
                rest, column = _after_quote(rest, column, quote.end())
            elif (item := _ITEM.match(rest)) and not (self._in_paragraph and not _INTERRUPTS.match(rest)):
                width, rest, column = _item(rest, column, item.end())
                self._inside.append(width)
            else:
                break
            rest = _spaced(rest, column)
            self._in_paragraph = False
        opened = opening(rest)
        if opened is not None:
            self._indent, self._fence, self._info = opened
            self._around = self._inside[:]
            self._events.append(("open", self._info))
        self._in_paragraph = opened is None and self._is_paragraph(rest, column)

    def _is_paragraph(self, rest: str, column: int) -> bool:
        """Whether a line is of a paragraph, given what was before it."""
        if not rest.strip(" \t") or _NO_PARAGRAPH.match(rest):
            return False
        if self._in_paragraph and _UNDERLINE.fullmatch(rest):
            return False
        return self._in_paragraph or _width(rest, column) < 4


def opening(line: str) -> tuple[int, str, str] | None:
    """Return the indentation, the fence and the info string of a line that opens a block.

    Args:
        line: without what lists and quotes put before it, and without its end.
    """
    found = _OPENING.fullmatch(line)
    if found is None:
        return None
    return len(found[1]), found[2] or found[4], (found[3] or found[5] or "").strip()


def closes(fence: str, line: str) -> bool:
    """Whether a line, likewise, closes the block that a fence opened."""
    mark = line.strip(" \t")
    return _width(line, 0) < 4 and len(mark) >= len(fence) and not mark.strip(fence[0])


def _mark(width: int) -> str:
    """Return the mark of a quote, or of a list item that is so wide."""
    if not width:
        return "> "
    if width <= 5:
        return f"{'-':{width}}"
    return f"{'1'.zfill(min(width - 5, 9))}.".rjust(width - 4) + " " * 4


def _without(around: list[int], line: str) -> tuple[str, int, int]:
    """Return a line without what lists and quotes put before it, of how many of them that was there, and the
    column at which the rest begins."""
    column = 0
    for place, width in enumerate(around):
        if not width:
            quote = _QUOTE.match(line)
            if quote is None:
                return line, place, column
            line, column = _after_quote(line, column, quote.end())
        elif line.strip(" \t") and _width(line, column) < width:
            return line, place, column
        else:
            line, column = _unindented(line, width, column)
    return line, len(around), column


def _after_quote(line: str, column: int, end: int) -> tuple[str, int]:
    """Return what follows a quote's mark, and its column: one column of space is the mark's."""
    return _unindented(line[end:], 1, column + end)


def _item(line: str, column: int, end: int) -> tuple[int, str, int]:
    """Return how far a list item is indented, what follows its mark, and the column of that."""
    after, column = line[end:], column + end
    space = _width(after, column)
    # More than four columns of space are the item's own: it begins with indented code.
    taken = space if after.strip(" \t") and space <= 4 else 1
    rest, column = _unindented(after, taken, column)
    return end + taken, rest, column


def _width(line: str, column: int) -> int:
    """Return how many columns a line is indented that begins at a column."""
    width = 0
    for character in line:
        if character == " ":
            width += 1
        elif character == "\t":
            width += 4 - (column + width) % 4
        else:
            break
    return width


def _spaced(line: str, column: int) -> str:
    """Return a line that begins at a column, its indentation as spaces."""
    return " " * _width(line, column) + line.lstrip(" \t")


def _unindented(line: str, width: int, column: int) -> tuple[str, int]:
    """Return a line without up to so many columns of indentation, and the column at which it then begins."""
    taken = at = 0
    while taken < width and at < len(line) and line[at] in " \t":
        taken += 1 if line[at] == " " else 4 - (column + taken) % 4
        at += 1
    if taken > width:  # a tab that is only in part indentation leaves spaces
        return " " * (taken - width) + line[at:], column + width
    return line[at:], column + taken
