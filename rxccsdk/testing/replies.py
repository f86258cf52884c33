"""Scripted replies of the loopback Messages API, built fluently.

Replies are immutable: each method returns a new one, so replies can share a common beginning.

    hello = reply("Hello, world")
    both = reply().thinking("Let me see.").text("Done.").tool("Bash", {"command": "ls"})
    broken = reply("half of a sent").cut()
"""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rxccsdk.testing.reply_events import BodyPart, encode_body, encode_event, whole_block
from rxccsdk.testing.reply_steps import Block, Break, Pause, Pieces, Step, split_text

_tool_numbers = itertools.count()


@dataclass(frozen=True)
class Reply:
    """One scripted response of the Messages API. Build it with `reply()` and the methods below."""

    steps: tuple[Step, ...] = ()
    stop_reason: str | None = None
    tokens: tuple[int, int] = (25, 10)

    def text(self, text: str, *, pieces: Pieces = None, delay: float = 0.0) -> Reply:
        """Add a text block, streamed in `pieces` (see `split_text`) with `delay` seconds before each."""
        deltas = ({"type": "text_delta", "text": piece} for piece in split_text(text, pieces))
        return self.block({"type": "text", "text": ""}, *deltas, delay=delay)

    def thinking(
        self, text: str, signature: str = "sig", *, pieces: Pieces = None, delay: float = 0.0
    ) -> Reply:
        """Add a thinking block with its signature, streamed like text."""
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in split_text(text, pieces)]
        deltas.append({"type": "signature_delta", "signature": signature})
        return self.block({"type": "thinking", "thinking": "", "signature": ""}, *deltas, delay=delay)

    def redacted(self, data: str) -> Reply:
        """Add a block of redacted thinking, which is sent whole, without deltas."""
        return self.block({"type": "redacted_thinking", "data": data})

    def tool(
        self,
        name: str,
        input: dict[str, Any],
        *,
        id: str | None = None,
        pieces: Pieces = None,
        delay: float = 0.0,
    ) -> Reply:
        """Add a tool call.

        Args:
            name: The tool, for instance `"Bash"`.
            input: Its input.
            id: The id of the call; by default a new one. A reply that is sent twice repeats its ids; where
                that matters, build the reply in a callable script.
            pieces: How to split the JSON of the input (see `split_text`).
            delay: Seconds before each piece.
        """
        call = id if id is not None else f"toolu_{next(_tool_numbers):06d}"
        partial = split_text(json.dumps(input), pieces)
        deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in partial)
        return self.block({"type": "tool_use", "id": call, "name": name, "input": {}}, *deltas, delay=delay)

    def agent(
        self,
        prompt: str,
        *,
        description: str = "a task",
        subagent_type: str = "general-purpose",
        background: bool | None = None,
        id: str | None = None,
    ) -> Reply:
        """Add a call that starts a sub-agent; with `background=None` the CLI chooses where it runs."""
        call: dict[str, Any] = {
            "description": description,
            "prompt": prompt,
            "subagent_type": subagent_type,
        }
        if background is not None:
            call["run_in_background"] = background
        return self.tool("Agent", call, id=id)

    def block(self, start: dict[str, Any], *deltas: dict[str, Any], delay: float = 0.0) -> Reply:
        """Add any content block in the format of the Messages API, for kinds without their own method."""
        return self._then(Block(start, deltas, delay))

    def wait(self, seconds: float, *, mid_block: bool = False) -> Reply:
        """Pause; with `mid_block` before the end of the preceding block, else after it."""
        return self._then(Pause(seconds, mid_block=mid_block))

    def until(self, event: threading.Event, *, mid_block: bool = False) -> Reply:
        """Pause until the test sets the event: synchronization without a sleep."""
        return self._then(Pause(event=event, mid_block=mid_block))

    def cut(self, *, mid_block: bool = True, grace: float = 0.2) -> Reply:
        """Drop the connection here; by default within the preceding block.

        Args:
            mid_block: Whether to leave the preceding block open.
            grace: Seconds to wait before. The CLI discards what it has not read when the connection drops,
                so with 0 it is random how much of the reply it reads.
        """
        return self._then(Pause(grace, mid_block=mid_block))._then(Break("cut", mid_block))

    def hang(self, *, mid_block: bool = True) -> Reply:
        """Send nothing more, and keep the connection open until the client or the server closes it."""
        return self._then(Break("hang", mid_block))

    def stop(self, reason: str) -> Reply:
        """Set the stop reason; the default is `tool_use` for a reply with a tool call, else `end_turn`."""
        return replace(self, stop_reason=reason)

    def usage(self, *, input_tokens: int = 25, output_tokens: int = 10) -> Reply:
        """Set the token counts the reply reports. The CLI computes the cost from them."""
        return replace(self, tokens=(input_tokens, output_tokens))

    def _then(self, step: Step) -> Reply:
        if self.steps and isinstance(self.steps[-1], Break):
            raise ValueError(f"nothing can follow {self.steps[-1].kind}()")
        return replace(self, steps=(*self.steps, step))

    def start_event(self, message_id: str, model: str) -> bytes:
        """Return the `message_start` event, the only one that depends on the request."""
        message = self._message(message_id, model, [], None, output_tokens=1)
        return encode_event({"type": "message_start", "message": message})

    def whole(self, message_id: str, model: str) -> dict[str, Any]:
        """Return the reply as one message, for a request without streaming."""
        content = [whole_block(step) for step in self.steps if isinstance(step, Block)]
        return self._message(message_id, model, content, self._reason(), output_tokens=self.tokens[1])

    @cached_property
    def body(self) -> tuple[BodyPart, ...]:
        """What follows `message_start`: bytes of whole events, pauses, and at most one break, last.

        It is encoded once: a benchmark that streams 50,000 deltas must not measure the JSON encoder.
        """
        delta = {"stop_reason": self._reason(), "stop_sequence": None}
        usage = {"output_tokens": self.tokens[1]}
        return tuple(encode_body(self.steps, {"type": "message_delta", "delta": delta, "usage": usage}))

    def _message(
        self,
        id: str,
        model: str,
        content: list[dict[str, Any]],
        stop_reason: str | None,
        *,
        output_tokens: int,
    ) -> dict[str, Any]:
        return {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {
                "input_tokens": self.tokens[0],
                "output_tokens": output_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
            },
        }

    def _reason(self) -> str:
        if self.stop_reason is not None:
            return self.stop_reason
        blocks = (step.start for step in self.steps if isinstance(step, Block))
        return "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"


def reply(text: str | None = None, *, pieces: Pieces = None, delay: float = 0.0) -> Reply:
    """Return a new reply; with `text`, its first block is that text.

    Example:
        >>> reply("Hello").tool("Bash", {"command": "ls"}).steps[0].start["type"]
        'text'
    """
    empty = Reply()
    return empty if text is None else empty.text(text, pieces=pieces, delay=delay)
