"""The rows at the bottom of a terminal that change, and the scrollback above them that only grows.

Between two writes the cursor stands at the beginning of the first live row, with everything below it ours.
So whatever a terminal does to these rows when its window changes, erasing from the cursor on erases them all.
They are painted with autowrap off: a row is a row, however wide the terminal takes a character to be. What
goes above is written once, with autowrap on: the terminal wraps it, and copies it unwrapped.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.console import Console
from rich.text import Text

from rxccsdk.display import jobs
from rxccsdk.display.ansi import encode
from rxccsdk.display.beside import Beside
from rxccsdk.display.diff import changed
from rxccsdk.display.jobs import guard
from rxccsdk.display.terminal import Terminal

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"  # the terminal shows what is between them at once
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_ERASE = "\r\x1b[J"

_FEWEST_ROWS = 4


class RowSource(Protocol):
    """Who has something to show at the bottom. Called inside of `jobs.guard`, at each painting."""

    def settle(self) -> None:
        """Write what cannot change any more (`Region.write`)."""

    def rows(self, width: int, most: int) -> Sequence[Text]:
        """Return rows, none wider than so many cells; where there are more than `most`, the last count."""

    def finish(self) -> None:
        """Write all that is held: the program ends."""


class Region:
    """The live rows of all that is shown on one terminal.

    Use `Region.on`: two displays on one terminal share one. What a program prints meanwhile, by whatever way
    leads through `sys.stdout` and `sys.stderr`, goes above the rows; `input()` has the terminal for itself.

    Args:
        console: the terminal.
        every: seconds between two paintings; 0 paints at each `write` only.
    """

    _all: dict[tuple[str, int], Region] = {}  # noqa: RUF012

    def __init__(self, console: Console, every: float) -> None:
        self.console = console
        self._terminal = Terminal(console)
        self._every = every
        self._sources: list[RowSource] = []
        self._beside = Beside(self)
        self._pending: list[str] = []
        self._rows: list[Text] = []  # as they stand on the terminal
        self._size = (0, 0)
        self._taken = False  # the cursor is hidden and where we want it
        self._pauses = 0
        self._painted_at = 0.0
        self._failure: OSError | None = None
        self._stopped = threading.Event()

    @classmethod
    def on(cls, console: Console, every: float) -> Region:
        """Return the region of this console's terminal; it begins with its first source."""
        with guard:
            return cls._all.get(Terminal(console).key) or cls(console, every)

    @property
    def width(self) -> int:
        """The terminal's width in cells, now."""
        return self._terminal.size()[0]

    def add(self, source: RowSource) -> None:
        """Show this source's rows, below those of others."""
        with guard:
            self._sources.append(source)
            if len(self._sources) > 1:
                return
            self._all[self._terminal.key] = self
            self._stopped = threading.Event()
            jobs.borrow(self)
            self._beside.start(self._terminal.key)
            if self._every:
                threading.Thread(target=self._keep_painting, name="rxccsdk-display", daemon=True).start()
            self.paint()

    def remove(self, source: RowSource) -> None:
        """Show them no more. With the last source the terminal is as it was."""
        with guard:
            if source not in self._sources:
                return
            self._sources.remove(source)
            if self._sources:
                self.paint()
                return
            self._stopped.set()
            self._all.pop(self._terminal.key, None)
            jobs.release(self)
            try:
                self._beside.stop()
                self.paint()
            finally:
                self.give_back()

    def write(self, *lines: str) -> None:
        """Add lines to the scrollback: encoded, without their newlines."""
        with guard:
            if self._failure is not None:
                raise self._failure
            self._pending += [line + "\n" for line in lines]

    def signal(self, sequence: str) -> None:
        """Send what moves no cursor."""
        with guard:
            self._terminal.write(sequence)

    def flush(self) -> None:
        """Paint, if that was not done a moment ago: then the next painting is soon enough."""
        with guard:
            if time.monotonic() - self._painted_at >= self._every:
                self.paint()

    @contextlib.contextmanager
    def paused(self, question: str = "") -> Iterator[None]:
        """Give the terminal away for a while, after a question; what is written meanwhile comes after."""
        with guard:
            if not self._pauses:
                self.paint()
                self.give_back(self._beside.take_open_line() + question)
            self._pauses += 1
        try:
            yield
        finally:
            with guard:
                self._pauses -= 1
                self.paint()

    # -- for jobs -----------------------------------------------------------------------------------------

    def give_back(self, prompt: str = "") -> None:
        """Erase the rows, and leave the terminal as it was."""
        if self._taken:
            self._taken = False
            erase = _ERASE if self._rows else ""
            self._rows = []
            self._send(erase + prompt + _SHOW)
        elif prompt:
            self._send(prompt)
        self._terminal.give_back()

    def go_on(self) -> None:
        """Forget where the rows stood: the terminal may show anything now."""
        self._taken, self._rows = False, []
        self.paint()

    def finish(self) -> None:
        """Write all that is held, and leave."""
        for source in tuple(self._sources):
            source.finish()
        self._sources.clear()
        self._beside.stop()
        self.paint()
        self.give_back()

    # -- painting -----------------------------------------------------------------------------------------

    def _keep_painting(self) -> None:
        stopped = self._stopped
        while not stopped.wait(self._every):
            with guard:
                if not stopped.is_set():
                    with contextlib.suppress(OSError):  # whoever writes next is told
                        self.paint()

    def paint(self) -> None:
        """Bring the terminal up to date."""
        if self._failure is not None:
            raise self._failure
        if self._pauses:
            return
        self._painted_at = time.monotonic()
        for source in self._sources:
            source.settle()
        if not self._terminal.is_ours():
            self._taken, self._rows = False, []
            self._send(self._take_pending())
            return
        size = self._terminal.size()
        rows = self._wanted(*size) if self._sources else []
        begin = "" if self._taken else self._take(size[0])
        if self._pending or size != self._size or len(rows) != len(self._rows):
            erase = _ERASE if not begin and (self._rows or size != self._size) else ""
            shown = f"{begin}{erase}{self._take_pending()}{self._block(rows)}"
        else:
            shown = begin + self._changes(rows)
        self._rows, self._size = rows, size
        self._send(shown)

    def _wanted(self, width: int, height: int) -> list[Text]:
        # A third of the window: even if it becomes three times narrower at once, they fit on it.
        most = max(_FEWEST_ROWS, height // 3)
        rows = list(self._beside.rows(width, 1))
        for source in self._sources:
            rows += source.rows(width, max(1, most // len(self._sources)))
        rows = rows[-max(1, min(most, height - 1)) :]
        for row in rows:
            row.truncate(width)
        return rows

    def _take(self, width: int) -> str:
        # A row of spaces goes on in the next line where something stands in this one, and only there.
        self._taken = True
        self._terminal.take()
        return f"{_HIDE}{_WRAP}{' ' * width}{_ERASE}"

    def _block(self, rows: list[Text]) -> str:
        if not rows:
            return ""
        up = f"\x1b[{len(rows) - 1}A" if len(rows) > 1 else ""
        return f"{_NO_WRAP}{chr(10).join(encode(self.console, row) for row in rows)}{_WRAP}\r{up}"

    def _changes(self, rows: list[Text]) -> str:
        parts: list[str] = []
        at = 0
        for index, (before, row) in enumerate(zip(self._rows, rows, strict=True)):
            if before == row and before.spans == row.spans and before.style == row.style:
                continue
            down = f"\x1b[{index - at}B" if index > at else ""
            parts.append(f"{down}\r{changed(self.console, before, row)}")
            at = index
        if not parts:
            return ""
        up = f"\x1b[{at}A" if at else ""
        return f"{_NO_WRAP}{''.join(parts)}{_WRAP}\r{up}"

    def _take_pending(self) -> str:
        pending, self._pending = self._pending, []
        return "".join(pending)

    def _send(self, shown: str) -> None:
        if not shown or self._failure is not None:
            return
        synchronized = "\x1b" in shown
        try:
            self._terminal.write(f"{_BEGIN}{shown}{_END}" if synchronized else shown)
        except OSError as error:
            self._failure = error
            raise
