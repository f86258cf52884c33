"""Cassettes: a session's frames with their times, written as they pass and played again.

A cassette is JSON Lines. The first line is its header; each other line is a frame with the seconds since the
start, `in` for what the CLI wrote and `out` for what was written to it:

    {"rxccsdk_cassette": 1, "cli_version": "2.1.330", "sdk": "claude-agent-sdk"}
    {"t": 0.81, "out": {"type": "user", ...}}
    {"t": 0.93, "in": {"type": "system", ...}}

How the CLI ended, where that was not asked for, is the last line: `{"t": ..., "exit": {...}}`.
The environment is never written.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rxccsdk.chunks import Frame
from rxccsdk.errors import CassetteError
from rxccsdk.wire import Exit, Lost, Receive
from rxccsdk.wire.decoding import decode
from rxccsdk.wire.routing import Router

_VERSION = 1


class Recorder:
    """Writes a cassette. Its header waits for the CLI's version, which comes with the first answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._waiting: list[bytes] | None = []
        self._sdk = ""
        self._started = 0.0

    def open(self, sdk: str) -> None:
        """Create the file.

        Raises:
            CassetteError: it cannot be written.
        """
        self._sdk = sdk
        try:
            self._file = self._path.open("wb")
        except OSError as error:
            raise CassetteError(f"Cannot record to {self._path}: {error.strerror or error}") from error

    def sent(self, line: bytes, now: float) -> None:
        """Note a frame that was written to the CLI."""
        self._note(b"out", line, now)

    def received(self, line: bytes, now: float, frame: Frame) -> None:
        """Note a frame the CLI wrote: its line, and what it says."""
        if self._waiting is not None and frame.get("claude_code_version"):
            self._write_header(str(frame["claude_code_version"]))
        try:
            line.decode()
        except UnicodeDecodeError:
            line = json.dumps(frame).encode()
        self._note(b"in", line, now)

    def ended(self, exit: Exit, now: float) -> None:
        """Note that the CLI ended, and how."""
        told = {"reason": exit.reason, "code": exit.code, "stderr": list(exit.stderr)}
        self._note(b"exit", json.dumps(told).encode(), now)

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._file is not None:
            if self._waiting is not None:
                self._write_header(None)
            self._file.close()
            self._file = None

    def _note(self, kind: bytes, line: bytes, now: float) -> None:
        self._started = self._started or now
        entry = b'{"t":%.4f,"%s":%s}\n' % (now - self._started, kind, line.strip())
        if self._waiting is not None:
            self._waiting.append(entry)
        elif self._file is not None:
            self._file.write(entry)

    def _write_header(self, cli_version: str | None) -> None:
        header = {"rxccsdk_cassette": _VERSION, "cli_version": cli_version, "sdk": self._sdk}
        waiting, self._waiting = self._waiting or [], None
        if self._file is not None:
            self._file.write(json.dumps(header).encode() + b"\n" + b"".join(waiting))


@dataclass
class RecordedTurn:
    """A prompt and the lines of what followed it, up to the next prompt, with the times at which it came."""

    prompt: Any
    uuid: str
    sent_at: float
    lines: list[tuple[float, bytes]] = field(default_factory=list)


@dataclass
class Cassette:
    """A recording, read. `opening` has the lines of what the CLI wrote before the first prompt.

    Lines are kept as they are and decoded when they are played: the garbage collector would walk over what is
    in them, in each of a thousand sessions that play side by side.
    """

    path: Path
    sdk: str
    cli_version: str | None
    session_id: str | None = None
    opening: list[tuple[float, bytes]] = field(default_factory=list)
    turns: list[RecordedTurn] = field(default_factory=list)
    exit: Exit | None = None


def read_cassette(path: Path) -> Cassette:
    """Read a cassette.

    Raises:
        CassetteError: it is missing, damaged, cut short, or of a version this library cannot play. It names
            the line.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise CassetteError(f"Cannot read the cassette {path}: {error.strerror or error}") from error
    if lines[-1] == b"":
        lines.pop()
        cut = None
    else:
        cut = len(lines)
    header = decode(lines[0]) if lines else None
    if header is None or "rxccsdk_cassette" not in header:
        raise CassetteError(f"{path}, line 1: this is no cassette; its first line must be the header.")
    if header["rxccsdk_cassette"] != _VERSION:
        raise CassetteError(
            f"{path}, line 1: format version {header['rxccsdk_cassette']!r}; this version plays {_VERSION}."
        )
    tape = Cassette(path, str(header.get("sdk")), header.get("cli_version"))
    router = Router()  # tells whether each turn ends, for one that does not would be waited for in vain
    for number, line in enumerate(lines[1:], start=2):
        _read_entry(tape, router, number, line, truncated=number == cut)
    if tape.exit is None and router.turn is not None:
        raise CassetteError(f"{path}, line {len(lines)}: the cassette is cut off here: a turn has no result.")
    if tape.exit is None and router.busy:
        tape.exit = Exit("The recording ends here, in the middle of a turn of the CLI's own.")
    return tape


def _read_entry(tape: Cassette, router: Router, number: int, line: bytes, *, truncated: bool) -> None:
    entry = decode(line)
    kind = next((kind for kind in ("in", "out", "exit") if kind in (entry or ())), None)
    at = entry.get("t") if entry is not None else None
    if entry is None or kind is None or not isinstance(at, (int, float)) or not isinstance(entry[kind], dict):
        what = "the cassette is cut off here" if truncated else "this is no recorded frame"
        raise CassetteError(f"{tape.path}, line {number}: {what}: {line[:60]!r}")
    frame: Frame = entry[kind]
    if kind == "exit":
        code = frame.get("code")
        tape.exit = Exit(str(frame.get("reason")), code, tuple(frame.get("stderr") or ()))
    elif kind == "out":
        if frame.get("type") == "user":
            if router.turn is not None:
                raise CassetteError(f"{tape.path}, line {number}: the turn before this prompt has no result.")
            message = frame.get("message") or {}
            turn = RecordedTurn(message.get("content"), str(frame.get("uuid")), float(at))
            router.begin(len(tape.turns), turn.uuid)
            tape.turns.append(turn)
    elif not str(frame.get("type")).startswith("control_"):
        router.route(frame)
        if tape.turns:
            tape.session_id = tape.session_id or frame.get("session_id")
        lines = tape.turns[-1].lines if tape.turns else tape.opening
        lines.append((float(at), line))


def recorded_frame(line: bytes) -> Frame:
    """Give the frame in a line of what the CLI wrote, which was read before."""
    entry = decode(line)
    assert entry is not None
    frame: Frame = entry["in"]
    return frame


class CassettePlayer:
    """A wire that plays a cassette.

    An interrupt makes what is left of the turn arrive at once: what was recorded cannot be changed.

    Args:
        path: the cassette.
        speed: how many times faster than recorded.
    """

    session_id: str | None = None

    def __init__(self, path: Path, speed: float) -> None:
        self._path = path
        self._speed = speed
        self._tape: Cassette | None = None
        self._turns_sent = 0
        self._now = 0.0
        self._ahead: deque[tuple[float, bytes]] = deque()  # what is still to be played of this turn
        self._step: asyncio.Handle | None = None  # the next read
        self._hurrying = False
        self._started_at = self._recorded_at = 0.0  # the turn's beginning, on either clock
        self._receive: Receive | None = None
        self._lost: Lost | None = None

    @property
    def backend(self) -> str:
        """The SDK it was recorded with."""
        return self._tape.sdk if self._tape is not None else "replay"

    def time(self) -> float:
        """The recorded time of the frame at hand."""
        return self._now

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Read the cassette.

        Raises:
            CassetteError: it is missing or damaged.
        """
        self._tape = read_cassette(self._path)
        self._receive, self._lost = receive, lost
        self.session_id = self._tape.session_id
        self._ahead.extend(self._tape.opening)
        self._play_due(float("inf"))

    def send(self, prompt: str | list[dict[str, Any]]) -> str:
        """Play the next turn, whatever the prompt.

        Raises:
            CassetteError: there is none.
        """
        assert self._tape is not None
        if self._turns_sent >= len(self._tape.turns):
            recorded = len(self._tape.turns)
            plural = "turn" if recorded == 1 else "turns"
            raise CassetteError(
                f"{self._path} has {recorded} {plural}; this prompt is number {recorded + 1}."
            )
        self._stop()
        while self._ahead:
            self._play_due(float("inf"))  # what came after the last result came before this prompt
        turn = self._tape.turns[self._turns_sent]
        self._turns_sent += 1
        self._now = turn.sent_at
        self._ahead.extend(turn.lines)
        self._hurrying = False
        self._started_at, self._recorded_at = asyncio.get_running_loop().time(), self._now
        self._play_on()
        return turn.uuid

    def interrupt(self) -> None:
        """Let the rest of the turn arrive at once."""
        self._hurrying = True
        if self._step is not None:
            self._play_on()

    async def cost_so_far(self) -> float | None:
        """Nothing: a recording tells its costs in its results."""
        return None

    async def terminate(self) -> None:
        """Stop playing."""
        self._stop()

    async def close(self) -> None:
        """Stop playing."""
        self._stop()

    def _stop(self) -> None:
        if self._step is not None:
            self._step.cancel()
            self._step = None

    def _play_on(self) -> None:
        """Wait for the next read, by a timer of the loop: a thousand sessions may play side by side."""
        self._stop()
        loop = asyncio.get_running_loop()
        if not self._ahead:
            self._step = loop.call_soon(self._end)
            return
        due = self._started_at + (self._ahead[0][0] - self._recorded_at) / self._speed
        if self._hurrying or due <= loop.time():
            self._step = loop.call_soon(self._play_next)
        else:
            self._step = loop.call_at(due, self._play_next)

    def _play_next(self) -> None:
        this = self._step
        self._play_due(self._ahead[0][0])
        if self._step is this:  # what it brought may have stopped it, or hurried it on
            self._play_on()

    def _end(self) -> None:
        self._step = None
        assert self._tape is not None
        assert self._lost is not None
        if self._turns_sent == len(self._tape.turns) and self._tape.exit is not None:
            self._lost(self._tape.exit)

    def _play_due(self, until: float) -> None:
        """Deliver what was recorded up to a moment, as one read."""
        due: list[Frame] = []
        while self._ahead and self._ahead[0][0] <= until:
            self._now, line = self._ahead.popleft()
            due.append(recorded_frame(line))
        if due and self._receive is not None:
            self._receive(due)
