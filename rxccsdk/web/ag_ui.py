"""A turn as AG-UI events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    ReasoningEndEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    ReasoningStartEvent,
    RunErrorEvent,
    RunFinishedEvent,
    RunStartedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)
from ag_ui.encoder import EventEncoder
from starlette.responses import Response

from rxccsdk.chunks import Chunk, RetractedChunk, ToolInputChunk, ToolResultChunk, ToolUseChunk
from rxccsdk.session.turn import Turn
from rxccsdk.web.feed import Events
from rxccsdk.web.sse import HEARTBEAT, PATIENCE, EventStream
from rxccsdk.web.translating import Translator, text_of, translated
from rxccsdk.web.words import as_json

_encode = EventEncoder().encode


def ag_ui(
    turn: Turn,
    *,
    thread_id: str | None = None,
    run_id: str | None = None,
    heartbeat: float = HEARTBEAT,
    patience: float = PATIENCE,
) -> Response:
    """Return a response that sends a turn as AG-UI events: a run with messages, reasoning and tool calls.

    What the protocol has no event for is a `CUSTOM` event with the chunk, as `to_json` writes it, for its
    value: `ask`, `decision`, `agent` (what a sub-agent does), `tool-progress`, `task`, `notice`, ...;
    `retracted` names the messages and tool calls that do not stand.

    Args:
        turn: the turn; it must keep its log (`replay=True`, the default).
        thread_id: the conversation's name in the events, of the client's `RunAgentInput`; without, the
            session's id.
        run_id: the run's name, likewise; without, the prompt's `uuid`.
        heartbeat: seconds between two comments that keep the connection open.
        patience: seconds a client may take for what was sent to it.

    Raises:
        ValueError: the turn keeps no log.

    Example:
        async def run(request: Request) -> Response:
            given = RunAgentInput.model_validate(await request.json())
            turn = session.stream(given.messages[-1].content)
            return ag_ui(turn, thread_id=given.thread_id, run_id=given.run_id)
    """
    return EventStream(translated(_AgUi(turn, thread_id, run_id)), heartbeat, patience)


class _AgUi(Translator):
    def __init__(self, turn: Turn, thread_id: str | None, run_id: str | None) -> None:
        super().__init__(turn)
        self._thread = thread_id
        self._run = run_id

    def begin(self) -> Iterator[bytes]:
        self._thread = self._thread or Events.of(self.turn).session
        self._run = self._run or self.turn.uuid or "never-sent"
        yield _event(RunStartedEvent(thread_id=self._thread, run_id=self._run))

    def block(self, event: str, kind: str, block: int, text: str = "") -> Iterator[bytes]:
        name = self._name(block)
        if kind == "thinking":
            if event == "start":
                yield _event(ReasoningStartEvent(message_id=name))
                yield _event(ReasoningMessageStartEvent(message_id=name, role="reasoning"))
            elif event == "delta":
                yield _event(ReasoningMessageContentEvent(message_id=name, delta=_legal(text)))
            else:
                yield _event(ReasoningMessageEndEvent(message_id=name))
                yield _event(ReasoningEndEvent(message_id=name))
        elif event == "start":
            yield _event(TextMessageStartEvent(message_id=name, role="assistant"))
        elif event == "delta":
            yield _event(TextMessageContentEvent(message_id=name, delta=_legal(text)))
        else:
            yield _event(TextMessageEndEvent(message_id=name))

    def tool(self, chunk: ToolInputChunk | ToolUseChunk | ToolResultChunk) -> Iterator[bytes]:
        if isinstance(chunk, ToolResultChunk):
            call = chunk.tool_use_id
            content = text_of(chunk.content)
            yield _event(
                ToolCallResultEvent(message_id=f"{call}-result", tool_call_id=call, content=_legal(content))
            )
            return
        has_begun = chunk.id in self.tools
        if not has_begun:
            yield _event(ToolCallStartEvent(tool_call_id=chunk.id, tool_call_name=chunk.name))
        if isinstance(chunk, ToolInputChunk):
            if chunk.partial_json:
                yield _event(ToolCallArgsEvent(tool_call_id=chunk.id, delta=_legal(chunk.partial_json)))
            return
        if not has_begun:
            yield _event(ToolCallArgsEvent(tool_call_id=chunk.id, delta=json.dumps(chunk.input)))
        yield _event(ToolCallEndEvent(tool_call_id=chunk.id))

    def retract(self, chunk: RetractedChunk) -> Iterator[bytes]:
        for call in chunk.tool_ids:
            if self.tools.get(call) is False:
                yield _event(ToolCallEndEvent(tool_call_id=call))
        messages = [self._name(block) for block in chunk.blocks]
        value = {"messages": messages, "tools": list(chunk.tool_ids), "replaced": chunk.replaced}
        yield _event(CustomEvent(name="retracted", value=value))

    def beside(self, name: str, chunk: Chunk) -> Iterator[bytes]:
        yield _event(CustomEvent(name=name, value=_legal(as_json(chunk))))

    def end(self) -> Iterator[bytes]:
        for call, is_whole in self.tools.items():
            if not is_whole:
                yield _event(ToolCallEndEvent(tool_call_id=call))
        response = self.turn.response
        if response.error is not None:
            yield _event(RunErrorEvent(message=_legal(response.error), code=response.error_kind))
            return
        known = {"cost_usd": response.metadata.cost_usd, "duration_ms": response.metadata.duration_ms}
        yield _event(RunFinishedEvent(thread_id=self._thread or "", run_id=self._run or "", result=known))

    def _name(self, block: int) -> str:
        return f"{self._run}-{block}" if block >= 0 else f"{self._run}-result"


def _legal(value: Any) -> Any:
    """Replace halves of characters, which the protocol's models refuse."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def _event(event: BaseEvent) -> bytes:
    return _encode(event).encode()
