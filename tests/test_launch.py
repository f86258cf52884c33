"""The CLI is started as the SDK itself would: the same environment, the same arguments."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import AgentDefinition, ClaudeAgentOptions
from claude_agent_sdk._internal.transport import subprocess_cli
from claude_agent_sdk._internal.transport.subprocess_cli import SubprocessCLITransport as AgentTransport
from claude_code_sdk import ClaudeCodeOptions
from claude_code_sdk._internal.transport.subprocess_cli import SubprocessCLITransport as CodeTransport
from opentelemetry.sdk.trace import TracerProvider

from rxccsdk import ClaudeSession, RxccError, SessionOptions
from rxccsdk.transport._guardian_program import MARK

PROGRAM = f"""#!{sys.executable} -IS
import json, os, pathlib, sys
if "-v" not in sys.argv and "--version" not in sys.argv:
    said = {{"env": dict(os.environ), "argv": sys.argv[1:], "cwd": os.getcwd()}}
    pathlib.Path(__file__).with_name("said.json").write_text(json.dumps(said))
print("2.1.330 (Claude Code)")
"""
OURS = {MARK, "CLAUDE_CODE_SDK_READS_SESSION_STATE"}  # what we add; the newer SDK sets the second one, too


@pytest.fixture
def cli(tmp_path: Path) -> Path:
    """A CLI that writes down how it was started, and ends."""
    path = tmp_path / "claude"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


def said(cli: Path) -> dict[str, Any]:
    path = cli.with_name("said.json")
    found: dict[str, Any] = json.loads(path.read_text())
    path.unlink()
    return found


async def by_the_sdk(cli: Path, options: Any) -> dict[str, Any]:
    async def prompts() -> Any:
        await asyncio_never()
        yield {}

    transport: Any
    if isinstance(options, ClaudeAgentOptions):
        transport = AgentTransport(prompts(), options)
    else:
        transport = CodeTransport(prompts(), options, cli)
    await transport.connect()
    while not cli.with_name("said.json").exists() or not cli.with_name("said.json").read_text():
        await asyncio.sleep(0.01)
    await transport.close()
    return said(cli)


async def asyncio_never() -> None:
    await asyncio.Event().wait()


async def by_us(cli: Path, options: Any) -> dict[str, Any]:
    with pytest.raises(RxccError):
        await ClaudeSession(SessionOptions(cli_path=cli, sdk_options=options)).open()
    return said(cli)


AGENT_OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "env": {"env": {"A": "1", "CLAUDE_CODE_ENTRYPOINT": "mine"}},
    "client_app": {"client_app": "my-app/1.0"},
    "client_app in env": {"env": {"CLAUDE_AGENT_SDK_CLIENT_APP": "my-app/2.0"}},
    "checkpoints": {"enable_file_checkpointing": True},
    "settings": {"settings": '{"model": "haiku"}', "add_dirs": ["/tmp"], "betas": ["context-1m-2025-08-07"]},
    "agents": {"agents": {"a": AgentDefinition(description="d", prompt="p")}},
    "flags": {"extra_args": {"debug": None, "x": "y"}, "max_turns": 3, "model": "haiku"},
}
CODE_OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "env": {"env": {"A": "1"}},
    "settings": {"settings": '{"model": "haiku"}', "add_dirs": ["/tmp"]},
    "flags": {"extra_args": {"debug": None, "x": "y"}, "max_turns": 3, "model": "haiku"},
}


def compared(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    different = {
        name: (theirs["env"].get(name), ours["env"].get(name))
        for name in {*theirs["env"], *ours["env"]} - OURS
        if theirs["env"].get(name) != ours["env"].get(name)
    }
    assert not different
    assert theirs["cwd"] == ours["cwd"]
    # What we add is documented: our session id, partial messages, Claude Code's own prompt.
    missing = [argument for argument in theirs["argv"] if argument not in ours["argv"] and argument]
    assert missing in ([], ["--system-prompt"])


@pytest.mark.skipif(
    not hasattr(subprocess_cli, "DERIVED_CLIENT_APP_ENV"),
    reason="an older SDK hands on whose app it is part of",
)
@pytest.mark.parametrize("name", AGENT_OPTIONS)
async def test_claude_agent_sdk(cli: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")
    monkeypatch.setenv("CLAUDE_AGENT_SDK_DERIVED_CLIENT_APP", "somebody else's")
    monkeypatch.setenv("TRACEPARENT", "00-11111111111111111111111111111111-2222222222222222-01")
    monkeypatch.setenv("TRACESTATE", "a=b")
    given = AGENT_OPTIONS[name]
    theirs = await by_the_sdk(cli, ClaudeAgentOptions(cli_path=cli, **given))
    ours = await by_us(cli, ClaudeAgentOptions(**given))
    compared(theirs, ours)
    assert "CLAUDECODE" not in ours["env"]


@pytest.mark.parametrize("name", CODE_OPTIONS)
async def test_claude_code_sdk(cli: Path, name: str) -> None:
    theirs = await by_the_sdk(cli, ClaudeCodeOptions(**CODE_OPTIONS[name]))
    ours = await by_us(cli, ClaudeCodeOptions(**CODE_OPTIONS[name]))
    compared(theirs, ours)


@pytest.mark.parametrize("kind", [ClaudeAgentOptions, ClaudeCodeOptions])
async def test_the_cli_is_part_of_the_current_trace(
    cli: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACESTATE", "of=another")
    tracer = TracerProvider().get_tracer("tests")
    with tracer.start_as_current_span("request") as span:
        ours = await by_us(cli, kind())
        theirs = await by_the_sdk(cli, ClaudeAgentOptions(cli_path=cli))
    trace = f"{span.get_span_context().trace_id:032x}"
    assert trace in ours["env"]["TRACEPARENT"]
    assert "TRACESTATE" not in ours["env"]
    assert theirs["env"]["TRACEPARENT"] == ours["env"]["TRACEPARENT"]
    mine = await by_us(cli, kind(env={"TRACEPARENT": "mine"}))
    assert mine["env"]["TRACEPARENT"] == "mine"
