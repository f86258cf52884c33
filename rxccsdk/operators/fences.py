"""Fenced code in Markdown that is still being written, by CommonMark's rules, lists and quotes included."""

from __future__ import annotations

import re
from typing import Literal

Event = tuple[Literal["open", "code", "close"], str]
"""A block opens (with its info string), goes on (with code) or closes."""

_LINES = re.compile(r"\r\n|\r|\n|[^\r\n]+")
_OPENING = re.compile(r"( {0,3})(?:(`{3,})([^`]*)|(~{3,})(.*))")
_QUOTE = re.compile(r" {0,3}>[ \t]?")
_ITEM = re.compile(r"( {0,3}(?:[-+*]|\d{1,9}[.)]))([ \t]+|$)")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*")

# A line of nothing but these may yet turn out to close a block.
_UNDECIDED = " \t>`~"


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
        self._fence = ""  # the fence of the open block
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
        rest, matched = _without(self._around, line)
        fence = rest.strip(" \t")
        return (
            matched == len(self._around)
            and _width(rest) < 4
            and len(fence) >= len(self._fence)
            and not fence.strip(self._fence[0])
        )

    def _begin_code(self, line: str) -> None:
        """Take the beginning of a line that does not close the block, unless it is outside the block's list
        or quote: then that has closed the block."""
        rest, matched = _without(self._around, line)
        if matched < len(self._around):
            self._close()
        else:
            self._code.append(_unindented(rest, self._indent))
            self._line.clear()
            self._is_code = True

    def _close(self) -> None:
        self._report_code()
        self._events.append(("close", ""))
        self._fence = ""

    def _read_prose(self, line: str) -> None:
        """Take a line that is no code: lists and quotes begin and end there, and code may begin."""
        rest, matched = _without(self._inside, line)
        del self._inside[matched:]
        while _width(rest) < 4 and not _RULE.fullmatch(rest):
            if quote := _QUOTE.match(rest):
                self._inside.append(0)
                rest = rest[quote.end() :]
            elif item := _ITEM.match(rest):
                space = item.group(2).expandtabs(4)
                after = rest[item.end() :]
                # More than four columns of space are the item's own: it begins with indented code.
                taken = len(space) if after and len(space) <= 4 else 1
                self._inside.append(len(item.group(1)) + taken)
                rest = " " * (len(space) - taken) + after
            else:
                break
        fence = _OPENING.fullmatch(rest)
        if fence is not None:
            self._indent = len(fence.group(1))
            self._fence = fence.group(2) or fence.group(4)
            self._around = self._inside[:]
            self._events.append(("open", (fence.group(3) or fence.group(5) or "").strip()))


def _without(around: list[int], line: str) -> tuple[str, int]:
    """Return a line without what lists and quotes put before it, and of how many of them that was there."""
    for place, width in enumerate(around):
        if not width:
            quote = _QUOTE.match(line)
            if quote is None:
                return line, place
            line = line[quote.end() :]
        elif line.strip(" \t") and _width(line) < width:
            return line, place
        else:
            line = _unindented(line, width)
    return line, len(around)


def _width(line: str) -> int:
    """Return how many columns a line is indented."""
    return len(_space(line).expandtabs(4))


def _unindented(line: str, width: int) -> str:
    """Take up to so many columns of indentation off."""
    space = _space(line)
    if "\t" not in space[:width]:
        return line[min(len(space), width) :]
    return space.expandtabs(4)[width:] + line[len(space) :]


def _space(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
