"""Hooks, SDK MCP servers and `can_use_tool` work on both SDKs with today's CLI; and what both do alike."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rxccsdk import ClaudeSession, RxccError, SessionOptions, SystemChunk, ToolResultChunk
from rxccsdk import operators as cc
from rxccsdk.testing import Request, reply, text_turn
from rxccsdk.transport import _claude_agent, _claude_code
from rxccsdk.transport.cli import CliTransport
from tests.cli_versions import needs_cli
from tests.conftest import Real, Scripted

pytestmark = pytest.mark.usefixtures("no_leftovers")


def sdk(backend: str) -> ModuleType:
    return importlib.import_module(backend.replace("-", "_"))


def sdk_options(backend: str, **fields: Any) -> Any:
    module = sdk(backend)
    name = "ClaudeAgentOptions" if backend == "claude-agent-sdk" else "ClaudeCodeOptions"
    return getattr(module, name)(**fields)


def touching(request: Request) -> Any:
    """Ask for a command once, then stop."""
    if request.tool_results:
        return reply("done")
    return reply("try ").tool("Bash", {"command": "echo one > made", "description": "x"}, id="toolu_1")


async def test_can_use_tool_allows_changes_and_denies(real: Real) -> None:
    """claude-code-sdk answers `{"allow": true}`, which today's CLI no longer understands."""
    module = sdk(real.backend)
    asked: list[Any] = []

    async def allow(tool: str, given: dict[str, Any], context: Any) -> Any:
        asked.append((tool, given["command"]))
        return module.PermissionResultAllow()

    async def change(tool: str, given: dict[str, Any], context: Any) -> Any:
        return module.PermissionResultAllow(updated_input={**given, "command": "echo two > changed"})

    async def deny(tool: str, given: dict[str, Any], context: Any) -> Any:
        return module.PermissionResultDeny(message="not on my watch")

    options = real.options(touching)
    assert options.cwd is not None

    async def tool_results(callback: Any) -> list[Any]:
        chosen = options.model_copy(update={"sdk_options": sdk_options(real.backend, can_use_tool=callback)})
        async with ClaudeSession(chosen) as session:
            turn = session.stream("go").pipe(cc.of_type(ToolResultChunk), cc.to_async_iterator())
            return [chunk async for chunk in turn]

    allowed = await tool_results(allow)
    assert asked == [("Bash", "echo one > made")]
    assert [result.is_error for result in allowed] == [False]
    assert (Path(options.cwd) / "made").read_text() == "one\n"
    assert [result.is_error for result in await tool_results(change)] == [False]
    assert (Path(options.cwd) / "changed").read_text() == "two\n"
    (denied,) = await tool_results(deny)
    assert denied.is_error
    assert "not on my watch" in str(denied.content)


async def test_a_permission_callback_that_interrupts(real: Real) -> None:
    module = sdk(real.backend)

    async def stop(tool: str, given: dict[str, Any], context: Any) -> Any:
        return module.PermissionResultDeny(message="stop everything", interrupt=True)

    async with real(touching, sdk_options=sdk_options(real.backend, can_use_tool=stop)) as session:
        turn = session.stream("go")
        response = await turn.pipe(cc.to_response())
    assert response.error_kind == "interrupted"
    assert turn.status == "interrupted"


async def test_hooks_run(real: Real) -> None:
    module = sdk(real.backend)
    called: list[str] = []

    async def before(given: Any, tool_use_id: str | None, context: Any) -> Any:
        called.append(given["tool_name"])
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "allow"}}

    hooks = {"PreToolUse": [module.HookMatcher(matcher="Bash", hooks=[before])]}
    options = real.options(touching, sdk_options=sdk_options(real.backend, hooks=hooks))
    async with ClaudeSession(options) as session:
        response = await session.query("go")
    assert called == ["Bash"]
    assert response.content == "try \n\ndone"
    assert options.cwd is not None
    assert (Path(options.cwd) / "made").exists()


async def test_sdk_mcp_servers_run(real: Real) -> None:
    """`create_sdk_mcp_server` breaks with mcp 2 under claude-code-sdk: the pin holds it below."""
    module = sdk(real.backend)
    called: list[int] = []

    @module.tool("double", "Doubles a number", {"number": int})  # type: ignore[untyped-decorator]
    async def double(given: dict[str, Any]) -> dict[str, Any]:
        called.append(given["number"])
        return {"content": [{"type": "text", "text": str(given["number"] * 2)}]}

    server = module.create_sdk_mcp_server("maths", tools=[double])

    def script(request: Request) -> Any:
        call = f"toolu_{request.prompt}"
        if call in request.tool_results:
            return reply(f"it is {request.tool_results[call]}")
        return reply().tool("mcp__maths__double", {"number": 21}, id=call)

    chosen = sdk_options(real.backend, mcp_servers={"maths": server}, allowed_tools=["mcp__maths__double"])
    async with real(script, sdk_options=chosen) as session:
        first = await session.query("go")
        second = await session.query("again")
    assert called == [21, 21]
    assert "42" in first.content
    assert "42" in second.content


async def test_stderr_reaches_who_asked_for_it(scripted: Scripted) -> None:
    lines: list[str] = []
    if scripted.backend == "claude-agent-sdk":
        chosen = sdk_options(scripted.backend, stderr=lines.append)
    else:

        class File:
            def write(self, text: str) -> None:
                lines.append(text.rstrip("\n"))

        chosen = sdk_options(scripted.backend, debug_stderr=File(), extra_args={"debug-to-stderr": None})
    from rxccsdk.testing import steps

    plan = steps().stderr("one\ntwo\n").frame(*text_turn("fine"))
    async with scripted(plan, session={"sdk_options": chosen}) as session:
        await session.query("go")
    assert lines == ["one", "two"]


async def test_every_option_reaches_the_cli_in_the_same_way(scripted: Scripted, tmp_path: Path) -> None:
    session = scripted(
        text_turn("fine"),
        session={
            "model": "some-model",
            "system_prompt": "be brief",
            "cwd": tmp_path,
            "max_turns": 3,
            "max_budget_usd": 1.5,
            "allowed_tools": ["Bash", "Read"],
            "disallowed_tools": ["Edit"],
            "permission_mode": "plan",
            "env": {"MY_OWN": "1"},
        },
    )
    async with session:
        await session.query("go")
    argv = scripted.cli.argv
    pairs = [*itertools.pairwise(argv)]
    for pair in [
        ("--model", "some-model"),
        ("--system-prompt", "be brief"),
        ("--max-turns", "3"),
        ("--max-budget-usd", "1.5"),
        ("--allowedTools", "Bash,Read"),
        ("--disallowedTools", "Edit"),
        ("--permission-mode", "plan"),
        ("--input-format", "stream-json"),
        ("--output-format", "stream-json"),
    ]:
        assert pair in pairs
    assert "--include-partial-messages" in argv
    assert str(session.session_id) in " ".join(argv)
    names = scripted.cli.environ_names
    assert {"MY_OWN", "CLAUDE_CODE_SDK_READS_SESSION_STATE", "CLAUDE_CODE_ENTRYPOINT"} <= set(names)
    assert "CLAUDECODE" not in names


async def test_whole_blocks_and_resume_reach_the_cli(scripted: Scripted) -> None:
    options = {"partial_messages": False, "resume": "11111111-1111-4111-8111-111111111111"}
    async with scripted(text_turn("fine", partial=False), session=options) as session:
        assert session.session_id == options["resume"]
        response = await session.query("go")
    assert response.metadata.cost_usd is not None  # the CLI says what was added since the last result
    argv = " ".join(scripted.cli.argv)
    assert "--include-partial-messages" not in argv
    assert "--session-id" not in argv
    assert str(options["resume"]) in argv


async def test_an_option_set_in_both_places_is_an_error(backend: str) -> None:
    chosen = SessionOptions(model="one", sdk_options=sdk_options(backend, model="two"))
    with pytest.raises(ValueError, match="model is set in SessionOptions and in sdk_options"):
        await ClaudeSession(chosen).open()


async def test_sdk_options_decide_the_backend(scripted: Scripted) -> None:
    chosen = {"sdk_options": sdk_options(scripted.backend, model="given"), "backend": "auto"}
    async with scripted(text_turn("fine"), session=chosen) as session:
        response = await session.query("go")
    assert response.metadata.backend == scripted.backend
    assert "given" in scripted.cli.argv
    other = "claude-code-sdk" if scripted.backend == "claude-agent-sdk" else "claude-agent-sdk"
    with pytest.raises(ValueError, match="contradicts"):
        await ClaudeSession(SessionOptions(backend=other, sdk_options=sdk_options(scripted.backend))).open()
    with pytest.raises(TypeError, match="ClaudeCodeOptions"):
        await ClaudeSession(SessionOptions(sdk_options=object())).open()


async def test_auto_takes_the_agent_sdk_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = CliTransport(SessionOptions())
    assert transport.backend == "claude-agent-sdk"
    real_find = importlib.util.find_spec
    gone = lambda name, *rest: None if name == "claude_agent_sdk" else real_find(name, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", gone)
    assert CliTransport(SessionOptions()).backend == "claude-code-sdk"
    with pytest.raises(RxccError, match=r"pip install 'rxccsdk\[agent\]'"):
        CliTransport(SessionOptions(backend="claude-agent-sdk"))


def test_unknown_and_wrong_options_are_refused() -> None:
    for wrong in ({"modell": "x"}, {"max_turns": 0}, {"max_budget_usd": 0}, {"backend": "other"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SessionOptions(**wrong)


def test_what_is_private_in_claude_code_sdk_is_where_we_look_for_it() -> None:
    """Fails by name when a release moves what `rxccsdk.transport._claude_code` touches."""
    from claude_code_sdk._internal.transport.subprocess_cli import SubprocessCLITransport

    transport = SubprocessCLITransport("x", sdk_options("claude-code-sdk"), "/nowhere/claude")
    command = transport._build_command()
    assert command[0] == "/nowhere/claude"
    assert "stream-json" in command
    assert _claude_code.ClaudeCodeDriver.name == "claude-code-sdk"


def test_what_is_private_in_claude_agent_sdk_is_where_we_look_for_it() -> None:
    """Fails by name when a release moves what `rxccsdk.transport._claude_agent` touches."""
    from claude_agent_sdk._internal.transport.subprocess_cli import SubprocessCLITransport

    chosen = sdk_options("claude-agent-sdk", cli_path="/nowhere/claude")
    transport = SubprocessCLITransport("x", chosen)
    assert transport._cli_path == "/nowhere/claude"
    assert callable(transport._find_cli)
    assert transport._build_command()[0] == "/nowhere/claude"
    assert _claude_agent.ClaudeAgentDriver.name == "claude-agent-sdk"


@needs_cli("2.1.306", "do not say that they wait for a permission")
async def test_waiting_for_a_permission_is_no_stall(real: Real) -> None:
    module = sdk(real.backend)
    states: list[str] = []

    async def slowly(tool: str, given: dict[str, Any], context: Any) -> Any:
        await asyncio.sleep(1.5)
        return module.PermissionResultAllow()

    def note(chunk: SystemChunk) -> None:
        if chunk.subtype == "session_state_changed":
            states.append(chunk.data["state"])

    async with real(touching, sdk_options=sdk_options(real.backend, can_use_tool=slowly)) as session:
        turn = session.stream("go")
        turn.pipe(cc.of_type(SystemChunk)).subscribe(note)
        response = await turn.pipe(cc.stall(first=60, between=1.0), cc.to_response())
    assert response.content == "try \n\ndone"
    assert "requires_action" in states


@pytest.fixture
def text_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[Path]]:
    """List the files that stand for arguments."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: sorted(tmp_path.glob("rxccsdk-*/*--*"))


async def test_a_long_system_prompt_goes_through_a_file(
    real: Real, text_files: Callable[[], list[Path]]
) -> None:
    words = "Be brief. " * 14_336  # 140 KiB: more than one argument may have
    async with real([reply("yes")], system_prompt=words) as session:
        assert (await session.query("go")).content == "yes"
        assert words.strip() in real.api.requests[0].system
        assert text_files()
    assert not text_files()


async def test_mcp_servers_headers_are_not_on_the_command_line(
    scripted: Scripted, text_files: Callable[[], list[Path]]
) -> None:
    server = {"type": "http", "url": "http://127.0.0.1:9", "headers": {"Authorization": "Bearer secret"}}
    options = sdk_options(scripted.backend, mcp_servers={"mine": server})
    async with scripted(text_turn("fine"), session={"sdk_options": options}) as session:
        argv = scripted.cli.argv
        assert "secret" not in " ".join(argv)
        (path,) = text_files()
        assert argv[argv.index("--mcp-config") + 1] == str(path)
        assert path.parent.stat().st_mode & 0o077 == 0
        assert json.loads(path.read_text())["mcpServers"]["mine"]["headers"] == server["headers"]
        assert (await session.query("go")).content == "fine"
    assert not text_files()
