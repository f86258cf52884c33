"""Playing a cassette in the place of the CLI."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from pathlib import Path

from rxccsdk.chunks import Frame
from rxccsdk.errors import CassetteError
from rxccsdk.transport import Exit, Lost, Receive
from rxccsdk.transport.cassette import Cassette, read_cassette
from rxccsdk.wire.frames import decode


class CassettePlayer:
    """A transport that plays a cassette.

    An interrupt makes what is left of the turn arrive at once: what was recorded cannot be changed.

    Args:
        path: the cassette.
        speed: how many times faster than recorded.
        max_idle: no pause is longer, in recorded seconds.

    Attributes:
        is_paused: it waits for `resume`.
    """

    session_id: str | None = None
    is_live = False
    echoes = False
    pid: int | None = None

    def __init__(self, path: Path, speed: float, max_idle: float = float("inf")) -> None:
        self.is_paused = False
        self._path = path
        self._speed = speed
        self._max_idle = max_idle
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

    @property
    def takes_asks(self) -> bool:
        """Whether the recorded session put the agent's questions into its stream."""
        return self._tape is not None and self._tape.takes_asks

    def time(self) -> float:
        """Return the recorded time of the line that is played."""
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
        self._play_until(float("inf"))

    def prompt_id(self, prompt: object) -> str:
        """Return the uuid of the next recorded prompt.

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
        # What came after the last result came before this prompt.
        self._stop()
        self._play_until(float("inf"))
        self._now = self._tape.turns[self._turns_sent].sent_at
        return self._tape.turns[self._turns_sent].uuid

    def write(self, data: bytes) -> None:
        """Play the next turn at a prompt, hurry at an interrupt, refuse anything else."""
        frame = decode(data) or {}
        request = frame.get("request") or {}
        if frame.get("type") == "user":
            self._play_turn()
        elif request.get("subtype") == "interrupt":
            self.hurry()
        elif request:
            asyncio.get_running_loop().call_soon(self._refuse, str(frame.get("request_id")))

    def record(self, line: bytes) -> None:
        """Do nothing: it is recorded."""

    @property
    def warnings(self) -> list[str]:
        """None."""
        return []

    def hand_to_sdk(self, frame: Frame) -> None:
        """Do nothing: the recorded SDK has answered."""

    async def terminate(self, exit: Exit) -> None:
        """Stop playing."""
        self._stop()

    async def close(self) -> None:
        """Stop playing."""
        self._stop()

    @property
    def speed(self) -> float:
        """How many times faster than recorded it plays."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._set_the_clock()
        self._speed = speed
        self._go_on()

    def pause(self) -> None:
        """Play nothing until `resume`."""
        self._set_the_clock()
        self.is_paused = True
        self._stop()

    def resume(self) -> None:
        """Play on."""
        self._set_the_clock()  # still paused: the time until now is none of the recording's
        self.is_paused = False
        self._go_on()

    def hurry(self) -> None:
        """Let what is left of the turn come at once."""
        self._hurrying, self.is_paused = True, False
        self._go_on()

    def _go_on(self) -> None:
        if self._ahead and not self.is_paused:
            self._play_on()

    def _set_the_clock(self) -> None:
        """Count from here: what is still to come keeps its distance."""
        loop = asyncio.get_running_loop()
        if not self.is_paused and self._started_at:
            self._recorded_at += (loop.time() - self._started_at) * self._speed
        self._started_at = loop.time()

    def _play_turn(self) -> None:
        assert self._tape is not None
        turn = self._tape.turns[self._turns_sent]
        self._turns_sent += 1
        self._ahead.extend(turn.lines)
        self._hurrying = False
        self._started_at, self._recorded_at = asyncio.get_running_loop().time(), self._now
        self._play_on()

    def _refuse(self, request_id: str) -> None:
        response = {"subtype": "error", "request_id": request_id, "error": "A recording answers no requests."}
        if self._receive is not None:
            self._receive(json.dumps({"type": "control_response", "response": response}).encode() + b"\n")

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
        if self.is_paused and not self._hurrying:
            return
        idle = self._ahead[0][0] - max(self._now, self._recorded_at)
        self._recorded_at += max(0.0, idle - self._max_idle)
        due = self._started_at + (self._ahead[0][0] - self._recorded_at) / self._speed
        if self._hurrying or due <= loop.time():
            self._step = loop.call_soon(self._play_next)
        else:
            self._step = loop.call_at(due, self._play_next)

    def _play_next(self) -> None:
        this = self._step
        self._play_until(self._ahead[0][0])
        if self._step is this:  # what it brought may have stopped it, or hurried it on
            self._play_on()

    def _end(self) -> None:
        self._step = None
        assert self._tape is not None
        assert self._lost is not None
        if self._turns_sent == len(self._tape.turns) and self._tape.exit is not None:
            self._lost(self._tape.exit)

    def _play_until(self, time: float) -> None:
        """Deliver what was recorded up to a moment, as one read."""
        due: list[bytes] = []
        while self._ahead and self._ahead[0][0] <= time:
            self._now, line = self._ahead.popleft()
            due.append(line)
        if due and self._receive is not None:
            self._receive(b"".join(due))
