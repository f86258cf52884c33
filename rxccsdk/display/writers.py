"""A text that is being written, as lines of a terminal: those that stand, and what is still open."""

from __future__ import annotations

from typing import Protocol

from rich.text import Text

from rxccsdk.display.blocks import Leaf, leaves
from rxccsdk.display.markdown import MarkdownRows
from rxccsdk.display.rows import rows
from rxccsdk.operators.markdown import BlockCutter

_HOLD = 10_000_000  # characters of one block: more is no Markdown anybody wrote
_MUCH = 20_000  # characters that are parsed only to show how a block begins to look


class Writer(Protocol):
    """Takes a text in pieces. Widths are in cells."""

    def add(self, text: str, width: int) -> list[Text]:
        """Take more text; return the lines that stand now, and no more."""

    def settle(self, width: int) -> list[Text]:
        """Return the lines that stand already, of what `add` did not look at."""

    def end(self, width: int) -> list[Text]:
        """End the text; return the rest of its lines."""

    def tail(self, width: int, most: int) -> list[Text]:
        """Return the last lines of what does not stand yet. They may be longer than `width`."""

    @property
    def is_open(self) -> bool:
        """Whether something does not stand yet."""


class MarkdownWriter:
    """Renders Markdown, leaf by leaf."""

    def __init__(self) -> None:
        self._cutter = BlockCutter(_HOLD)
        self._shown = 0  # leaves of what is open that stand
        self._before: Leaf | None = None  # the last leaf of the blocks before it
        self._blank = False  # and whether they ended with a blank line
        self._open: list[Leaf] = []  # the leaves of the open block, as of
        self._length = 0  # so many characters

    def add(self, text: str, width: int) -> list[Text]:
        """Take more text; render the blocks that are complete."""
        return self._render(self._cutter.add(text), width)

    def settle(self, width: int) -> list[Text]:
        """Render the leaves of the open block that others follow."""
        held = self._cutter.held
        if len(held) == self._length:
            return []
        self._length = len(held)
        if len(held) > _MUCH:
            self._open = []
            return []
        self._open = leaves(held, self._before, blank=self._blank)
        complete = held.count("\n")
        # A leaf stands when the next one has its first line: that could not begin anything else.
        stand = sum(after.line < complete for after in self._open[1:])
        lines = _lines(self._open[self._shown : stand], width)
        self._shown = max(self._shown, stand)
        return lines

    def end(self, width: int) -> list[Text]:
        """Render what is left, and begin anew."""
        lines = self._render(self._cutter.rest(), width)
        self.__init__()  # type: ignore[misc]
        return lines

    def tail(self, width: int, most: int) -> list[Text]:
        """Render the end of the open block."""
        if self._length > _MUCH:
            return [Text(line) for line in self._cutter.held[-most * width :].split("\n")[-most:]]
        return _lines(self._open[self._shown :][-most:], width, most)[-most:]

    @property
    def is_open(self) -> bool:
        """Whether a block is open."""
        return bool(self._cutter.held.strip())

    def _render(self, pieces: list[str], width: int) -> list[Text]:
        lines: list[Text] = []
        for piece in pieces:
            found = leaves(piece, self._before, blank=self._blank)
            lines += _lines(found[self._shown :], width)
            # What was open may turn out to be several blocks.
            self._shown = max(0, self._shown - len(found))
            self._open, self._length = [], 0
            self._before = found[-1] if found else self._before
            self._blank = not piece.rstrip(" \t").rpartition("\n")[0].rpartition("\n")[2].strip()
        return lines


def _lines(found: list[Leaf], width: int, last: int | None = None) -> list[Text]:
    lines: list[Text] = []
    for leaf in found:
        if leaf.gap is not None:
            lines.append(leaf.gap)
        lines += leaf.lines(width, last)
    return lines


class SourceWriter:
    """Shows Markdown as it is written, in colours, line by line."""

    def __init__(self) -> None:
        self._markdown = MarkdownRows()
        self._line: list[str] = []

    def add(self, text: str, width: int) -> list[Text]:
        """Take more text; return the lines that are complete."""
        if "\n" not in text:
            self._line.append(text)
            return []
        *lines, rest = "".join([*self._line, text]).split("\n")
        self._line = [rest]
        return [row for line in lines for row in self._done(line, width)]

    def settle(self, width: int) -> list[Text]:
        """Nothing: lines stand when they end."""
        return []

    def end(self, width: int) -> list[Text]:
        """Return the last line."""
        line, self._line = "".join(self._line), []
        return self._done(line, width) if line else []

    def tail(self, width: int, most: int) -> list[Text]:
        """Return the line that is written."""
        self._line = ["".join(self._line)]
        return [self._markdown.style(self._line[0])] if self.is_open else []

    @property
    def is_open(self) -> bool:
        """Whether a line is."""
        return any(self._line)

    def _done(self, line: str, width: int) -> list[Text]:
        """Break a line, unless it is code."""
        code = self._markdown.is_code(line)
        parts = [line] if code else rows(line, width, whole_words=True)
        last = len(parts) - 1
        return [
            self._markdown.done(part.rstrip(" "), ends_line=number == last)
            for number, part in enumerate(parts)
        ]
