"""What an answer says: why it failed, who said no, what it used."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
import reactivex

from rxccsdk import Chunk, ClaudeSession, RxccError, SessionCrashedError, SessionOptions, SessionResponse
from rxccsdk import operators as cc
from rxccsdk.testing import ScriptedCli, init_frame, reply, steps, text_turn
from rxccsdk.wire.connection import Connection
from tests.cli_versions import needs_cli
from tests.conftest import Real, Scripted
from tests.test_scripted_cli import half_a_message
from tests.test_sdk_features import sdk, sdk_options, touching


def answered(connection: Connection, *frames: dict[str, Any]) -> SessionResponse:
    """The response to one prompt that these frames answer."""
    connection.prompt("go")
    data = b"".join(json.dumps(frame).encode() + b"\n" for frame in frames)
    chunks = [event for event in connection.receive(data) if isinstance(event, Chunk)]
    return reactivex.from_list(chunks).pipe(cc.to_response()).run()


def result(**fields: Any) -> dict[str, Any]:
    return {"type": "result", "subtype": "success", "is_error": False, "session_id": "s", **fields}


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (529, "overloaded", True),
        (429, "rate_limit", True),
        (500, "server", True),
        (503, "server", True),
        (401, "auth", False),
        (402, "billing", False),
        (418, "request", False),
    ],
)
def test_an_error_without_words_has_the_api_s_status(status: int, kind: str, retryable: bool) -> None:
    answer = answered(Connection(), init_frame(), result(is_error=True, api_error_status=status))
    assert answer.error == f"API error {status}"
    assert (answer.success, answer.error_kind, answer.retryable) == (False, kind, retryable)
    assert answer.metadata.api_error_status == status


@pytest.mark.parametrize(
    ("errors", "words"),
    [("boom", "boom"), (["boom"], "boom"), (["a", "b"], "a; b"), (5, None), ([5], None), ([], None)],
)
def test_errors_in_words_are_kept_whole(errors: Any, words: str | None) -> None:
    answer = answered(Connection(), result(subtype="error_during_execution", errors=errors))
    assert not answer.success
    assert answer.error
    if words is not None:
        assert answer.error == words


@pytest.mark.parametrize(
    "fields",
    [
        {"subtype": "error_during_execution"},
        {"subtype": "error_of_tomorrow"},
        {"is_error": True},
        {"is_error": True, "subtype": "error_max_turns"},
        {"api_error_status": 500, "is_error": True, "result": "API Error: 500"},
    ],
)
def test_a_success_is_one_in_every_field(fields: dict[str, Any]) -> None:
    answer = answered(Connection(), *text_turn("half")[:-1], result(**fields))
    assert not answer.success
    assert answer.error
    assert answer.error_kind
    assert answer.content == "half"


def test_a_turn_s_figures_are_its_own_with_sub_agents() -> None:
    def used(tokens: int) -> dict[str, Any]:
        return {"m": {"inputTokens": tokens, "outputTokens": 2 * tokens, "cacheReadInputTokens": 1}}

    connection = Connection()
    first = result(
        usage={"input_tokens": 5, "output_tokens": 6},
        modelUsage=used(10),
        model_usage_since_last_result=used(10),
    )
    second = result(
        usage={"input_tokens": 1, "output_tokens": 2},
        modelUsage=used(40),
        model_usage_since_last_result=used(30),
    )
    for frame, tokens in ((first, 10), (second, 30)):
        metadata = answered(connection, frame).metadata
        assert metadata.model_usage is not None
        assert metadata.model_usage["m"]["inputTokens"] == tokens, "not the session's so far"
        assert metadata.tokens is not None
        assert (metadata.tokens.input, metadata.tokens.output, metadata.tokens.cache_read) == (
            tokens,
            2 * tokens,
            1,
        )
        assert metadata.usage is not None
        assert metadata.usage["input_tokens"] == tokens, "sub-agents included"


@needs_cli("2.1.191", "do not say that a hook blocked a prompt")
async def test_a_prompt_that_a_hook_blocks_is_no_success(real: Real) -> None:
    async def block(given: Any, tool_use_id: str | None, context: Any) -> Any:
        return {"decision": "block", "reason": "not today"}

    hooks = {"UserPromptSubmit": [sdk(real.backend).HookMatcher(hooks=[block])]}
    async with real([reply("never")], sdk_options=sdk_options(real.backend, hooks=hooks)) as session:
        response = await session.query("go")
    assert (response.success, response.error_kind) == (False, "blocked")
    assert "not today" in str(response.error)
    assert response.content == ""
    assert real.api.requests == []


async def test_a_denial_names_who_denied(real: Real) -> None:
    module = sdk(real.backend)

    async def deny(tool: str, given: dict[str, Any], context: Any) -> Any:
        return module.PermissionResultDeny(message="not on my watch")

    async with real(touching, sdk_options=sdk_options(real.backend, can_use_tool=deny)) as session:
        response = await session.query("go")
    (warning,) = response.warnings
    assert "not on my watch" in warning
    assert "allowed_tools" not in warning, "it would change nothing"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
async def test_a_recording_that_fails_is_a_warning(scripted: Scripted) -> None:
    async with scripted(text_turn("one"), session={"record": "/dev/full"}) as session:
        response = await session.query("go")
    assert response.content == "one"
    assert any("recording to /dev/full failed" in warning for warning in response.warnings)


async def test_account_data_is_in_no_recording(scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    async with scripted(text_turn("one"), session={"record": path, "env": {"TOKEN": "secret-1"}}) as session:
        await session.query("go")
    recorded = path.read_text()
    assert "control_response" not in recorded
    assert "secret-1" not in recorded


async def test_no_descriptors_left_is_said_as_what_it_is(tmp_path: Path, backend: str) -> None:
    with ScriptedCli(tmp_path / "cli", [text_turn("one")]) as cli:
        session = ClaudeSession(SessionOptions(cli_path=cli.path, backend=backend))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        try:
            with pytest.raises(RxccError, match="no file descriptor left"):
                await session.open()
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await session.aclose()


@pytest.mark.parametrize("usage", ["x", [1], 5, {"output_tokens": "many"}, {"output_tokens": [1]}, {"a": {}}])
async def test_usage_of_any_shape_and_then_a_crash_is_an_end(scripted: Scripted, usage: Any) -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    frame = {"type": "stream_event", "event": delta, "parent_tool_use_id": None}
    async with scripted(steps(init_frame(), *half_a_message("half"), frame).exit(3)) as session:
        turn = session.stream("go", max_output_tokens=1000)
        async with asyncio.timeout(10):
            with pytest.raises(SessionCrashedError) as crash:
                await turn
        assert crash.value.partial is not None
        assert crash.value.partial.content == "half"
        assert "defect" not in str(crash.value)
