"""A durable log in files, one for each key: every one of them a cassette.

The last line of an entry has its id as the first field, which a cassette's reader passes over. What comes
after the last such line was being written when its writer died: readers pass it over, the next writer leaves
it out. Writers take turns by a lock on the file, so any number of processes may write; readers need none.

What a process has appended outlives it. A power cut may take what the system had not yet brought to disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from rxccsdk.transport.turn_log import MARK, Entry, EntryId, LogError, OvertakenError, checked

_EVERY = 0.02  # seconds between two looks at a file
_TAIL = 1 << 12  # bytes at a file's end, where its last entry is looked for first
_MARKED = re.compile(re.escape(MARK) + rb'(\d+)-(\d+)",?')


class FileLog:
    r"""A `TurnLog` in a folder.

    Args:
        folder: where its files are; it is made if it is not there. Its owner reads them, nobody else.

    Example:
        log = FileLog("logs")
        await log.append("a", EntryId(0, 0), b'{"text":"one"}\n')
        async for entry in log.read("a"):
            print(entry.data)
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)

    def path(self, key: str) -> Path:
        """Return a log's file."""
        return self._folder / f"{quote(key, safe='')}.jsonl"

    async def append(self, key: str, id: EntryId, data: bytes) -> None:
        """See `TurnLog.append`."""
        marked = _marked(id, checked(data))
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with await self._locked(key) as file:
                end, last = _end(file)
                if last is not None and id <= last:
                    if Entry(id, data) not in (entry for _, entry in _entries(file)):
                        raise OvertakenError(f"{self.path(key)}: entry {id} comes after {last}.")
                elif os.fstat(file.fileno()).st_size == end:
                    _write(file, marked)
                else:  # not cut off in place: somebody may be reading there
                    file.seek(0)
                    self._replace(key, file.read(end) + marked)
        except OSError as error:
            raise self._failure("write", key, error) from error

    async def read(
        self, key: str, after: EntryId | None = None, *, follow: bool = True
    ) -> AsyncGenerator[Entry, None]:
        """See `TurnLog.read`."""
        reader = _Reader(self.path(key), after)
        with closing(reader):
            while True:
                try:
                    for entry in reader.look():
                        yield entry
                except OSError as error:
                    raise self._failure("read", key, error) from error
                if not follow:
                    return
                await asyncio.sleep(_EVERY)

    async def trim(self, key: str, before: EntryId | None = None) -> None:
        """See `TurnLog.trim`."""
        path = self.path(key)
        try:
            if not path.exists():
                return
            with await self._locked(key) as file:
                if before is None:
                    path.unlink()
                    return
                _, last = _end(file)
                kept = [_marked(*it) for _, it in _entries(file) if it.id >= before or it.id == last]
                self._replace(key, b"".join(kept))
        except OSError as error:
            raise self._failure("write", key, error) from error

    async def aclose(self) -> None:
        """Do nothing: no file stays open."""

    async def _locked(self, key: str) -> BinaryIO:
        """Open a log's file when no other writer has it; closing it lets the next one have it."""
        path = self.path(key)
        while True:
            opened = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            file = open(opened, "r+b")  # noqa: SIM115, ASYNC230
            try:
                while not _lock(opened):  # noqa: ASYNC110
                    await asyncio.sleep(_EVERY / 4)
                if _is_at(path, opened):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # it was replaced meanwhile

    def _replace(self, key: str, data: bytes) -> None:
        """Put another file in a log's place, at once."""
        path = self.path(key)
        new = path.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            _write(file, data)
        new.replace(path)

    def _failure(self, verb: str, key: str, error: OSError) -> LogError:
        return LogError(f"Cannot {verb} {self.path(key)}: {error.strerror or error}")


class _Reader:
    """Reads a log's file on, whatever happens to it.

    Args:
        path: the file.
        after: the last entry seen.
    """

    def __init__(self, path: Path, after: EntryId | None) -> None:
        self._path = path
        self._last = after
        self._file: BinaryIO | None = None
        self._place = 0

    def look(self) -> Iterator[Entry]:
        """Yield what is new."""
        if self._file is not None and not _is_at(self._path, self._file.fileno()):
            yield from self._read(self._file)  # what came before it was replaced
            self.close()
        if self._file is None:
            try:
                self._file, self._place = self._path.open("rb"), 0
            except FileNotFoundError:
                return
        yield from self._read(self._file)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, file: BinaryIO) -> Iterator[Entry]:
        for place, entry in _entries(file, self._place):
            self._place = place
            if self._last is None or entry.id > self._last:
                self._last = entry.id
                yield entry


def _marked(id: EntryId, data: bytes) -> bytes:
    """Return an entry as its file has it."""
    begin = data.rfind(b"\n", 0, -1) + 1
    comma = b"" if data[begin + 1 :].lstrip().startswith(b"}") else b","
    return b'%s%s%s"%s%s' % (data[:begin], MARK, str(id).encode(), comma, data[begin + 1 :])


def _entries(file: BinaryIO, place: int = 0) -> Iterator[tuple[int, Entry]]:
    """Yield the whole entries from a place on, each with the place behind it."""
    file.seek(place)
    lines: list[bytes] = []
    while (line := file.readline()).endswith(b"\n"):
        place += len(line)
        marked = _MARKED.match(line)
        if marked is None:
            lines.append(line)
            continue
        data = b"".join((*lines, b"{", line[marked.end() :]))
        yield place, Entry(EntryId(int(marked[1]), int(marked[2])), data)
        lines.clear()


def _end(file: BinaryIO) -> tuple[int, EntryId | None]:
    """Return where a file's last entry ends, and its id."""
    size, looked_at = os.fstat(file.fileno()).st_size, _TAIL
    while True:
        begin = max(0, size - looked_at)
        # One byte more than there is stands for the newline before the first line.
        tail = (b"\n" if begin == 0 else b"") + os.pread(file.fileno(), size - begin, begin)
        at = tail.rfind(b"\n" + MARK, 0, tail.rfind(b"\n"))
        if at >= 0:
            marked, newline = _MARKED.match(tail, at + 1), tail.index(b"\n", at + 1)
            assert marked is not None
            behind = begin + newline + 1 - (begin == 0)
            return behind, EntryId(int(marked[1]), int(marked[2]))
        if begin == 0:
            return 0, None
        looked_at *= 8


def _write(file: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file.fileno(), left) :]


def _lock(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, opened: int) -> bool:
    """Whether an open file is the one with this name."""
    try:
        there, here = path.stat(), os.fstat(opened)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
