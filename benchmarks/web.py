"""A turn's way to clients over HTTP: the delay, the server's CPU and memory, and who waits for whom.

The CLI puts the time into each text when it writes it; clients in a process of their own look at the same
clock. They read `rxccsdk.web.sse` behind uvicorn over loopback. A client that stalls asks for the events and
takes none: a text of half a megabyte at the turn's begin fills what the system keeps for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import Case, Contender, Figure, Measure, at_most, cases_of_runs
from benchmarks.paced_cli import STAMP, WARM_UP, PacedCli, PacedTurn
from benchmarks.web_program import Task, Watched, watch

DIRECT = "subscribed in the same process"

_MANY = 50
_PER_SECOND = 100  # as a model speaks
_SECONDS = 4.0
_LARGE = 1 << 19  # bytes

_P50 = Figure[Watched]("p50", "microseconds", lambda it: it.p50)
_P99 = Figure[Watched]("p99", "microseconds", lambda it: it.p99)


def _kilobytes(task: Task) -> float:
    """Of the server's memory, for each client but the first."""
    first = replace(task, reading=1, stalled=0)
    others = task.reading + task.stalled - 1
    return max(watch(task).memory - watch(first).memory, 1) / others / 1e3  # two runs differ by chance, too


def cases(quick: bool) -> Iterator[Case]:
    """The way over HTTP beside the direct one, then fifty with one that stalls beside fifty without."""
    many = 5 if quick else _MANY
    count = round(_PER_SECOND * _SECONDS / (10 if quick else 1))
    with tempfile.TemporaryDirectory() as folder:
        cli = PacedCli(Path(folder) / "plain", [WARM_UP, PacedTurn([STAMP] * count, _PER_SECOND)])
        large = PacedTurn(["-" * _LARGE, *[STAMP] * count], _PER_SECOND)
        full = PacedCli(Path(folder) / "large", [WARM_UP, large])
        plain, behind = Task(str(cli.path), count), Task(str(full.path), count)

        def run(task: Task) -> Callable[[], Watched]:
            return lambda: watch(task)

        runs = {
            DIRECT: run(plain),
            "sse, one client": run(replace(plain, reading=1)),
            f"sse, {many} clients": run(replace(plain, reading=many)),
        }
        per_frame = "microseconds of the server's CPU per frame"
        figures = [_P50, _P99, Figure[Watched]("CPU", per_frame, lambda it: it.cpu / count * 1e6)]
        yield from cases_of_runs(runs, figures, DIRECT)

        some, all_of_them = f"{many - 1} clients, and one that stalls", f"{many} clients"
        runs = {
            some: run(replace(behind, reading=many - 1, stalled=1)),
            all_of_them: run(replace(behind, reading=many)),
        }
        aims = {all_of_them: at_most(1.3)}
        figures = [replace(of, case=f"one stalls, {of.case}", aims=aims) for of in (_P50, _P99)]
        yield from cases_of_runs(runs, figures, some)

        reads, stalls = "a client that reads", f"a client that stalls at a text of {_LARGE >> 10} KB"
        rows = [
            Contender(reads, lambda: _kilobytes(replace(plain, reading=many))),
            Contender(stalls, lambda: _kilobytes(replace(behind, reading=1, stalled=many - 1))),
        ]
        yield Case("memory", rows, reads, unit="kilobytes of the server's memory per client", most_rounds=3)


MEASURE = Measure(
    name="web",
    title="From the CLI writing a text to a client over HTTP",
    unit="microseconds",
    cases=cases,
    packages=("starlette", "sse-starlette", "uvicorn"),
)
