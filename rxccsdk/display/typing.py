"""What is typed while the display paints: the terminal does not echo it, a live row shows it."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

import regex
from rich.text import Text

from rxccsdk.display import jobs
from rxccsdk.display.jobs import guard
from rxccsdk.display.terminal import LOCAL_FLAGS, attributes_of
from rxccsdk.text.harmless import harmless

_SEQUENCE = regex.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?")  # arrows and the like
_KEY = regex.compile(r"\x1b(?:\[|O)[0-9;]*[ -/]*[@-~]|\X")
_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_BEGUN = regex.compile(r"\x1b(?:O|\[[0-9;?]*[ -/]*)?\Z")
_ALONE_AFTER = 0.05  # seconds after which an Escape is a key of its own, and no arrow's beginning
_LAST_WORD = regex.compile(r"\S*\s*$")
_LONGEST = 100_000  # characters of one message
_SEEN = 1000  # of its characters, the last ones, the live row looks at
_PASTES = ("\x1b[?2004h", "\x1b[?2004l")  # the terminal marks what is pasted, or not
_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_LINE_END = regex.compile(r"\r\n?")
_UNTYPED = regex.compile(r"[^\P{Cc}\n\t]")  # controls that mean nothing in a message
_LOOK_AGAIN = 0.5  # seconds between two looks at whether we are in the foreground again


class Keyboard:
    """Takes keys one by one from the terminal at standard input, while somebody iterates.

    Ctrl+C and Ctrl+Z stay what they are, and the terminal is given back however the program ends.

    Raises:
        EOFError: standard input is no terminal.
    """

    _modes = ("", "")  # what is written to the terminal when it is taken, and when it is given back

    def __init__(self) -> None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise EOFError("standard input is no terminal")
        self._descriptor = sys.stdin.fileno()
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[str | None] = asyncio.Queue()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._taken = False
        self._pauses = 0
        self._has_ended = False

    def row(self, width: int) -> Text:
        """Return the live row."""
        raise NotImplementedError

    def press(self, data: str) -> None:
        """Take what was typed; put what comes of it into `_items`."""
        raise NotImplementedError

    async def items(self) -> AsyncIterator[str]:
        """Yield what is typed; end with standard input."""
        with guard:
            jobs.borrow(self)
            self.go_on()
        self._listen()
        try:
            while (item := await self._items.get()) is not None:
                yield item
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
            self._write(self._modes[1])

    def go_on(self) -> None:
        """Take keys one by one, if the terminal is ours."""
        if not self._pauses and self._is_ours():
            self._taken = True
            with attributes_of(self._descriptor) as attributes:
                if attributes:
                    attributes[LOCAL_FLAGS] &= ~termios.ICANON
            self._write(self._modes[0])

    def finish(self) -> None:
        """Give it back: the program ends."""
        self.give_back()

    # -- inside -------------------------------------------------------------------------------------------

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return True

    def _write(self, mode: str) -> None:
        with suppress(OSError):  # it can only be read, or is gone
            os.write(self._descriptor, mode.encode())

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
            self._items.put_nowait(None)
            return
        self.press(self._decoder.decode(data))


class TypedLines(Keyboard):
    """Lines: what is typed on standard input. Backspace, Ctrl+U and Ctrl+W edit; a paste keeps its lines.

    Args:
        on_escape: called at the Escape key.
        marks_pastes: ask the terminal to mark what is pasted; one that knows no sequences does not.

    Attributes:
        text: the line that is not complete yet.
    """

    def __init__(self, on_escape: Callable[[], None] | None = None, *, marks_pastes: bool = True) -> None:
        super().__init__()
        if marks_pastes:
            self._modes = _PASTES
        self.text = ""
        self._is_pasting = False
        self._on_escape = on_escape
        self._sequence = ""  # begun, and not whole yet
        self._alone: asyncio.TimerHandle | None = None

    def row(self, width: int) -> Text:
        """Return what is typed so far, its end where it is longer than the row."""
        before = Text("› ", "bold cyan")
        if not self.text:
            how = "type, and Enter sends it to the agent" + "; Esc interrupts it" * bool(self._on_escape)
            return before.append(how[: max(0, width - 3)], "dim not bold")
        shown = Text(harmless(self.text[-_SEEN:].replace("\n", "↵ ")), "default not bold")
        while shown.cell_len > max(1, width - 3):
            shown = shown[max(1, (shown.cell_len - width + 3) // 2) :]
        return before.append(shown).append("▏", "dim")

    def press(self, data: str) -> None:
        """Take keys."""
        if self._alone is not None:
            self._alone.cancel()
        keys = self._sequence + data
        begun = _BEGUN.search(keys)
        self._sequence = begun[0] if begun else ""
        if begun:
            keys = keys[: begun.start()]
        while keys:
            marker = _PASTE_ENDS if self._is_pasting else _PASTE_BEGINS
            part, found, keys = keys.partition(marker)
            if self._is_pasting:
                self._paste(part)
            else:
                for key in regex.findall(r"\X", _SEQUENCE.sub("", part)):
                    self._press(key)
            self._is_pasting ^= bool(found)
        if begun and not self._is_pasting:
            self._alone = self._loop.call_later(_ALONE_AFTER, self._end_sequence)

    def go_on(self) -> None:
        """Take keys one by one; the rest of a paste may have gone to somebody else."""
        self._is_pasting = False
        super().go_on()

    def _end_sequence(self) -> None:
        """Nothing follows: it was the Escape key, or nothing we know."""
        is_key, self._sequence = self._sequence == "\x1b", ""
        if is_key and self._on_escape is not None and not self._has_ended:
            self._on_escape()

    def _press(self, key: str) -> None:
        if key in ("\r", "\n", "\r\n"):
            line, self.text = self.text, ""
            if line.strip():
                self._items.put_nowait(line)
        elif key in ("\x7f", "\b"):
            self.text = "".join(regex.findall(r"\X", self.text)[:-1])
        elif key == "\x15":  # Ctrl+U
            self.text = ""
        elif key == "\x17":  # Ctrl+W
            self.text = _LAST_WORD.sub("", self.text)
        elif key == "\t" or key >= " ":
            self.text = (self.text + key)[:_LONGEST]

    def _paste(self, text: str) -> None:
        text = _UNTYPED.sub("", _LINE_END.sub("\n", text))
        self.text = (self.text + text)[:_LONGEST]


class Keys(Keyboard):
    """Keys, by their names: "left", "right", "up", "down", or the character.

    Args:
        status: what the live row says.
    """

    def __init__(self, status: Callable[[], str]) -> None:
        super().__init__()
        self._status = status

    def row(self, width: int) -> Text:
        """Return what it says."""
        row = Text(harmless(self._status()), "dim")
        row.truncate(width, overflow="ellipsis")
        return row

    def press(self, data: str) -> None:
        """Take keys."""
        for key in _KEY.findall(data):
            self._items.put_nowait(_ARROWS.get(key[-1], key) if key.startswith("\x1b") else key)
