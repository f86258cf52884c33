"""What writes frames into Redis, in a process of its own: with redis-py alone, nothing of ours.

`load()` starts `python -m benchmarks.redis_load`. A flood writes as fast as it can; sessions get their
frames at a pace, as a CLI writes them. How long a frame takes until Redis has acknowledged it counts from
when it was due, so that a backlog is seen. Who cannot keep up is stopped: what is not acknowledged by then
counts as late as it is.
"""

from __future__ import annotations

import asyncio
import gc
import json
import selectors
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from redis.asyncio import Redis

from benchmarks.child import done_by

FRAME = 277
"""Bytes of the mean delta of the CLI's recorded logs, with its newline."""

_LONGEST = 2.0  # times as long as the frames come: then it is stopped
_YIELD = 64  # frames that are late already and are handed over without a look at the network
_LINE = b'{"type":"stream_event",' + b"x" * (FRAME - 25) + b"}\n"

Way = Literal["flood", "one by one", "group", "pipeline"]


@dataclass(frozen=True)
class Load:
    """What to write.

    Attributes:
        url: the server.
        way: "flood", or how sessions append: each its frames "one by one"; each as a "group" what came while
            its append before was in flight; or all together the groups of all in one "pipeline".
        frames: all of them.
        sessions: streams that are written at once; in a flood each over a connection of its own.
        entry: frames in an entry of a flood.
        pipeline: entries that a flood sends together.
        rate: frames a second and session.
    """

    url: str
    way: Way
    frames: int
    sessions: int = 1
    entry: int = 1
    pipeline: int = 1
    rate: float = 0.0


@dataclass(frozen=True)
class Written:
    """What it took.

    Attributes:
        frames: that Redis has acknowledged.
        seconds: that this took.
        cpu: seconds of the writer's process.
        entries: that they became.
        p50: seconds from when a frame was due to its acknowledgement, the median; 0 of a flood.
        p99: the 99th percentile.
    """

    frames: int
    seconds: float
    cpu: float
    entries: int
    p50: float = 0.0
    p99: float = 0.0


def load(task: Load) -> Written:
    """Do it in a fresh process."""
    return Written(**done_by("benchmarks.redis_load", task))


async def _flood(redis: Redis, task: Load) -> Written:
    fields: Any = {b"d": _LINE * task.entry}
    entries = task.frames // (task.entry * task.sessions)  # of each

    async def write(key: str) -> None:
        if task.pipeline == 1:
            for _ in range(entries):
                await redis.xadd(key, fields)
            return
        for _ in range(entries // task.pipeline):
            async with redis.pipeline(transaction=False) as pipeline:
                for _ in range(task.pipeline):
                    pipeline.xadd(key, fields)
                await pipeline.execute()

    await asyncio.gather(*(redis.ping() for _ in range(task.sessions)))
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(write(f"s{number}") for number in range(task.sessions)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Written(task.frames, seconds, cpu, entries * task.sessions)


class _Session:
    """Has frames, and appends them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.due: list[float] = []  # when each frame was that is not acknowledged
        self.has_come = asyncio.Event()
        self.entries = 0
        self.delays: list[float] = []

    def group(self, most: int | None = None) -> dict[Any, Any]:
        """Return the next entry's fields."""
        self.sent = len(self.due[:most])
        return {b"d": _LINE * self.sent}

    def acknowledged(self) -> None:
        """Note that the entry is kept."""
        now = time.perf_counter()
        self.delays += [now - due for due in self.due[: self.sent]]
        del self.due[: self.sent]
        self.entries += 1


async def _append(redis: Redis, session: _Session, most: int | None) -> None:
    """Append a session's groups, one after the other."""
    while True:
        await session.has_come.wait()
        session.has_come.clear()
        while session.due:
            await redis.xadd(session.key, session.group(most))
            session.acknowledged()


async def _append_together(redis: Redis, sessions: list[_Session], has_come: asyncio.Event) -> None:
    """Append the groups of all sessions in one pipeline, and then what came meanwhile."""
    while True:
        await has_come.wait()
        has_come.clear()
        while writing := [session for session in sessions if session.due]:
            async with redis.pipeline(transaction=False) as pipeline:
                for session in writing:
                    pipeline.xadd(session.key, session.group())
                await pipeline.execute()
            for session in writing:
                session.acknowledged()


async def _pace(redis: Redis, task: Load) -> Written:
    sessions = [_Session(f"s{number}") for number in range(task.sessions)]
    await asyncio.gather(*(redis.ping() for _ in sessions))  # the connections are there
    if task.way == "pipeline":
        has_come = asyncio.Event()
        for session in sessions:
            session.has_come = has_come
        writers = [asyncio.create_task(_append_together(redis, sessions, has_come))]
    else:
        most = 1 if task.way == "one by one" else None
        writers = [asyncio.create_task(_append(redis, session, most)) for session in sessions]
    gap = 1 / (task.rate * task.sessions)
    clock = time.perf_counter
    gc.collect()
    cpu, began = time.process_time(), clock()
    stop = began + task.frames * gap * _LONGEST
    for number in range(task.frames):
        due = began + number * gap
        if (left := due - clock()) > 0:
            await asyncio.sleep(left)
        elif number % _YIELD == 0:
            await asyncio.sleep(0)
        if clock() > stop:
            break
        session = sessions[number % task.sessions]
        session.due.append(due)
        session.has_come.set()
    while any(session.due for session in sessions) and clock() < stop:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    now = clock()
    cpu = time.process_time() - cpu
    for writer in writers:
        writer.cancel()
    kept = [delay for session in sessions for delay in session.delays]
    delays = sorted(kept + [now - began - number * gap for number in _missing(sessions, task)])
    last, entries = len(delays) - 1, sum(session.entries for session in sessions)
    return Written(len(kept), now - began, cpu, entries, delays[last // 2], delays[last * 99 // 100])


def _missing(sessions: list[_Session], task: Load) -> Iterator[int]:
    """Yield the numbers of the frames that were not acknowledged: each session's last."""
    for place, session in enumerate(sessions):
        yield from range(place + len(session.delays) * task.sessions, task.frames, task.sessions)


async def _written(task: Load) -> Written:
    async with Redis.from_url(task.url, max_connections=task.sessions + 1) as redis:
        await redis.flushall()
        written = await (_flood if task.way == "flood" else _pace)(redis, task)
        found = sum([await redis.xlen(key) for key in await redis.keys("s*")])
        assert found >= written.entries, f"{found} of {written.entries} entries are there"
    return written


def _loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers are exact: those of epoll are late by up to a millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    """Do what the argument says, and print what it took."""
    task = Load(**json.loads(sys.argv[1]))
    with asyncio.Runner(loop_factory=_loop) as runner:
        print(json.dumps(asdict(runner.run(_written(task)))))


if __name__ == "__main__":
    main()
