"""Where a display writes. A terminal and plain text take the same calls.

Each speaker has an open text, which grows at its end; lines of their own may come between those of other
speakers, never within them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from rich.console import Console, RenderableType
from rich.text import Text

from rxccsdk.display.ansi import encode, encode_renderable
from rxccsdk.display.jobs import guard
from rxccsdk.display.region import Region, RowSource
from rxccsdk.display.rows import rows
from rxccsdk.display.writers import Writer

_NARROWEST = 10


class Speaker(NamedTuple):
    """Whose text it is: an agent of a session.

    Attributes:
        label: of the session, where several are shown.
        agent: `None` for the main agent.
    """

    label: str
    agent: str | None


class Page(Protocol):
    """What a display needs."""

    def start(self) -> None:
        """Begin to show the open rows and the progress line."""

    def stop(self) -> None:
        """Close all rows and take the progress line away."""

    def write(self, speaker: Speaker, text: str, depth: int) -> None:
        """Add text to the speaker's open row, at a depth of nesting; newlines end rows."""

    def close(self, speaker: Speaker) -> None:
        """End the speaker's open row, if there is one."""

    def is_open(self, speaker: Speaker) -> bool:
        """Whether the agent has an open row with something in it."""

    def peek(self, speaker: Speaker, text: str, depth: int) -> None:
        """Show what is not to stay: one row, replaced by the next one; "" takes it away."""

    def line(self, speaker: Speaker, text: Text, depth: int, end: str = "") -> None:
        """Add a line of its own, cut at the page's width, with `end` at its end whatever is cut."""

    def lines(self, speaker: Speaker, text: Text, depth: int, indent: int, most: int) -> None:
        """Add an indented text on lines of its own, cut after so many rows of the page's width."""

    def gap(self) -> None:
        """Leave one blank line, if the page does not end with one."""

    def pause(self, question: str) -> contextlib.AbstractContextManager[None]:
        """Ask something, and leave the terminal to the answer."""

    def flush(self) -> None:
        """Let what was written be seen soon."""

    def signal(self, sequence: str) -> None:
        """Send the terminal what moves no cursor and shows nothing on the page: a bell, a notification."""

    def show(self, renderable: RenderableType) -> None:
        """Add anything rich can show."""


class Place(Protocol):
    """What a page needs of a `Region`."""

    @property
    def width(self) -> int: ...
    def add(self, source: RowSource) -> None: ...
    def remove(self, source: RowSource) -> None: ...
    def write(self, *lines: str) -> None: ...
    def flush(self) -> None: ...
    def signal(self, sequence: str) -> None: ...
    def paused(self, question: str = "") -> contextlib.AbstractContextManager[None]: ...


class TerminalPage:
    """A terminal. What stands goes into its scrollback; what is open, and the progress lines, are live rows.

    Args:
        console: the terminal.
        footer: gives the progress lines, no wider than it is told.
        make_writer: makes what renders one text.
        paint_every: seconds between two paintings; 0 paints only when something stands.
        region: where it goes; `None` takes the one of the console's terminal.
    """

    def __init__(
        self,
        console: Console,
        footer: Callable[[int], Sequence[Text]],
        make_writer: Callable[[], Writer],
        paint_every: float,
        region: Place | None = None,
    ) -> None:
        self._console = console
        self._footer = footer
        self._make_writer = make_writer
        self._every = paint_every
        self._given = region
        self._region: Place = region or Region.on(console, paint_every)
        self._open: dict[Speaker, tuple[int, Writer]] = {}
        self._peeks: dict[Speaker, tuple[int, str]] = {}
        self._gap = False  # a blank line belongs before the next line
        self._is_empty = True

    def start(self) -> None:
        self._region = self._given or Region.on(self._console, self._every)
        self._region.add(self)

    def stop(self) -> None:
        with guard:
            try:
                self.finish()
            finally:
                self._region.remove(self)

    def write(self, speaker: Speaker, text: str, depth: int) -> None:
        with guard:
            if speaker not in self._open:
                self._open[speaker] = (depth, self._make_writer())
            _, writer = self._open[speaker]
            self._print(speaker, depth, writer.add(text, self._width(speaker, depth)))

    def close(self, speaker: Speaker) -> None:
        with guard:
            if speaker in self._open:
                depth, writer = self._open.pop(speaker)
                self._print(speaker, depth, writer.end(self._width(speaker, depth)))

    def is_open(self, speaker: Speaker) -> bool:
        return speaker in self._open and self._open[speaker][1].is_open

    def peek(self, speaker: Speaker, text: str, depth: int) -> None:
        with guard:
            self._peeks.pop(speaker, None)
            if text:
                self._peeks[speaker] = (depth, text)

    def line(self, speaker: Speaker, text: Text, depth: int, end: str = "") -> None:
        self.close(speaker)
        text = text.copy()
        text.truncate(self._width(speaker, depth) - len(end), overflow="ellipsis")
        self._print(speaker, depth, [text.append(end, "dim")])

    def lines(self, speaker: Speaker, text: Text, depth: int, indent: int, most: int) -> None:
        found = rows(text.plain, self._width(speaker, depth) - indent)
        shown = [*found[: most - 1], "".join(found[most - 1 :])]  # the last one is cut where it is too long
        for row in filter(None, shown):
            self.line(speaker, Text(" " * indent + row.rstrip(" "), text.style), depth)

    def gap(self) -> None:
        self._gap = not self._is_empty

    def pause(self, question: str) -> contextlib.AbstractContextManager[None]:
        self._gap, self._is_empty = False, False
        return self._region.paused(question)

    def flush(self) -> None:
        self._region.flush()

    def signal(self, sequence: str) -> None:
        self._region.signal(sequence)

    def show(self, renderable: RenderableType) -> None:
        self._write(encode_renderable(self._console, renderable, self._region.width))
        self._region.flush()

    # -- for the region ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Write what stands by now."""
        for speaker, (depth, writer) in tuple(self._open.items()):
            self._print(speaker, depth, writer.settle(self._width(speaker, depth)))

    def rows(self, width: int, most: int) -> list[Text]:
        """Return what is open, what passes by, and the progress lines."""
        footer = self._footer(width - 1)
        found = [row for speaker in self._open for row in self._tail(speaker, max(1, most - len(footer)))]
        found += [self._peek(speaker, depth, text) for speaker, (depth, text) in self._peeks.items()]
        return [*found, *footer]

    def finish(self) -> None:
        """Close everything."""
        for speaker in tuple(self._open):
            self.close(speaker)
        self._peeks.clear()

    # -- lines ----------------------------------------------------------------------------------------------

    def _tail(self, speaker: Speaker, most: int) -> list[Text]:
        """Return the last rows of a text that is open."""
        depth, writer = self._open[speaker]
        width = self._width(speaker, depth)
        found: list[Text] = []
        for line in reversed(writer.tail(width, most)):
            line.expand_tabs(4)
            found[:0] = _folded(line, width)
            if len(found) >= most:
                break
        return [_before(speaker, depth, row) for row in found[-most:]]

    def _peek(self, speaker: Speaker, depth: int, text: str) -> Text:
        """Return the end of a text, as much as a row holds."""
        width = self._width(speaker, depth) - 2
        last = rows(text[-4 * width :], width)
        return _before(speaker, depth, Text(f"∴ {last[-1]}", "dim italic"))

    def _width(self, speaker: Speaker, depth: int) -> int:
        # The last column stays free: some terminals break the line when it is filled.
        used = _before(speaker, depth, Text()).cell_len
        return max(_NARROWEST, self._region.width - 1 - used)

    def _print(self, speaker: Speaker, depth: int, lines: Sequence[Text]) -> None:
        if lines:
            self._write([encode(self._console, _before(speaker, depth, line)) for line in lines])
            if not lines[-1].plain.strip():
                self._gap = False

    def _write(self, lines: Sequence[str]) -> None:
        with guard:
            if self._gap and lines[0].strip():
                self._region.write("")
            self._gap, self._is_empty = False, False
            self._region.write(*lines)


def _folded(line: Text, width: int) -> list[Text]:
    """Return a line as rows, none wider than `width`."""
    found: list[Text] = []
    start = 0
    for row in rows(line.plain, width):
        found.append(line[start : start + len(row)])
        start += len(row)
    return found


def _before(speaker: Speaker, depth: int, line: Text) -> Text:
    """Put before a line whose it is."""
    if not speaker.label and not depth:
        return line
    label = (f"{speaker.label} ┃ ", "magenta") if speaker.label else ""
    return Text.assemble(label, ("│ " * depth, "dim"), line)


def is_capable(console: Console) -> bool:
    """Whether it is a terminal that can style, move the cursor and show Unicode."""
    return console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
