"""The loops one writes with the two SDKs, as their documentation shows them.

An SDK is imported when it is first used: who measures a process without it imports this all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sdk:
    """One of the SDKs.

    Attributes:
        name: of its distribution.
        connect: makes a client, a context manager, for a CLI.
    """

    name: str
    connect: Callable[[Path], AbstractAsyncContextManager[Any]]

    async def ask(self, client: Any, on_text: Callable[[str], object], prompt: str = "go") -> None:
        """Send a prompt and call back with the text of each delta of its answer. The least one can do."""
        stream_event = import_module(self.name.replace("-", "_")).types.StreamEvent
        await client.query(prompt)
        async for message in client.receive_response():
            if isinstance(message, stream_event):
                event = message.event
                if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
                    on_text(event["delta"]["text"])


def _code_client(cli: Path) -> AbstractAsyncContextManager[Any]:
    import claude_code_sdk

    os.environ["PATH"] = f"{cli.parent}{os.pathsep}{os.environ['PATH']}"  # it looks nowhere else
    return claude_code_sdk.ClaudeSDKClient(claude_code_sdk.ClaudeCodeOptions(include_partial_messages=True))


def _agent_client(cli: Path) -> AbstractAsyncContextManager[Any]:
    import claude_agent_sdk

    options = claude_agent_sdk.ClaudeAgentOptions(include_partial_messages=True, cli_path=cli)
    return claude_agent_sdk.ClaudeSDKClient(options)


CODE_SDK = Sdk("claude-code-sdk", _code_client)
AGENT_SDK = Sdk("claude-agent-sdk", _agent_client)
