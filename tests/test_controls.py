"""What is asked of the CLI beside prompts, and what it answers: with the real CLI, and both SDKs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from claude_agent_sdk import ClaudeAgentOptions
from claude_code_sdk import ClaudeCodeOptions

from rxccsdk import ClaudeSession, ControlError, SessionClosedError, SessionCrashedError, TextChunk
from rxccsdk import operators as cc
from rxccsdk.session.controls import Controls
from rxccsdk.testing import reply, steps, text_turn
from tests.cli_versions import needs_cli
from tests.conftest import Real, Scripted


@needs_cli("2.1.191", "do not know this request")
async def test_a_control_request_is_answered_between_turns_and_in_one(real: Real) -> None:
    async with real([reply("Hello").hang()]) as session:
        version = await session.control("get_binary_version")
        turn = session.stream("go")
        async with turn:
            async for _ in turn:
                break
            both = await asyncio.gather(session.control("get_binary_version"), session.control("mcp_status"))
        assert version == both[0]


async def test_what_the_cli_does_not_know_is_an_error_in_its_words(real: Real) -> None:
    async with real([reply("Hello")]) as session:
        with pytest.raises(ControlError, match=r"no_such_thing.*[Uu]nsupported control request"):
            await session.control("no_such_thing")
        assert (await session.query("go")).content == "Hello"


async def test_a_session_that_is_not_open_takes_no_control_request() -> None:
    session = ClaudeSession()
    with pytest.raises(SessionClosedError):
        await session.control("mcp_status")


async def test_the_model_is_changed_from_the_next_call_on(real: Real) -> None:
    async with real([reply("one"), reply("two")]) as session:
        await session.query("go")
        await session.set_model("haiku")
        await session.query("go")
    asked = [request for request in real.api.requests if not request.is_title_or_side_request]
    first, second = (request.body["model"] for request in asked)
    assert "haiku" in second
    assert first != second


@needs_cli("2.1.222", "take any mode")
async def test_the_permission_mode_is_changed_in_mid_turn(real: Real) -> None:
    write = {"file_path": str(real.folder / "project" / "made.txt"), "content": "x"}
    go_on = threading.Event()
    script = [reply("wait ").until(go_on).tool("Write", write), reply("Done.")]
    async with real(script) as session:
        turn = session.stream("go")
        async with turn:
            async for chunk in turn:
                if isinstance(chunk, TextChunk):
                    break
            await session.set_permission_mode("acceptEdits")
            go_on.set()
            assert (await turn.pipe(cc.to_response())).content == "wait \n\nDone."
        with pytest.raises(ControlError, match="must be one of"):
            await session.set_permission_mode("no such mode")
    assert (real.folder / "project" / "made.txt").read_text() == "x"


@needs_cli("2.1.222", "do not list the models")
async def test_the_context_the_models_and_the_servers_are_typed(real: Real) -> None:
    async with real([reply("one")]) as session:
        await session.query("go")
        usage = await session.context_usage()
        models = await session.models()
        assert await session.mcp_status() == []
    assert 0 < usage.tokens < usage.most
    assert usage.share == usage.tokens / usage.most
    assert {category.kind for category in usage.categories} >= {"used", "free"}
    assert "sonnet" in {model.name for model in models}
    assert all(model.title and model.description for model in models)


async def test_a_server_that_did_not_start_says_why(real: Real) -> None:
    servers: Any = {"bad": {"type": "stdio", "command": "/nowhere"}}
    kind = ClaudeAgentOptions if real.backend == "claude-agent-sdk" else ClaudeCodeOptions
    options = real.options([reply("one")], sdk_options=kind(mcp_servers=servers))
    async with ClaudeSession(options) as session:
        await session.query("go")
        (server,) = await session.mcp_status()
    assert (server.name, server.status) == ("bad", "failed")
    assert server.error


async def test_files_go_back_to_before_a_turn(real: Real) -> None:
    made = real.folder / "project" / "made.txt"
    script = [reply("w").tool("Write", {"file_path": str(made), "content": "x"}), reply("Done.")]
    # claude-code-sdk has no option for it; the CLI's own variable does the same.
    env = {"CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING": "true"}
    options = real.options(script, permission_mode="acceptEdits")
    async with ClaudeSession(options.model_copy(update={"env": env})) as session:
        turn = session.stream("go")
        with pytest.raises(ControlError, match="never sent"):
            await session.rewind_files(turn)
        await turn
        assert made.exists()
        would = await session.rewind_files(turn, dry_run=True)
        assert would.files == (str(made),)
        assert made.exists()
        assert await session.rewind_files(turn) == would
        assert not made.exists()


async def test_controls_end_when_the_session_does(real: Real) -> None:
    async with real([reply("Hello").hang()]) as session:
        assert str(session.status) == "open"
        pid = session.pid
        assert pid is not None
        asking = asyncio.ensure_future(session.mcp_status())
        await session.aclose()
        with contextlib.suppress(ControlError, SessionClosedError):
            await asking
        with pytest.raises(SessionClosedError):
            await session.models()
    assert session.status == "closed"
    assert not psutil.pid_exists(pid)


async def test_a_deaf_cli_is_an_error_in_time(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxccsdk.session.session._ANSWER_WITHIN", 0.2)
    async with scripted(text_turn("hello"), ignore_requests=["mcp_status"]) as session:
        with pytest.raises(ControlError, match=r"did not answer mcp_status within 0.2 s"):
            await session.mcp_status()
        assert (await session.query("go")).content == "hello"


async def test_a_crash_ends_what_waits_for_an_answer(scripted: Scripted) -> None:
    async with scripted(steps().exit(3), ignore_requests=["mcp_status"]) as session:
        asking = asyncio.ensure_future(session.mcp_status())
        await asyncio.sleep(0)
        with pytest.raises(SessionCrashedError):
            await session.query("go")
        with pytest.raises(ControlError, match="ended before it answered"):
            await asking
        assert session.status == "crashed"


async def test_a_recording_answers_no_controls(tmp_path: Path) -> None:
    session = ClaudeSession.replay(tmp_path / "tape.jsonl")
    (tmp_path / "tape.jsonl").write_text('{"rxccsdk_cassette": 1, "sdk": "x", "cli_version": "1"}\n')
    assert session.status == "new"
    async with session:
        assert session.pid is None
        with pytest.raises(ControlError, match="recording"):
            await session.context_usage()


def test_answers_of_other_shapes_are_read_as_far_as_they_go() -> None:
    class Odd(Controls):
        async def control(self, subtype: str, /, **fields: Any) -> dict[str, Any]:
            return {"categories": [1, {"tokens": "x"}], "mcpServers": {"a": 1}, "models": [{"value": 5}]}

    async def look() -> None:
        assert (await Odd().context_usage()).share == 0.0
        assert await Odd().mcp_status() == []
        assert (await Odd().models())[0].name == "5"

    asyncio.run(look())
