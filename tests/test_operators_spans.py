"""`spans()`: what becomes a span, under what, with which words and figures."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given, settings
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer
from reactivex import Subject
from reactivex import operators as ops

from rxccsdk import (
    AskChunk,
    Chunk,
    DecisionChunk,
    MessageChunk,
    ResultChunk,
    SessionCrashedError,
    TaskChunk,
    TextChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing import reply
from rxccsdk.testing import strategies as chunk_strategies
from tests.conftest import Real


class Traced:
    """A tracer, and the spans that ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Tracer = provider.get_tracer("tests")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def parent(self, name: str) -> str | None:
        parent = self.named(name).parent
        return next((s.name for s in self.spans if parent and s.context.span_id == parent.span_id), None)


@pytest.fixture
def traced() -> Traced:
    return Traced()


RESULT = ResultChunk(
    "success",
    False,
    usage={"input_tokens": 7, "output_tokens": 9},
    cost_usd=0.5,
    session_id="s",
    turn=0,
    at=9.0,
)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_turn_its_messages_and_its_tools_are_spans_under_each_other(traced: Traced) -> None:
    rx_turn = [
        MessageChunk("start", "haiku", at=0.5, message_id="m"),
        TextChunk("Hi", at=0.6),
        ToolUseChunk("t", "Bash", {"command": "ls"}, at=1.0),
        MessageChunk("delta", None, "tool_use", {"output_tokens": 5}, at=1.5),
        MessageChunk("stop", at=2.0),
        ToolResultChunk("t", "boom", True, at=4.0),
        RESULT,
    ]
    with traced.tracer.start_as_current_span("request"):
        got = reactivex.from_list(rx_turn).pipe(cc.spans(traced.tracer), ops.to_list()).run()
    assert got == rx_turn
    assert traced.parent("invoke_agent claude-code") == "request"
    assert traced.parent("chat haiku") == traced.parent("execute_tool Bash") == "invoke_agent claude-code"
    chat, tool = traced.named("chat haiku"), traced.named("execute_tool Bash")
    assert attributes(chat)["gen_ai.usage.output_tokens"] == 5
    assert attributes(chat)["gen_ai.response.finish_reasons"] == ("tool_use",)
    assert attributes(tool)["gen_ai.tool.call.id"] == "t"
    assert tool.status.status_code is StatusCode.ERROR
    assert (tool.end_time or 0) - (tool.start_time or 0) == pytest.approx(3e9, rel=1e-3)
    turn = attributes(traced.named("invoke_agent claude-code"))
    assert (turn["gen_ai.usage.input_tokens"], turn["rxccsdk.cost_usd"]) == (7, 0.5)
    assert turn["gen_ai.conversation.id"] == "s"


def test_a_sub_agent_is_a_span_under_its_call_and_its_tools_are_under_it(traced: Traced) -> None:
    reactivex.of(
        ToolUseChunk("a", "Agent", {"subagent_type": "Explore"}, at=1.0),
        ToolUseChunk("t", "Grep", {}, agent="a", at=2.0),
        ToolResultChunk("t", "", agent="a", at=3.0),
        ToolResultChunk("a", "found", at=4.0),
        RESULT,
    ).pipe(cc.spans(traced.tracer)).run()
    assert traced.parent("execute_tool Grep") == "invoke_agent Explore"
    assert traced.parent("invoke_agent Explore") == "execute_tool Agent"


def test_a_background_agent_ends_with_its_task(traced: Traced) -> None:
    source: Subject[Chunk] = Subject()
    source.pipe(cc.spans(traced.tracer)).subscribe()
    source.on_next(ToolUseChunk("a", "Agent", {"subagent_type": "Explore"}))
    source.on_next(ToolResultChunk("a", "launched", False, {"status": "async_launched"}))
    source.on_next(TaskChunk("x", "a", "progress"))
    assert [span.name for span in traced.spans] == ["execute_tool Agent"]
    source.on_next(TaskChunk("x", "a", "completed"))
    assert [span.name for span in traced.spans] == ["execute_tool Agent", "invoke_agent Explore"]


def test_a_question_is_a_span_until_its_decision(traced: Traced) -> None:
    reactivex.of(
        AskChunk("q", "permission", "Bash", "t", {}, at=1.0),
        DecisionChunk("q", "deny", "no", at=61.0),
        RESULT,
    ).pipe(cc.spans(traced.tracer)).run()
    ask = traced.named("rxccsdk.ask")
    assert attributes(ask)["rxccsdk.ask.decision"] == "deny"
    assert (ask.end_time or 0) - (ask.start_time or 0) == pytest.approx(60e9, rel=1e-3)


def test_a_turn_that_ends_badly_has_an_error_status(traced: Traced) -> None:
    reactivex.of(ResultChunk("success", True, api_error_status=529, errors=("busy",))).pipe(
        cc.spans(traced.tracer)
    ).run()
    turn = traced.named("invoke_agent claude-code")
    assert (turn.status.status_code, turn.status.description) == (StatusCode.ERROR, "busy")
    assert attributes(turn)["error.type"] == "529"


def test_a_crash_and_leaving_end_every_span(traced: Traced) -> None:
    for crashes in (True, False):
        source: Subject[Chunk] = Subject()
        subscription = source.pipe(cc.spans(traced.tracer)).subscribe(on_error=lambda _: None)
        source.on_next(MessageChunk("start", "haiku"))
        source.on_next(ToolUseChunk("t", "Bash", {}))
        if crashes:
            source.on_error(SessionCrashedError("gone"))
        subscription.dispose()
    assert len(traced.spans) == 6
    crashed = [span for span in traced.spans if span.status.status_code is StatusCode.ERROR]
    assert [attributes(span)["error.type"] for span in crashed] == ["SessionCrashedError"]


def test_a_tracer_that_raises_costs_nobody_the_stream() -> None:
    class Broken(Traced):
        def start_span(self, name: str, *args: Any, **keywords: Any) -> Any:
            if name != "invoke_agent claude-code":
                raise RuntimeError("no room")
            return self.tracer.start_span(name, *args, **keywords)

    chunks = [MessageChunk("start", "haiku"), TextChunk("Hi"), RESULT]
    tracer: Any = Broken()
    assert reactivex.from_list(chunks).pipe(cc.spans(tracer), cc.to_response()).run().content == "Hi"


@given(chunk_strategies.turns())
@settings(max_examples=50, deadline=None)
def test_every_span_of_any_turn_ends_once_inside_its_turn(turn: Any) -> None:
    traced, chunks = Traced(), list(getattr(turn, "chunks", turn))
    reactivex.from_list(chunks).pipe(cc.spans(traced.tracer), ops.to_list()).run()
    ids = [span.context.span_id for span in traced.spans]
    assert len(ids) == len(set(ids))
    whole = traced.named("invoke_agent claude-code")
    assert traced.spans[-1] is whole
    for span in traced.spans:
        assert whole.start_time <= span.start_time <= span.end_time <= whole.end_time  # type: ignore[operator]
        assert span is whole or span.parent is not None


async def test_with_the_real_cli_each_message_and_tool_has_its_span(real: Real, traced: Traced) -> None:
    script = [reply("look").tool("Bash", {"command": "echo hi", "description": "x"}), reply("done")]
    async with real(script, allowed_tools=["Bash"]) as session:
        with traced.tracer.start_as_current_span("request"):
            response = await session.stream("go").pipe(cc.spans(traced.tracer), cc.to_response())
    assert response.success
    names = [span.name for span in traced.spans]
    assert names.count("execute_tool Bash") == 1
    assert sum(name.startswith("chat ") for name in names) == 2
    assert traced.parent("invoke_agent claude-code") == "request"
    assert (
        attributes(traced.named("invoke_agent claude-code"))["gen_ai.conversation.id"] == session.session_id
    )
