"""What a program prints while rows are live: it goes above them, whole lines at a time.

Replaced are the `write` of the stream objects themselves, which loggers and consoles keep, and `input`, both
for as long as a region is there.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any

from rich.ansi import AnsiDecoder
from rich.text import Text

from rxccsdk.display.ansi import encode
from rxccsdk.display.jobs import guard
from rxccsdk.display.terminal import key_of

if TYPE_CHECKING:
    from rxccsdk.display.region import Region


class Beside:
    """Leads what is printed beside a region into it. Colours pass; what moves the cursor does not."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._decoder = AnsiDecoder()
        self._lines: dict[int, str] = {}  # what was printed without a newline, of each stream
        self._restore: list[Callable[[], None]] = []

    def start(self, key: tuple[str, int]) -> None:
        """Begin; the key says which terminal it is about."""
        streams = {
            id(s): s for s in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if s is not None
        }
        for stream in streams.values():
            if key_of(stream) == key:
                self._lead(stream)
        if key_of(sys.stdin) == key:
            assert sys.stdin is not None
            self._replace(builtins, "input", self._asking(builtins.input))
            self._replace(sys.stdin, "readline", self._asking(sys.stdin.readline))

    def stop(self) -> None:
        """End: everything is as it was, and what was printed without a newline gets one."""
        while self._restore:
            self._restore.pop()()
        for line in self._lines.values():
            self._region.write(self._encode(line))
        self._lines.clear()

    def rows(self, width: int, most: int) -> Sequence[Text]:
        """Return the lines that have no newline yet."""
        found = [self._decode(line) for line in self._lines.values()]
        for row in found:
            row.expand_tabs(8)
        return found

    def take_open_line(self) -> str:
        """Return them for good, encoded: they are the question of what is asked now."""
        shown = "".join(map(self._encode, self._lines.values()))
        self._lines.clear()
        return shown

    def _lead(self, stream: IO[str]) -> None:
        def write(text: str) -> int:
            with guard:
                *lines, rest = (self._lines.pop(id(stream), "") + text).split("\n")
                if rest:
                    self._lines[id(stream)] = rest
                if lines:
                    self._region.write(*map(self._encode, lines))
                    self._region.flush()
            return len(text)

        stream.flush()
        self._replace(stream, "write", write)

    def _asking(self, ask: Callable[..., str]) -> Callable[..., str]:
        def asking(*arguments: Any) -> str:
            with self._region.paused():
                return ask(*arguments)

        return asking

    def _replace(self, owner: Any, name: str, by: Any) -> None:
        own = vars(owner).get(name) if hasattr(owner, "__dict__") else None
        setattr(owner, name, by)

        def restore() -> None:
            if getattr(owner, name) is not by:
                return  # somebody else replaced it, too
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

        self._restore.append(restore)

    def _decode(self, line: str) -> Text:
        # Of a line that was begun anew, as progress bars do, the newest state counts.
        return self._decoder.decode_line(line.rstrip("\r")) if line else Text()

    def _encode(self, line: str) -> str:
        return encode(self._region.console, self._decode(line))
