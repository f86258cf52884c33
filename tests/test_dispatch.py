"""What stands in the stream of prompts, whoever put it there, and which machine gets it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from rxccsdk.fleet.dispatch import Dispatch
from rxccsdk.fleet.names import PROMPTS, WORKERS, talk_to
from rxccsdk.transport.redis_client import PatientRedis
from tests.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("no_leftovers")


@asynccontextmanager
async def a_dispatch(server: RedisServer) -> AsyncIterator[tuple[Dispatch, Redis]]:
    dispatch, redis = Dispatch(PatientRedis(server.url)), Redis.from_url(server.url)
    try:
        yield dispatch, redis
    finally:
        await dispatch.aclose()
        await redis.aclose()


async def test_an_entry_that_names_no_prompt_keeps_nobody_from_theirs(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_dispatch(redis_server) as (dispatch, redis):
        await redis.xadd(PROMPTS, {"jbo": "a slip"})
        await dispatch.submit("good", "{}")
        with caplog.at_level(logging.WARNING, "rxccsdk"):
            assert [taken.job for taken in await dispatch.take("one", 9)] == ["good"]
        assert "has no field `job`" in caplog.text
        assert await redis.xlen(PROMPTS) == 1


async def test_a_lost_prompt_is_found_behind_any_number_of_others(redis_server: RedisServer) -> None:
    async with a_dispatch(redis_server) as (dispatch, _):
        for number in range(1200):
            await dispatch.submit(str(number), "{}")
        taken = await dispatch.take("one", 1200)
        last = taken[-1].entry
        await dispatch.redis.do(
            lambda redis: redis.xclaim(PROMPTS, WORKERS, "two", 0, [last], idle=60_000, justid=True)
        )
        assert [it.job for it in await dispatch.left("three", 30)] == ["1199"]


async def test_a_machine_that_leaves_loses_no_prompt_that_it_was_given(redis_server: RedisServer) -> None:
    async with a_dispatch(redis_server) as (dispatch, redis):
        await dispatch.submit("a", "{}")
        (taken,) = await dispatch.take("one", 1)  # and the answer does not reach the machine
        await dispatch.leave("one")
        assert await dispatch.left("two", 0.0) == [taken]
        await dispatch.leave("one")
        assert [it["name"] for it in await redis.xinfo_consumers(PROMPTS, WORKERS)] == [b"two"]


async def test_what_is_said_to_a_turn_that_is_forgotten_is_forgotten(redis_server: RedisServer) -> None:
    async with a_dispatch(redis_server) as (dispatch, redis):
        await dispatch.say("gone", b"{}")
        assert await redis.ttl(talk_to("gone")) > 0
