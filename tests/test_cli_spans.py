"""The real CLI's own spans, sent to a collector on loopback: they hang under ours."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from rxccsdk.testing import reply
from tests.cli_versions import needs_cli
from tests.conftest import Real

pytestmark = needs_cli("2.1.330", "were not looked at: spans are a beta feature")

Span = dict[str, Any]


class Collector(ThreadingHTTPServer):
    """Takes what an exporter sends as OTLP in JSON."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.taken: list[tuple[str, Any]] = []

    @property
    def variables(self) -> dict[str, str]:
        """What makes the CLI send its spans here."""
        return {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_port}",
        }

    @property
    def spans(self) -> list[Span]:
        """The spans that came so far."""
        return [
            span
            for path, body in self.taken
            if path == "/v1/traces"
            for resource in body["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span["name"] == name]

    def wait_for(self, name: str, seconds: float = 20.0) -> Span:
        """Return the span of this name, once it has come."""
        until = time.monotonic() + seconds
        while not (found := self.named(name)):
            assert time.monotonic() < until, f"no {name}: {[span['name'] for span in self.spans]}"
            time.sleep(0.01)
        return found[0]


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, json.loads(body)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def test_the_clis_own_spans_hang_under_the_one_its_session_was_opened_in(
    real: Real, collector: Collector
) -> None:
    script = [reply("look").tool("Bash", {"command": "echo hi", "description": "x"}), reply("done")]
    session = real(script, env=collector.variables, allowed_tools=["Bash"])
    with TracerProvider().get_tracer("tests").start_as_current_span("request") as ours:
        async with session:
            assert (await session.query("go")).success
    whole = collector.wait_for("claude_code.interaction")
    context = ours.get_span_context()
    assert whole["parentSpanId"] == f"{context.span_id:016x}"
    assert {span["traceId"] for span in collector.spans} == {f"{context.trace_id:032x}"}
    calls, (tool,) = collector.named("claude_code.llm_request"), collector.named("claude_code.tool")
    assert len(calls) == 2
    assert {span["parentSpanId"] for span in (*calls, tool)} == {whole["spanId"]}


async def test_without_a_span_of_ours_the_clis_traces_are_its_own(real: Real, collector: Collector) -> None:
    async with real([reply("hi")], env=collector.variables) as session:
        assert (await session.query("go")).success
    assert not collector.wait_for("claude_code.interaction").get("parentSpanId")
