"""A turn as the AI SDK's UI message stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from rxccsdk.chunks import (
    AskChunk,
    Chunk,
    DecisionChunk,
    RetractedChunk,
    ToolInputChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.session.turn import Turn
from rxccsdk.web.sse import HEARTBEAT, PATIENCE, EventStream
from rxccsdk.web.translating import Translator, text_of, translated
from rxccsdk.web.words import as_json

_REASONS = {"end_turn": "stop", "max_tokens": "length", "stop_sequence": "stop", "refusal": "content-filter"}


def ui_messages(turn: Turn, *, heartbeat: float = HEARTBEAT, patience: float = PATIENCE) -> Response:
    """Return a response that speaks the AI SDK's UI message stream: `useChat` and its like read it.

    Text, thinking and the main agent's tools are the protocol's own parts. What was retracted cannot be taken
    back in it: a `data-retracted` part names the parts (`block-N`) that do not stand, and a tool whose input
    never completed ends as an input error. A question is a `data-ask` part, which gets its decision.
    Progress, notices and sub-agents are transient `data-...` parts, with the chunk as `to_json` writes it.
    A turn that ends badly has an `error`, an interrupted one an `abort`.

    Args:
        turn: the turn; it must keep its log (`replay=True`, the default).
        heartbeat: seconds between two comments that keep the connection open.
        patience: seconds a client may take for what was sent to it.

    Raises:
        ValueError: the turn keeps no log.

    Example:
        async def chat(request: Request) -> Response:
            messages = (await request.json())["messages"]
            return ui_messages(session.stream(messages[-1]["parts"][0]["text"]))
    """
    stream = EventStream(translated(_UiMessages(turn)), heartbeat, patience)
    stream.headers["x-vercel-ai-ui-message-stream"] = "v1"
    return stream


class _UiMessages(Translator):
    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self._asks: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}

    def begin(self) -> Iterator[bytes]:
        yield _part("start", **({"messageId": self.turn.uuid} if self.turn.uuid else {}))
        yield _part("start-step")

    def block(self, event: str, kind: str, block: int, text: str = "") -> Iterator[bytes]:
        name = "reasoning" if kind == "thinking" else "text"
        delta = {"delta": text} if event == "delta" else {}
        yield _part(f"{name}-{event}", id=_name(block), **delta)

    def tool(self, chunk: ToolInputChunk | ToolUseChunk | ToolResultChunk) -> Iterator[bytes]:
        if isinstance(chunk, ToolResultChunk):
            if chunk.is_error:
                said: dict[str, Any] = {"errorText": text_of(chunk.content)}
            else:
                said = {"output": chunk.content}
            kind = "tool-output-error" if chunk.is_error else "tool-output-available"
            yield _part(kind, toolCallId=chunk.tool_use_id, dynamic=True, **said)
            return
        call: dict[str, Any] = {"toolCallId": chunk.id}
        named = {**call, "toolName": chunk.name, "dynamic": True}
        if chunk.id not in self.tools:
            self._names[chunk.id] = chunk.name
            yield _part("tool-input-start", **named)
        if isinstance(chunk, ToolUseChunk):
            yield _part("tool-input-available", **named, input=chunk.input)
        elif chunk.partial_json:
            yield _part("tool-input-delta", **call, inputTextDelta=chunk.partial_json)

    def retract(self, chunk: RetractedChunk) -> Iterator[bytes]:
        for call in chunk.tool_ids:
            if call in self.tools:
                named = {"toolCallId": call, "toolName": self._names[call], "dynamic": True}
                yield _part("tool-input-error", **named, input=None, errorText="The API broke off.")
        data = {"parts": [_name(block) for block in chunk.blocks], "replaced": chunk.replaced}
        yield _part("data-retracted", data=data)

    def beside(self, name: str, chunk: Chunk) -> Iterator[bytes]:
        if isinstance(chunk, AskChunk):
            self._asks[chunk.id] = {**as_json(chunk), "decision": None}
            yield _part("data-ask", id=chunk.id, data=self._asks[chunk.id])
        elif isinstance(chunk, DecisionChunk):
            ask = {**self._asks.get(chunk.ask_id, {}), "decision": chunk.decision, "detail": chunk.detail}
            yield _part("data-ask", id=chunk.ask_id, data=ask)
        else:
            yield _part(f"data-{name}", data=as_json(chunk), transient=True)

    def end(self) -> Iterator[bytes]:
        response = self.turn.response
        metadata = response.metadata
        if self.turn.status == "interrupted":
            yield _part("abort", reason=response.error or "interrupted")
        else:
            if response.error is not None:
                yield _part("error", errorText=response.error)
            yield _part("finish-step")
            known = {
                "sessionId": metadata.session_id,
                "costUsd": metadata.cost_usd,
                "durationMs": metadata.duration_ms,
                "errorKind": response.error_kind,
            }
            reason = (
                "error"
                if response.error is not None
                else _REASONS.get(metadata.stop_reason or "end_turn", "other")
            )
            yield _part("finish", finishReason=reason, messageMetadata=known)
        yield b"data: [DONE]\n\n"


def _name(block: int) -> str:
    return f"block-{block}" if block >= 0 else "result"


def _part(type: str, **fields: Any) -> bytes:
    return f"data: {json.dumps({'type': type, **fields}, default=str)}\n\n".encode()
