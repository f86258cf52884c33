"""Lines that are typed while the display paints: the terminal does not echo them, a live row shows them."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import regex
from rich.text import Text

from rxccsdk.display import jobs
from rxccsdk.display.jobs import guard
from rxccsdk.display.terminal import LOCAL_FLAGS, attributes_of
from rxccsdk.text.harmless import harmless

_SEQUENCE = regex.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?")  # arrows and the like
_LAST_WORD = regex.compile(r"\S*\s*$")
_LONGEST = 10_000  # characters of one line
_LOOK_AGAIN = 0.5  # seconds between two looks at whether we are in the foreground again


class TypedLines:
    """What is typed on standard input, line by line, while somebody iterates.

    Keys come one by one meanwhile; Ctrl+C and Ctrl+Z stay what they are. Backspace, Ctrl+U and Ctrl+W edit.

    Raises:
        EOFError: standard input is no terminal.
    """

    def __init__(self) -> None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise EOFError("standard input is no terminal")
        self._descriptor = sys.stdin.fileno()
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._taken = False
        self._pauses = 0
        self._has_ended = False

    def row(self, width: int) -> Text:
        """Return what is typed so far, its end where it is longer than the row."""
        before = Text("› ", "bold cyan")
        if not self._text:
            return before.append("type, and Enter sends it to the agent"[: max(0, width - 3)], "dim not bold")
        shown = Text(harmless(self._text), "default not bold")
        while shown.cell_len > max(1, width - 3):
            shown = shown[max(1, (shown.cell_len - width + 3) // 2) :]
        return before.append(shown).append("▏", "dim")

    async def lines(self) -> AsyncIterator[str]:
        """Yield each line; end with standard input."""
        with guard:
            jobs.borrow(self)
            self.go_on()
        self._listen()
        try:
            while (line := await self._lines.get()) is not None:
                yield line
        finally:
            self._has_ended = True
            self._loop.remove_reader(self._descriptor)
            with guard:
                self.give_back()
                jobs.release(self)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the keyboard to somebody else for a while."""
        self._loop.remove_reader(self._descriptor)
        with guard:
            self._pauses += 1
            self.give_back()
        try:
            yield
        finally:
            with guard:
                self._pauses -= 1
                self.go_on()
            self._listen()

    # -- for jobs -----------------------------------------------------------------------------------------

    def give_back(self) -> None:
        """Let the terminal put lines together again."""
        if self._taken and self._is_ours():
            self._taken = False
            with attributes_of(self._descriptor) as attributes:
                if attributes:
                    attributes[LOCAL_FLAGS] |= termios.ICANON

    def go_on(self) -> None:
        """Take keys one by one, if the terminal is ours."""
        if not self._pauses and self._is_ours():
            self._taken = True
            with attributes_of(self._descriptor) as attributes:
                if attributes:
                    attributes[LOCAL_FLAGS] &= ~termios.ICANON

    def finish(self) -> None:
        """Give it back: the program ends."""
        self.give_back()

    # -- inside -------------------------------------------------------------------------------------------

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return True

    def _listen(self) -> None:
        if not self._pauses and not self._has_ended:
            self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        if not self._is_ours():  # a job in the background would be stopped for reading
            self._loop.remove_reader(self._descriptor)
            self._loop.call_later(_LOOK_AGAIN, self._listen)
            return
        try:
            data = os.read(self._descriptor, 4096)
        except OSError:
            data = b""
        if not data:
            self._has_ended = True
            self._loop.remove_reader(self._descriptor)
            self._lines.put_nowait(None)
            return
        keys = _SEQUENCE.sub("", self._decoder.decode(data))
        for key in regex.findall(r"\X", keys):
            self._press(key)

    def _press(self, key: str) -> None:
        if key in ("\r", "\n", "\r\n"):
            line, self._text = self._text, ""
            if line.strip():
                self._lines.put_nowait(line)
        elif key in ("\x7f", "\b"):
            self._text = "".join(regex.findall(r"\X", self._text)[:-1])
        elif key == "\x15":  # Ctrl+U
            self._text = ""
        elif key == "\x17":  # Ctrl+W
            self._text = _LAST_WORD.sub("", self._text)
        elif key == "\t" or key >= " ":
            self._text = (self._text + key)[:_LONGEST]
