"""What a program holds after long use of sessions: processes, descriptors, tasks, threads, memory.

Each kind of work runs in a fresh process, which says what it holds early on and after all of
it. A row compares the two: what is flat does not grow with the work.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.harness import Case, Contender, Measure, at_most

_CHECKOUT = Path(__file__).parents[1]
_WORK = {
    "turns": ("{count:,} turns of one session", 1000),
    "leaves": ("{count:,} sessions, opened and left in every way", 200),
    "real": ("{count} real CLIs at once, five times", 20),
}
_FIGURES = ("processes", "descriptors", "tasks", "threads", "megabytes")


class _Run:
    """One run of the program for all of its figures."""

    def __init__(self, kind: str, count: int) -> None:
        self._command = [sys.executable, "-m", "benchmarks.soak_program", kind, str(count)]
        self._samples: list[dict[str, float]] = []

    def sample(self, place: int, figure: str) -> float:
        """Return a figure after a tenth of the work (0), or after all of it (1)."""
        if not self._samples:
            done = subprocess.run(self._command, cwd=_CHECKOUT, check=True, capture_output=True, text=True)
            self._samples = json.loads(done.stdout)
        return self._samples[place][figure]


def cases(quick: bool) -> Iterator[Case]:
    """Every kind of work; a quick run does a twentieth of each."""
    for kind, (name, most) in _WORK.items():
        count = most // 20 if quick else most
        run = _Run(kind, count)
        for figure in _FIGURES:
            yield Case(f"{name.format(count=count)}: {figure}", _rows(run.sample, figure), _OURS, figure, 1)


_OURS = "after all of it"


def _rows(sample: Callable[[int, str], float], figure: str) -> list[Contender]:
    return [
        Contender(_OURS, partial(sample, 1, figure)),
        Contender("early on", partial(sample, 0, figure), at_most(1.1)),
    ]


MEASURE = Measure(
    name="soak",
    title="What long use leaves behind",
    unit="of each",
    cases=cases,
    packages=("claude-agent-sdk",),
)
