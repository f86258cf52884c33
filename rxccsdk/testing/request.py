"""What the CLI asked the loopback API: one request to the Messages API, read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# What the CLI (2.1.330) writes into user messages, by how it begins.
_NOTES = (
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
_SIDE = ("CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.", "[SUGGESTION MODE:")


@dataclass(frozen=True)
class Request:
    """A request as the loopback API received it.

    Attributes:
        index: The number of the request among all, from 0.
        body: The parsed JSON.
        headers: The HTTP headers, names in lower case.
    """

    index: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation sent."""
        messages: list[dict[str, Any]] = self.body.get("messages") or []
        return messages

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body.get("model", ""))

    @property
    def system(self) -> str:
        """The system prompt: the text of all its blocks, joined by newlines."""
        return "\n".join(_texts(self.body.get("system")))

    @property
    def prompt(self) -> str:
        """What the user (or, for a sub-agent, the main agent) last asked.

        That is the text of the last user message without tool results, and without the reminders and notes
        the CLI adds in the user's name; `last_text` has those.
        """
        for message in reversed(self.messages):
            if message.get("role") == "user":
                texts = _texts(message.get("content"))
                if asked := [text for text in texts if not text.lstrip().startswith(_NOTES)]:
                    return "\n".join(asked).rstrip("\n")
        return ""

    @property
    def last_text(self) -> str:
        """All the text of the last user message, with what the CLI put there itself."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return "\n".join(_texts(message.get("content")))
        return ""

    @property
    def is_injected(self) -> bool:
        """Whether this belongs to a turn the CLI began itself, because something in the background ended."""
        return "<task-notification" in self.last_text and not self.is_subagent

    @property
    def is_subagent(self) -> bool:
        """Whether a sub-agent asks: a header says so, and the first line of the system prompt."""
        return "x-claude-code-agent-id" in self.headers or "cc_is_subagent=true" in self.system

    @property
    def is_title_or_side_request(self) -> bool:
        """Whether the CLI asks for itself: for a title, for the summary of `/compact`, for a next prompt."""
        schema = self.body.get("output_config", {}).get("format", {}).get("schema", {})
        is_title = list(schema.get("properties", ())) == ["title"] and not self.body.get("tools")
        return is_title or self.last_text.startswith(_SIDE)

    @property
    def tool_results(self) -> dict[str, Any]:
        """The contents of the tool results in the last three messages, by the id of their call.

        Not only in the last one: the CLI may put a reminder of its own behind a result.
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
