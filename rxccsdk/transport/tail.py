"""Following a file that somebody else writes, line by line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import BinaryIO

from rxccsdk.wire.frames import LineFramer

_EVERY = 0.1  # seconds between two looks at a file that does not grow
_READ = 65_536  # bytes
_HEAD = 256  # bytes by which a file that was cut is told from one that was written anew


async def lines(
    path: Path | str, *, start: int = 0, every: float = _EVERY, ended: Callable[[], bool] | None = None
) -> AsyncGenerator[bytes, None]:
    """Follow a file that grows: yield each line when it is whole, in order, with its newline.

    A file that is not there yet is waited for. Where another one takes its place, what the old one has is
    read to its end, then the new one from its beginning; one that is emptied and written anew is read anew.
    One that only loses its end is followed from there. Half a line that never got its newline is dropped.

    Memory is that of one read and of the longest line; reading waits for whoever iterates. Nothing is kept
    open once the iteration is over.

    Args:
        path: the file.
        start: bytes at its beginning to pass over; a line must begin there.
        every: seconds between two looks.
        ended: says that nothing more is written; what there is by then is read, and the iteration ends. It
            goes on for ever without.

    Raises:
        OSError: the file cannot be read.

    Example:
        async for line in lines("session.jsonl"):
            print(json.loads(line))
    """
    tail: _Tail | None = None
    try:
        while True:
            is_last_look = ended is not None and ended()
            if tail is None:
                tail = _open(path, start)
            if tail is not None:
                is_replaced = tail.is_replaced()  # before its rest is read: no more is written to it then
                while (whole := tail.read()) is not None:
                    for line in whole:
                        yield line + b"\n"
                    await asyncio.sleep(0)  # a long file is no reason to keep others waiting
                if is_replaced:
                    tail.file.close()
                    tail, start = None, 0
                    continue
            if is_last_look:
                return
            await asyncio.sleep(every)
    finally:
        if tail is not None:
            tail.file.close()


def line_start(file: BinaryIO, before: int) -> int:
    """Return where the line begins that goes on at an offset; the offset itself, if a line begins there.

    Args:
        file: read from; its position is changed.
        before: the offset, in bytes.
    """
    while before > 0:
        begin = max(0, before - _READ)
        file.seek(begin)
        found = file.read(before - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        before = begin
    return 0


def _open(path: Path | str, start: int) -> _Tail | None:
    try:
        return _Tail(path, start)
    except FileNotFoundError:
        return None


class _Tail:
    """One file, as far as it was read."""

    def __init__(self, path: Path | str, start: int) -> None:
        self._path = path
        self.file = open(path, "rb", buffering=0)  # noqa: SIM115 - `lines` closes it
        self._framer = LineFramer()
        self._head = b""
        self._read_to = self._line = start if os.fstat(self.file.fileno()).st_size >= start else 0

    def is_replaced(self) -> bool:
        """Whether another file has its name now; where none has, one may come."""
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self.file.fileno()))
        except FileNotFoundError:
            return False

    def read(self) -> list[bytes] | None:
        """Return the lines that one read completes, without their newlines; `None` at the end."""
        size = os.fstat(self.file.fileno()).st_size
        if size < self._read_to:
            self._go_back(size)
        data = self._at(self._read_to, _READ)
        if not data:
            return None
        self._read_to += len(data)
        if len(self._head) < _HEAD:
            self._head = self._at(0, min(_HEAD, self._read_to))
        whole = self._framer.push(data)
        self._line += sum(map(len, whole)) + len(whole)
        return whole

    def _go_back(self, size: int) -> None:
        """Find where to read on in a file that has become smaller."""
        self._framer = LineFramer()
        head = self._at(0, min(size, len(self._head)))
        if not self._head.startswith(head):
            self._line = 0  # another text
        elif size < self._line:
            self._line = line_start(self.file, size)
        self._read_to = self._line

    def _at(self, offset: int, count: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(count) or b""
