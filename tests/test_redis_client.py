"""The client of Redis, for a machine with many sessions."""

from __future__ import annotations

import asyncio

from rxccsdk.transport.redis_client import PatientRedis
from tests.redis_server import RedisServer

SESSIONS = 150  # more than the connections that redis-py allows by itself


async def test_as_many_can_ask_at_once_as_there_are_sessions(redis_server: RedisServer) -> None:
    redis = PatientRedis(redis_server.url, patience=0)

    async def wait_at_the_server() -> object:
        return await redis.do(lambda client: client.xread({"nothing": "$"}, block=500))

    try:
        answers = await asyncio.gather(*(wait_at_the_server() for _ in range(SESSIONS)))
    finally:
        await redis.aclose()
    assert not any(answers)
