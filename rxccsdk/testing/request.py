"""A request of the CLI to the Messages API, parsed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Prefixes of the texts the CLI (2.1.330) itself adds to user messages.
_NOTE_PREFIXES = (
    "<system-reminder>",
    "<local-command-",
    "<command-name>",
    "<task-notification",
    "[Request interrupted by user",
    "[Your previous response had no visible output",
    "Output token limit hit.",
    "Your response above was cut off mid-stream.",
    "This session is being continued from a previous conversation",
)
_SIDE_REQUEST_PREFIXES = ("CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.", "[SUGGESTION MODE:")


@dataclass(frozen=True)
class Request:
    """A request received by the loopback API.

    Attributes:
        index: The position among all requests, from 0.
        body: The parsed JSON body.
        headers: The HTTP headers, with names in lower case.
    """

    index: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the conversation."""
        messages: list[dict[str, Any]] = self.body.get("messages") or []
        return messages

    @property
    def model(self) -> str:
        """The requested model."""
        return str(self.body.get("model", ""))

    @property
    def system(self) -> str:
        """The system prompt: the texts of its blocks, joined by newlines."""
        return "\n".join(_texts(self.body.get("system")))

    @property
    def prompt(self) -> str:
        """The last prompt of the user (for a sub-agent: of the main agent).

        It is the text of the last user message that has text besides tool results, without the reminders and
        notes the CLI adds. `last_text` includes those.
        """
        for message in reversed(self.messages):
            if message.get("role") == "user":
                texts = _texts(message.get("content"))
                if prompts := [text for text in texts if not text.lstrip().startswith(_NOTE_PREFIXES)]:
                    return "\n".join(prompts).rstrip("\n")
        return ""

    @property
    def last_text(self) -> str:
        """All text of the last user message, including what the CLI added."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return "\n".join(_texts(message.get("content")))
        return ""

    @property
    def is_injected(self) -> bool:
        """Whether it belongs to a turn the CLI injected because a background task ended."""
        return "<task-notification" in self.last_text and not self.is_subagent

    @property
    def is_subagent(self) -> bool:
        """Whether it comes from a sub-agent, by a header or the first line of the system prompt."""
        return "x-claude-code-agent-id" in self.headers or "cc_is_subagent=true" in self.system

    @property
    def is_title_or_side_request(self) -> bool:
        """Whether the CLI needs it for itself: a title, the summary of `/compact`, a prompt suggestion."""
        schema = self.body.get("output_config", {}).get("format", {}).get("schema", {})
        is_title = list(schema.get("properties", ())) == ["title"] and not self.body.get("tools")
        return is_title or self.last_text.startswith(_SIDE_REQUEST_PREFIXES)

    @property
    def tool_results(self) -> dict[str, Any]:
        """The contents of the tool results in the last three messages, by the id of their call.

        The last message is not enough: the CLI may add a reminder after a result.
        """
        return {
            block["tool_use_id"]: block.get("content", "")
            for message in self.messages[-3:]
            for block in _blocks(message.get("content"))
            if block.get("type") == "tool_result"
        }


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list):
        yield from (block for block in content if isinstance(block, dict))


def _texts(content: Any) -> Iterator[str]:
    return (block["text"] for block in _blocks(content) if block.get("type") == "text")
