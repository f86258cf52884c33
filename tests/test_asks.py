"""The agent asks, the stream has it, somebody answers: with the real CLI, and both SDKs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions, PermissionResultAllow
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxccsdk import (
    Allow,
    AskChunk,
    Chunk,
    ClaudeSession,
    ControlError,
    DecisionChunk,
    Deny,
    ResultChunk,
    SessionClosedError,
    SessionOptions,
    SessionResponse,
    ToolResultChunk,
)
from rxccsdk import operators as cc
from rxccsdk.chunk_json import from_json, to_json
from rxccsdk.session.asks import permission_result
from rxccsdk.testing import reply, result_frame
from rxccsdk.transport import Exit
from rxccsdk.wire.connection import Connection
from tests.cli_versions import needs_cli
from tests.conftest import Real

TOUCH = {"command": "touch made", "description": "make a file"}
QUESTION = {
    "question": "Which one?",
    "header": "Choice",
    "multiSelect": False,
    "options": [{"label": "A", "description": "the first"}, {"label": "B", "description": "the second"}],
}


def bash(**input: Any) -> Any:
    return [reply("I try. ").tool("Bash", {**TOUCH, **input}), reply("Done.")]


async def asked(session: ClaudeSession, f: Any) -> tuple[SessionResponse, list[Chunk]]:
    """Run a turn whose questions a function answers; return its response and its chunks."""
    chunks: list[Chunk] = []
    response = await session.stream("go").pipe(
        cc.answer_asks(f), cc.tap_chunks(chunks.append), cc.to_response()
    )
    check(chunks)
    return response, chunks


def check(chunks: list[Chunk]) -> None:
    """Each question has one decision, which follows it."""
    open_asks: list[str] = []
    for chunk in chunks:
        if isinstance(chunk, AskChunk):
            open_asks.append(chunk.id)
        elif isinstance(chunk, DecisionChunk):
            open_asks.remove(chunk.ask_id)
    assert not open_asks
    assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))


def decisions(chunks: list[Chunk]) -> list[str]:
    return [chunk.decision for chunk in chunks if isinstance(chunk, DecisionChunk)]


def asks(chunks: list[Chunk]) -> list[AskChunk]:
    return [chunk for chunk in chunks if isinstance(chunk, AskChunk)]


async def test_a_permission_is_given(real: Real) -> None:
    async with real(bash(), ask="stream") as session:
        response, chunks = await asked(session, lambda ask: Allow())
    (ask,) = asks(chunks)
    assert (ask.kind, ask.tool_name, ask.input, ask.turn) == ("permission", "Bash", TOUCH, 0)
    assert response.content == "I try. \n\nDone."
    assert decisions(chunks) == ["allow"]
    assert (real.folder / "project" / "made").exists()


async def test_the_input_is_edited(real: Real) -> None:
    async with real(bash(), ask="stream") as session:
        await asked(session, lambda ask: Allow(input={**ask.input, "command": "touch other"}))
    assert (real.folder / "project" / "other").exists()
    assert not (real.folder / "project" / "made").exists()


async def test_a_denial_reaches_the_agent_in_words(real: Real) -> None:
    async def decide(ask: AskChunk) -> Deny:
        await asyncio.sleep(0)
        return Deny("Not on a Sunday.")

    async with real(bash(), ask="stream") as session:
        response, chunks = await asked(session, decide)
    (result,) = [chunk for chunk in chunks if isinstance(chunk, ToolResultChunk)]
    assert "Not on a Sunday." in str(result.content)
    assert decisions(chunks) == ["deny"]
    assert response.success
    assert not (real.folder / "project" / "made").exists()


async def test_a_denial_may_stop_the_turn(real: Real) -> None:
    async with real([*bash()[:1], reply("Next.")], ask="stream") as session:
        response, chunks = await asked(session, lambda ask: Deny("stop", interrupt=True))
        assert decisions(chunks) == ["deny"]
        assert response.error_kind == "interrupted"
        assert (await session.query("again")).content == "Next."


async def test_what_is_remembered_is_asked_no_more(real: Real) -> None:
    script = [
        reply("one ").tool("Bash", {"command": "touch made", "description": "x"}),
        reply("two ").tool("Bash", {"command": "touch made", "description": "x"}),
        reply("Done."),
    ]
    async with real(script, ask="stream") as session:
        _, chunks = await asked(session, lambda ask: Allow(remember=ask.suggestions))
    assert decisions(chunks) == ["allow"]
    assert sum(isinstance(chunk, ToolResultChunk) and not chunk.is_error for chunk in chunks) == 2


async def test_a_question_is_answered(real: Real) -> None:
    script = [reply("Hm. ").tool("AskUserQuestion", {"questions": [QUESTION]}), reply("Done.")]
    async with real(script, ask="stream") as session:
        _, chunks = await asked(session, lambda ask: {"Which one?": "B"})
    (ask,) = asks(chunks)
    assert ask.kind == "question"
    (decision,) = [chunk for chunk in chunks if isinstance(chunk, DecisionChunk)]
    assert (decision.decision, decision.detail) == ("allow", "Which one? B")
    assert "B" in str(real.api.requests[-1].body["messages"][-1]["content"])


@pytest.mark.parametrize(("answer", "is_approved"), [(Allow(), True), (Deny("shorter"), False)])
async def test_a_plan_is_approved_or_not(real: Real, answer: Any, is_approved: bool) -> None:
    script = [reply("My plan. ").tool("ExitPlanMode", {"plan": "# Plan\n1. look"}), reply("Done.")]
    async with real(script, ask="stream", permission_mode="plan") as session:
        _, chunks = await asked(session, lambda ask: answer)
    (ask,) = asks(chunks)
    assert ask.kind == "plan"
    (result,) = [chunk for chunk in chunks if isinstance(chunk, ToolResultChunk)]
    assert result.is_error is not is_approved
    assert decisions(chunks) == ["allow" if is_approved else "deny"]


async def test_two_are_asked_at_once_and_answered_in_any_order(real: Real) -> None:
    two = reply("Both. ").tool("Bash", {"command": "touch a", "description": "x"})
    script = [two.tool("Bash", {"command": "touch b", "description": "x"}), reply("Done.")]
    async with real(script, ask="stream") as session:
        _, chunks = await asked(session, lambda ask: Allow())
    assert decisions(chunks) == ["allow", "allow"]
    assert {path.name for path in (real.folder / "project").iterdir()} >= {"a", "b"}


@needs_cli("2.1.306", "ask before they show the call of a sub-agent: whose it is, is not known yet")
@pytest.mark.parametrize("in_background", [False, True])
async def test_a_sub_agent_asks(real: Real, in_background: bool) -> None:
    call = {"description": "d", "prompt": "p", "subagent_type": "general-purpose"}
    call["run_in_background"] = in_background  # type: ignore[assignment]
    script = [reply("I send one. ").tool("Agent", call), reply("Sent."), reply("After.")]
    agents = [reply("").tool("Bash", TOUCH), reply("sub done")]
    everything: list[Chunk] = []
    async with real(script, agents=agents, ask="stream") as session:
        everything_done = asyncio.Event()

        def watch(chunk: Chunk) -> None:
            everything.append(chunk)
            if isinstance(chunk, ToolResultChunk) and chunk.agent is not None:
                everything_done.set()

        session.chunks.pipe(cc.answer_asks(lambda ask: Allow())).subscribe(watch)
        await session.query("go")
        async with asyncio.timeout(20):
            await everything_done.wait()
    (ask,) = asks(everything)
    assert ask.agent is not None
    assert (ask.turn is None) is in_background
    assert decisions(everything) == ["allow"]
    assert (real.folder / "project" / "made").exists()


async def first_ask(session: ClaudeSession) -> tuple[Any, AskChunk]:
    """Start a turn, and return it with its first question."""
    turn = session.stream("go")
    found: asyncio.Future[AskChunk] = asyncio.get_running_loop().create_future()

    def look(chunk: Chunk) -> None:
        if isinstance(chunk, AskChunk) and not found.done():
            found.set_result(chunk)

    turn.subscribe(look, lambda error: None)
    async with asyncio.timeout(20):
        return turn, await found


async def test_an_answer_is_given_once(real: Real) -> None:
    async with real(bash(), ask="stream") as session:
        turn, ask = await first_ask(session)
        await session.answer(ask, Allow())
        with pytest.raises(ControlError, match="answered before: allowed"):
            await session.answer(ask, Deny())
        with pytest.raises(ControlError, match="has not asked that"):
            await session.answer(AskChunk("other", "permission", "Bash", None, {}), Allow())
        with pytest.raises(TypeError, match="Allow"):
            await session.answer(ask, "yes")  # type: ignore[arg-type]
        await turn.wait()
    with pytest.raises(SessionClosedError):
        await session.answer(ask, Allow())


@pytest.mark.parametrize("end", ["interrupt", "close", "kill"])
async def test_a_question_is_withdrawn_when_its_turn_ends(real: Real, end: str) -> None:
    asking, cancelled = asyncio.Event(), asyncio.Event()

    async def decide(ask: AskChunk) -> Allow:
        asking.set()
        try:
            await asyncio.sleep(3600)  # a person who takes an hour
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Allow()

    session = real(bash(), ask="stream")
    chunks: list[Chunk] = []
    async with session:
        turn = session.stream("go")
        turn.pipe(cc.answer_asks(decide)).subscribe(chunks.append, lambda error: None)
        async with asyncio.timeout(20):
            await asking.wait()
            if end == "interrupt":
                await turn.interrupt()
            elif end == "close":
                await session.aclose()
            else:
                session._exchange._interruption.terminate(Exit("It is ended."))
                await turn.wait()
            await cancelled.wait()
    check(chunks)
    assert decisions(chunks) == ["withdrawn"]
    if end == "interrupt":
        assert isinstance(chunks[-1], ResultChunk)
    with pytest.raises((ControlError, SessionClosedError)):
        await session.answer(asks(chunks)[0], Allow())


async def test_waiting_for_a_person_is_no_stall(real: Real) -> None:
    async def decide(ask: AskChunk) -> Allow:
        await asyncio.sleep(1.5)
        return Allow()

    async with real(bash(), ask="stream") as session:
        asking = session.stream("go").pipe(cc.answer_asks(decide), cc.stall(between=1.2), cc.to_response())
        assert (await asking).success


async def test_a_function_that_raises_denies(real: Real, caplog: pytest.LogCaptureFixture) -> None:
    def decide(ask: AskChunk) -> Allow:
        raise LookupError("no rule")

    async with real(bash(), ask="stream") as session:
        response, chunks = await asked(session, decide)
    (decision,) = [chunk for chunk in chunks if isinstance(chunk, DecisionChunk)]
    assert decision.decision == "deny"
    assert "no rule" in (decision.detail or "")
    assert "no rule" in caplog.text
    assert response.success


async def test_without_an_answer_somebody_else_can_give_one(real: Real) -> None:
    async with real(bash(), ask="stream") as session:
        session.chunks.pipe(cc.answer_asks(lambda ask: Allow())).subscribe()
        _, chunks = await asked(session, lambda ask: None)
    assert decisions(chunks) == ["allow"]


async def test_a_recording_asks_and_answers_itself(real: Real, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    async with real(bash(), ask="stream", record=tape) as session:
        _, recorded = await asked(session, lambda ask: Deny("no"))
    called: list[AskChunk] = []
    async with ClaudeSession.replay(tape, speed=float("inf")) as session:
        turn = session.stream("go")
        turn.pipe(cc.answer_asks(called.append)).subscribe()
        await turn.wait()
        replayed = await turn.pipe(ops.to_list())
    assert not called
    assert [(type(c), c.seq) for c in replayed] == [(type(c), c.seq) for c in recorded]
    assert asks(replayed)[0].input == TOUCH
    assert decisions(replayed) == ["deny"]


async def test_two_who_answer_are_told_apart(backend: str) -> None:
    async def allow(*_: Any) -> PermissionResultAllow:
        return PermissionResultAllow()

    options = SessionOptions(ask="stream", sdk_options=ClaudeAgentOptions(can_use_tool=allow))
    with pytest.raises(ValueError, match="can_use_tool"):
        await ClaudeSession(options).open()


ASK = AskChunk("a", "question", "AskUserQuestion", "t", {"questions": [QUESTION]})


def test_answers_are_spelled_as_the_cli_does() -> None:
    several = permission_result(ASK, {"Which one?": ["A", "B"]})
    assert several["updatedInput"]["answers"] == {"Which one?": "A, B"}
    rule = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
    assert permission_result(ASK, Allow(remember=[rule]))["updatedPermissions"] == [rule]
    with pytest.raises(ValueError, match=r"did not ask 'What\?'.*Which one\?"):
        permission_result(ASK, {"What?": "A"})
    with pytest.raises(ValueError, match="did not ask"):
        permission_result(AskChunk("a", "question", "AskUserQuestion", "t", {"questions": 5}), {"x": "A"})
    with pytest.raises(ValueError, match="no question but a permission"):
        permission_result(AskChunk("a", "permission", "Bash", "t", {}), {"Which one?": "A"})


@given(st.lists(st.sampled_from(["ask", "allow", "deny", "cancel", "result", "end", "prompt", "outside"])))
def test_every_question_has_one_decision(steps: list[str]) -> None:
    """For any order of questions, answers, withdrawals and ends."""
    connection, count = Connection(), 0
    waiting: list[str] = []
    chunks: list[Any] = []
    connection.takes_asks = True
    connection.prompt("go", id="p")

    def receive(frame: dict[str, Any]) -> None:
        chunks.extend(connection.receive(json.dumps(frame).encode() + b"\n"))

    for step in [*steps, "end"]:
        if step in ("ask", "outside"):
            count += 1
            waiting.append(f"r{count}")
            request = {
                "subtype": "can_use_tool",
                "tool_name": "Bash",
                "input": {},
                "tool_use_id": f"t{count}",
            }
            receive({"type": "control_request", "request_id": waiting[-1], "request": request})
        elif step in ("allow", "deny", "cancel") and waiting:
            oldest = waiting.pop(0)
            if connection.what_became_of(oldest) is None:
                if step == "cancel":
                    receive({"type": "control_cancel_request", "request_id": oldest})
                    assert connection.what_became_of(oldest) == "withdrawn"
                    assert isinstance(chunks[-1], DecisionChunk)
                else:
                    chunks += connection.put(connection.answer(oldest, {"behavior": step}))
        elif step == "result" and connection.turn is not None:
            receive({**result_frame("x"), "user_message_uuids": ["p"]})
        elif step == "prompt" and connection.is_ready:
            connection.prompt("go", id="p")
        elif step == "end":
            chunks.extend(connection.end())
    asked = [chunk for chunk in chunks if isinstance(chunk, AskChunk)]
    decided = [chunk for chunk in chunks if isinstance(chunk, DecisionChunk)]
    assert [ask.id for ask in asked] == [f"r{number}" for number in range(1, count + 1)][: len(asked)]
    assert sorted(ask.id for ask in asked) == sorted(decision.ask_id for decision in decided)
    for ask in asked:
        (decision,) = [decision for decision in decided if decision.ask_id == ask.id]
        assert chunks.index(ask) < chunks.index(decision)
        assert decision.turn == ask.turn
        assert decision.seq > ask.seq
        assert from_json(to_json(ask)) == ask
