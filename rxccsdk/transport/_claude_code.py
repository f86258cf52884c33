"""claude-code-sdk: all that is private in it, or wrong for today's CLI, is touched here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, cast

from claude_code_sdk import ClaudeCodeOptions, PermissionResultAllow, PermissionResultDeny, query
from claude_code_sdk import CLINotFoundError as SdkCLINotFoundError
from claude_code_sdk._internal.transport.subprocess_cli import SubprocessCLITransport

from rxccsdk.chunks import Frame
from rxccsdk.errors import CLINotFoundError
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


class ClaudeCodeDriver:
    """Starts and answers the CLI as claude-code-sdk 0.0.25 does, and mends what it gets wrong.

    Its `can_use_tool` answers `{"allow": true}`, which the CLI no longer understands. The SDK writes that
    answer in the task that ran the callback, so what the callback gave is found again in the task's context.
    """

    name = "claude-code-sdk"

    def __init__(self, options: LaunchOptions, session_id: str) -> None:
        given = options.sdk_options or ClaudeCodeOptions()
        flags = identity(options, session_id)
        if options.max_budget_usd is not None:
            flags["max-budget-usd"] = str(options.max_budget_usd)
        if options.output_schema is not None:
            if "json-schema" in flags:
                raise ValueError("output is set in SessionOptions and, as json-schema, in sdk_options.")
            flags["json-schema"] = json.dumps(options.output_schema)
        self.options: ClaudeCodeOptions = merged(
            given,
            shared_options(options),
            extra_args=flags,
            include_partial_messages=options.partial_messages,
            **permission_tool(options),
        )
        self._cli_path = options.cli_path
        self._permission: ContextVar[Frame | None] = ContextVar("permission", default=None)

    def command(self) -> list[str]:
        """Return the command line the SDK would start."""
        configured = self.options
        if configured.can_use_tool is not None:
            configured = replace(configured, permission_prompt_tool_name="stdio")
        try:
            transport = SubprocessCLITransport(_no_prompt(), configured, self._cli_path)
        except SdkCLINotFoundError as error:
            raise CLINotFoundError(f"No Claude Code CLI was found. {INSTALL_HINT}") from error
        return transport._build_command()

    async def environment(self) -> dict[str, str]:
        """Return the environment the SDK would start it in."""
        return {**inherited_environment(self.options.cwd), **self.options.env}

    def query(self, prompts: AsyncGenerator[Frame, None], transport: SdkTransport) -> AsyncIterator[Any]:
        """Return the SDK's own `query()`, over our transport."""
        options = self.options
        if options.can_use_tool is not None:
            options = replace(options, can_use_tool=self._remember)
        return query(prompt=prompts, options=options, transport=cast(Any, transport))

    def rewrite(self, frame: Frame) -> Frame:
        """Ask for sub-agents' words, and put permission answers into the CLI's form."""
        request = frame.get("request")
        if request is not None and request.get("subtype") == "initialize":
            return {**frame, "request": {**request, "forwardSubagentText": True}}
        answer = self._permission.get()
        if answer is None or frame.get("type") != "control_response":
            return frame
        self._permission.set(None)
        return {**frame, "response": {**frame["response"], "response": answer}}

    def on_stderr(self, line: str) -> None:
        """Write it where `debug_stderr` says, under the same condition as the SDK."""
        if "debug-to-stderr" in self.options.extra_args and self.options.debug_stderr:
            self.options.debug_stderr.write(line + "\n")

    async def _remember(self, tool: str, given: dict[str, Any], context: Any) -> Any:
        assert self.options.can_use_tool is not None
        result = await self.options.can_use_tool(tool, given, context)
        if isinstance(result, PermissionResultAllow):
            updated = given if result.updated_input is None else result.updated_input
            self._permission.set({"behavior": "allow", "updatedInput": updated})
        elif isinstance(result, PermissionResultDeny):
            words = result.message or "Permission was denied."
            self._permission.set({"behavior": "deny", "message": words, "interrupt": result.interrupt})
        return result


async def _no_prompt() -> AsyncGenerator[Frame, None]:
    return
    yield {}
