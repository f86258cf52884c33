"""A fleet whose machines are killed, stopped and cut off: nothing lost, nothing twice, nobody left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis

from rxccsdk.fleet import PatientRedis
from rxccsdk.fleet.dispatch import BEGIN, END, Dispatch
from rxccsdk.fleet.names import JOB, PROMPTS
from rxccsdk.testing import steps, text_turn
from rxccsdk.testing.plans import Steps
from tests.fleet_harness import Ground, Machine, RecordedCli
from tests.proxy import Proxy
from tests.redis_server import PROGRAM, WHY_NOT, RedisServer

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT)

_LEASE = 1.5  # seconds


@pytest.fixture
async def ground(tmp_path: Path, no_leftovers: None, request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    async with Ground(tmp_path, getattr(request, "param", _LEASE)) as ground:
        yield ground


nobody_is_lost = pytest.mark.parametrize("ground", [10.0], indirect=True, ids=["lease=10"])
"""Where a machine that a busy computer keeps waiting must not count as lost."""


def slowly(pieces: int, seconds: float) -> Steps:
    """Answer with so many pieces in so many seconds."""
    words = [f"{number} of $uuid. " for number in range(pieces)]
    plan = steps()
    for frame in text_turn("".join(words), pieces=words):
        plan = plan.frame(frame)
        if frame["type"] == "stream_event" and frame["event"]["type"] == "content_block_delta":
            plan = plan.pause(seconds / pieces)
    return plan


QUICK, LONG = slowly(40, 0.8), slowly(100, 2.5)


async def begin(ground: Ground, cli: RecordedCli) -> tuple[Machine, Machine, str]:
    """Start a worker and a front; return them, and a turn that is under way."""
    worker, front = await ground.worker(cli), await ground.front()
    job = await ground.ask(front, "go")
    await ground.seen(ground.files[job][0], 10)
    return worker, front, job


async def end(ground: Ground, job: str) -> str:
    """Wait until the last observer has the end; return what it is, when all is as it should be."""
    await ground.ended(ground.files[job][-1])
    await ground.no_cli_left()
    return ground.check(job)


async def test_what_observers_have_is_what_the_cli_wrote(ground: Ground) -> None:
    await ground.worker(ground.cli(QUICK))
    front, other = await ground.front(), await ground.front()
    jobs = [await ground.ask(front, f"prompt {number}") for number in range(6)]
    for job in jobs:
        ground.watch(other, job)
    for job in jobs:
        await ground.ended(ground.files[job][0])
        assert await end(ground, job) == "completed"


@pytest.mark.parametrize("another", [True, False])
async def test_a_turn_whose_worker_is_killed_fails_with_its_partial(ground: Ground, another: bool) -> None:
    cli = ground.cli(LONG)
    worker, _, job = await begin(ground, cli)
    if another:
        await ground.worker(cli)
    await worker.kill()
    await ground.no_cli_left()  # no CLI works on for nobody
    assert await end(ground, job) == "failed"


@pytest.mark.parametrize("when", ["watched before", "comes later"])
async def test_whoever_reads_a_turn_ends_it_where_no_machine_is_there_to(ground: Ground, when: str) -> None:
    """Also where who asked is gone, or never watched."""
    worker, asker, job = await begin(ground, ground.cli(LONG))
    other = await ground.front()
    if when == "watched before":
        await ground.seen(ground.watch(other, job), 10)
    await asker.kill()
    await worker.kill()
    if when == "comes later":
        await ground.no_cli_left()
        ground.watch(other, job)
    assert await end(ground, job) == "failed"


async def test_what_nobody_was_there_to_end_the_next_worker_ends(ground: Ground) -> None:
    cli = ground.cli(LONG)
    worker, front, job = await begin(ground, cli)
    await worker.kill()
    await front.kill()
    await worker.start()
    await front.start()
    ground.watch(front, job)
    assert await end(ground, job) == "failed"


async def test_a_worker_that_stands_still_too_long_has_lost_its_turns(ground: Ground) -> None:
    cli = ground.cli(LONG)
    worker, _, job = await begin(ground, cli)
    await ground.worker(cli)
    worker.pause()
    await ground.ended(ground.files[job][0])
    worker.resume()
    assert await end(ground, job) == "failed"
    assert "took it over" in worker.log or "comes too late" in worker.log or "taken it over" in worker.log


async def test_a_worker_that_comes_back_to_a_turn_that_a_reader_has_ended_ends_its_cli(
    ground: Ground,
) -> None:
    """Also where the CLI says nothing, so that nothing is written which would be refused."""
    half = text_turn("It is $uuid that I say.", pieces=4)[:5]
    cli = ground.cli(steps(*half).silence())
    worker, front = await ground.worker(cli), await ground.front()
    job = await ground.ask(front, "go")
    await ground.seen(ground.files[job][0], 3)
    worker.pause()
    await ground.ended(ground.files[job][0])
    worker.resume()
    assert await end(ground, job) == "failed"
    with Redis(port=ground.server.port) as redis:
        assert redis.xlen(PROMPTS) == 0


async def test_a_worker_that_stands_still_for_a_moment_has_not(ground: Ground) -> None:
    cli = ground.cli(LONG)
    worker, _, job = await begin(ground, cli)
    await ground.worker(cli)
    worker.pause()
    await asyncio.sleep(_LEASE / 3)
    worker.resume()
    assert await end(ground, job) == "completed"


async def test_a_turn_outlives_those_who_watch_it(ground: Ground) -> None:
    _, front, job = await begin(ground, ground.cli(QUICK))
    await front.kill()
    await front.start()
    ground.watch(front, job)
    assert await end(ground, job) == "completed"


async def test_an_observer_that_stood_still_misses_nothing(ground: Ground) -> None:
    _, _, job = await begin(ground, ground.cli(QUICK))
    other = await ground.front()
    file = ground.watch(other, job)
    await ground.seen(file, 1)
    other.pause()
    await ground.ended(ground.files[job][0])
    other.resume()
    assert await end(ground, job) == "completed"


@nobody_is_lost
async def test_a_server_that_is_killed_comes_back_with_everything(ground: Ground) -> None:
    _, front, job = await begin(ground, ground.cli(LONG))
    for _ in range(2):
        ground.server.restart()
        await asyncio.sleep(0.2)
    ground.watch(front, job)
    assert await end(ground, job) == "completed"


async def test_a_server_that_stands_still_goes_on(ground: Ground) -> None:
    _, front, job = await begin(ground, ground.cli(LONG))
    ground.server.pause()
    await asyncio.sleep(_LEASE / 3)
    ground.server.resume()
    ground.watch(front, job)
    assert await end(ground, job) == "completed"


@nobody_is_lost
@pytest.mark.parametrize("whose", ["worker", "front"])
async def test_a_line_that_is_cut_again_and_again_loses_nothing(ground: Ground, whose: str) -> None:
    worker, front, job = await begin(ground, ground.cli(LONG))
    proxy = {"worker": worker, "front": front}[whose].proxy
    for size in (0, 1, 5, 100, 3000):
        proxy.cut_replies_after(size)
        await asyncio.sleep(0.1)
        proxy.cut()
    proxy.refuses = True
    await asyncio.sleep(0.2)
    proxy.heal()
    assert await end(ground, job) == "completed"


@nobody_is_lost
async def test_a_slow_line_is_only_slow(ground: Ground) -> None:
    worker, front, job = await begin(ground, ground.cli(QUICK))
    worker.proxy.delay = front.proxy.delay = 0.1
    assert await end(ground, job) == "completed"


@pytest.mark.parametrize("whose", ["worker", "front"])
async def test_a_line_that_is_silent_for_a_while_loses_nothing(ground: Ground, whose: str) -> None:
    worker, front, job = await begin(ground, ground.cli(LONG))
    proxy = {"worker": worker, "front": front}[whose].proxy
    proxy.is_black_hole = True
    await asyncio.sleep(_LEASE / 3)
    proxy.is_black_hole = False
    assert await end(ground, job) == "completed"


async def test_a_worker_that_is_cut_off_too_long_ends_its_cli(ground: Ground) -> None:
    cli = ground.cli(slowly(150, 60.0))
    worker, _, job = await begin(ground, cli)
    await ground.worker(cli)
    worker.proxy.is_black_hole = True
    await ground.no_cli_left()
    await ground.ended(ground.files[job][0])
    worker.proxy.heal()  # what it has sent arrives now
    assert await end(ground, job) == "failed"


async def test_a_prompt_that_was_given_and_did_not_arrive_is_given_again(ground: Ground) -> None:
    cli = ground.cli(QUICK)
    worker, front, job = await begin(ground, cli)
    assert await end(ground, job) == "completed"
    worker.proxy.cut_replies_after(0)
    job = await ground.ask(front, "another")
    assert await end(ground, job) == "completed"


async def test_a_prompt_is_sent_once_although_nobody_knows_whether_it_was(ground: Ground) -> None:
    _, front, job = await begin(ground, ground.cli(QUICK))
    assert await end(ground, job) == "completed"
    jobs = []
    for size in (0, 3, 10, 40):
        front.proxy.cut_replies_after(size)
        jobs.append(await ground.ask(front, f"cut after {size}"))
    for job in jobs:
        assert await end(ground, job) == "completed"


async def test_a_prompt_that_stands_twice_in_the_stream_is_sent_once(ground: Ground) -> None:
    front = await ground.front()
    job = await ground.ask(front, "go")
    with Redis.from_url(ground.server.url) as redis:
        while not redis.xlen(PROMPTS):
            await asyncio.sleep(0.01)
        redis.xadd(PROMPTS, {JOB: job})
    await ground.worker(ground.cli(QUICK))
    assert await end(ground, job) == "completed"


async def test_what_is_said_is_heard_after_an_outage_of_any_length(
    redis_server: RedisServer, no_leftovers: None
) -> None:
    async with Proxy(redis_server.port) as proxy:
        dispatch = Dispatch(PatientRedis(f"redis://127.0.0.1:{proxy.port}/0", patience=0.1))
        words = dispatch.words("a")
        await dispatch.say("a", b"one")
        assert await anext(words) == b"one"
        proxy.refuses = True
        proxy.cut()
        hearing = asyncio.ensure_future(anext(words))
        await asyncio.wait([hearing], timeout=1.0)
        proxy.heal()
        await dispatch.say("a", b"two")
        assert await hearing == b"two"
        await words.aclose()
        await dispatch.aclose()


async def test_what_is_over_is_forgotten_whoever_died_or_came_late(
    redis_server: RedisServer, no_leftovers: None
) -> None:
    dispatch = Dispatch(PatientRedis(redis_server.url))
    await dispatch.submit("a", "{}")
    await dispatch.log.append("a", BEGIN, b"{}\n")
    await dispatch.log.append("a", END, b"{}\n")  # by a machine that died before it could do more
    await dispatch.end("a", None, keep=1000.0)
    await dispatch.submit("a", "{}")  # what was on its way for so long
    with Redis.from_url(redis_server.url) as redis:
        assert [redis.ttl(key) > 0 for key in redis.keys("*:a")] == [True, True]
    await dispatch.aclose()


async def test_a_beginning_that_arrived_too_late_does_not_keep_the_prompt(ground: Ground) -> None:
    front = await ground.front()
    job = await ground.ask(front, "go")
    dispatch = Dispatch(PatientRedis(ground.server.url))
    with Redis.from_url(ground.server.url) as redis:
        while not redis.xlen(PROMPTS):
            await asyncio.sleep(0.01)
    # What a machine had sent that was given up meanwhile; its entry was given back.
    await dispatch.log.append(job, BEGIN, b'{"rxccsdk_cassette":1,"sdk":"claude-agent-sdk","entry":"1-1"}\n')
    await ground.worker(ground.cli(QUICK))
    assert await end(ground, job) == "failed"
    await dispatch.aclose()
