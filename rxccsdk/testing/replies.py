"""What the loopback Messages API answers: a small fluent language for scripted replies.

Replies are immutable: each method returns a new one, so a common beginning can be shared.

    hello = reply("Hello, world")
    both = reply().thinking("Let me see.").text("Done.").tool("Bash", {"command": "ls"})
    broken = reply("half of a sent").cut()
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

Pieces: TypeAlias = int | Sequence[str] | None

_WORD = re.compile(r"\s*\S+\s*|\s+")
_tool_numbers = itertools.count()


def split_text(text: str, pieces: Pieces = None) -> tuple[str, ...]:
    """Split a text into the pieces it is streamed in; joined they are the text again.

    Args:
        text: The whole text.
        pieces: `None` splits by word (whitespace stays with the word before it), a number gives that many
            nearly equal pieces (fewer where the text has fewer characters), a list is taken as it is.

    Raises:
        ValueError: The number is below 1, or the list does not join to `text`.

    Example:
        >>> split_text("one two ", 2)
        ('one ', 'two ')
    """
    if pieces is None:
        return tuple(_WORD.findall(text))
    if isinstance(pieces, int):
        if pieces < 1:
            raise ValueError(f"a text cannot be split into {pieces} pieces")
        count = min(pieces, len(text))
        cuts = [len(text) * i // count for i in range(count + 1)] if count else []
        return tuple(text[start:end] for start, end in itertools.pairwise(cuts))
    if "".join(pieces) != text:
        raise ValueError("the pieces given do not join to the text")
    return tuple(pieces)


@dataclass(frozen=True)
class Block:
    """A content block: how it starts, its deltas, and the pause in seconds before each delta."""

    start: dict[str, Any]
    deltas: tuple[dict[str, Any], ...] = ()
    delay: float = 0.0


@dataclass(frozen=True)
class Pause:
    """A wait between two events, for `seconds` or until `event` is set; over when the client leaves."""

    seconds: float = 0.0
    event: threading.Event | None = None
    mid_block: bool = False


@dataclass(frozen=True)
class Break:
    """The end of a reply that never completes: `cut` drops the connection, `hang` keeps it open, mute."""

    kind: Literal["cut", "hang"]
    mid_block: bool = True


Step: TypeAlias = Block | Pause | Break
BodyPart: TypeAlias = bytes | Pause | Break


@dataclass(frozen=True)
class Reply:
    """One scripted answer of the Messages API. Build it with `reply()` and the methods below."""

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
        """Add a thinking block with its signature, streamed like a text."""
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in split_text(text, pieces)]
        deltas.append({"type": "signature_delta", "signature": signature})
        return self.block({"type": "thinking", "thinking": "", "signature": ""}, *deltas, delay=delay)

    def redacted(self, data: str) -> Reply:
        """Add a block of redacted thinking; it comes whole, without deltas."""
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
            id: The call's id; by default a new one. A reply that is served twice repeats its ids, so where
                that matters let a callable script build a new reply.
            pieces: How the input's JSON is split, as for a text.
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
        """Add a call that starts a sub-agent; `background=None` leaves that choice to the CLI."""
        call: dict[str, Any] = {
            "description": description,
            "prompt": prompt,
            "subagent_type": subagent_type,
        }
        if background is not None:
            call["run_in_background"] = background
        return self.tool("Agent", call, id=id)

    def block(self, start: dict[str, Any], *deltas: dict[str, Any], delay: float = 0.0) -> Reply:
        """Add any content block, as the Messages API spells it: for kinds this language has no word for."""
        return self._then(Block(start, deltas, delay))

    def wait(self, seconds: float, *, mid_block: bool = False) -> Reply:
        """Pause; with `mid_block` before the end of the block before it, else after it."""
        return self._then(Pause(seconds, mid_block=mid_block))

    def until(self, event: threading.Event, *, mid_block: bool = False) -> Reply:
        """Pause until a test sets the event: a rendezvous without a sleep."""
        return self._then(Pause(event=event, mid_block=mid_block))

    def cut(self, *, mid_block: bool = True, grace: float = 0.2) -> Reply:
        """Break the connection off here; by default the block before it is left open, half said.

        Args:
            mid_block: Whether the block before it is left open.
            grace: Seconds before the break. The CLI throws away what it has not read when the connection
                ends, so with 0 it is chance how much of the reply it has seen.
        """
        return self._then(Pause(grace, mid_block=mid_block))._then(Break("cut", mid_block))

    def hang(self, *, mid_block: bool = True) -> Reply:
        """Send nothing more and keep the connection open until the client leaves or the server closes."""
        return self._then(Break("hang", mid_block))

    def stop(self, reason: str) -> Reply:
        """Set the stop reason; the default is `tool_use` after a tool call, else `end_turn`."""
        return replace(self, stop_reason=reason)

    def usage(self, *, input_tokens: int = 25, output_tokens: int = 10) -> Reply:
        """Set the tokens the reply reports, from which the CLI works out the cost."""
        return replace(self, tokens=(input_tokens, output_tokens))

    def _then(self, step: Step) -> Reply:
        if self.steps and isinstance(self.steps[-1], Break):
            raise ValueError(f"nothing can follow {self.steps[-1].kind}()")
        return replace(self, steps=(*self.steps, step))

    def start_event(self, message_id: str, model: str) -> bytes:
        """Return the `message_start` event, the only one that differs from request to request."""
        return _event(
            {
                "type": "message_start",
                "message": {
                    "id": message_id,
                    "type": "message",
                    "role": "assistant",
                    "model": model,
                    "content": [],
                    "stop_reason": None,
                    "stop_sequence": None,
                    "usage": self._usage(1),
                },
            }
        )

    def whole(self, message_id: str, model: str) -> dict[str, Any]:
        """Return the reply as one message, for a request that did not ask for a stream."""
        return {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [_whole_block(step) for step in self.steps if isinstance(step, Block)],
            "stop_reason": self._reason(),
            "stop_sequence": None,
            "usage": self._usage(self.tokens[1]),
        }

    def _usage(self, output_tokens: int) -> dict[str, int]:
        return {
            "input_tokens": self.tokens[0],
            "output_tokens": output_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }

    @cached_property
    def body(self) -> tuple[BodyPart, ...]:
        """All that follows `message_start`: bytes of whole events, pauses, and at most one break at the end.

        Worked out once: a benchmark that streams 50,000 deltas must not measure our JSON encoder.
        """
        return tuple(_merge(self._parts()))

    def _parts(self) -> list[BodyPart]:
        wire: list[BodyPart] = []
        index = -1
        is_open = False

        def close() -> None:
            nonlocal is_open
            if is_open:
                wire.append(_event({"type": "content_block_stop", "index": index}))
            is_open = False

        for step in self.steps:
            if isinstance(step, Block):
                close()
                index += 1
                is_open = True
                wire += _block_events(step, index)
                continue
            if not step.mid_block:
                close()
            wire.append(step)
        if self.steps and isinstance(self.steps[-1], Break):
            return wire
        close()
        stop = {"stop_reason": self._reason(), "stop_sequence": None}
        usage = {"output_tokens": self.tokens[1]}
        return [
            *wire,
            _event({"type": "message_delta", "delta": stop, "usage": usage}),
            _event({"type": "message_stop"}),
        ]

    def _reason(self) -> str:
        if self.stop_reason is not None:
            return self.stop_reason
        blocks = (step.start for step in self.steps if isinstance(step, Block))
        return "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"


def reply(text: str | None = None, *, pieces: Pieces = None, delay: float = 0.0) -> Reply:
    """Begin a reply, with a first text block where `text` is given.

    Example:
        >>> reply("Hello").tool("Bash", {"command": "ls"}).steps[0].start["type"]
        'text'
    """
    empty = Reply()
    return empty if text is None else empty.text(text, pieces=pieces, delay=delay)


def _event(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def _block_events(block: Block, index: int) -> list[BodyPart]:
    events: list[BodyPart] = [
        _event({"type": "content_block_start", "index": index, "content_block": block.start})
    ]
    for delta in block.deltas:
        if block.delay:
            events.append(Pause(block.delay, mid_block=True))
        events.append(_event({"type": "content_block_delta", "index": index, "delta": delta}))
    return events


def _whole_block(block: Block) -> dict[str, Any]:
    whole = dict(block.start)
    for delta in block.deltas:
        for name in ("text", "thinking", "signature"):
            if name in delta:
                whole[name] = whole.get(name, "") + delta[name]
    if partial := "".join(delta.get("partial_json", "") for delta in block.deltas):
        whole["input"] = json.loads(partial)
    return whole


def _merge(parts: list[BodyPart], most: int = 32768) -> list[BodyPart]:
    """Join neighbouring events to writes of up to `most` bytes: a system call per delta is slow."""
    merged: list[BodyPart] = []
    run: list[bytes] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if run:
            merged.append(b"".join(run))
            run.clear()
            size = 0

    for item in parts:
        if not isinstance(item, bytes):
            flush()
            merged.append(item)
            continue
        if size + len(item) > most:
            flush()
        run.append(item)
        size += len(item)
    flush()
    return merged
