"""A durable log in Redis Streams, one for each key.

An entry is an entry of the stream: its id is the stream's, one higher in the second place, because Redis has
no `0-0`; its data is the field `d`. Redis refuses an id that is not higher than the last, and that is all it
takes for "the same again does nothing" and "of two writers one comes too late".

What was appended is kept as well as Redis keeps it: with `appendonly yes` and `appendfsync always` also after
a kill of the server. Readers then see nothing that a killed server could forget.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from redis.exceptions import RedisError, ResponseError

from rxccsdk.transport.redis_appends import Appends
from rxccsdk.transport.redis_client import PatientRedis
from rxccsdk.transport.redis_news import News
from rxccsdk.transport.turn_log import Entry, EntryId, LogError, OvertakenError, checked

DATA = b"d"
"""The field that has an entry's data."""

_AT_ONCE = 256  # entries of a reply


class RedisLog:
    r"""A `TurnLog` in Redis. All its writers share one connection, all its readers another.

    Args:
        redis: the client. It is not closed with the log.
        prefix: how the names of the streams begin.

    Example:
        log = RedisLog(PatientRedis("redis://localhost"))
        await log.append("a", EntryId(0, 0), b'{"text":"one"}\n')
        async for entry in log.read("a"):
            print(entry.data)
    """

    def __init__(self, redis: PatientRedis, prefix: str = "rxccsdk:log:") -> None:
        self._redis = redis
        self._prefix = prefix
        self._appends = Appends(redis)
        self._news = News(redis)

    async def append(self, key: str, id: EntryId, data: bytes) -> None:
        """See `TurnLog.append`."""
        name, place = self._prefix + key, _redis_id(id)
        try:
            await self._appends.append(name, place, DATA, checked(data))
        except ResponseError as error:
            if "equal or smaller" not in str(error):
                raise _failure(error) from error
            there: Any = await self._redis.do(lambda redis: redis.xrange(name, place, place))
            if not there or there[0][1].get(DATA) != data:
                raise OvertakenError(f"{name}: entry {id} comes too late.") from error
        except RedisError as error:
            raise _failure(error) from error

    async def read(
        self, key: str, after: EntryId | None = None, *, follow: bool = True
    ) -> AsyncGenerator[Entry, None]:
        """See `TurnLog.read`."""
        name, last = self._prefix + key, _redis_id(after) if after is not None else "0-0"
        try:
            while True:
                place = last
                reply: Any = await self._redis.do(lambda redis: redis.xread({name: place}, count=_AT_ONCE))  # noqa: B023
                if not reply:
                    break
                for last, fields in _entries_of(reply):
                    yield _entry(last, fields)
            if follow:
                async for found, fields in self._news.after(name, last):
                    yield _entry(found, fields)
        except RedisError as error:
            raise _failure(error) from error

    async def trim(self, key: str, before: EntryId | None = None) -> None:
        """See `TurnLog.trim`."""
        name = self._prefix + key
        try:
            if before is None:
                await self._redis.do(lambda redis: redis.delete(name))
                return
            newest: Any = await self._redis.do(lambda redis: redis.xrevrange(name, count=1))
            if newest:
                first = _redis_id(min(before, _entry_id(newest[0][0].decode())))
                await self._redis.do(lambda redis: redis.xtrim(name, minid=first, approximate=False))
        except RedisError as error:
            raise _failure(error) from error

    async def aclose(self) -> None:
        """Stop reading and writing."""
        await self._appends.aclose()
        await self._news.aclose()


def _entries_of(reply: Any) -> Iterable[tuple[str, dict[bytes, bytes]]]:
    for _, entries in reply:
        for found, fields in entries:
            yield found.decode(), fields


def _entry(found: str, fields: dict[bytes, bytes]) -> Entry:
    return Entry(_entry_id(found), fields.get(DATA, b""))


def _redis_id(id: EntryId) -> str:
    return f"{id.turn}-{id.number + 1}"


def _entry_id(found: str) -> EntryId:
    turn, _, number = found.partition("-")
    return EntryId(int(turn), int(number) - 1)


def _failure(error: RedisError) -> LogError:
    return LogError(f"Redis refuses it: {error}")
