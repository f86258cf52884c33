"""Microseconds of CPU per delta at the pace of a real agent: one delta a millisecond, one line a read.

Each row is a process of its own, which plays a short turn to warm up and is measured over a long one. What
disturbs a machine only adds, so of all rounds the least figure counts.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Aim, CannotDo, Case, Contender, Measure, at_most
from benchmarks.paced_cli import WARM_UP, PacedCli, PacedTurn

OURS = "rxccsdk, five operators"
BEFORE = "e4800a1"  # the commit of 0.1.0

_CHECKOUT = Path(__file__).parent.parent
_PER_SECOND = 1000
_DELTAS = 3000
_ROUNDS = 8
_PATIENCE = 120.0  # seconds


def _microseconds(row: str, cli: PacedCli, turn: PacedTurn, packages: Path) -> float:
    """Run a row with the rxccsdk that lies in a folder."""
    path = os.pathsep.join((str(packages), str(_CHECKOUT)))
    command = [sys.executable, "-P", "-m", "benchmarks.live_program", row, str(cli.path)]
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_PATIENCE)
    assert done.returncode == 0, done.stderr
    seconds, characters, package = done.stdout.splitlines()
    assert Path(package).is_relative_to(packages), f"it is measured with {package}"
    assert int(characters) == sum(map(len, turn.pieces)), "text is missing, or came twice"
    return float(seconds) / len(turn.pieces) * 1e6


def _extract_version_before(folder: Path) -> None:
    command = ["git", "archive", BEFORE, "rxccsdk"]
    try:
        archive = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise CannotDo("there is no git") from error
    except subprocess.CalledProcessError as error:
        raise CannotDo(f"git has no {BEFORE} here") from error
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


def cases(quick: bool) -> Iterator[Case]:
    """One case; a quick run is a twentieth as long."""
    count = _DELTAS // 20 if quick else _DELTAS
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as old:
        turn = PacedTurn(["piece"] * count, _PER_SECOND)
        cli = PacedCli(Path(folder) / "cli", [WARM_UP, turn])

        def before() -> float:
            if not any(Path(old).iterdir()):
                _extract_version_before(Path(old))
            return _microseconds("ours", cli, turn, Path(old))

        def contender(name: str, row: str, aim: Aim | None = None) -> Contender:
            return Contender(name, lambda: _microseconds(row, cli, turn, _CHECKOUT), aim)

        contenders = [
            contender(OURS, "ours"),
            Contender("rxccsdk 0.1.0, five operators", before, at_most(1)),
            contender("bare readline loop and orjson", "readline", at_most(1.5)),
            contender("claude-code-sdk, bare loop", "claude-code-sdk"),
            contender("claude-agent-sdk, bare loop", "claude-agent-sdk", at_most(0.55)),
        ]
        name = f"{_PER_SECOND:,} deltas a second, {count:,} of them"
        yield Case(name, contenders, OURS, fewest_rounds=0 if quick else _ROUNDS, least=True)


MEASURE = Measure(
    name="live",
    title="CPU for a delta that comes alone",
    unit="microseconds of CPU per delta",
    cases=cases,
    packages=("claude-code-sdk", "claude-agent-sdk", "orjson", "msgspec", "reactivex"),
)
