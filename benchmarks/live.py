"""Microseconds of CPU per delta at the pace of a real agent: one delta a millisecond, one line a read.

Each row is a process of its own, which plays a short turn to warm up and is measured over a long one. What
disturbs a machine only adds, so of all rounds the least figure counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Aim, CannotDo, Case, Contender, Measure, at_most
from benchmarks.paced_cli import WARM_UP, PacedCli, PacedTurn
from rxccsdk.testing import environment

OURS = "rxccsdk, five operators"
BEFORE = "e4800a1"  # 0.1.0

_CHECKOUT = Path(__file__).parent.parent
_PER_SECOND = 1000
_SECONDS = 3.0
_ROUNDS = 8


def _row(
    name: str, row: str, cli: PacedCli, turn: PacedTurn, before: Path | None, aim: Aim | None
) -> Contender:
    def run() -> float:
        paths = [*([str(before)] if before is not None else []), str(_CHECKOUT)]
        with environment(os.environ):
            env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
            command = [sys.executable, "-P", "-m", "benchmarks.live_program", row, str(cli.path)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        seconds, characters = done.stdout.split()
        assert int(characters) == sum(map(len, turn.pieces)), "text is missing, or came twice"
        return float(seconds) / len(turn.pieces) * 1e6

    return Contender(name, run, aim)


def _version_before(folder: Path) -> Path:
    """Put the package as it was at `BEFORE` into a folder."""
    archive = subprocess.run(["git", "archive", BEFORE, "rxccsdk"], cwd=_CHECKOUT, capture_output=True)
    if archive.returncode != 0:
        raise CannotDo(f"git has no {BEFORE} here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def _before_row(cli: PacedCli, turn: PacedTurn, folder: Path, aim: Aim) -> Contender:
    def run() -> float:
        before = folder if (folder / "rxccsdk").exists() else _version_before(folder)
        return _row("", "ours", cli, turn, before, None).run()

    return Contender("rxccsdk 0.1.0, five operators", run, aim)


def cases(quick: bool) -> Iterator[Case]:
    """One case; a quick run is a twentieth as long."""
    count = round(_PER_SECOND * _SECONDS / (20 if quick else 1))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as before:
        turn = PacedTurn(["piece"] * count, _PER_SECOND)
        cli = PacedCli(Path(folder) / "cli", [WARM_UP, turn])
        contenders = [
            _row(OURS, "ours", cli, turn, None, None),
            _before_row(cli, turn, Path(before), at_most(1)),
            _row("bare readline loop and orjson", "readline", cli, turn, None, at_most(1.5)),
            _row("claude-code-sdk, bare loop", "claude-code-sdk", cli, turn, None, None),
            _row("claude-agent-sdk, bare loop", "claude-agent-sdk", cli, turn, None, at_most(0.55)),
        ]
        yield Case(
            f"{_PER_SECOND:,} deltas a second, {count:,} of them",
            contenders,
            OURS,
            fewest_rounds=0 if quick else _ROUNDS,
            least=True,
        )


MEASURE = Measure(
    name="live",
    title="CPU for a delta that comes alone",
    unit="microseconds of CPU per delta",
    cases=cases,
    packages=("claude-code-sdk", "claude-agent-sdk", "orjson", "msgspec", "reactivex"),
)
