"""OpenTelemetry spans of what passes. Needs `opentelemetry-api` (the extra `otel`), imported on use.

Names and attributes follow OpenTelemetry's semantic conventions for generative AI where they have one; what
they have no word for begins with `rxccsdk.`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import (
    TASK_ENDS,
    AskChunk,
    Chunk,
    DecisionChunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    TaskChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.text.callbacks import CallbackRunner
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.sink import Sink

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

_T = TypeVar("_T")

_AGENT = "claude-code"
_AGENT_TOOLS = ("Agent", "Task")


def spans(tracer: Tracer | None = None) -> Keeping:
    """Make an OpenTelemetry span of the turn and of all that it does, and pass the stream on unchanged.

        start  T  Use  stop  ToolResult  Result  |
        start  T  Use  stop  ToolResult  Result  |
        [ invoke_agent claude-code ..............]
        [ chat haiku ..... ]
                  [ execute_tool Bash ]

    The turn's span, `invoke_agent`, begins at the subscription, in the context of whoever subscribes. Under
    it each message of the model is a `chat`, each tool call an `execute_tool`, each sub-agent an
    `invoke_agent` under its call, with its own messages and tools, and each question to the user a
    `rxccsdk.ask`. Figures of the result (tokens, cost) are attributes of the turn's span; a turn that ends
    badly has the status ERROR and `error.type`. Disposing ends all spans that are open.

    The CLI makes spans of its own (`claude_code.interaction` and, under it, model calls and tools) under the
    span that is current when its session is opened, and exports them where its environment says so:
    `CLAUDE_CODE_ENABLE_TELEMETRY=1`, `CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1`, `OTEL_TRACES_EXPORTER=otlp` and
    the `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        tracer: makes the spans; `None` takes the global provider's tracer "rxccsdk".

    At a `RetractedChunk`: nothing; the message it belongs to has its span.

    Raises:
        ImportError: `opentelemetry-api` is not installed.

    Example:
        >>> from rxccsdk import operators as cc, TextChunk
        >>> import reactivex as rx
        >>> rx.of(TextChunk("Hi")).pipe(cc.spans(), cc.text()).run()
        'Hi'

    Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/
    """
    try:
        from opentelemetry import trace
    except ImportError as error:
        raise ImportError("cc.spans() needs opentelemetry-api: pip install 'rxccsdk[otel]'.") from error

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            turn = _TurnSpans(tracer or trace.get_tracer("rxccsdk"))
            watch = CallbackRunner(turn.add)  # what a tracer raises costs nobody the stream
            close = CallbackRunner(turn.end)

            def on_next(chunk: Any) -> None:
                watch.call(chunk)
                if not downstream.subscriber.stopped:
                    downstream.on_next(chunk)

            def on_error(error: Exception) -> None:
                close.call(error)
                downstream.on_error(error)

            return Handlers(on_next, on_error=on_error, dispose=lambda: close.call(None))

        return Stage(source, attach)

    return operator


class _TurnSpans:
    """The spans of one turn that are open."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._subscribed_at = time.time_ns()
        self._zero: int | None = None  # the wall clock when `at` was 0
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": _AGENT}
        self._turn = self._begin(f"invoke_agent {_AGENT}", attributes, None, self._subscribed_at)
        self._tools: dict[str, Span] = {}
        self._agents: dict[str, Span] = {}  # by the call that started them
        self._messages: dict[str | None, Span] = {}  # by agent
        self._questions: dict[str, Span] = {}
        self._now = self._subscribed_at

    def add(self, chunk: Chunk) -> None:
        """Begin and end spans at a chunk."""
        if self._zero is None:
            self._zero = time.time_ns() - int(chunk.at * 1e9)
        self._now = max(self._subscribed_at, self._zero + int(chunk.at * 1e9))
        if isinstance(chunk, MessageChunk):
            self._message(chunk)
        elif isinstance(chunk, ToolUseChunk):
            self._tool_begins(chunk)
        elif isinstance(chunk, ToolResultChunk):
            self._tool_ends(chunk)
        elif isinstance(chunk, TaskChunk):
            if chunk.tool_use_id is not None and chunk.status in TASK_ENDS:
                self._end(self._agents.pop(chunk.tool_use_id, None))
        elif isinstance(chunk, AskChunk):
            attributes = {"rxccsdk.ask.kind": chunk.kind, "gen_ai.tool.name": chunk.tool_name}
            self._questions[chunk.id] = self._begin("rxccsdk.ask", attributes, self._agent(chunk.agent))
        elif isinstance(chunk, DecisionChunk):
            self._end(self._questions.pop(chunk.ask_id, None), {"rxccsdk.ask.decision": chunk.decision})
        elif isinstance(chunk, NoticeChunk):
            self._turn.add_event(f"rxccsdk.{chunk.kind}", {"rxccsdk.detail": chunk.detail}, self._now)
        elif isinstance(chunk, ResultChunk):
            self._result(chunk)

    def end(self, error: Exception | None) -> None:
        """End every span that is open, the turn's last."""
        open_ones = (self._messages, self._questions, self._tools, self._agents)
        for spans in open_ones:
            for span in spans.values():
                self._end(span)
        for kept in open_ones:
            kept.clear()
        if error is not None and self._turn.is_recording():
            self._turn.record_exception(error)
            self._fail(self._turn, type(error).__name__, str(error))
        self._end(self._turn)

    def _message(self, chunk: MessageChunk) -> None:
        usage = chunk.usage or {}
        if chunk.event == "start":
            attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic"}
            self._end(self._messages.pop(chunk.agent, None))
            span = self._begin(f"chat {chunk.model}", attributes, self._agent(chunk.agent))
            self._set(span, {"gen_ai.response.model": chunk.model, "gen_ai.response.id": chunk.message_id})
            self._messages[chunk.agent] = span
        elif (open_one := self._messages.get(chunk.agent)) is not None:
            tokens = {
                "gen_ai.usage.input_tokens": usage.get("input_tokens"),
                "gen_ai.usage.output_tokens": usage.get("output_tokens"),
                "gen_ai.response.finish_reasons": [chunk.stop_reason] if chunk.stop_reason else None,
            }
            self._set(open_one, tokens)
            if chunk.event == "stop":
                self._end(self._messages.pop(chunk.agent))

    def _tool_begins(self, chunk: ToolUseChunk) -> None:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": chunk.name,
            "gen_ai.tool.call.id": chunk.id,
        }
        span = self._begin(f"execute_tool {chunk.name}", attributes, self._agent(chunk.agent))
        self._tools[chunk.id] = span
        if chunk.name in _AGENT_TOOLS:
            name = str(chunk.input.get("subagent_type") or chunk.name)
            called = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
            self._agents[chunk.id] = self._begin(f"invoke_agent {name}", called, span)

    def _tool_ends(self, chunk: ToolResultChunk) -> None:
        structured = chunk.structured if isinstance(chunk.structured, dict) else {}
        if structured.get("status") != "async_launched":  # an agent in the background goes on
            self._end(self._agents.pop(chunk.tool_use_id, None))
        span = self._tools.pop(chunk.tool_use_id, None)
        if span is not None and chunk.is_error:
            self._fail(span, "tool_error", "")
        self._end(span)

    def _result(self, chunk: ResultChunk) -> None:
        usage = chunk.usage or {}
        figures = {
            "gen_ai.conversation.id": chunk.session_id,
            "gen_ai.usage.input_tokens": usage.get("input_tokens"),
            "gen_ai.usage.output_tokens": usage.get("output_tokens"),
            "rxccsdk.cost_usd": chunk.cost_usd,
            "rxccsdk.num_turns": chunk.num_turns,
            "rxccsdk.turn": chunk.turn,
        }
        self._set(self._turn, figures)
        if chunk.is_error:
            kind = str(chunk.api_error_status or chunk.terminal_reason or chunk.subtype)
            self._fail(self._turn, kind, "; ".join(chunk.errors) or chunk.result or "")

    def _agent(self, agent: str | None) -> Span:
        """Return the span that what an agent does is under."""
        return self._turn if agent is None else self._agents.get(agent, self._turn)

    def _begin(
        self, name: str, attributes: dict[str, Any], parent: Span | None, at: int | None = None
    ) -> Span:
        from opentelemetry import trace

        under: Context | None = trace.set_span_in_context(parent) if parent is not None else None
        start = self._now if at is None else at
        return self._tracer.start_span(name, under, attributes=attributes, start_time=start)

    def _end(self, span: Span | None, attributes: dict[str, Any] | None = None) -> None:
        if span is not None and span.is_recording():
            self._set(span, attributes or {})
            span.end(self._now)

    @staticmethod
    def _set(span: Span, attributes: dict[str, Any]) -> None:
        span.set_attributes({name: value for name, value in attributes.items() if value is not None})

    @staticmethod
    def _fail(span: Span, kind: str, words: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR, words or None))
