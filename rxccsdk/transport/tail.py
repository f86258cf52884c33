"""Following a file that somebody else writes, line by line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
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
    tail = Tail(path, start)
    try:
        while True:
            is_last_look = ended is not None and ended()
            for whole in tail.reads():
                for line in whole:
                    yield line + b"\n"
                await asyncio.sleep(0)  # a long file is no reason to keep others waiting
            if is_last_look:
                return
            await asyncio.sleep(every)
    finally:
        tail.close()


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


class Tail:
    """A file that grows, as far as it was read; `lines` says what comes of it.

    Args:
        path: the file.
        start: bytes at its beginning to pass over.
    """

    def __init__(self, path: Path | str, start: int = 0) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._known: os.stat_result | None = None  # which file it is
        self._framer = LineFramer()
        self._head = b""
        self._read_to = self._line = start

    def reads(self) -> Iterator[list[bytes]]:
        """Yield the lines that each read completes, without their newlines; stop where no more is written."""
        while (file := self._file or self._open()) is not None:
            is_replaced = self._is_replaced()  # before its rest is read: no more is written to it then
            while (whole := self._read(file)) is not None:
                yield whole
            if not is_replaced:
                return
            self.close()

    def close(self) -> None:
        """Close the file. The next look opens it again, and goes on where this one ended."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO | None:
        """Return the file; `None` where there is none, or nothing new in it."""
        try:
            about = os.stat(self._path)
            if self._known and os.path.samestat(about, self._known) and about.st_size == self._read_to:
                return None
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115 - `close` closes it
        except FileNotFoundError:
            return None
        about = os.fstat(self._file.fileno())
        if about.st_size < self._read_to and not self._head:
            self._begin()  # it is not what `start` was meant for
        if self._known is not None and not os.path.samestat(about, self._known):
            self._begin()
        self._known = about
        return self._file

    def _begin(self) -> None:
        self._framer, self._head = LineFramer(), b""
        self._read_to = self._line = 0

    def _is_replaced(self) -> bool:
        """Whether another file has its name now; where none has, one may come."""
        assert self._known is not None
        try:
            return not os.path.samestat(os.stat(self._path), self._known)
        except FileNotFoundError:
            return False

    def _read(self, file: BinaryIO) -> list[bytes] | None:
        """Return the lines that one read completes; `None` at the end."""
        size = os.fstat(file.fileno()).st_size
        if size < self._read_to:
            self._go_back(file, size)
        data = _at(file, self._read_to, _READ)
        if not data:
            return None
        self._read_to += len(data)
        if len(self._head) < _HEAD:
            self._head = _at(file, 0, min(_HEAD, self._read_to))
        whole = self._framer.push(data)
        self._line += sum(map(len, whole)) + len(whole)
        return whole

    def _go_back(self, file: BinaryIO, size: int) -> None:
        """Find where to read on in a file that has become smaller."""
        self._framer = LineFramer()
        if not self._head.startswith(_at(file, 0, min(size, len(self._head)))):
            self._begin()  # another text
        elif size < self._line:
            self._line = line_start(file, size)
        self._read_to = self._line


def _at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count) or b""
