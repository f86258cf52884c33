"""claude-agent-sdk: all that is private in it is touched here and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import claude_agent_sdk
from claude_agent_sdk import ClaudeAgentOptions, SDKSessionInfo, list_sessions, query
from claude_agent_sdk import CLINotFoundError as SdkCLINotFoundError
from claude_agent_sdk._internal.transport.subprocess_cli import SubprocessCLITransport

from rxccsdk.chunks import Frame
from rxccsdk.errors import CLINotFoundError, RxccError
from rxccsdk.transport.process import INSTALL_HINT
from rxccsdk.transport.sdk import (
    LaunchOptions,
    SdkTransport,
    identity,
    inherited_environment,
    merged,
    permission_tool,
    shared_options,
)

# What names the program to whoever reads the API's requests: said by it, or found by the SDK.
_APP = "CLAUDE_AGENT_SDK_CLIENT_APP"
_DERIVED_APP = "CLAUDE_AGENT_SDK_DERIVED_CLIENT_APP"


class ClaudeAgentDriver:
    """Starts and answers the CLI as claude-agent-sdk 0.2 does.

    Without a system prompt that SDK sends an empty one; here it is Claude Code's own, as with the other SDK.
    """

    name = "claude-agent-sdk"

    def __init__(self, options: LaunchOptions, session_id: str) -> None:
        given = options.sdk_options or ClaudeAgentOptions()
        if given.session_store is not None and (options.resume or given.resume):
            raise RxccError("Resuming from a session_store needs the SDK's own transport: not possible here.")
        ours = {
            **shared_options(options),
            "cli_path": options.cli_path,
            "max_budget_usd": options.max_budget_usd,
        }
        if options.output_schema is not None:
            ours["output_format"] = {"type": "json_schema", "schema": options.output_schema}
        always: dict[str, Any] = {
            "extra_args": identity(options, session_id),
            "include_partial_messages": options.partial_messages,
            "forward_subagent_text": True,
            **permission_tool(options),
        }
        if given.system_prompt is None and options.system_prompt is None:
            always["system_prompt"] = {"type": "preset", "preset": "claude_code"}
            del ours["system_prompt"]
        self.options: ClaudeAgentOptions = merged(given, ours, **always)

    def command(self) -> list[str]:
        """Return the command line the SDK would start."""
        return self._transport()._build_command()

    async def environment(self) -> dict[str, str]:
        """Return the environment the SDK would start it in."""
        given = self.options
        env = {**inherited_environment(given.cwd), **given.env}
        env["CLAUDE_AGENT_SDK_VERSION"] = claude_agent_sdk.__version__
        env.pop(_DERIVED_APP, None)  # of an SDK around this program
        app = getattr(given, "client_app", None)
        if app is not None:
            env[_APP] = str(app)
        derive = getattr(self._transport(), "_derive_client_app", None)
        if _APP not in env and derive is not None and (derived := await derive()):
            env[_DERIVED_APP] = str(derived)
        if given.enable_file_checkpointing:
            env["CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING"] = "true"
        return env

    def _transport(self) -> SubprocessCLITransport:
        configured = self.options
        if configured.can_use_tool is not None:
            configured = replace(configured, permission_prompt_tool_name="stdio")
        transport = SubprocessCLITransport(_no_prompt(), configured)
        if transport._cli_path is None:
            try:
                transport._cli_path = transport._find_cli()
            except SdkCLINotFoundError as error:
                raise CLINotFoundError(f"No Claude Code CLI was found. {INSTALL_HINT}") from error
        return transport

    def query(self, prompts: AsyncGenerator[Frame, None], transport: SdkTransport) -> AsyncIterator[Any]:
        """Return the SDK's own `query()`, over our transport."""
        return query(prompt=prompts, options=self.options, transport=cast(Any, transport))

    def rewrite(self, frame: Frame) -> Frame:
        """Nothing: what it writes is what today's CLI expects."""
        return frame

    def on_stderr(self, line: str) -> None:
        """Hand it to the SDK's `stderr` callback."""
        if self.options.stderr is not None:
            self.options.stderr(line)


def earlier_sessions(cwd: Path | str, limit: int | None) -> list[SDKSessionInfo]:
    """Return what the SDK knows of a folder's sessions, the newest first."""
    return list_sessions(directory=str(cwd), limit=limit, include_worktrees=False)


async def _no_prompt() -> AsyncGenerator[Frame, None]:
    return
    yield {}
