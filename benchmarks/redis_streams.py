"""What a frame costs in a Redis stream, by how it is appended and when it reaches the disk.

The entries are of 277 bytes a frame, the mean of deltas in the CLI's logs. The clock on the wall counts what
the writer waits for; the CPU of the server is what a shard has to give, and the writer's is what redis-py
takes, which one process can have only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from redis import Redis

from benchmarks.harness import CannotDo, Case, Contender, Figure, Measure, cases_of_runs
from benchmarks.redis_load import FRAME, Load, load
from benchmarks.redis_server import Fsync, RedisServer, redis_server

FSYNCS: Sequence[Fsync] = ("always", "everysec", "no")

_ONE_BY_ONE = "an entry a frame, one by one"
_FLOODS: Mapping[str, Mapping[str, int]] = {
    _ONE_BY_ONE: {},
    "an entry a frame, 64 streams at once": {"sessions": 64},
    "an entry a frame, 64 in a pipeline": {"pipeline": 64},
    "4 frames an entry, one by one": {"entry": 4},
    "16 frames an entry, one by one": {"entry": 16},
    "64 frames an entry, one by one": {"entry": 64},
}
_FRAMES, _SLOW_FRAMES = 16_384, 1_024  # the latter where each waits for the disk
_CPU = "microseconds per frame of"
_STORED = 65_536  # frames
_ENTRIES = (1, 4, 16, 64)  # frames each


class _Run(NamedTuple):
    """Microseconds per frame: on the clock, of the server's CPU, of the writer's."""

    time: float
    server: float
    writer: float


def _flood(server: Callable[[], RedisServer], frames: int, how: Mapping[str, int]) -> _Run:
    at = server()
    before = at.cpu()
    written = load(Load(at.url, "flood", frames, **how))
    seconds = (written.seconds, at.cpu() - before, written.cpu)
    return _Run(*(each / frames * 1e6 for each in seconds))


def started(stack: ExitStack, fsync: Fsync | None) -> Callable[[], RedisServer]:
    """Start a server for as long as the stack lives, and give what gives it, or says why there is none."""
    try:
        server = stack.enter_context(redis_server(fsync))
    except CannotDo as failure:
        return partial(_raise, failure)
    return lambda: server


def _raise(failure: CannotDo) -> RedisServer:
    raise failure


def _bytes_on_top(server: Callable[[], RedisServer], entry: int, frames: int) -> float:
    """Bytes that a frame takes in a stream besides its own."""
    at = server()
    with Redis.from_url(at.url) as client:
        client.flushall()
        before = at.used_memory()
        with client.pipeline(transaction=False) as pipeline:
            for number in range(frames // entry):
                pipeline.xadd("s", {b"d": b"x" * (FRAME * entry)}, id=f"0-{number + 1}")
            pipeline.execute()
    with Redis.from_url(at.url) as client:  # another connection: the buffers of the first are gone
        client.ping()
    return (at.used_memory() - before) / frames - FRAME


def cases(quick: bool) -> Iterator[Case]:
    """Time and CPU for each setting of fsync, then memory; a quick run has one setting and 64 frames."""
    for fsync in FSYNCS[-1:] if quick else FSYNCS:
        with ExitStack() as stack:
            server = started(stack, fsync)
            runs = {
                name: partial(_flood, server, _frames(fsync, how, quick), how)
                for name, how in _FLOODS.items()
            }
            figures = (
                Figure[_Run](f"fsync {fsync}", "microseconds per frame", lambda it: it.time),
                Figure[_Run](f"fsync {fsync}, the server", f"{_CPU} the server's CPU", lambda it: it.server),
                Figure[_Run](f"fsync {fsync}, the writer", f"{_CPU} the writer's CPU", lambda it: it.writer),
            )
            yield from cases_of_runs(runs, figures, _ONE_BY_ONE)
    with ExitStack() as stack:
        server, frames = started(stack, None), _STORED // 16 if quick else _STORED
        stored = [
            Contender(
                f"{entry} frames an entry" if entry > 1 else "a frame an entry",
                partial(_bytes_on_top, server, entry, frames),
            )
            for entry in _ENTRIES
        ]
        unit = f"bytes per frame of {FRAME} bytes, besides its own"
        yield Case("memory", stored, stored[0].name, unit=unit, most_rounds=1)


def _frames(fsync: Fsync, how: Mapping[str, int], quick: bool) -> int:
    if quick:
        return 64
    return _SLOW_FRAMES if fsync == "always" and not how else _FRAMES


MEASURE = Measure(
    name="redis_streams",
    title="A frame into a Redis stream",
    unit="microseconds per frame",
    cases=cases,
    packages=("redis",),
)
