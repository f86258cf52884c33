"""Messages sent into a running turn: with the real CLI, and both SDKs."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk import (
    Chunk,
    ClaudeSession,
    ControlError,
    PromptChunk,
    SessionClosedError,
    SessionCrashedError,
    TaskChunk,
    TextChunk,
    ToolResultChunk,
    ToolUseChunk,
    Turn,
)
from rxccsdk import operators as cc
from rxccsdk.session.steering import Steered
from rxccsdk.testing import init_frame, reply, result_frame, steps, text_turn
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import PromptSettled, TurnEnded
from rxccsdk.wire.frames import to_line
from tests.cli_versions import needs_cli
from tests.conftest import Real, Scripted
from tests.steering import Tally, steer, steered_session
from tests.test_scripted_cli import half_a_message
from tests.test_walk import ByHand

pytestmark = pytest.mark.usefixtures("no_leftovers")
names_prompts = needs_cli("2.1.222", "do not say what becomes of a message")


def works(seconds: float = 1.0) -> Any:
    lines = f"for i in $(seq {round(seconds / 0.1)}); do sleep 0.1; done"  # a long sleep would be refused
    return reply("I try. ").tool("Bash", {"command": lines, "description": "wait"})


def states(chunks: list[Chunk]) -> list[tuple[str, str, int | None]]:
    return [(chunk.text, chunk.state, chunk.turn) for chunk in chunks if isinstance(chunk, PromptChunk)]


async def at_the_tool(turn: Turn) -> None:
    """Return when the turn's tool has begun; the turn is held by whoever waits for it."""
    async for chunk in turn:
        if isinstance(chunk, ToolUseChunk):
            return


# -- the three outcomes -------------------------------------------------------------------------------------


@names_prompts
async def test_a_message_during_a_tool_is_delivered(real: Real) -> None:
    session = real([works(), reply("Both."), reply("Next.")], allowed_tools=["Bash"])
    async with session:
        chunks: list[Chunk] = []
        turn = session.stream("go")
        answer = asyncio.ensure_future(turn.pipe(cc.tap_chunks(chunks.append), cc.to_response()))
        await at_the_tool(turn)
        steered = await turn.steer("and this")
        assert steered == "delivered"
        assert steered.turn is turn
        assert (await answer).content == "I try. \n\nBoth."
        assert states(chunks) == [("and this", "queued", 0), ("and this", "delivered", 0)]
        assert "and this" in str(real.api.requests[-1].messages)
        after = session.stream("again")
        assert (await after.pipe(cc.to_response())).content == "Next."
        assert after.index == 1


@names_prompts
async def test_messages_that_come_too_late_become_a_turn_of_their_own(real: Real) -> None:
    session = real([reply().text("The last. ", delay=0.2), reply("Their answer."), reply("Next.")])
    async with session:
        chunks: list[Chunk] = []
        session.chunks.subscribe(chunks.append)
        turn = session.stream("go")
        queued_before = session.stream("again")
        first, last = asyncio.ensure_future(answer_of(turn)), asyncio.ensure_future(answer_of(queued_before))
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        one, two = await asyncio.gather(turn.steer("one"), turn.steer("two"))
        assert (one, two) == ("queued", "queued")
        assert one.turn is two.turn
        assert await answer_of(one.turn) == "Their answer."
        assert await first == "The last. "
        assert await last == "Next."
        assert (turn.index, one.turn.index, queued_before.index) == (0, 1, 2)
        assert one.turn.prompt == "one"
        assert states(chunks) == [
            ("one", "queued", 0),
            ("two", "queued", 0),
            ("one", "delivered", 1),
            ("two", "delivered", 1),
        ]


async def answer_of(turn: Turn) -> str:
    return (await turn.pipe(cc.to_response())).content


@names_prompts
async def test_a_message_outlives_an_interrupt(real: Real) -> None:
    """Stop, and do this instead."""
    session = real([works(20), reply("Instead.")], allowed_tools=["Bash"])
    async with session:
        turn = session.stream("go")
        turn.subscribe()
        await at_the_tool(turn)
        sending = asyncio.ensure_future(turn.steer("do this instead"))
        await asyncio.sleep(0)
        await turn.interrupt()
        steered = await sending
        assert steered == "queued"
        assert turn.status == "interrupted"
        assert await answer_of(steered.turn) == "Instead."


@names_prompts
async def test_a_turn_can_be_steered_from_its_first_moment(real: Real) -> None:
    session = real([works(0.3), reply("Both.")], allowed_tools=["Bash"])
    async with session:
        turn = session.stream("go")
        answer = asyncio.ensure_future(answer_of(turn))
        while turn.index is None:
            await asyncio.sleep(0)
        assert await turn.steer("and this") == "delivered"
        assert await answer == "I try. \n\nBoth."


@names_prompts
async def test_the_turn_of_a_message_can_be_left(real: Real) -> None:
    session = real(
        [reply().text("Soon over. ", delay=0.2), works(20), reply("Next.")], allowed_tools=["Bash"]
    )
    async with session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                steered = await turn.steer("one")
                break
        await at_the_tool(steered.turn)  # leaves it, the only subscriber
        await steered.turn.wait()
        assert steered.turn.status == "interrupted"
        assert await answer_of(session.stream("again")) == "Next."


@pytest.mark.timeout(10)
@pytest.mark.parametrize("split", [1, 2, 7, 1000])
async def test_the_turn_of_a_message_may_end_in_the_read_it_begins_in(split: int) -> None:
    transport = ByHand()
    session = ClaudeSession()
    session._make_transport = lambda: transport
    async with session:
        turn = session.stream("go")
        answer = asyncio.ensure_future(answer_of(turn))
        while turn.uuid is None:
            await asyncio.sleep(0)
        first = [to_line(frame) for frame in text_turn("one")]
        started: dict[str, Any] = {
            "type": "command_lifecycle",
            "command_uuid": turn.uuid,
            "state": "started",
        }
        transport.receive(to_line(started) + b"".join(first[:-1]))
        sending = asyncio.ensure_future(turn.steer("too late"))
        await asyncio.sleep(0)
        assert transport.written is not None
        uuid = transport.written["uuid"]
        again = {"type": "command_lifecycle", "command_uuid": uuid, "state": "started"}
        data = b"".join([first[-1], to_line(again), *(to_line(frame) for frame in text_turn("two"))])
        for start in range(0, len(data), max(1, len(data) // split)):
            transport.receive(data[start : start + max(1, len(data) // split)])
        steered = await sending
        assert steered == "queued"
        assert await answer == "one"
        assert await answer_of(steered.turn) == "two"
        assert (steered.turn.index, steered.turn.status) == (1, "completed")
        third = session.stream("again")
        answer = asyncio.ensure_future(answer_of(third))
        while third.index is None:
            await asyncio.sleep(0)
        started["command_uuid"] = third.uuid
        transport.receive(b"".join(map(to_line, [started, *text_turn("three")])))
        assert await answer == "three"
        assert third.index == 2


# -- endings ------------------------------------------------------------------------------------------------


@names_prompts
async def test_closing_takes_a_message_back(real: Real) -> None:
    session = real([works(20)], allowed_tools=["Bash"])
    async with session:
        chunks: list[Chunk] = []
        turn = session.stream("go")
        turn.subscribe(chunks.append)
        await at_the_tool(turn)
        sending = asyncio.ensure_future(turn.steer("and this"))
        await asyncio.sleep(0.1)
    with pytest.raises(ControlError, match="taken back"):
        await sending
    assert states(chunks) == [("and this", "queued", 0), ("and this", "cancelled", 0)]
    assert len(real.api.requests) == 1


async def test_a_crash_takes_a_message_back(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("half ")).silence()) as session:
        turn = session.stream("go")
        answer = asyncio.ensure_future(answer_of(turn))
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        sending = asyncio.ensure_future(turn.steer("and this"))
        await asyncio.sleep(0.05)
        assert session.pid is not None
        os.kill(session.pid, signal.SIGKILL)
        with pytest.raises(ControlError, match="taken back"):
            await sending
        with pytest.raises(SessionCrashedError):
            await answer


async def test_whoever_sent_a_message_may_be_cancelled(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("half ")).silence()) as session:
        turn = session.stream("go")
        answer = asyncio.ensure_future(answer_of(turn))
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await turn.steer("and this")
        await session.aclose()
        assert await answer == "half "


async def test_what_cannot_be_steered_says_so(scripted: Scripted) -> None:
    session = scripted(text_turn("done"))
    turn = session.stream("go")
    with pytest.raises(ControlError, match="not sent yet"):
        await turn.steer("now")
    async with session:
        assert await answer_of(turn) == "done"
        with pytest.raises(ControlError, match="over"):
            await turn.steer("now")
        with pytest.raises(ControlError, match="over"):
            await turn.to_background()
        with pytest.raises(ValueError, match="empty"):
            await turn.steer(" ")
        with pytest.raises(TypeError, match="text"):
            await turn.steer(5)  # type: ignore[arg-type]
    with pytest.raises((ControlError, SessionClosedError)):
        await turn.steer("now")


async def test_a_cli_that_names_no_prompts_is_not_steered(scripted: Scripted) -> None:
    plan = steps(*half_a_message("half ")).silence()
    async with scripted(plan, lifecycle=False) as session:
        turn = session.stream("go")
        answer = asyncio.ensure_future(answer_of(turn))
        while turn.index is None:
            await asyncio.sleep(0)
        with pytest.raises(ControlError, match=r"2\.1\.222"):
            await turn.steer("and this")
        assert turn.status == "running"
        await turn.interrupt()
        assert await answer == "half "
    assert sum(frame.get("type") == "user" for frame in scripted.cli.received) == 1


# -- recordings ---------------------------------------------------------------------------------------------


@names_prompts
async def test_messages_are_recorded_and_replayed(real: Real, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    script = [works(), reply().text("Both. ", delay=0.2), reply("Its answer."), reply("Next.")]
    async with real(script, allowed_tools=["Bash"], record=tape) as session:
        live: list[Chunk] = []
        session.chunks.subscribe(live.append)
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, ToolUseChunk):
                sending = asyncio.ensure_future(turn.steer("one"))
            elif isinstance(chunk, TextChunk) and chunk.text.startswith("Both"):
                late = await turn.steer("two")
        assert await sending == "delivered"
        assert await answer_of(late.turn) == "Its answer."
        assert await answer_of(session.stream("again")) == "Next."
    async with ClaudeSession.replay(tape, speed=float("inf")) as session:
        again: list[Chunk] = []
        session.chunks.subscribe(again.append)
        turn = session.stream("go")
        turn.subscribe()
        assert await answer_of(session.stream("again")) == "Next."
        assert turn.response.content == "I try. \n\nBoth. "
    assert states(again) == states(live)
    assert len(states(live)) == 4
    place = [(chunk.turn, chunk.seq, type(chunk)) for chunk in live if chunk.turn is not None]
    assert [(chunk.turn, chunk.seq, type(chunk)) for chunk in again if chunk.turn is not None] == place


async def test_a_recording_is_not_steered(scripted: Scripted, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    async with scripted(text_turn("done"), session={"record": tape}) as session:
        await session.query("go", stream=False)
    async with ClaudeSession.replay(tape) as session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                with pytest.raises(ControlError, match="recording"):
                    await turn.steer("and this")


# -- tasks --------------------------------------------------------------------------------------------------


@needs_cli("2.1.306", "do not move what runs to the background")
async def test_what_runs_can_be_moved_to_the_background_and_stopped(real: Real) -> None:
    session = real([works(30), reply("I go on."), reply("It was stopped.")], allowed_tools=["Bash"])
    async with session:
        everything: list[Chunk] = []
        session.chunks.subscribe(everything.append)
        turn = session.stream("go")
        answer = asyncio.ensure_future(answer_of(turn))
        call = ""
        async for chunk in turn:
            if isinstance(chunk, ToolUseChunk):
                call = chunk.id
                with pytest.raises(ControlError, match="as no task"):
                    await turn.to_background(call)
            elif isinstance(chunk, TaskChunk) and chunk.status == "started":
                await turn.to_background(call)
            elif isinstance(chunk, ToolResultChunk):
                break
        assert await answer == "I try. \n\nI go on."
        tasks = [chunk.task_id for chunk in everything if isinstance(chunk, TaskChunk)]
        await session.stop_task(tasks[0])
        async with asyncio.timeout(10):
            while not any(isinstance(c, TaskChunk) and c.status == "stopped" for c in everything):
                await asyncio.sleep(0.02)


# -- the law ------------------------------------------------------------------------------------------------


@names_prompts
async def test_no_message_is_lost_or_answered_twice(backend: str, tmp_path: Path) -> None:
    """`python -m tests.steering` sends 200 with each SDK."""
    tally = Tally()
    with steered_session(tmp_path, backend, seed=7) as (session, chance):
        await steer(session, chance, 6, tally)
    assert tally.sent >= 6


Act = tuple[str, int]
acts = st.lists(
    st.tuples(st.sampled_from(["send", "take up", "complete", "cancel", "result"]), st.integers(0, 3)),
    max_size=25,
)


@given(acts, st.booleans(), st.integers(1, 5))
def test_each_message_has_one_end_in_the_right_turn(acts: list[Act], names_all: bool, split: int) -> None:
    """For any order of what the CLI says, in any reads."""
    connection = Connection()
    events: list[Any] = []
    connection.prompt("go", id="p")
    running, waiting, became = "p", list[str](), list[str]()

    def say(*frames: dict[str, Any]) -> None:
        data = b"".join(map(to_line, frames))
        for start in range(0, len(data), max(1, len(data) // split)):
            events.extend(connection.receive(data[start : start + max(1, len(data) // split)]))

    def lifecycle(uuid: str, state: str) -> dict[str, Any]:
        return {"type": "command_lifecycle", "command_uuid": uuid, "state": state}

    say(lifecycle("p", "queued"), lifecycle("p", "started"), init_frame())
    taken: list[str] = []
    for act, which in acts:
        if connection.turn is None:
            break
        if act == "send":
            uuid, line, _ = connection.steer(f"message {len(waiting)}")
            waiting.append(uuid)
            events.extend(connection.put(line))
        elif act in ("take up", "complete") and waiting:
            uuid = waiting.pop(which % len(waiting))
            taken.append(uuid)
            say(lifecycle(uuid, "started" if act == "take up" else "completed"))
        elif act == "cancel" and waiting:
            say(lifecycle(waiting.pop(which % len(waiting)), "cancelled"))
        elif act == "result":
            named = {"user_message_uuids": [running, *taken]} if names_all else {}
            single = (taken or [running])[-1]
            say({**result_frame("done"), "user_message_uuid": single, **named})
            taken = []
            if waiting:
                running = waiting.pop(0)
                became.append(running)
                say(lifecycle(running, "started"))
    events.extend(connection.end())

    by_uuid: dict[str, list[tuple[str, int | None]]] = {}
    for event in events:
        if isinstance(event, PromptChunk):
            by_uuid.setdefault(event.uuid, []).append((event.state, event.turn))
    settled = [event.uuid for event in events if isinstance(event, PromptSettled)]
    assert sorted(settled) == sorted(by_uuid)
    for uuid, seen in by_uuid.items():
        assert [state for state, _ in seen] in (["queued", "delivered"], ["queued", "cancelled"])
        if uuid in became:
            assert seen[-1] == ("delivered", became.index(uuid) + 1)
    ends = [event for event in events if isinstance(event, TurnEnded)]
    assert [event.next.uuid for event in ends if event.next is not None] == became
    for turn in {chunk.turn for chunk in events if isinstance(chunk, Chunk)} - {None}:
        numbers = [chunk.seq for chunk in events if isinstance(chunk, Chunk) and chunk.turn == turn]
        assert numbers == list(range(len(numbers)))


def test_what_steer_returns_is_text() -> None:
    turn: Any = object()
    steered = Steered("queued", turn)
    assert steered == "queued"
    assert steered.turn is turn
