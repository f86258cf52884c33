"""What was a dict before: limits, hooks, compaction, tasks, server tools, images."""

from __future__ import annotations

import json
from typing import Any

import pytest
import reactivex
from claude_agent_sdk import ClaudeAgentOptions

from rxccsdk import (
    Chunk,
    ClaudeSession,
    CompactChunk,
    HookChunk,
    LimitChunk,
    ResultChunk,
    SessionResponse,
    SystemChunk,
    TaskChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing import event_frame, init_frame, reply
from rxccsdk.wire.connection import Connection
from tests.conftest import Real


def chunks_of(*frames: dict[str, Any]) -> list[Chunk]:
    connection = Connection()
    connection.prompt("go")
    data = b"".join(json.dumps(frame).encode() + b"\n" for frame in frames)
    return [event for event in connection.receive(data) if isinstance(event, Chunk)]


def chunk_of(**frame: Any) -> Chunk:
    (chunk,) = chunks_of(frame)
    return chunk


def system(subtype: str, **fields: Any) -> Chunk:
    return chunk_of(type="system", subtype=subtype, **fields)


def only(chunk: Chunk, **fields: Any) -> bool:
    return all(getattr(chunk, name) == value for name, value in fields.items())


def test_a_rate_limit() -> None:
    info = {"status": "rejected", "rateLimitType": "five_hour", "resetsAt": 1_800_000_000, "utilization": 1.0}
    chunk = chunk_of(type="rate_limit_event", rate_limit_info=info)
    assert isinstance(chunk, LimitChunk)
    assert only(chunk, kind="five_hour", status="rejected", resets_at=1_800_000_000, utilization=1.0)
    least = chunk_of(type="rate_limit_event", rate_limit_info={"status": "allowed"})
    assert isinstance(least, LimitChunk)
    assert only(least, kind="unknown", resets_at=None, utilization=None)
    assert isinstance(chunk_of(type="rate_limit_event"), UnknownChunk)


def test_a_hook() -> None:
    named = {"hook_id": "h", "hook_name": "PreToolUse:Bash", "hook_event": "PreToolUse"}
    assert isinstance(system("hook_started", **named), HookChunk)
    ended = system("hook_response", **named, output="no\n", stdout="", stderr="", outcome="error")
    assert isinstance(ended, HookChunk)
    assert only(
        ended, event="PreToolUse", name="PreToolUse:Bash", phase="finished", outcome="error", output="no\n"
    )


def test_a_compaction() -> None:
    chunk = system("compact_boundary", compact_metadata={"trigger": "auto", "pre_tokens": 150_000})
    assert isinstance(chunk, CompactChunk)
    assert only(chunk, trigger="auto", tokens_before=150_000)
    assert isinstance(system("compact_boundary"), SystemChunk)


def test_a_task_and_what_it_does() -> None:
    started = system(
        "task_started",
        task_id="t",
        tool_use_id="c",
        description="look",
        is_backgrounded=True,
        task_type="local_agent",
    )
    assert isinstance(started, TaskChunk)
    assert only(started, status="started", description="look", background=True, kind="local_agent")
    going = system(
        "task_progress",
        task_id="t",
        description="Running x",
        last_tool_name="Bash",
        usage={"tool_uses": 1},
        summary="so far",
    )
    assert only(going, status="progress", description="Running x", last_tool="Bash", summary="so far")
    assert only(
        system("task_updated", task_id="t", patch={"status": "paused"}), status="paused", background=None
    )
    assert only(
        system("task_updated", task_id="t", patch={"is_backgrounded": True}),
        status="updated",
        background=True,
    )
    ended = system(
        "task_notification", task_id="t", status="completed", summary="found", output_file="/tmp/x"
    )
    assert only(ended, status="completed", summary="found", output_file="/tmp/x")


def test_a_tool_s_progress_names_it() -> None:
    chunk = chunk_of(
        type="tool_progress",
        tool_use_id="h",
        parent_tool_use_id="t",
        tool_name="Bash",
        elapsed_time_seconds=30,
    )
    assert isinstance(chunk, ToolProgressChunk)
    assert only(chunk, tool_use_id="t", tool_name="Bash", elapsed=30.0)


def test_user_frames_have_their_uuid_and_images_are_shown() -> None:
    blocks = [{"type": "text", "text": "see"}, {"type": "image", "source": {}}]
    text, image = chunks_of({"type": "user", "uuid": "u", "message": {"role": "user", "content": blocks}})
    assert isinstance(text, UserChunk)
    assert only(text, text="see", uuid="u")
    assert only(image, text="[image]", uuid="u")


@pytest.mark.parametrize("streams", [True, False])
def test_the_api_s_own_tools_are_tools(streams: bool) -> None:
    call = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "x"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srv", "content": [{"title": "X"}]}
    whole = [
        {"type": "assistant", "message": {"id": "m", "role": "assistant", "content": [block]}}
        for block in (call, result)
    ]
    start = {"type": "content_block_start", "index": 0, "content_block": {**call, "input": {}}}
    delta = {"type": "input_json_delta", "partial_json": '{"query": "x"}'}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {}}},
        start,
        {"type": "content_block_delta", "index": 0, "delta": delta},
    ]
    stream = [event_frame(event, "m") for event in events] if streams else []
    chunks = chunks_of(init_frame(), *stream, *whole)
    (use,) = [chunk for chunk in chunks if isinstance(chunk, ToolUseChunk)]
    (found,) = [chunk for chunk in chunks if isinstance(chunk, ToolResultChunk)]
    assert only(use, id="srv", name="web_search", input={"query": "x"})
    assert only(found, tool_use_id="srv", content=[{"title": "X"}])
    assert sum(isinstance(chunk, ToolInputChunk) for chunk in chunks) == streams
    assert not any(isinstance(chunk, UnknownChunk) for chunk in chunks)


def response_of(*chunks: Chunk) -> SessionResponse:
    return reactivex.of(*chunks).pipe(cc.to_response()).run()


def test_a_limit_says_when_to_try_again() -> None:
    failed = ResultChunk("success", True, api_error_status=429)
    response = response_of(LimitChunk("five_hour", "rejected", 1_800_000_000.0), failed)
    assert (response.error_kind, response.retryable, response.resets_at) == (
        "rate_limit",
        True,
        1_800_000_000.0,
    )
    assert response_of(LimitChunk("x", "rejected", 5.0), ResultChunk("success", False)).resets_at is None


def test_hooks_and_servers_that_failed_are_warnings() -> None:
    init = SystemChunk(
        "init", {"mcp_servers": [{"name": "db", "status": "failed"}, {"name": "ok", "status": "connected"}]}
    )
    hook = HookChunk("Stop", "check", "finished", "error", "exit 2\n")
    warnings = response_of(init, hook, ResultChunk("success", False)).warnings
    assert len(warnings) == 2
    assert "db did not start" in warnings[0]
    assert "check (Stop) failed: exit 2" in warnings[1]


async def test_with_the_real_cli_an_agent_says_what_it_does(real: Real) -> None:
    call = {
        "description": "look around",
        "prompt": "p",
        "subagent_type": "general-purpose",
        "run_in_background": False,
    }
    script = [reply("I send one. ").tool("Agent", call), reply("Done.")]
    agents = [reply("").tool("Bash", {"command": "echo hi", "description": "say hi"}), reply("sub done")]
    async with real(script, agents=agents, allowed_tools=["Bash"]) as session:
        tasks: list[TaskChunk] = []
        await session.stream("go").pipe(cc.of_type(TaskChunk), cc.tap_chunks(tasks.append))
    assert tasks[0].status == "started"
    assert tasks[0].description == "look around"
    assert tasks[0].kind == "local_agent"
    assert any(task.last_tool == "Bash" and task.description for task in tasks)
    assert tasks[-1].status == "completed"


async def test_with_the_real_cli_hooks_and_a_compaction_are_typed(real: Real) -> None:
    settings = {
        "hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "echo seen"}]}]}
    }
    script = [
        reply("I run. ").tool("Bash", {"command": "echo hi", "description": "x"}),
        reply("Done."),
        reply("Summary."),
    ]
    path = real.folder / "settings.json"
    path.write_text(json.dumps(settings))
    if real.backend != "claude-agent-sdk":
        pytest.skip("claude-code-sdk has no option for hook events")
    options = real.options(
        script,
        allowed_tools=["Bash"],
        sdk_options=ClaudeAgentOptions(settings=str(path), include_hook_events=True),
    )
    async with ClaudeSession(options) as session:
        hooks: list[HookChunk] = []
        session.chunks.pipe(cc.of_type(HookChunk)).subscribe(hooks.append)
        await session.query("go")
        compacted: list[CompactChunk] = []
        session.chunks.pipe(cc.of_type(CompactChunk)).subscribe(compacted.append)
        await session.query("/compact")
    assert any(
        hook.event == "PreToolUse" and hook.phase == "finished" and "seen" in hook.output for hook in hooks
    )
    assert [chunk.trigger for chunk in compacted] == ["manual"]
