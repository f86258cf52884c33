"""Chunks out of the transcript that the CLI keeps of a session, whoever started it.

A transcript has what was said in whole blocks, in frames like those on the wire: other names for some fields,
no deltas, no `init` and no `result`. What a message used, and why it stopped, is in each of its lines.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from rxccsdk.chunks import Chunk, Frame
from rxccsdk.wire.blocks import INTERRUPTION_NOTE
from rxccsdk.wire.counters import Counters
from rxccsdk.wire.parser import Parser
from rxccsdk.wire.results import mapping
from rxccsdk.wire.routing import Router
from rxccsdk.wire.silent import TRANSCRIPTS_CARRY_NOTHING

_ON_THE_WIRE = {
    "toolUseResult": "tool_use_result",
    "isApiErrorMessage": "is_api_error_message",
    "compactMetadata": "compact_metadata",
}
_RETRY = {"retryAttempt": "attempt", "maxRetries": "max_retries", "retryInMs": "retry_delay_ms"}
_NOT_ASKED = re.compile(r"<(bash-std(out|err)|local-command-\w+)>|" + re.escape(INTERRUPTION_NOTE))
_SOMEBODY = (None, "human")  # where a prompt can come from; else the CLI goes on by itself
_TYPED = (None, "prompt", "bash")  # what can be sent into a turn


class Transcript:
    """Reads a session's transcript, line by line.

    A turn begins with what somebody asks, and goes on until they ask again: its end is not written. What the
    CLI begins by itself, and agents in the background, are outside any turn. A message's `MessageChunk` comes
    when something else follows it, or at `settle`; a stop reason other than "tool_use" says that the agent
    is done.

    Example:
        >>> transcript = Transcript()
        >>> said = {"role": "assistant", "content": "Hi!", "id": "m", "stop_reason": "end_turn"}
        >>> for chunk in transcript.receive({"type": "assistant", "message": said}) + transcript.settle():
        ...     print(type(chunk).__name__)
        TextChunk
        MessageChunk
    """

    def __init__(self) -> None:
        self._parser = Parser(base_cost=None)
        self._router = Router()
        self._counters = Counters(0.0)
        self._now: float | None = None
        self._prompt: object = None  # the id of what was asked last
        self._said: dict[str | None, Frame] = {}  # each agent's message, until something else follows it

    def receive(self, line: Frame, agent: str | None = None) -> list[Chunk]:
        """Take a line, decoded; return its chunks.

        Args:
            line: of the session's transcript, or of a sub-agent's.
            agent: the tool call that started the sub-agent; `None` for the session's own.
        """
        frame = _frame(line)
        if frame is None:
            return []
        if agent is None and line.get("isSidechain"):
            agent = str(line.get("agentId") or "sidechain")  # older CLIs write sub-agents into the same file
        if agent is not None:
            frame["parent_tool_use_id"] = agent
        said = mapping(frame.get("message")) if frame.get("type") == "assistant" else None
        chunks = self._end_message(agent, said)
        self._note_time(_seconds(line.get("timestamp")))
        if line.get("type") == "user":
            for call in _calls_answered(frame):
                chunks += self._end_message(call, None)  # a sub-agent's last one
            if agent is None:
                self._note_prompt(frame)
        chunks += self._parse(frame)
        if said is not None:
            self._note_background(said)
            if not frame.get("is_api_error_message"):
                self._said[agent] = said
        return chunks

    def settle(self) -> list[Chunk]:
        """Note that nothing has followed for a while; return the chunks of messages that are over."""
        over = [agent for agent, said in self._said.items() if said.get("stop_reason") is not None]
        return [chunk for agent in over for chunk in self._end_message(agent, None)]

    def _note_time(self, now: float | None) -> None:
        if now is None:
            return
        if self._now is None:
            self._now = self._counters.outside.started_at = now
        self._now = max(self._now, now)  # what was sent into a turn has the time at which it was typed

    def _end_message(self, agent: str | None, following: Frame | None) -> list[Chunk]:
        """Return how an agent's message ended, and what it used, unless what follows is more of it."""
        said = self._said.get(agent)
        if said is None or (following is not None and following.get("id") == said.get("id")):
            return []
        del self._said[agent]
        event = {
            "type": "message_delta",
            "model": said.get("model"),
            "delta": {"stop_reason": said.get("stop_reason")},
            "usage": said.get("usage"),
        }
        return self._parse({"type": "stream_event", "event": event, "parent_tool_use_id": agent})

    def _note_prompt(self, frame: Frame) -> None:
        """Begin a turn where somebody asks something; end it where the CLI goes on by itself."""
        message, origin, prompt = (
            mapping(frame.get("message")),
            mapping(frame.get("origin")),
            frame.get("promptId"),
        )
        content = message.get("content") if message is not None else None
        if frame.get("isMeta") or frame.get("isSynthetic") or not _asks(content):
            result = mapping(frame.get("tool_use_result"))
            if result is not None and result.get("isAsync"):
                self._router.background.update(_calls_answered(frame))
            frame["isSynthetic"] = True
        elif origin is not None and origin.get("kind") not in _SOMEBODY:
            self._router.abandon()
            frame["isSynthetic"] = True
        elif prompt is None or prompt != self._prompt:
            self._prompt = prompt
            self._router.begin(self._counters.begin(self._now or 0.0), str(frame.get("uuid")))

    def _note_background(self, said: Frame) -> None:
        """Note which agents are to run in the background: they write before the results of their calls."""
        for block in _blocks(said.get("content")):
            given = mapping(block.get("input"))
            if given is not None and given.get("run_in_background") is True:
                self._router.background.add(str(block.get("id")))

    def _parse(self, frame: Frame) -> list[Chunk]:
        counter = self._counters.of(self._router.route(frame))
        return self._parser.parse(frame, counter, self._now or 0.0)


def _frame(line: Frame) -> Frame | None:
    """Return a line as the frame that it would be on the wire; `None` where it carries nothing."""
    kind, attachment = line.get("type"), mapping(line.get("attachment"))
    if kind == "attachment" and attachment is not None and attachment.get("type") == "queued_command":
        return _sent_meanwhile(attachment)
    if isinstance(kind, str) and kind in TRANSCRIPTS_CARRY_NOTHING:
        return None
    frame = {_ON_THE_WIRE.get(name, name): value for name, value in line.items()}
    if line.get("isCompactSummary"):
        frame["isSynthetic"] = True
    if kind == "system" and line.get("subtype") == "api_error":
        frame |= {"subtype": "api_retry", "error_status": (mapping(line.get("error")) or {}).get("status")}
        frame |= {wire: line.get(name) for name, wire in _RETRY.items()}
    compacted = mapping(frame.get("compact_metadata"))
    if compacted is not None:
        frame["compact_metadata"] = {**compacted, "pre_tokens": compacted.get("preTokens")}
    return frame


def _sent_meanwhile(attachment: Frame) -> Frame:
    """Return the frame of a message that reached the agent in the middle of a turn."""
    return {
        "type": "user",
        "message": {"role": "user", "content": attachment.get("prompt")},
        "uuid": attachment.get("source_uuid"),
        "isMeta": attachment.get("isMeta") or attachment.get("commandMode") not in _TYPED,
    }


def _asks(content: object) -> bool:
    """Whether a user message is something that somebody asks."""
    if isinstance(content, str):
        return not _NOT_ASKED.match(content)
    blocks = _blocks(content)
    texts = (block["text"] for block in blocks if isinstance(block.get("text"), str))
    has_result = any(block.get("type") == "tool_result" for block in blocks)
    return bool(blocks) and not has_result and not any(map(_NOT_ASKED.match, texts))


def _calls_answered(frame: Frame) -> list[str]:
    message = mapping(frame.get("message")) or {}
    return [str(block.get("tool_use_id")) for block in _blocks(message.get("content"))]


def _blocks(content: object) -> list[dict[str, Any]]:
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _seconds(stamp: object) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp() if isinstance(stamp, str) else None
    except (ValueError, OverflowError, OSError):
        return None
