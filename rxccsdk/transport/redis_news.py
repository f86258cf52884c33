"""What comes into streams of Redis, for all readers of a process over one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any
from uuid import uuid4

from rxccsdk.transport.redis_client import BLOCK, PatientRedis

Fields = dict[bytes, bytes]

_AT_ONCE = 256  # entries of a stream in one reply
_AHEAD = 1024  # entries that wait for a reader before its stream is asked for no more
_FORGOTTEN = 60  # seconds until Redis forgets what wakes us


class News:
    """Reads streams on, as many as are asked for, with one command that waits at the server.

    That command cannot be given another stream while it waits. So it waits for a stream of its own, too: an
    entry there wakes it.

    Args:
        redis: the client.
    """

    def __init__(self, redis: PatientRedis) -> None:
        self._redis = redis
        self._bell = f"rxccsdk:bell:{uuid4()}"
        self._heard = "0-0"
        self._readings: list[_Reading] = []
        self._task: asyncio.Task[None] | None = None

    async def after(self, name: str, last: str) -> AsyncGenerator[tuple[str, Fields], None]:
        """Yield the entries of a stream after one, as they come: the id and the fields of each.

        Raises:
            LogError: Redis was not there for too long.
            RedisError: it refuses it.
        """
        reading = _Reading(name, last)
        self._readings.append(reading)
        try:
            await self._read_with(reading)
            while True:
                await reading.has_come.wait()
                if reading.error is not None:
                    raise reading.error
                while reading.entries:
                    yield reading.entries.popleft()
                reading.has_come.clear()
                if reading.is_left_out:
                    await self._read_with(reading)
        finally:
            self._readings.remove(reading)

    async def aclose(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            with suppress(Exception):
                await self._redis.do(lambda redis: redis.delete(self._bell))

    async def _read_with(self, reading: _Reading) -> None:
        """Read this one, too."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._read())
        else:
            await self._redis.do(lambda redis: redis.xadd(self._bell, {b"": b""}, maxlen=1))
            await self._redis.do(lambda redis: redis.expire(self._bell, _FORGOTTEN))

    async def _read(self) -> None:
        """Read for all, while there is somebody to read for."""
        try:
            while self._readings:
                await self._read_once()
        except Exception as error:
            for reading in self._readings:
                reading.fail(error)

    async def _read_once(self) -> None:
        """Wait until something comes for one of those who are not full, and give it to them."""
        wanted: dict[Any, Any] = {self._bell: self._heard}
        for reading in self._readings:
            reading.is_left_out = len(reading.entries) >= _AHEAD
            if not reading.is_left_out:
                wanted[reading.name] = min(wanted.get(reading.name, reading.last), reading.last, key=order)
        block = int(BLOCK * 1000)
        reply: Any = await self._redis.do(lambda redis: redis.xread(wanted, count=_AT_ONCE, block=block))
        for name, entries in reply:
            if name.decode() == self._bell:
                self._heard = entries[-1][0].decode()
                continue
            for reading in self._readings:
                if reading.name != name.decode() or reading.is_left_out:
                    continue
                # Who has joined meanwhile may be behind what was asked for, and is asked for next.
                if order(wanted[reading.name]) <= order(reading.last):
                    reading.take(entries)


class _Reading:
    """Somebody who reads a stream on."""

    def __init__(self, name: str, last: str) -> None:
        self.name = name
        self.last = last
        self.entries: deque[tuple[str, Fields]] = deque()
        self.has_come = asyncio.Event()
        self.error: Exception | None = None
        self.is_left_out = False  # it has so much to read that nothing more is asked for

    def take(self, entries: list[tuple[bytes, Fields]]) -> None:
        """Take what it has not seen."""
        for found, fields in entries:
            if order(found.decode()) > order(self.last):
                self.last = found.decode()
                self.entries.append((self.last, fields))
        self.has_come.set()

    def fail(self, error: Exception) -> None:
        """Give up."""
        self.error = error
        self.has_come.set()


def order(id: str) -> tuple[int, int]:
    """Return what ids of a stream are ordered by."""
    first, _, second = id.partition("-")
    return int(first), int(second)
