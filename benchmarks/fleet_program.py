"""What `fleet` starts for each run: turns of scripted CLIs, read in this process, wherever the CLIs run.

python -m benchmarks.fleet_program TASK
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass

import psutil

from benchmarks.child import done_by
from benchmarks.redis_server import RedisServer
from rxccsdk import Chunk, ClaudeSession, SessionOptions, TextChunk, Turn

_NEARLY = 0.95  # of the texts: then all sessions still live, and what they take is read


@dataclass(frozen=True)
class Task:
    """What to do.

    Attributes:
        cli: the executable; its first answer is of stamps.
        count: how many of them.
        sessions: how many CLIs answer at once.
        url: of Redis: a worker in a process of its own runs the CLIs; without, this process does.
    """

    cli: str
    count: int
    sessions: int = 1
    url: str | None = None


@dataclass(frozen=True)
class Taken:
    """What each took: the process that has the CLIs, the one that reads their turns, and Redis.

    It is the same process, where there is no fleet: then `reader` and `redis` are 0.
    """

    runner: float
    reader: float = 0.0
    redis: float = 0.0


@dataclass(frozen=True)
class Watched:
    """What it took.

    Attributes:
        p50: seconds from a CLI writing a text to the callback having it, the median.
        p99: the 99th percentile.
        seconds: from the first text being written to the last one being there.
        cpu: seconds for each text, from when all sessions had begun on.
        memory: bytes, near the end of all turns (USS, and what Redis has allocated).
    """

    p50: float
    p99: float
    seconds: float
    cpu: Taken
    memory: Taken


def watch(task: Task) -> Watched:
    """Do it in a fresh process."""
    told = done_by("benchmarks.fleet_program", task)
    return Watched(**{**told, "cpu": Taken(**told["cpu"]), "memory": Taken(**told["memory"])})


class _Processes:
    """What takes part, and what it has taken so far."""

    def __init__(self, url: str | None, worker: int | None) -> None:
        self._own = psutil.Process()
        self._redis = RedisServer(url) if url is not None else None
        self._worker = psutil.Process(worker) if worker is not None else None

    def cpu(self) -> Taken:
        if self._worker is None or self._redis is None:
            return Taken(time.process_time())
        times = self._worker.cpu_times()
        return Taken(times.user + times.system, time.process_time(), self._redis.cpu())

    def memory(self) -> Taken:
        own = self._own.memory_full_info().uss
        if self._worker is None or self._redis is None:
            return Taken(own)
        return Taken(self._worker.memory_full_info().uss, own, self._redis.used_memory())


class _Readers:
    """Reads all turns, and looks at the processes when all have begun and when most has come.

    Args:
        task: what comes.
        processes: what is looked at.
    """

    def __init__(self, task: Task, processes: _Processes) -> None:
        self._task = task
        self._processes = processes
        self._all = task.count * task.sessions
        self._begun = 0
        self._got: list[tuple[int, int]] = []
        self._cpu = processes.cpu()
        self._since = 0  # texts that had come when it was taken

    async def read(self, turn: Turn) -> None:
        written: list[int] = []
        ended = asyncio.Event()

        def on_next(chunk: Chunk) -> None:
            if isinstance(chunk, TextChunk):
                now = time.monotonic_ns()
                for stamp in map(int, chunk.text.rstrip(";").split(";")):
                    written.append(stamp)
                    self._note(now, stamp, is_first=len(written) == 1)

        turn.subscribe(on_next, lambda error: ended.set(), ended.set)
        await ended.wait()
        assert turn.status == "completed", f"{turn.status}: {turn.response.error}"
        assert len(written) == self._task.count, f"{len(written)} of {self._task.count} texts came"
        assert written == sorted(set(written)), "texts came twice, or in another order"

    def _note(self, now: int, stamp: int, is_first: bool) -> None:
        self._got.append((now, stamp))
        self._begun += is_first
        if is_first and self._begun == self._task.sessions:
            self._all_there = now
            self._cpu, self._since = self._processes.cpu(), len(self._got)
        if len(self._got) == int(self._all * _NEARLY):
            cpu, texts = self._processes.cpu(), max(len(self._got) - self._since, 1)
            each = zip(asdict(cpu).values(), asdict(self._cpu).values(), strict=True)
            self.cpu = Taken(*((after - before) / texts for after, before in each))
            self.memory = self._processes.memory()

    def watched(self) -> Watched:
        """Return what it took."""
        late = sorted((now - at) / 1e9 for now, at in self._got if at > self._all_there)
        late = late or sorted((now - at) / 1e9 for now, at in self._got)
        seconds = (max(now for now, _ in self._got) - min(at for _, at in self._got)) / 1e9
        last = len(late) - 1
        return Watched(late[last // 2], late[last * 99 // 100], seconds, self.cpu, self.memory)


Ask = Callable[[], Turn]


@asynccontextmanager
async def _local(task: Task) -> AsyncGenerator[tuple[_Processes, list[Ask]], None]:
    """Sessions of this process."""
    async with AsyncExitStack() as stack:
        options = SessionOptions(cli_path=task.cli)
        sessions = [await stack.enter_async_context(ClaudeSession(options)) for _ in range(task.sessions)]
        asks: list[Ask] = [lambda session=session: session.stream("go") for session in sessions]  # type: ignore[misc]
        yield _Processes(None, None), asks


@asynccontextmanager
async def _through_fleet(task: Task) -> AsyncGenerator[tuple[_Processes, list[Ask]], None]:
    """Sessions of a worker."""
    from rxccsdk.fleet import Fleet

    assert task.url is not None
    command = [sys.executable, "-m", "benchmarks.fleet_worker", task.url, task.cli, str(task.sessions)]
    worker = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    assert worker.stdin is not None
    try:
        async with Fleet(task.url) as fleet:
            asks: list[Ask] = [lambda: fleet.stream("go")] * task.sessions
            yield _Processes(task.url, worker.pid), asks
    finally:
        worker.stdin.close()
        await worker.wait()


async def _watched(task: Task) -> Watched:
    async with (_local if task.url is None else _through_fleet)(task) as (processes, asks):
        gc.collect()
        readers = _Readers(task, processes)
        await asyncio.gather(*(readers.read(ask()) for ask in asks))
    return readers.watched()


def main() -> None:
    """Do what the argument says, and print what it took."""
    print(json.dumps(asdict(asyncio.run(_watched(Task(**json.loads(sys.argv[1])))))))


if __name__ == "__main__":
    main()
