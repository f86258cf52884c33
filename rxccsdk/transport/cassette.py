"""Cassettes: a session's lines with their times, written as they pass and played again.

A cassette is JSON Lines. The first line is its header; each other line is a frame with the seconds since the
start, `in` for what the CLI wrote and `out` for what was written to it:

    {"rxccsdk_cassette": 1, "cli_version": "2.1.330", "sdk": "claude-agent-sdk"}
    {"t": 0.81, "out": {"type": "user", ...}}
    {"t": 0.93, "in": {"type": "system", ...}}

How the CLI ended, where that was not asked for, is the last line: `{"t": ..., "exit": {...}}`.
The environment is never written.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from rxccsdk.chunks import Frame
from rxccsdk.errors import CassetteError
from rxccsdk.transport import Cut, Exit
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import NewSessionId
from rxccsdk.wire.frames import decode

VERSION = 1
# A cassette is held in memory.
_LARGEST = 1 << 30  # bytes
_LONGEST = 1 << 26  # bytes of a line
_MOST = 5_000_000  # lines: a short one costs more than its bytes
_LATEST = 366 * 86_400.0  # seconds
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)


class Line(msgspec.Struct):
    """What a line has recorded: at which time, and one of the three."""

    t: float
    received: Raw | None = msgspec.field(name="in", default=None)
    sent: Raw | None = msgspec.field(name="out", default=None)
    exit: Exit | None = None


_decode_line = msgspec.json.Decoder(Line).decode


@dataclass
class RecordedTurn:
    """A prompt, and the lines that came before the next prompt, with their times."""

    prompt: Any
    uuid: str
    sent_at: float
    lines: list[tuple[float, bytes]] = field(default_factory=list)


@dataclass
class Cassette:
    """A recording. `opening` has the lines of what the CLI wrote before the first prompt.

    Lines are kept as bytes: decoded, they would cost the garbage collector more in each of a thousand
    sessions that play side by side.
    """

    path: Path
    sdk: str
    cli_version: str | None
    takes_asks: bool = False
    session_id: str | None = None
    opening: list[tuple[float, bytes]] = field(default_factory=list)
    turns: list[RecordedTurn] = field(default_factory=list)
    exit: Exit | None = None


def read_cassette(path: Path) -> Cassette:
    """Read a cassette. One that a crash cut short goes up to its last whole line, and ends there in an error.

    Raises:
        CassetteError: it is missing, damaged, or of a version this library cannot play. It names the line.
    """
    with closing(_lines(path)) as lines:
        _, first = next(lines)
        tape = _read_header(path, first.removesuffix(b"\n"))
        connection = Connection()  # shows whether each turn ends: one that does not would never be over
        connection.takes_asks = tape.takes_asks
        number, is_whole = 1, first.endswith(b"\n")
        for number, line in lines:
            is_whole = line.endswith(b"\n") or read_line(line) is not None  # whole but for its newline
            if is_whole:
                _read_entry(tape, connection, number, line.removesuffix(b"\n"))
    if not is_whole or (tape.exit is None and connection.turn is not None):
        whole = number if is_whole else number - 1
        tape.exit = Cut(f"The recording is cut off here: {path}, behind line {whole}.")
    if tape.exit is None and not connection.is_ready:
        tape.exit = Exit("The recording ends here, in the middle of a turn of the CLI's own.")
    return tape


def _lines(path: Path) -> Generator[tuple[int, bytes], None, None]:
    """Yield the file's numbered lines, at least one; what would block, or never end, is refused."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise CassetteError(f"Cannot read the cassette {path}: it is no regular file.")
            if status.st_size > _LARGEST:
                size, limit = status.st_size >> 20, _LARGEST >> 20
                raise CassetteError(f"Cannot read the cassette {path}: {size} MiB are more than {limit}.")
            for number in count(1):
                line = file.readline(_LONGEST + 1)
                if len(line) > _LONGEST or (line and number > _MOST):
                    what = "is longer than 64 MiB" if len(line) > _LONGEST else f"is one more than {_MOST:,}"
                    raise CassetteError(f"{path}, line {number}: this line {what}.")
                if line or number == 1:
                    yield number, line
                if not line:
                    return
    except OSError as error:
        raise CassetteError(f"Cannot read the cassette {path}: {error.strerror or error}") from error
    except ValueError as error:  # a null character in its name
        raise CassetteError(f"Cannot read the cassette {path}: {error}") from error


def _read_header(path: Path, line: bytes) -> Cassette:
    header = decode(line)
    if header is None or "rxccsdk_cassette" not in header:
        raise CassetteError(f"{path}, line 1: this is no cassette; its first line must be the header.")
    if header["rxccsdk_cassette"] != VERSION:
        raise CassetteError(
            f"{path}, line 1: format version {header['rxccsdk_cassette']!r}; this version plays {VERSION}."
        )
    return Cassette(path, str(header.get("sdk")), header.get("cli_version"), header.get("takes_asks") is True)


def _read_entry(tape: Cassette, connection: Connection, number: int, line: bytes) -> None:
    entry = read_line(line)
    if entry is None:
        raise CassetteError(f"{tape.path}, line {number}: this is no recorded frame: {line[:60]!r}")
    if entry.exit is not None:
        tape.exit = entry.exit
    elif entry.sent is not None:
        frame = decode(bytes(entry.sent)) or {}
        if frame.get("type") == "user":
            if frame.get("uuid") in connection.waiting_messages:
                return  # sent into the turn that runs: the line before says so
            if connection.turn is not None:
                raise CassetteError(f"{tape.path}, line {number}: the turn before this prompt has no result.")
            _begin_turn(tape, connection, frame, entry.t)
        elif tape.takes_asks and frame.get("type") == "control_response":
            _keep(tape, connection, entry.t, bytes(entry.sent))  # the answer to a question
    elif entry.received is not None and (tape.takes_asks or not _is_control(bytes(entry.received))):
        _keep(tape, connection, entry.t, bytes(entry.received))


def _keep(tape: Cassette, connection: Connection, at: float, line: bytes) -> None:
    """Put a line into the turn it came in."""
    received = line + b"\n"
    for event in connection.receive(received):
        if isinstance(event, NewSessionId) and tape.turns:
            tape.session_id = tape.session_id or event.session_id
    lines = tape.turns[-1].lines if tape.turns else tape.opening
    lines.append((at, received))


def _begin_turn(tape: Cassette, connection: Connection, frame: Frame, at: float) -> None:
    message = frame.get("message")
    turn = RecordedTurn(
        message.get("content") if isinstance(message, dict) else None, str(frame.get("uuid")), at
    )
    connection.begin(turn.uuid)
    tape.turns.append(turn)


def _is_control(line: bytes) -> bool:
    return b'"control_' in line and str((decode(line) or {}).get("type")).startswith("control_")


def read_line(line: bytes) -> Line | None:
    """Return what a line has recorded, or `None` where it is no entry."""
    entry: Line | None
    try:
        entry = _decode_line(line)
    except (ValueError, RecursionError):
        entry = _read_patiently(line)
    if entry is None or not 0.0 <= entry.t <= _LATEST:
        return None
    raw = entry.received or entry.sent
    is_frame = raw is not None and bytes(raw).lstrip().startswith(b"{")
    return entry if is_frame or entry.exit is not None else None


def _read_patiently(line: bytes) -> Line | None:
    """Read a line that has in it what the strict decoder refuses, such as half of a surrogate pair."""
    try:
        fields = json.loads(line.decode("utf-8", "replace"), strict=False)
        raw = {name: Raw(json.dumps(fields[name]).encode()) for name in ("in", "out") if name in fields}
        ended = fields.get("exit")
        return Line(
            msgspec.convert(fields["t"], float),
            raw.get("in"),
            raw.get("out"),
            None if ended is None else msgspec.convert(ended, Exit),
        )
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
