"""What `web` starts for each run: a turn of a CLI and a server for its events, in one process.

python -m benchmarks.web_program TASK
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.child import done_by
from rxccsdk import Chunk, ClaudeSession, SessionOptions, TextChunk, Turn
from rxccsdk.web import sse

_KERNEL = 1 << 16  # bytes that the system keeps for a client that reads nothing


@dataclass(frozen=True)
class Task:
    """What to do.

    Attributes:
        cli: the executable: it answers twice, the second time with stamps.
        count: how many of them.
        reading: clients over HTTP; without, the turn is subscribed to in this process.
        stalled: clients more, which take nothing.
    """

    cli: str
    count: int
    reading: int = 0
    stalled: int = 0


@dataclass(frozen=True)
class Watched:
    """What it took.

    Attributes:
        p50: microseconds from the CLI writing a text to a client having it, the median.
        p99: the 99th percentile.
        cpu: seconds that this process took from the first subscription on; clients and CLI are others.
        memory: bytes that it then had more at the turn's end (USS).
    """

    p50: float
    p99: float
    cpu: float
    memory: float


def watch(task: Task) -> Watched:
    """Do it in a fresh process."""
    return Watched(**done_by("benchmarks.web_program", task))


class _Meter:
    """Reads what this process takes, from the first subscription to the turn's end."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._process = psutil.Process()
        self._memory = 0
        self._cpu: float | None = None
        self.memory = 0

    def begin(self) -> None:
        """Note where it stands; the first one who comes subscribes."""
        if self._cpu is None:
            gc.collect()
            self._memory, self._cpu = self._process.memory_full_info().uss, time.process_time()
            self._turn.subscribe(on_completed=self._note)

    def cpu(self) -> float:
        """Seconds since then."""
        return time.process_time() - (self._cpu or 0.0)

    def _note(self) -> None:
        self.memory = self._process.memory_full_info().uss - self._memory


@asynccontextmanager
async def _serving(turn: Turn, requested: Callable[[], None]) -> AsyncGenerator[int, None]:
    """Serve a turn's events at a free port of loopback."""

    async def events(request: Request) -> Response:
        requested()
        return sse(turn, request.headers.get("last-event-id"))

    app = Starlette(routes=[Route("/", events)])
    config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL)
        serving = asyncio.create_task(server.serve([bound]))
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def _direct(turn: Turn, meter: _Meter) -> tuple[list[float], float]:
    """Subscribe; return the delays, and the CPU that it took."""
    found: list[float] = []
    ended = asyncio.Event()

    def on_next(chunk: Chunk) -> None:
        if isinstance(chunk, TextChunk) and chunk.text[0].isdigit():
            found.append((time.monotonic_ns() - int(chunk.text[:-1])) / 1000)

    meter.begin()
    turn.subscribe(on_next, on_completed=ended.set)
    await ended.wait()
    return sorted(found[len(found) // 10 :]), meter.cpu()  # the clients' first ones do not count either


async def _over_http(turn: Turn, meter: _Meter, task: Task) -> tuple[list[float], float]:
    """Let clients read it."""
    async with _serving(turn, meter.begin) as port:
        numbers = map(str, (port, task.reading, task.stalled, task.count))
        command = [sys.executable, "-m", "benchmarks.web_clients", *numbers]
        clients = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await clients.communicate()
        cpu = meter.cpu()
    assert clients.returncode == 0, "the clients failed"
    return json.loads(out), cpu


async def _watched(task: Task) -> Watched:
    async with ClaudeSession(SessionOptions(cli_path=task.cli)) as session:
        await session.stream("warm up")
        turn = session.stream("go")
        meter = _Meter(turn)
        found, cpu = await (_over_http(turn, meter, task) if task.reading else _direct(turn, meter))
    assert turn.status == "completed", turn.status
    last = len(found) - 1
    return Watched(found[last // 2], found[last * 99 // 100], cpu, meter.memory)


def main() -> None:
    """Do what the argument says, and print what it took."""
    print(json.dumps(asdict(asyncio.run(_watched(Task(**json.loads(sys.argv[1])))))))


if __name__ == "__main__":
    main()
