"""A turn of another machine beside a turn of this process: the same scripted CLIs, the same callback.

The CLI puts the time into each text when it writes it; the callback looks at the same clock. Through the
fleet it goes from the worker's process into Redis and from there to the observer's, all on one machine: what
a network takes comes on top. Nothing here is the CLI's own: a real one takes some 220 MB more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from redis import Redis

from benchmarks.fleet_program import Task, Watched, watch
from benchmarks.harness import Case, Contender, Figure, Measure, cases_of_runs
from benchmarks.paced_cli import STAMP, PacedCli, PacedTurn
from benchmarks.redis_server import RedisServer
from benchmarks.redis_streams import started

DIRECT = "a local session"
ALWAYS, EVERYSEC = "through the fleet, fsync always", "through the fleet, fsync everysec"


@dataclass(frozen=True)
class _Size:
    """How much there is to do.

    Attributes:
        name: of its cases.
        sessions: at once.
        count: texts of each.
        per_second: of each.
    """

    name: str
    sessions: int
    count: int
    per_second: float


_AT_ONCE = 1e6  # a second: as fast as it can
_PACED = (_Size("one at 100 a second", 1, 400, 100), _Size("20 at 50 a second", 20, 200, 50))
_FLOODS = (_Size("one, as fast as it can", 1, 20_000, _AT_ONCE), _Size("20 at once", 20, 1_000, _AT_ONCE))

_P50 = Figure[Watched]("p50", "milliseconds", lambda it: it.p50 * 1e3)
_P99 = Figure[Watched]("p99", "milliseconds", lambda it: it.p99 * 1e3)
_RUNNER = Figure[Watched](
    "CPU of the machine that has the CLI", "microseconds of CPU per frame", lambda it: it.cpu.runner * 1e6
)
_ALL = Figure[Watched](
    "CPU of all: worker, Redis, observer",
    "microseconds of CPU per frame",
    lambda it: (it.cpu.runner + it.cpu.reader + it.cpu.redis) * 1e6,
)


def _watch(server: Callable[[], RedisServer] | None, task: Task) -> Watched:
    if server is None:
        return watch(task)
    url = server().url
    with Redis.from_url(url) as client:
        client.flushall()
    return watch(replace(task, url=url))


def _kilobytes(which: str, server: Callable[[], RedisServer] | None, task: Task) -> float:
    """Memory of one of them, for each session but the first."""
    many, one = (getattr(_watch(server, each).memory, which) for each in (task, replace(task, sessions=1)))
    return max(float(many - one), 1.0) / (task.sessions - 1) / 1e3  # two runs differ by chance, too


def cases(quick: bool) -> Iterator[Case]:
    """At a pace, as fast as it can, and the memory; a quick run has less of each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {DIRECT: None, ALWAYS: started(stack, "always"), EVERYSEC: started(stack, "everysec")}

        def task_of(size: _Size) -> Task:
            count, sessions = (
                (size.count // 4, min(size.sessions, 2)) if quick else (size.count, size.sessions)
            )
            home = folder / size.name.replace(" ", "-")
            return Task(
                str(PacedCli(home, [PacedTurn([STAMP] * count, size.per_second)]).path), count, sessions
            )

        for size in (_PACED[0], _FLOODS[0]) if quick else (*_PACED, *_FLOODS):
            task = task_of(size)
            texts = task.count * task.sessions
            time = Figure[Watched]("time", "microseconds per frame", lambda it, n=texts: it.seconds / n * 1e6)  # type: ignore[misc]
            told = (time,) if size in _FLOODS else (_P50, _P99, _RUNNER, _ALL)
            figures = [replace(of, case=f"{size.name}: {of.case}") for of in told]
            runs = {name: partial(_watch, server, task) for name, server in servers.items()}
            yield from cases_of_runs(runs, figures, DIRECT)

        task = task_of(replace(_PACED[1], name="memory"))
        rows = [
            Contender(name, partial(_kilobytes, which, servers[of], task))
            for name, which, of in (
                (DIRECT, "runner", DIRECT),
                ("the fleet's worker", "runner", ALWAYS),
                ("the fleet's observer", "reader", ALWAYS),
                ("Redis, with the frames", "redis", ALWAYS),
            )
        ]
        unit = f"kilobytes per session of {task.count} texts"
        yield Case("memory", rows, DIRECT, unit=unit, most_rounds=2)


MEASURE = Measure(
    name="fleet",
    title="From the CLI writing a text to the observer's callback",
    unit="milliseconds",
    cases=cases,
    packages=("redis", "claude-agent-sdk"),
)
