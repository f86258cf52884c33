"""A command's output, put together from looks at its end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from rxccsdk.chunks import Frame

WINDOW = 8192
"""Bytes that the CLI shows of a command's output: the last ones."""

_EXIT_NOTE = re.compile(r"\n?\[exited with code -?\d+\]\n?$")
_BROKEN = "\ufffd"  # what the CLI shows of a character that the window cuts


@dataclass(frozen=True, slots=True)
class Piece:
    """What a look adds: the text, where it begins in bytes, and the bytes before it that nobody saw."""

    text: str
    offset: int
    skipped: int


class OutputWindow:
    """Makes pieces of a command's output that follow each other, none twice and no character cut."""

    def __init__(self) -> None:
        self._seen = 0  # bytes
        self._sum = 0  # of those bytes
        self._has_gap = False

    def look(self, output: str, total: int, *, ended: bool = False) -> Piece | None:
        """Take a look.

        Args:
            output: the end of the output, at most `WINDOW` bytes of it.
            total: bytes the command has written.
            ended: the command has: the CLI adds a note on its exit code.

        Returns:
            What is new, or `None`.
        """
        if ended and (note := _EXIT_NOTE.search(output)):
            output, total = output[: note.start()], total - len(output[note.start() :].encode())
            size = min(total, WINDOW - len(note[0].encode()))
        else:
            size = min(total, WINDOW)
        whole = output.lstrip(_BROKEN) if total > size else output
        body = whole.rstrip(_BROKEN).encode("utf-8", "replace")
        cut = size - len(body)  # bytes of cut characters, at either end
        at_start = len(whole) < len(output)
        if at_start and len(whole.encode()) > len(body) and not ended:
            return None  # cut at both ends: the next look tells how
        start = total - size + (cut if at_start else 0)
        end = start + len(body)
        if end <= self._seen:
            return None
        first = max(self._seen, start)
        return self._piece(body[first - start :], first)

    def rest(self, output: str) -> Piece | None:
        """Take the output that came with the command's result, where it goes on from what was seen."""
        data = output.encode("utf-8", "replace")
        if len(data) <= self._seen or self._has_gap or crc32(data[: self._seen]) != self._sum:
            return None
        return self._piece(data[self._seen :], self._seen)

    def note(self, piece: Piece) -> None:
        """Note a piece that a recording has."""
        if piece.offset >= self._seen:
            self._piece(piece.text.encode("utf-8", "replace"), piece.offset)

    def _piece(self, data: bytes, offset: int) -> Piece:
        piece = Piece(data.decode("utf-8", "replace"), offset, offset - self._seen)
        self._has_gap = self._has_gap or piece.skipped > 0
        self._seen, self._sum = offset + len(data), crc32(data, self._sum)
        return piece


class Outputs:
    """The windows of the commands that run, by the calls that started them."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[str, OutputWindow]] = {}

    def look(self, call: str, task: str, output: str, total: int, *, ended: bool) -> Piece | None:
        """Take a look at a command's output."""
        return self._window(call, task).look(output, total, ended=ended)

    def note(self, frame: Frame) -> tuple[Any, ...]:
        """Note a piece that is in the stream; return the fields of its chunk."""
        call, task = str(frame["tool_use_id"]), str(frame["task_id"])
        piece = Piece(frame["text"], frame["offset"], frame["skipped"])
        self._window(call, task).note(piece)
        return call, task, piece.text, piece.offset, piece.skipped

    def rest(self, call: str, structured: Any) -> tuple[Any, ...] | None:
        """Return the fields of a last chunk, which the command's result has, or `None`."""
        task, window = self._windows.pop(call, ("", None))
        output = structured.get("stdout") if isinstance(structured, dict) else None
        piece = window.rest(output) if window is not None and isinstance(output, str) else None
        return (call, task, piece.text, piece.offset, piece.skipped) if piece is not None else None

    def _window(self, call: str, task: str) -> OutputWindow:
        return self._windows.setdefault(call, (task, OutputWindow()))[1]
