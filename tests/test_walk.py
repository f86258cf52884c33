"""The walk of one text delta, from the CLI's bytes to the screen: short enough to be read in one go."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import rxccsdk
from rxccsdk import ClaudeSession, SessionResponse, Turn
from rxccsdk import operators as cc
from rxccsdk.testing import Frame, text_turn
from rxccsdk.testing.frames import to_line
from rxccsdk.transport import Exit, Lost, Receive
from rxccsdk.wire.frames import decode

PACKAGE = str(Path(rxccsdk.__file__).parent)
CONTRIBUTING = Path(__file__).parent.parent / "CONTRIBUTING.md"

MOST_CALLS = 25
MOST_FILES = 10


class ByHand:
    """A transport whose output the test writes."""

    backend = "none"
    session_id = "s"
    takes_asks = False
    is_live = True
    echoes = False
    pid = None
    written: Frame | None = None
    warnings: list[str] = []  # noqa: RUF012

    def time(self) -> float:
        return 0.0

    async def open(self, receive: Receive, lost: Lost) -> None:
        self.receive = receive

    def prompt_id(self, prompt: object) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.written = decode(data)

    def record(self, line: bytes) -> None: ...

    def hand_to_sdk(self, frame: Frame) -> None: ...

    async def terminate(self, exit: Exit) -> None: ...

    async def close(self) -> None: ...


class Walk:
    """Notes each call into the package, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __enter__(self) -> Walk:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        file = frame.f_code.co_filename
        name = frame.f_code.co_qualname.replace(".<locals>", "")
        # From Python 3.12 on a comprehension is no call.
        if event == "call" and file.startswith(PACKAGE) and not name.endswith("<listcomp>"):
            self.calls.append((file[len(PACKAGE) + 1 :], name))


async def walk_of_one_delta() -> list[tuple[str, str]]:
    """Play a turn of two deltas; return the calls that the second takes to each of its three readers."""
    transport, screen, late_screen = ByHand(), io.StringIO(), io.StringIO()
    session = ClaudeSession()
    session._make_transport = lambda: transport
    async with session:
        turn = session.stream("go")
        response = asyncio.ensure_future(_response(turn, screen))
        while not transport.written:
            await asyncio.sleep(0)
        lines = [to_line(frame) for frame in text_turn("one two", pieces=["one", " two"])]
        second = next(place for place, line in enumerate(lines) if b'" two"' in line)
        transport.receive(b"".join(lines[:second]))
        with Walk() as walk:
            transport.receive(lines[second])
        calls = walk.calls
        turn.pipe(cc.print_text(every=0, file=late_screen), cc.to_response()).subscribe()
        late = turn._cursors[-1]
        late.place = len(turn._log) - 2  # with the delta before it: the first of a block takes more
        with Walk() as walk:
            turn._read(late)
        calls += [call for call in of_the_last_item(walk.calls) if call not in calls]
        transport.receive(b"".join(lines[second + 1 :]))
        with Walk() as walk:
            assert (await response).content == "one two"
        calls += {call: None for call in walk.calls if "_Content" in call[1]}
    assert screen.getvalue() == "one two"
    assert late_screen.getvalue() == "one two"
    return calls


def of_the_last_item(calls: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what the items before the last one took in a read of many."""
    starts = [place for place, (_, name) in enumerate(calls) if name.startswith("printing.operator")]
    return calls[: starts[0]] + calls[starts[-1] :]


async def _response(turn: Turn, screen: io.StringIO) -> SessionResponse:
    return await turn.pipe(cc.print_text(every=0, file=screen), cc.to_response())


def test_one_delta_passes_few_functions_in_few_files() -> None:
    calls = asyncio.run(walk_of_one_delta())
    walk = "\n".join(f"{file}  {name}" for file, name in calls)
    assert len(calls) <= MOST_CALLS, walk
    assert len({file for file, _ in calls}) <= MOST_FILES, walk


def test_the_walk_is_the_one_that_contributors_read() -> None:
    rows = [row.strip("| ").split(" | ") for row in CONTRIBUTING.read_text().splitlines()]
    steps = [
        (row[0].strip("`"), name.strip(" `")) for row in rows if len(row) == 3 for name in row[1].split(",")
    ][2:]  # the head of the table
    assert steps == asyncio.run(walk_of_one_delta())
