"""From a frame being due to Redis having it on disk, by how a worker's sessions append.

One by one: an entry a frame, and the next one when Redis has acknowledged it. In groups: a session appends as
one entry all that came while its append before was in flight; where nothing did, no frame waits for another.
In one pipeline, as `RedisLog` does: the groups of all sessions go together, and meanwhile the next gather.

Redis runs on the same machine, with an fsync a write, but for one row. Where a delay is near a second, its
row does not keep up: the delay is that of a run of some seconds, and grows with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from benchmarks.harness import Case, Figure, Measure, cases_of_runs
from benchmarks.redis_load import Load, Way, Written, load
from benchmarks.redis_server import RedisServer
from benchmarks.redis_streams import started

OURS = "in groups, one pipeline"

_SESSIONS = (1, 20, 100)
_RATES = (50, 200, 1000)  # frames a second, of each session
_MANY = 20_000  # frames a second: only so many are more than one of the rows can take
_SECONDS = 2.0


_P50 = Figure[Written]("p50", "milliseconds", lambda it: it.p50 * 1e3)
_P99 = Figure[Written]("p99", "milliseconds", lambda it: it.p99 * 1e3)
_TIME = Figure[Written]("all", "microseconds per frame", lambda it: it.seconds / it.frames * 1e6)
_ENTRIES = Figure[Written]("entries", "entries per frame", lambda it: it.entries / it.frames)


def cases(quick: bool) -> Iterator[Case]:
    """Each number of sessions at each rate; a quick run has the smallest, and is a tenth as long."""
    with ExitStack() as stack:
        always, everysec = started(stack, "always"), started(stack, "everysec")
        ways: dict[str, tuple[Callable[[], RedisServer], Way]] = {
            OURS: (always, "pipeline"),
            "one by one": (always, "one by one"),
            "in groups": (always, "group"),
            "in groups, fsync everysec": (everysec, "group"),
        }
        seconds = _SECONDS / 10 if quick else _SECONDS
        for sessions in _SESSIONS[: 1 if quick else None]:
            for rate in _RATES[: 1 if quick else None]:
                frames = round(sessions * rate * seconds)

                def run(
                    server: Callable[[], RedisServer],
                    way: Way,
                    frames: int = frames,
                    sessions: int = sessions,
                    rate: int = rate,
                ) -> Written:
                    return load(Load(server().url, way, frames, sessions=sessions, rate=rate))

                runs = {name: partial(run, *way) for name, way in ways.items()}
                name = f"{sessions} session{'s' * (sessions > 1)}, {rate:,} frames a second each"
                told = (_P50, _P99, _ENTRIES, *((_TIME,) if sessions * rate >= _MANY else ()))
                figures = [replace(of, case=f"{name}: {of.case}") for of in told]
                yield from cases_of_runs(runs, figures, OURS, most_rounds=3)


MEASURE = Measure(
    name="group_commit",
    title="From a frame being due to Redis having it",
    unit="milliseconds",
    cases=cases,
    packages=("redis",),
)
