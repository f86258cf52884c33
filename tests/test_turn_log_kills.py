"""Durable logs whose writers, readers and server are killed: what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from rxccsdk.transport.redis_client import PatientRedis
from rxccsdk.transport.redis_log import RedisLog
from rxccsdk.transport.turn_log import Entry, EntryId, OvertakenError
from tests.cli_processes import environment
from tests.log_machine import BIG, data_of, id_of, log_at
from tests.proxy import Proxy
from tests.redis_server import RedisServer

_KILLS = 2
_PATIENCE = 60.0  # seconds


class Process:
    """A writer or a reader that is killed and started again where it was.

    Args:
        what: "write" or "read".
        home: of the log.
        file: where it prints to.

    Attributes:
        numbers: what it has printed, all its lives together.
    """

    def __init__(self, what: str, home: str, file: Path) -> None:
        self._command = [sys.executable, "-m", "tests.log_machine", what, home, "a"]
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def numbers(self) -> list[int]:
        data = self._file.read_bytes()
        return [int(line) for line in data[: data.rfind(b"\n") + 1].split()]

    def start(self) -> None:
        """Start it, at what it has not printed."""
        with self._file.open("ab") as out:
            number = str(len(self.numbers))
            self._process = subprocess.Popen([*self._command, number], stdout=out, env=environment())

    def wait_for(self, more: int) -> None:
        """Wait until it has printed so many numbers more."""
        wanted = len(self.numbers) + more
        deadline = time.monotonic() + _PATIENCE
        while len(self.numbers) < wanted:
            assert self._process is not None
            assert self._process.poll() is None, "it has failed"
            assert time.monotonic() < deadline, "it does not get on"
            time.sleep(0.005)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


Start = Callable[[str], Process]


@pytest.fixture
def start(tmp_path: Path, home: str) -> Iterator[Start]:
    """Start processes on a log; none is left."""
    processes: list[Process] = []

    def make(what: str) -> Process:
        processes.append(Process(what, home, tmp_path / f"{len(processes)}.txt"))
        return processes[-1]

    yield make
    for process in processes:
        process.kill()


@pytest.fixture(params=["files", "redis"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each of the homes."""
    if request.param == "files":
        return str(tmp_path / "logs")
    return str(request.getfixturevalue("redis_server").url)


async def entries(home: str) -> list[Entry]:
    """Read a log to its end."""
    async with AsyncExitStack() as stack:
        log = await log_at(home, stack)
        return [entry async for entry in log.read("a", follow=False)]


async def check(home: str, writer: Process, *readers: Process) -> None:
    """Check that the log, and whoever reads it, has what was acknowledged, once and in order."""
    there = await entries(home)
    assert there == [Entry(id_of(number), data_of(number)) for number in range(len(there))]
    assert writer.numbers == list(range(len(writer.numbers)))
    # What the writer did not come to hear of may be there.
    assert len(writer.numbers) <= len(there) <= len(writer.numbers) + 1
    for reader in readers:
        numbers = reader.numbers  # it goes on reading
        assert numbers == list(range(len(numbers)))
        assert len(numbers) <= len(there)


async def test_writers_and_readers_are_killed(home: str, start: Start) -> None:
    chance = random.Random(home.partition(":")[0])
    writer, reader, other = start("write"), start("read"), start("read")
    for number in range(_KILLS):
        writer.wait_for(chance.randrange(3 * BIG))
        killed = (writer, reader)[number % 2]
        killed.kill()
        killed.start()
    for process in (writer, reader, other):
        process.wait_for(20)
    writer.kill()
    await check(home, writer, reader, other)


async def test_the_server_is_killed(redis_server: RedisServer, tmp_path: Path) -> None:
    writer, reader = (Process(what, redis_server.url, tmp_path / what) for what in ("write", "read"))
    try:
        for _ in range(_KILLS):
            for process in (writer, reader):
                process.wait_for(20)
            redis_server.restart()
        for process in (writer, reader):
            process.wait_for(20)
    finally:
        writer.kill()
        reader.kill()
    await check(redis_server.url, writer, reader)


async def test_a_writer_that_stood_still_knows_when_it_comes_too_late(home: str) -> None:
    async with AsyncExitStack() as stack:
        slow, quick = await log_at(home, stack), await log_at(home, stack)
        await slow.append("a", EntryId(0, 0), b"{}\n")
        await quick.append("a", EntryId(1, 0), b'{"end":1}\n')
        with pytest.raises(OvertakenError):
            await slow.append("a", EntryId(0, 1), b"{}\n")
        assert [entry.id for entry in await entries(home)] == [EntryId(0, 0), EntryId(1, 0)]


@pytest.fixture
async def line(redis_server: RedisServer) -> AsyncIterator[tuple[RedisLog, Proxy]]:
    """A log over a line that can be made bad."""
    async with Proxy(redis_server.port) as proxy, AsyncExitStack() as stack:
        redis = PatientRedis(f"redis://127.0.0.1:{proxy.port}/0")
        stack.push_async_callback(redis.aclose)
        log = RedisLog(redis)
        stack.push_async_callback(log.aclose)
        yield log, proxy


async def test_what_is_cut_while_it_is_appended_is_there_once(
    line: tuple[RedisLog, Proxy], redis_server: RedisServer
) -> None:
    log, proxy = line
    for number in range(30):
        proxy.cut_replies_after(number % 7)
        await log.append("a", id_of(number), data_of(number))
    proxy.heal()
    expected = [Entry(id_of(number), data_of(number)) for number in range(30)]
    assert await entries(redis_server.url) == expected


async def test_what_is_cut_while_it_is_read_comes_once(line: tuple[RedisLog, Proxy]) -> None:
    log, proxy = line
    chance = random.Random(1)

    async def read() -> None:
        number = 0
        async for entry in log.read("a"):
            assert entry == Entry(id_of(number), data_of(number))
            number += 1
            if number == 60:
                return
            proxy.cut_replies_after(chance.randrange(2000))

    reading = asyncio.create_task(read())
    for number in range(60):
        await log.append("a", id_of(number), data_of(number))
    proxy.heal()
    await reading


async def test_what_arrives_after_the_end_is_not_in_the_log(
    line: tuple[RedisLog, Proxy], redis_server: RedisServer
) -> None:
    """A machine that was cut off sends; another ends the turn; then arrives what was sent."""
    log, proxy = line
    await log.append("a", EntryId(0, 0), b"{}\n")
    proxy.is_black_hole = True
    appending = asyncio.create_task(log.append("a", EntryId(0, 1), b'{"late":1}\n'))
    await asyncio.wait([appending], timeout=0.1)
    async with AsyncExitStack() as stack:
        other = await log_at(redis_server.url, stack)
        await other.append("a", EntryId(1, 0), b'{"end":1}\n')
    proxy.heal()
    with pytest.raises(OvertakenError):
        await appending
    assert [entry.id for entry in await entries(redis_server.url)] == [EntryId(0, 0), EntryId(1, 0)]
