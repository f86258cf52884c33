"""Appending for many writers in one round trip: each is told what became of its own entry."""

from __future__ import annotations

import asyncio

import pytest

from rxccsdk.fleet import EntryId, LogError, OvertakenError, PatientRedis, RedisLog
from tests.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("no_leftovers")


async def test_what_comes_meanwhile_goes_together(redis_server: RedisServer) -> None:
    redis = PatientRedis(redis_server.url, 5)
    log = RedisLog(redis)
    trips = 0
    do = redis.do

    async def counted(command: object) -> object:
        nonlocal trips
        trips += 1
        return await do(command)  # type: ignore[arg-type]

    redis.do = counted  # type: ignore[method-assign, assignment]
    keys = [f"turn {number}" for number in range(50)]
    await asyncio.gather(*(log.append(key, EntryId(0, 0), b'{"n":0}\n') for key in keys))
    assert trips == 1
    redis.do = do  # type: ignore[method-assign]
    for key in keys:
        assert [entry.data async for entry in log.read(key, follow=False)] == [b'{"n":0}\n']
    await log.aclose()
    await redis.aclose()


async def test_one_that_comes_too_late_costs_no_other(redis_server: RedisServer) -> None:
    redis = PatientRedis(redis_server.url, 5)
    log = RedisLog(redis)
    await log.append("b", EntryId(0, 5), b'{"n":5}\n')
    told = await asyncio.gather(
        log.append("a", EntryId(0, 0), b'{"n":0}\n'),
        log.append("b", EntryId(0, 5), b'{"n":"other"}\n'),
        log.append("b", EntryId(0, 5), b'{"n":5}\n'),
        log.append("c", EntryId(0, 0), b'{"n":0}\n'),
        return_exceptions=True,
    )
    assert [type(it) for it in told] == [type(None), OvertakenError, type(None), type(None)]
    await log.aclose()
    await redis.aclose()


async def test_who_appends_to_a_log_that_is_closed_is_told(redis_server: RedisServer) -> None:
    redis = PatientRedis(redis_server.url, 60)
    log = RedisLog(redis)
    redis_server.kill()
    appending = [asyncio.ensure_future(log.append(key, EntryId(0, 0), b"{}\n")) for key in "ab"]
    await asyncio.sleep(0)
    appending[0].cancel()
    await asyncio.sleep(0.05)
    await log.aclose()
    with pytest.raises(LogError, match="closed"):
        await appending[1]
    await redis.aclose()
