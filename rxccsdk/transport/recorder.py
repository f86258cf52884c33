"""Recording a session: its lines with their times, as they pass."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
from abc import ABC, abstractmethod
from dataclasses import asdict
from io import RawIOBase
from pathlib import Path

from rxccsdk.chunks import Frame
from rxccsdk.errors import CassetteError
from rxccsdk.transport import Exit
from rxccsdk.transport.cassette import VERSION
from rxccsdk.wire.frames import LineFramer, decode

_log = logging.getLogger("rxccsdk")

_ROOM = 60  # bytes in the header for what is known later: the CLI's version


class Recorder(ABC):
    """Makes a cassette's lines of what passes; where they go is for its subclasses.

    Attributes:
        failure: why it stopped recording, in words.
    """

    def __init__(self) -> None:
        self._framer = LineFramer()
        self._started = 0.0
        self.failure: str | None = None

    @abstractmethod
    def open(self, sdk: str, *, takes_asks: bool = False) -> None:
        """Begin to record.

        Args:
            sdk: the name of the SDK's package.
            takes_asks: whether the agent's questions to its user are in the stream.
        """

    @abstractmethod
    def close(self) -> None:
        """Record no more."""

    @abstractmethod
    def _write(self, line: bytes) -> None:
        """Keep a line."""

    def sent(self, line: bytes, now: float) -> None:
        """Record a line that was written to the CLI."""
        self._record(b"out", line, now)

    def received(self, data: bytes, now: float) -> None:
        """Record the frames that a read of the CLI's output completes."""
        for line in self._framer.push(data):
            frame = decode(line)
            if frame is None or not self._takes(frame):
                continue
            try:
                line.decode()
            except UnicodeDecodeError:
                line = json.dumps(frame).encode()
            self._record(b"in", line, now)

    def added(self, line: bytes, now: float) -> None:
        """Record a line of our own among the CLI's."""
        self._record(b"in", line, now)

    def ended(self, exit: Exit, now: float) -> None:
        """Record that the CLI ended, and how."""
        self._record(b"exit", json.dumps(asdict(exit)).encode(), now)

    def _takes(self, frame: Frame) -> bool:
        """See a frame before it is recorded; return whether it is."""
        # The answer to `initialize` has the account in it, and a replay needs none.
        return frame.get("type") != "control_response"

    def _record(self, kind: bytes, line: bytes, now: float) -> None:
        self._started = self._started or now
        self._write(b'{"t":%.4f,"%s":%s}\n' % (now - self._started, kind, line.strip()))


class FileRecorder(Recorder):
    """Writes a cassette, each line through to the file.

    The CLI's version comes with the first answer: it is put into the header that is there.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: RawIOBase | None = None
        self._header: dict[str, object] = {}
        self._header_size = 0

    def open(self, sdk: str, *, takes_asks: bool = False) -> None:
        """Create the file.

        Raises:
            CassetteError: it cannot be written.
        """
        try:
            flags = (
                os.O_WRONLY
                | os.O_CREAT
                | os.O_TRUNC
                | getattr(os, "O_NONBLOCK", 0)
                | getattr(os, "O_NOFOLLOW", 0)
            )
            # What is recorded is private, as the session was.
            self._file = open(os.open(self._path, flags, 0o600), "wb", buffering=0)  # noqa: SIM115
            mode = os.fstat(self._file.fileno()).st_mode
            if stat.S_ISREG(mode):
                os.fchmod(self._file.fileno(), 0o600)
        except OSError as error:
            raise CassetteError(f"Cannot record to {self._path}: {error.strerror or error}") from error
        if stat.S_ISFIFO(mode):
            self.close()
            raise CassetteError(f"Cannot record to {self._path}: it is a pipe, whose reader may be slow.")
        self._header = header(sdk, takes_asks)
        self._header_size = len(json.dumps(self._header)) + _ROOM
        self._write(self._header_line())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                self._fail(error)

    def _header_line(self) -> bytes:
        return json.dumps(self._header).encode().ljust(self._header_size) + b"\n"

    def _takes(self, frame: Frame) -> bool:
        takes = super()._takes(frame)
        if takes and self._header.get("cli_version") is None and frame.get("claude_code_version"):
            self._note_version(str(frame["claude_code_version"]))
        return takes

    def _note_version(self, version: str) -> None:
        self._header["cli_version"] = version
        line = self._header_line()
        if self._file is not None and len(line) == self._header_size + 1:
            with contextlib.suppress(OSError):  # a device has no beginning to go back to
                os.pwrite(self._file.fileno(), line, 0)

    def _write(self, line: bytes) -> None:
        """Write through. A file that fails ends the recording, and nothing else."""
        if self._file is None:
            return
        try:
            self._file.write(line)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = f"The recording to {self._path} failed: {error.strerror or error}."
        _log.error("%s The session goes on.", self.failure)
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


def header(sdk: str, takes_asks: bool) -> dict[str, object]:
    """Return a cassette's first line.

    Args:
        sdk: the name of the SDK's package.
        takes_asks: whether the agent's questions to its user are in the stream.
    """
    fields: dict[str, object] = {"rxccsdk_cassette": VERSION, "cli_version": None, "sdk": sdk}
    if takes_asks:
        fields["takes_asks"] = True
    return fields
