"""Appending to streams of Redis, for all writers of a process in one round trip."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import ReadOnlyError

from rxccsdk.transport.redis_client import PatientRedis
from rxccsdk.transport.turn_log import LogError

_MOST = 512  # entries of a round trip
_LARGEST = 1 << 22  # bytes of one that has more than one entry


class Appends:
    """Sends what is to be appended. What comes while one pipeline is on its way makes up the next.

    Args:
        redis: the client.
    """

    def __init__(self, redis: PatientRedis) -> None:
        self._redis = redis
        self._waiting: deque[_Append] = deque()
        self._task: asyncio.Task[None] | None = None

    async def append(self, name: str, place: str, field: bytes, data: bytes) -> None:
        """Append an entry with one field; return when Redis has it. To do so twice must do no harm.

        Raises:
            LogError: Redis was not there for too long.
            RedisError: it refuses it.
        """
        loop = asyncio.get_running_loop()
        append = _Append(name, place, field, data, loop.create_future())
        self._waiting.append(append)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())
        await append.done

    async def aclose(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        batch: list[_Append] = []
        try:
            while self._waiting:
                batch = self._gathered()
                try:
                    replies = await self._redis.do(partial(_send, batch=batch))
                except Exception as error:
                    replies = [error] * len(batch)
                for append, reply in zip(batch, replies, strict=True):
                    append.end(reply)
        finally:  # where it is cancelled
            for append in (*batch, *self._waiting):
                append.end(LogError("The log was closed."))
            self._waiting.clear()

    def _gathered(self) -> list[_Append]:
        batch: list[_Append] = []
        size = 0
        while self._waiting and len(batch) < _MOST:
            size += len(self._waiting[0].data)
            if batch and size > _LARGEST:
                break
            batch.append(self._waiting.popleft())
        return batch


class _Append:
    """An entry that is to be appended."""

    __slots__ = ("data", "done", "field", "name", "place")

    def __init__(self, name: str, place: str, field: bytes, data: bytes, done: asyncio.Future[None]) -> None:
        self.name, self.place, self.field, self.data, self.done = name, place, field, data, done

    def end(self, reply: object) -> None:
        """Tell who waits for it what has become of it."""
        with suppress(asyncio.InvalidStateError):  # nobody waits any more, or it was told before
            if isinstance(reply, Exception):
                self.done.set_exception(reply)
            else:
                self.done.set_result(None)


async def _send(redis: Any, *, batch: list[_Append]) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipe:
        for append in batch:
            pipe.xadd(append.name, {append.field: append.data}, id=append.place)
        replies: list[Any] = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, ReadOnlyError):
            raise reply  # all of it goes to another server
    return replies
