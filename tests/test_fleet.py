"""The fleet: a turn that another machine runs is as a local one. Its machine is a task here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions
from pydantic import BaseModel
from redis.asyncio import Redis

from rxccsdk import (
    Allow,
    AskChunk,
    Chunk,
    ControlError,
    DecisionChunk,
    NoticeChunk,
    PromptChunk,
    ResultChunk,
    RxccError,
    SessionClosedError,
    SessionCrashedError,
    SessionOptions,
    TextChunk,
    ToolOutputChunk,
    ToolUseChunk,
    Turn,
)
from rxccsdk import operators as cc
from rxccsdk.fleet import EntryId, Fleet, LogError, PatientRedis, Worker
from rxccsdk.fleet.dispatch import BEGIN, Dispatch, Taken
from rxccsdk.fleet.names import PROMPTS, WORKERS
from rxccsdk.fleet.spec import Spec
from rxccsdk.session.since import batches
from rxccsdk.testing import ScriptedCli, interrupted, reply, steps, text_turn
from rxccsdk.web.feed import Events
from tests.conftest import Real, Scripted
from tests.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("no_leftovers")


@asynccontextmanager
async def working(url: str, options: SessionOptions, **how: Any) -> AsyncIterator[Worker]:
    """Run a machine of the fleet."""
    worker = Worker(url, options=options, **{"lease": 5.0, **how})
    running = asyncio.get_running_loop().create_task(worker.run())
    try:
        yield worker
    finally:
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()


@asynccontextmanager
async def a_fleet(server: RedisServer, options: SessionOptions, **how: Any) -> AsyncIterator[Fleet]:
    async with working(server.url, options, **how), Fleet(server.url, patience=10) as fleet:
        yield fleet


async def collect(turn: Turn) -> list[Chunk]:
    return [chunk async for chunk in turn]


async def begun(turn: Turn, kind: type[Chunk] = TextChunk) -> Chunk:
    """Watch a turn, without leaving it, until such a chunk has come."""
    return await anext(chunk async for chunk in watched(turn) if isinstance(chunk, kind))


def watched(turn: Turn) -> Any:
    turn.subscribe(None, lambda error: None)
    return turn.pipe(cc.to_async_iterator())


def status_of(turn: Turn) -> str:
    return turn.status


def long_turn(text: str = "word " * 5) -> Any:
    return steps(*text_turn(text, pieces=5)[:6]).silence()


# -- as a local turn --------------------------------------------------------------------------------------


async def test_every_observer_has_the_same_chunks_live_and_late(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(steps(*text_turn("Hello from afar", pieces=4))).options
    async with a_fleet(redis_server, options) as fleet, Fleet(redis_server.url) as elsewhere:
        turn = fleet.stream("hi", SessionOptions(model="haiku"))
        own = asyncio.ensure_future(collect(turn))
        await begun(turn, Chunk)
        assert turn.uuid is not None
        live = await collect(await elsewhere.turn(turn.uuid))
        late = await elsewhere.turn(turn.uuid)
        assert live == await own == await collect(late)
        assert late.prompt == "hi"
        assert late.response.model_dump() == turn.response.model_dump()
        assert (turn.status, turn.response.content) == ("completed", "Hello from afar")
        assert turn.response.metadata.backend == scripted.backend
        assert [chunk.seq for chunk in live] == list(range(len(live)))
        assert "--model" in scripted.cli.starts[0]["argv"]


async def test_the_real_cli_answers_the_fleet(redis_server: RedisServer, real: Real) -> None:
    script = [reply("I look. ").tool("Bash", {"command": "echo hi", "description": "x"}), reply("Done.")]
    async with a_fleet(redis_server, real.options(script, allowed_tools=["Bash"])) as fleet:
        response = await fleet.stream("hi").pipe(cc.to_response())
    assert response.content == "I look. \n\nDone."
    assert [use.result for use in response.tool_uses] == ["hi"]
    assert response.metadata.backend == real.backend


async def test_its_questions_are_answered_from_anywhere(redis_server: RedisServer, real: Real) -> None:
    tool = {"command": "touch made", "description": "make a file"}
    options = real.options([reply().tool("Bash", tool), reply("Done.")])
    async with a_fleet(redis_server, options) as fleet:
        turn = fleet.stream("go", SessionOptions(ask="stream"))
        own = asyncio.ensure_future(collect(turn))
        await begun(turn, AskChunk)
        other = await fleet.turn(str(turn.uuid))
        seen: list[Chunk] = []
        response = await other.pipe(
            cc.answer_asks(lambda ask: Allow()), cc.tap_chunks(seen.append), cc.to_response()
        )
        assert await own == seen
    assert response.content == "Done."
    assert [it.decision for it in seen if isinstance(it, DecisionChunk)] == ["allow"]
    assert (real.folder / "project" / "made").exists()


async def test_it_is_steered_from_anywhere(redis_server: RedisServer, real: Real) -> None:
    wait = {"command": "while [ ! -e go ]; do sleep 0.02; done", "description": "wait"}
    script = [reply().tool("Bash", wait), reply("Both.")]
    async with a_fleet(redis_server, real.options(script, allowed_tools=["Bash"])) as fleet:
        turn = fleet.stream("one")
        own = asyncio.ensure_future(collect(turn))
        await begun(turn, ToolUseChunk)
        other = await fleet.turn(str(turn.uuid))
        watching = asyncio.ensure_future(collect(other))
        await begun(other, ToolUseChunk)
        steering = asyncio.ensure_future(other.steer("and two"))
        await begun(turn, PromptChunk)
        (real.folder / "project" / "go").touch()
        assert await asyncio.wait_for(steering, 30) == "delivered"
        assert await own == await watching
    assert turn.response.content == "Both."
    states = [chunk.state for chunk in await own if isinstance(chunk, PromptChunk)]
    assert states == ["queued", "delivered"]


async def test_what_a_command_writes_comes_while_it_runs(redis_server: RedisServer, real: Real) -> None:
    wait = "echo early; while [ ! -e go ]; do sleep 0.02; done"
    script = [reply().tool("Bash", {"command": wait, "description": "x"}), reply("Done.")]
    async with a_fleet(redis_server, real.options(script, allowed_tools=["Bash"])) as fleet:
        turn = fleet.stream("hi", SessionOptions(tool_output=0.1))
        output = await begun(turn, ToolOutputChunk)
        assert isinstance(output, ToolOutputChunk)
        assert output.text.startswith("early")
        (real.folder / "project" / "go").touch()
        await turn.wait()
    assert turn.response.content == "Done."


@pytest.mark.parametrize("who", ["its owner", "another"])
async def test_it_is_interrupted_from_anywhere(
    redis_server: RedisServer, scripted: Scripted, who: str
) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with a_fleet(redis_server, options) as fleet:
        turn = fleet.stream("hi")
        own = asyncio.ensure_future(collect(turn))
        await begun(turn)
        other = await fleet.turn(str(turn.uuid))
        watching = asyncio.ensure_future(collect(other))
        await begun(other)
        await (turn if who == "its owner" else other).interrupt()
        assert await own == await watching
        for it in (turn, other):
            assert (it.status, it.response.error_kind) == ("interrupted", "interrupted")
        assert [chunk.kind for chunk in await own if isinstance(chunk, NoticeChunk)] == ["interrupt"]


async def test_a_cli_that_does_not_answer_an_interrupt_is_the_same_to_all(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(long_turn(), on_interrupt=steps().silence()).options
    limits = SessionOptions(interrupt_timeout=0.2)
    async with a_fleet(redis_server, options) as fleet:
        turn = fleet.stream("hi", limits)
        own = asyncio.ensure_future(collect(turn))
        await begun(turn)
        other = await fleet.turn(str(turn.uuid))
        watching = asyncio.ensure_future(collect(other))
        await begun(other)
        await turn.interrupt()
        late = await fleet.turn(str(turn.uuid))
        assert await own == await watching == await collect(late)
        for it in (turn, other, late):
            assert it.status == "interrupted"
            assert it.response.error == "The CLI did not answer the interrupt and was ended."


@pytest.mark.parametrize("has_left", [False, True], ids=["that reads it", "that has left it"])
@pytest.mark.parametrize("who", ["its owner", "another", "another while it waits"])
async def test_a_fleet_that_closes_ends_no_turn_that_is_to_go_on(
    redis_server: RedisServer, scripted: Scripted, who: str, has_left: bool
) -> None:
    frames = text_turn("Hello from afar", pieces=4)
    options = scripted(steps(*frames[:5]).pause(1.0).frame(*frames[5:])).options
    async with AsyncExitStack() as stack:
        keeping = await stack.enter_async_context(Fleet(redis_server.url))
        async with Fleet(redis_server.url) as closing:
            if who == "its owner":
                left = closing.stream("hi", on_dispose="finish")
                left.subscribe(None, lambda error: None)
                while left.index is None:
                    await asyncio.sleep(0.01)
                job = str(left.uuid)
            else:
                job = await keeping.submit("hi")
                left = await closing.turn(job)
            whole = asyncio.ensure_future(collect(await keeping.turn(job)))
            reading = left.subscribe(None, lambda error: None)
            if who != "another while it waits":
                await stack.enter_async_context(working(redis_server.url, options))
                await begun(left)
            if has_left:
                reading.dispose()
                await asyncio.sleep(0)
        await stack.enter_async_context(working(redis_server.url, options))
        assert isinstance((await whole)[-1], ResultChunk)
    assert sent(scripted.cli) == ["hi"]


async def test_what_is_interrupted_while_the_cli_starts_is_taken_back(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(answer_initialize=False).options
    async with a_fleet(redis_server, options) as fleet, asyncio.timeout(30):
        turn = fleet.stream("hi")
        reading = asyncio.ensure_future(collect(turn))
        while not scripted.cli.starts:
            await asyncio.sleep(0.01)
        other = await fleet.turn(str(turn.uuid))
        await other.interrupt()
        assert await reading == await collect(other)
        for it in (turn, other):
            assert (it.status, it.response.error_kind) == ("interrupted", "interrupted")
    assert not sent(scripted.cli)


async def test_leaving_stops_it_and_an_onlooker_does_not(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with a_fleet(redis_server, options) as fleet:
        turn = fleet.stream("hi")
        has_begun = asyncio.Event()
        staying = turn.subscribe(lambda chunk: has_begun.set())
        await has_begun.wait()
        other = await fleet.turn(str(turn.uuid))
        async for chunk in other:
            if isinstance(chunk, TextChunk):
                break
        assert status_of(other) == "running"
        staying.dispose()
        await turn.wait()
        await other.wait()
        assert (turn.status, status_of(other)) == ("interrupted", "interrupted")


async def test_limits_are_kept_by_the_machine(redis_server: RedisServer, scripted: Scripted) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with a_fleet(redis_server, options) as fleet:
        turn = fleet.stream("hi", timeout=0.3)
        response = await turn.pipe(cc.to_response())
    assert response.error_kind == "timeout"


class City(BaseModel):
    name: str


async def test_its_answer_fits_a_model(redis_server: RedisServer, real: Real) -> None:
    script = [reply().tool("StructuredOutput", {"name": "Bern"}), reply("Done.")]
    async with a_fleet(redis_server, real.options(script)) as fleet:
        response = await fleet.stream("hi", SessionOptions(output=City)).pipe(cc.to_response())
    assert response.parsed == City(name="Bern")


@pytest.mark.parametrize("seen", ["before anything came", "while it runs"])
async def test_who_has_not_watched_it_interrupts_it_as_well(
    redis_server: RedisServer, scripted: Scripted, seen: str
) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with a_fleet(redis_server, options) as fleet, Fleet(redis_server.url) as elsewhere:
        job = await fleet.submit("hi")
        if seen == "while it runs":
            await begun(await fleet.turn(job))
        other = await elsewhere.turn(job)
        assert (other.uuid, other.status) == (job, "pending")
        await asyncio.wait_for(other.interrupt(), 30)
        assert (status_of(other), other.response.error_kind) == ("interrupted", "interrupted")
        late = await fleet.turn(job)
        assert await collect(late) == await collect(other)
        assert late.status == "interrupted"


async def test_what_was_given_in_is_answered_though_nobody_watches(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    async with Fleet(redis_server.url) as fleet:
        job = await fleet.submit("hi")
    async with a_fleet(redis_server, scripted().options) as fleet:
        assert (await (await fleet.turn(job)).pipe(cc.to_response())).content == "ok"
    assert sent(scripted.cli) == ["hi"]


# -- a machine that is lost -------------------------------------------------------------------------------


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxccsdk.fleet.remote._LOOK", 0.05)


async def lose_one(redis: Redis, dispatch: Dispatch, lease: float, idle: float) -> str:
    """Be a machine that has begun a prompt, and has given no sign for so many seconds; return its entry."""
    taken: list[Taken] = []
    while not taken:
        taken = await dispatch.take("lost", 1)
    header = {"rxccsdk_cassette": 1, "sdk": "claude-agent-sdk", "entry": taken[0].entry, "lease": lease}
    await dispatch.log.append(taken[0].job, BEGIN, json.dumps(header).encode() + b"\n")
    await redis.xclaim(PROMPTS, WORKERS, "lost", 0, [taken[0].entry], idle=int(idle * 1000))
    return taken[0].entry


@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize("who", ["its owner", "who gave it in", "another"])
async def test_whoever_reads_a_turn_ends_it_after_two_leases(redis_server: RedisServer, who: str) -> None:
    async with (
        raw(redis_server) as (redis, dispatch),
        Fleet(redis_server.url) as fleet,
        Fleet(redis_server.url) as elsewhere,
        asyncio.timeout(30),
    ):
        if who == "its owner":
            turn = fleet.stream("hi")
        else:
            turn = await (fleet if who == "who gave it in" else elsewhere).turn(await fleet.submit("hi"))
        reading = asyncio.ensure_future(collect(turn))
        await lose_one(redis, dispatch, lease=0.5, idle=0.0)
        with pytest.raises(SessionCrashedError, match=r"no sign for more than 0\.5 s.*Ask again"):
            await reading
    assert (turn.response.error_kind, turn.response.retryable) == ("connection", True)


@pytest.mark.usefixtures("looks_often")
async def test_what_was_given_back_and_begun_by_a_lost_machine_ends(redis_server: RedisServer) -> None:
    """It stands in the stream by another entry than the one it was given in by."""
    async with raw(redis_server) as (redis, dispatch), Fleet(redis_server.url) as fleet, asyncio.timeout(30):
        turn = fleet.stream("hi")
        reading = asyncio.ensure_future(collect(turn))
        taken: list[Taken] = []
        while not taken:
            taken = await dispatch.take("slow", 1)
        await dispatch.give_back(taken[0])
        await lose_one(redis, dispatch, lease=0.5, idle=0.0)
        with pytest.raises(SessionCrashedError, match="no sign"):
            await reading


@pytest.mark.parametrize("who", ["its owner", "another", "another that has not read it"])
async def test_an_interrupt_does_not_wait_for_a_machine_that_is_lost(
    redis_server: RedisServer, who: str
) -> None:
    async with raw(redis_server) as (redis, dispatch), Fleet(redis_server.url) as fleet, asyncio.timeout(30):
        turn = fleet.stream("hi", on_dispose="finish")
        own = asyncio.ensure_future(collect(turn))
        await lose_one(redis, dispatch, lease=60.0, idle=61.0)
        other = turn if who == "its owner" else await fleet.turn(str(turn.uuid))
        if who == "another":
            other.subscribe(None, lambda error: None)
        await other.interrupt()
        assert other.response.error_kind == "connection"
        assert str(other.response.error).startswith("The machine that had the prompt gave no sign")
        with pytest.raises(SessionCrashedError, match="no sign"):
            await own


async def test_a_machine_has_time_to_give_its_sign_when_redis_was_away(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def wait(self: PatientRedis) -> float:
        nonlocal looks
        looks += 1
        return 5.0 if looks == 1 else 0.0

    monkeypatch.setattr(PatientRedis, "wait", wait)
    monkeypatch.setattr("rxccsdk.fleet.remote._SOON", 0.3)
    async with raw(redis_server) as (redis, dispatch), Fleet(redis_server.url) as fleet, asyncio.timeout(30):
        turn = fleet.stream("hi")
        turn.subscribe(None, lambda error: None)
        entry = await lose_one(redis, dispatch, lease=60.0, idle=61.0)
        stopping = asyncio.ensure_future(turn.interrupt())
        while looks < 1:
            await asyncio.sleep(0.01)
        await dispatch.renew("lost", [entry])
        while looks < 3:
            await asyncio.sleep(0.01)
        assert status_of(turn) == "running"
        await dispatch.end(str(turn.uuid), None, 60.0)
        await stopping


@pytest.mark.usefixtures("looks_often")
async def test_a_turn_that_was_forgotten_before_it_was_read_ends(redis_server: RedisServer) -> None:
    async with raw(redis_server) as (redis, _), Fleet(redis_server.url) as fleet, asyncio.timeout(30):
        turn = await fleet.turn(await fleet.submit("hi"))
        await redis.flushall()
        with pytest.raises(SessionCrashedError, match="forgotten"):
            await collect(turn)


@asynccontextmanager
async def raw(server: RedisServer) -> AsyncIterator[tuple[Redis, Dispatch]]:
    dispatch = Dispatch(PatientRedis(server.url, 5))
    try:
        async with Redis.from_url(server.url) as redis:
            yield redis, dispatch
    finally:
        await dispatch.aclose()


# -- a conversation ---------------------------------------------------------------------------------------


async def test_another_machine_goes_on_with_a_conversation(redis_server: RedisServer, real: Real) -> None:
    options = real.options([reply("I am Ada."), reply("Ada, as I said."), reply("Still Ada.")])
    homes = [options.model_copy(update={"env": {"CLAUDE_CONFIG_DIR": str(real.folder / it)}}) for it in "ab"]
    async with Fleet(redis_server.url) as fleet:
        session = None
        for place, prompt in ((0, "Who are you?"), (1, "Who?"), (0, "And now?")):
            async with working(redis_server.url, homes[place]):
                turn = fleet.stream(prompt, SessionOptions(resume=session))
                response = await turn.pipe(cc.to_response())
            assert response.success, response.error
            session = response.metadata.session_id
    said = [request.messages for request in real.api.requests]
    assert [sum(message["role"] == "assistant" for message in messages) for messages in said] == [0, 1, 2]
    assert "I am Ada." in str(said[1])
    assert "Ada, as I said." in str(said[2])


async def test_what_a_machine_had_when_it_was_lost_is_gone_on_with(
    redis_server: RedisServer, real: Real
) -> None:
    wait = {"command": "touch runs; sleep 60", "description": "wait"}
    script = [reply("I begin. ").tool("Bash", wait), reply("Where was I?")]
    options = real.options(script, allowed_tools=["Bash"])
    homes = [options.model_copy(update={"env": {"CLAUDE_CONFIG_DIR": str(real.folder / it)}}) for it in "ab"]
    async with Fleet(redis_server.url) as fleet:
        async with working(redis_server.url, homes[0]):
            turn = fleet.stream("Begin.")
            await begun(turn, ToolUseChunk)
            session = turn.response.metadata.session_id
        assert turn.status == "interrupted"
        async with working(redis_server.url, homes[1]):
            response = await fleet.stream("Go on.", SessionOptions(resume=session)).pipe(cc.to_response())
    assert response.content == "Where was I?"
    assert "I begin." in str(real.api.requests[-1].messages)


# -- many -------------------------------------------------------------------------------------------------


async def test_many_prompts_are_answered_by_the_machines_there_are(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        clis = []
        for number in range(3):
            cli = stack.enter_context(ScriptedCli(tmp_path / f"cli{number}"))
            clis.append(cli)
            options = SessionOptions(cli_path=cli.path)
            await stack.enter_async_context(working(redis_server.url, options, at_once=2))
        fleet = await stack.enter_async_context(Fleet(redis_server.url))
        prompts = [f"prompt {number}" for number in range(12)]
        answers = [answer async for answer in fleet.ask_all(prompts)]
        assert sorted(answer.index for answer in answers) == list(range(12))
        assert {answer.response.content for answer in answers} == {"ok"}
        asked = [prompt for cli in clis for prompt in sent(cli)]
        assert sorted(asked) == sorted(prompts)


def sent(cli: ScriptedCli) -> Sequence[str]:
    """The prompts that a scripted CLI has got."""
    return [frame["message"]["content"] for frame in cli.received if frame.get("type") == "user"]


async def test_a_machine_takes_no_more_than_it_can(redis_server: RedisServer, scripted: Scripted) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with a_fleet(redis_server, options, at_once=1) as fleet:
        first, second = fleet.stream("one"), fleet.stream("two")
        await begun(first)
        waiting = asyncio.ensure_future(collect(second))
        await asyncio.sleep(0.2)
        assert status_of(second) == "running"
        assert len(scripted.cli.starts) == 1
        await second.interrupt()  # before any machine had it: taken back
        assert [chunk.kind for chunk in await waiting if isinstance(chunk, NoticeChunk)] == ["interrupt"]
        assert second.status == "interrupted"
        await first.interrupt()
        assert first.status == "interrupted"
    assert [frame["message"]["content"] for frame in scripted.cli.received if frame["type"] == "user"] == [
        "one"
    ]


# -- what goes wrong --------------------------------------------------------------------------------------


async def test_a_cli_that_crashes_fails_the_turn_for_all(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    plan = steps(*text_turn("some text", pieces=3)[:5]).stderr("boom").exit(3)
    async with a_fleet(redis_server, scripted(plan).options) as fleet:
        turn = fleet.stream("hi")
        with pytest.raises(SessionCrashedError) as crash:
            await collect(turn)
        other = await fleet.turn(str(turn.uuid))
        with pytest.raises(SessionCrashedError) as same:
            await collect(other)
    for error in (crash.value, same.value):
        assert (error.exit_code, error.stderr) == (3, ("boom",))
        assert error.partial is not None
    assert turn.response.content == other.response.content != ""
    assert turn.response.error_kind == "crashed"


async def test_a_machine_without_a_cli_says_so(redis_server: RedisServer, tmp_path: Path) -> None:
    async with a_fleet(redis_server, SessionOptions(cli_path=tmp_path / "missing")) as fleet:
        with pytest.raises(SessionCrashedError, match="missing"):
            await collect(fleet.stream("hi"))


async def test_what_a_machine_cannot_combine_is_said(redis_server: RedisServer) -> None:
    base = SessionOptions(sdk_options=ClaudeAgentOptions(model="opus"))
    async with a_fleet(redis_server, base) as fleet:
        with pytest.raises(SessionCrashedError, match=r"cannot run it: .*model"):
            await collect(fleet.stream("hi", SessionOptions(model="haiku")))


async def test_a_machine_that_is_stopped_ends_what_runs(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with Fleet(redis_server.url) as fleet:
        async with working(redis_server.url, options):
            turn = fleet.stream("hi")
            await begun(turn)
        await turn.wait()
    assert (turn.status, turn.response.error_kind) == ("interrupted", "interrupted")


async def test_a_machine_that_is_stopped_while_its_cli_starts_sends_nothing(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(answer_initialize=False).options
    async with Fleet(redis_server.url) as fleet:
        async with working(redis_server.url, options):
            turn = fleet.stream("hi")
            turn.subscribe(None, lambda error: None)
            while not scripted.cli.starts:
                await asyncio.sleep(0.01)
        with pytest.raises(SessionCrashedError, match="not sent: the worker was stopped"):
            await collect(turn)
    assert turn.response.retryable
    assert not sent(scripted.cli)


async def test_reading_a_turn_does_not_keep_it_longer(redis_server: RedisServer, scripted: Scripted) -> None:
    async with raw(redis_server) as (redis, _), a_fleet(redis_server, scripted().options, keep=60.0) as fleet:
        job = await fleet.submit("hi")
        await collect(await fleet.turn(job))
        await collect(await fleet.turn(job))
        while (seconds := await redis.ttl(f"rxccsdk:turn:{job}")) < 0:  # its machine says it in a moment
            await asyncio.sleep(0.01)
        assert seconds <= 60


async def test_a_turn_that_nobody_asked_is_said(redis_server: RedisServer) -> None:
    async with Fleet(redis_server.url) as fleet:
        with pytest.raises(LookupError, match="knows no turn 'x'"):
            await fleet.turn("x")


async def test_a_redis_that_is_not_there_fails_the_turn() -> None:
    async with Fleet("redis://127.0.0.1:1", patience=0.1) as fleet:
        turn = fleet.stream("hi")
        with pytest.raises(RxccError, match="cannot be reached"):
            await collect(turn)
        assert turn.response.retryable
        with pytest.raises(LogError, match="cannot be reached"):
            await fleet.turn("x")
    with pytest.raises(LogError, match="cannot be reached"):
        await Worker("redis://:secret@127.0.0.1:1", lease=0.1).run()


async def test_a_fleet_that_another_loop_has_used_is_refused(redis_server: RedisServer) -> None:
    """What waited for an answer on a connection of the other loop waited for ever."""
    fleet = Fleet(redis_server.url)

    async def ask_and_close() -> None:
        await fleet.submit("there")
        await fleet.aclose()

    await asyncio.to_thread(asyncio.run, ask_and_close())
    async with asyncio.timeout(10):
        with pytest.raises(LogError, match="a Fleet, or a log, for each loop"):
            await fleet.turn("x")
        with pytest.raises(RxccError, match="for each loop"):
            await collect(fleet.stream("here"))
        await fleet.aclose()


@pytest.mark.usefixtures("looks_often")
async def test_a_prompt_that_redis_has_lost_fails(redis_server: RedisServer) -> None:
    redis = Redis.from_url(redis_server.url)
    async with Fleet(redis_server.url) as fleet:
        turn = fleet.stream("hi")
        waiting = asyncio.ensure_future(collect(turn))
        while not await redis.exists("rxccsdk:prompts"):
            await asyncio.sleep(0.01)
        await redis.flushall()
        with pytest.raises(SessionCrashedError, match="forgotten"):
            await waiting
    await redis.aclose()
    assert turn.response.retryable


async def test_machines_that_are_gone_leave_no_names(redis_server: RedisServer) -> None:
    dispatch = Dispatch(PatientRedis(redis_server.url, 5))
    for machine in ("killed", "answers"):
        entry = await dispatch.submit("job", "{}")
        assert [taken.entry for taken in await dispatch.take(machine, 1)] == [entry]
        if machine == "killed":
            await dispatch.done(entry)
    while await dispatch.idle(entry) < 0.01:
        await asyncio.sleep(0.01)
    await dispatch.sweep(60)
    assert await names(dispatch) == {"answers", "killed"}
    await dispatch.sweep(0.005)
    assert await names(dispatch) == {"answers"}
    await dispatch.done(entry)
    await dispatch.sweep(0.005)
    assert await names(dispatch) == set()
    await dispatch.aclose()


async def names(dispatch: Dispatch) -> set[str]:
    """The machines of the fleet, as Redis knows them."""
    found: Any = await dispatch.redis.do(lambda redis: redis.xinfo_consumers("rxccsdk:prompts", "workers"))
    return {it["name"].decode() for it in found}


async def test_a_machine_that_cannot_write_on_ends_the_turn(
    redis_server: RedisServer, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with working(redis_server.url, options) as worker, Fleet(redis_server.url) as fleet:
        append = worker._dispatch.log.append

        async def fail(key: str, id: EntryId, data: bytes) -> None:
            if id.turn == 0 and b"text_delta" in data:
                raise LogError("full")
            await append(key, id, data)

        monkeypatch.setattr(worker._dispatch.log, "append", fail)
        turn = fleet.stream("hi")
        with pytest.raises(SessionCrashedError, match="could not write on: full"):
            await collect(turn)
        assert turn.response.retryable


async def test_a_wrong_password_is_said_at_once(redis_server: RedisServer) -> None:
    redis = Redis.from_url(redis_server.url)
    await redis.config_set("requirepass", "right")
    await redis.aclose()
    for wrong in (redis_server.url, redis_server.url.replace("127", ":wrong@127")):
        async with Fleet(wrong) as fleet:
            with pytest.raises(SessionCrashedError, match="lets nobody in"):
                await collect(fleet.stream("hi"))
        with pytest.raises(LogError, match="lets nobody in") as error:
            await Worker(wrong).run()
        assert "wrong" not in str(error.value)
    async with Fleet(redis_server.url.replace("127", ":right@127")) as fleet:
        with pytest.raises(LookupError):
            await fleet.turn("x")


async def test_a_message_that_comes_too_late_is_said(redis_server: RedisServer, scripted: Scripted) -> None:
    plan = steps(*text_turn("Hello")[:4]).pause(0.3).frame(*text_turn("Hello")[4:])
    async with a_fleet(redis_server, scripted(plan).options) as fleet:
        turn = fleet.stream("hi")
        await begun(turn)
        with pytest.raises((ControlError, SessionClosedError)):
            await asyncio.gather(turn.wait(), turn.steer("late"))


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ({"cli_path": "/bin/true"}, "--cli"),
        ({"record": "tape"}, "fleet.turn"),
        ({"survive": True}, "outlives"),
        ({"continue_conversation": True}, "resume"),
    ],
)
def test_what_means_nothing_elsewhere_is_refused(option: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Fleet("redis://localhost").stream("hi", SessionOptions(**option))


def test_what_travels_arrives() -> None:
    options = SessionOptions(model="haiku", cwd="/tmp/x", env={"A": "b"}, keep_raw=True, output=City)
    spec = Spec.model_validate_json(Spec.of("hi", options, timeout=3).model_dump_json())
    base = SessionOptions(cli_path="/bin/true", model="opus", env={"A": "ours", "KEY": "secret"})
    there = spec.session_options(base)
    assert (there.model, str(there.cwd)) == ("haiku", "/tmp/x")
    assert there.env == {"A": "b", "KEY": "secret"}
    assert (str(there.cli_path), there.keep_raw, there.output_schema) == (
        "/bin/true",
        False,
        options.output_schema,
    )
    assert spec.timeout == 3


@pytest.mark.parametrize("wrong", [{"at_once": 0}, {"lease": 0}, {"keep": -1}])
def test_a_worker_with_a_number_that_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Worker("redis://localhost", **wrong)


async def test_each_prompt_has_a_session_of_its_own(redis_server: RedisServer, scripted: Scripted) -> None:
    async with a_fleet(redis_server, scripted().options) as fleet:
        turns = [fleet.stream("hi") for _ in range(3)]
        await asyncio.gather(*map(collect, turns))
        assert {(turn.index, turn.status) for turn in turns} == {(0, "completed")}
        assert len({turn.uuid for turn in turns}) == 3
        for turn in turns:
            assert isinstance((await collect(turn))[-1], ResultChunk)


async def test_every_machine_gives_a_browser_the_same_events(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(steps(*text_turn("Hello from afar", pieces=4))).options
    async with a_fleet(redis_server, options) as fleet, Fleet(redis_server.url) as elsewhere:
        turn = fleet.stream("hi")
        here = [event async for event in events(turn)]
        there = [event async for event in events(await elsewhere.turn(str(turn.uuid)))]
        assert here == there
        assert f"id: {turn.response.metadata.session_id}/0/0\n".encode() in here[0]


async def events(turn: Turn) -> AsyncIterator[bytes]:
    made = Events.of(turn)
    async for chunks in batches(turn):
        for chunk in chunks:
            yield made.of_chunk(chunk)
