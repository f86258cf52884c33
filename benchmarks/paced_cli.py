"""A CLI that writes its deltas at a pace, each in a write of its own, and can tell in them when it did."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paced_program import ALL, NOW
from rxccsdk.testing import Frame, init_frame, message, reply, result_frame
from rxccsdk.testing.frames import to_line

STAMP = NOW.decode()
"""A piece that arrives as the time at which it was written, `time.monotonic_ns()`, which is ours too."""

_SESSION = "9b8d0f64-caef-4aba-856d-e790d0497782"


@dataclass(frozen=True)
class PacedTurn:
    """An answer of one text block.

    Attributes:
        pieces: the text, delta by delta: any words, and behind them any number of `STAMP`s.
        per_second: how many of them.
    """

    pieces: Sequence[str]
    per_second: float


WARM_UP = PacedTurn(["ready;"] * 50, 10_000)
"""Enough for a reader to have seen everything once."""


def answer_frames(pieces: Sequence[str], number: int = 0) -> list[Frame]:
    """The frames of a turn that answers with these pieces."""
    text = "".join(pieces)
    whole = message(reply(text, pieces=pieces), id=f"msg_{number}")
    return [init_frame(), *whole, result_frame(text[-40:])]


def lines_of(frames: Sequence[Frame]) -> bytes:
    """Frames as lines, each with an id of its own."""
    first, *others = b"".join(map(to_line, frames)).replace(b"$session", _SESSION.encode()).split(b"$new")
    return first + b"".join(str(uuid.uuid4()).encode() + part for part in others)


class PacedCli:
    """An executable that answers its nth prompt with the nth turn, whatever the prompt.

    It names no prompts, as the CLI did before 2.1.330, so that all who read it read the same bytes.

    Args:
        folder: where it is written; it is its own.
        turns: what it answers.

    Attributes:
        path: the executable.
    """

    def __init__(self, folder: Path, turns: Sequence[PacedTurn]) -> None:
        folder.mkdir()
        plan = []
        for number, turn in enumerate(turns):
            lines = lines_of(answer_frames(turn.pieces, number))
            if stamps := sum(piece == STAMP for piece in turn.pieces):
                lines = lines.replace(NOW * stamps, ALL)
            (folder / f"turn{number}").write_bytes(lines)
            plan.append((f"turn{number}", 1 / turn.per_second))
        (folder / "plan.json").write_text(json.dumps(plan))
        program = Path(__file__).with_name("paced_program.py").read_bytes()
        self.path = folder / "claude"
        self.path.write_bytes(f"#!{sys.executable} -IS\n".encode() + program)
        self.path.chmod(0o755)
