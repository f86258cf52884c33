"""The loopback API against the real CLI."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rxccsdk.testing import (
    HttpError,
    LoopbackApi,
    Reply,
    Request,
    bundled_cli,
    clean_environment,
    http_error,
    reply,
)

CLI = bundled_cli()
needs_cli = pytest.mark.skipif(CLI is None, reason="the real CLI is not installed")

Frame = dict[str, Any]


@dataclass
class Run:
    """A completed run of the real CLI."""

    frames: list[Frame]
    code: int

    def of(self, type: str, subtype: str | None = None) -> list[Frame]:
        """Return the frames of a kind."""
        return [f for f in self.frames if f["type"] == type and subtype in (None, f.get("subtype"))]

    @property
    def result(self) -> Frame:
        """The one result."""
        (result,) = self.of("result")
        return result

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """The deltas of all blocks."""
        return [f["event"]["delta"] for f in self.of("stream_event") if "delta" in f["event"]]

    def streamed(self, name: str = "text") -> str:
        """Return the concatenation of the deltas."""
        return "".join(delta.get(name, "") for delta in self.deltas)

    @property
    def whole(self) -> list[dict[str, Any]]:
        """The blocks of all `assistant` frames of the main agent."""
        frames = [f for f in self.of("assistant") if not f["parent_tool_use_id"]]
        return [block for f in frames for block in f["message"]["content"]]


Ask = Callable[..., Run]


def start(api: LoopbackApi, home: Path, *arguments: str, **extra: str) -> subprocess.Popen[bytes]:
    """Start the real CLI in a clean environment."""
    work = home / "work"
    work.mkdir(exist_ok=True)
    command = [str(CLI), "-p", "hello", "--output-format", "stream-json", "--verbose", *arguments]
    return subprocess.Popen(
        command,
        env=clean_environment(api.url, home, **extra),
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Run the real CLI once against an API, until it exits."""
    started: list[subprocess.Popen[bytes]] = []

    def run(api: LoopbackApi, *arguments: str, partial: bool = True, **extra: str) -> Run:
        more = ["--include-partial-messages"] if partial else []
        process = start(api, tmp_path, *more, *arguments, **extra)
        started.append(process)
        output, _ = process.communicate(timeout=30)
        return Run([json.loads(line) for line in output.splitlines()], process.returncode)

    yield run
    for process in started:
        process.kill()
        process.wait()


def api_threads() -> list[threading.Thread]:
    """Return the running threads of all loopback APIs."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("loopback-api")]


@needs_cli
def test_text_and_thinking_reach_the_real_cli(ask: Ask) -> None:
    with LoopbackApi([reply().thinking("Let me see").redacted("ZGF0YQ==").text("Hello, wörld 😀")]) as api:
        run = ask(api)
    assert run.code == 0
    assert run.result["result"] == "Hello, wörld 😀"
    assert run.streamed() == "Hello, wörld 😀"
    assert run.streamed("thinking") == "Let me see"
    assert [block["type"] for block in run.whole] == ["thinking", "redacted_thinking", "text"]
    (request,) = api.requests
    assert request.prompt == "hello"
    assert not request.is_subagent
    assert not request.is_title_or_side_request
    assert "agent" in request.system


@needs_cli
def test_without_partial_messages_only_whole_blocks_come(ask: Ask) -> None:
    with LoopbackApi([reply("one two").text("three")]) as api:
        run = ask(api, partial=False)
    assert run.of("stream_event") == []
    assert [block["text"] for block in run.whole] == ["one two", "three"]


@needs_cli
def test_a_tool_call_really_runs(ask: Ask) -> None:
    call = reply("Counting.").tool("Bash", {"command": "echo sum-$((40+2))"}, id="toolu_sum")
    with LoopbackApi([call, reply("done")]) as api:
        run = ask(api, "--dangerously-skip-permissions")
    assert run.result["result"] == "done"
    assert api.requests[1].tool_results == {"toolu_sum": "sum-42"}
    assert api.requests[1].prompt == "hello"


@needs_cli
def test_requests_of_a_sub_agent_are_recognized(ask: Ask) -> None:
    main = [reply().agent("count the files", background=False), reply("all done")]
    with LoopbackApi(main, agents=[reply("there are three")]) as api:
        run = ask(api)
    assert run.result["result"] == "all done"
    assert [request.is_subagent for request in api.requests] == [False, True, False]
    assert api.requests[1].prompt == "count the files"
    assert "there are three" in json.dumps(list(api.requests[2].tool_results.values()))


@needs_cli
def test_a_background_agent_leads_to_an_injected_turn(ask: Ask) -> None:
    def script(request: Request) -> Reply:
        if request.is_subagent:
            return reply("from the sub-agent")
        if request.is_injected:
            return reply("injected")
        return reply("waiting") if request.tool_results else reply().agent("work", background=True)

    with LoopbackApi(script) as api:
        run = ask(api)
    results = run.of("result")
    assert [result["result"] for result in results] == ["waiting", "injected"]
    assert results[1]["origin"]["kind"] == "task-notification"
    assert sum(request.is_injected for request in api.requests) == 1


@needs_cli
@pytest.mark.parametrize(
    ("broken", "streamed"),
    [(reply("half of a ").cut(), "half of a whole"), (reply().cut(), "whole"), (http_error(529), "whole")],
)
def test_what_fails_once_is_tried_again(ask: Ask, broken: Reply | HttpError, streamed: str) -> None:
    with LoopbackApi([broken, reply("whole")]) as api:
        run = ask(api)
    assert run.result["result"] == "whole"
    assert run.streamed() == streamed
    assert len(run.of("system", "api_retry")) == 1


@needs_cli
def test_a_cut_after_a_whole_block_is_continued(ask: Ask) -> None:
    with LoopbackApi([reply("first ").text("lost").cut(), reply("second")]) as api:
        run = ask(api)
    assert [block["text"] for block in run.whole] == ["first ", "second"]
    abandoned = [f["abandoned_blocks"] for f in run.of("stream_event") if "abandoned_blocks" in f]
    assert abandoned == [{"api_message_id": "msg_0", "from_block_index": 1}]
    assert run.of("system", "api_retry") == []
    assert "cut off mid-stream" in api.requests[1].last_text
    assert api.requests[1].prompt == "hello"


@needs_cli
@pytest.mark.parametrize("broken", [http_error(401), http_error(400), http_error(429), reply("a").cut()])
def test_what_always_fails_is_an_api_error(ask: Ask, broken: Reply | HttpError) -> None:
    with LoopbackApi(lambda _: broken) as api:
        run = ask(api, CLAUDE_CODE_MAX_RETRIES="0")
    assert run.code == 1
    assert run.result["is_error"]
    assert run.result["terminal_reason"] == "api_error"
    assert run.of("assistant")[-1]["is_api_error_message"]


@needs_cli
def test_closing_ends_a_reply_that_hangs(tmp_path: Path) -> None:
    api = LoopbackApi([reply("some words").hang()])
    process = start(api, tmp_path, "--include-partial-messages", CLAUDE_CODE_MAX_RETRIES="0")
    assert process.stdout is not None
    try:
        while b"words" not in process.stdout.readline():
            pass
        api.close()
        frames = [json.loads(line) for line in process.stdout]
        assert process.wait(timeout=20) == 1
    finally:
        api.close()
        process.kill()
        process.wait()
        process.stdout.close()
    assert frames[-1]["is_error"]
    assert api_threads() == []


@needs_cli
def test_a_client_that_is_killed_is_survived(tmp_path: Path, ask: Ask) -> None:
    with LoopbackApi([reply("some words").hang(), reply("still here")]) as api:
        process = start(api, tmp_path, "--include-partial-messages")
        assert process.stdout is not None
        while b"words" not in process.stdout.readline():
            pass
        process.kill()
        process.wait()
        process.stdout.close()
        assert ask(api).result["result"] == "still here"
    assert api_threads() == []


@needs_cli
def test_fifty_thousand_deltas_arrive_whole(ask: Ask) -> None:
    text = "".join(f"{number} " for number in range(20_000))
    with LoopbackApi([reply(text, pieces=50_000)]) as api:
        run = ask(api)
    assert run.streamed() == text
    assert len(run.deltas) > 50_000


@needs_cli
def test_an_exception_of_the_script_surfaces(ask: Ask) -> None:
    def script(_: Request) -> Reply:
        raise KeyError("a mistake in the test")

    runs: list[Run] = []
    api = LoopbackApi(script)
    with pytest.raises(KeyError, match="a mistake"), api:
        runs.append(ask(api))
    assert "a mistake in the test" in runs[0].result["result"]
    assert len(api.errors) == 1


# Without the CLI.


def post(api: LoopbackApi, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    """Call the API directly."""
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def user(*texts: str) -> dict[str, Any]:
    """Return a user message."""
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def test_a_script_that_is_over_says_so() -> None:
    with LoopbackApi([reply("one")]) as api:
        answers = [post(api, "/v1/messages", {"messages": [user("hi")]})[1] for _ in range(2)]
    assert b"one" in answers[0]
    assert b"script is over" in answers[1]


@pytest.mark.parametrize("bad", [None, reply().block({"type": "text", "text": object()})])
def test_an_answer_that_is_none_surfaces(bad: Any) -> None:
    with pytest.raises(TypeError), LoopbackApi(lambda _: bad) as api:
        assert post(api, "/v1/messages", {"messages": []})[0] == 418


def test_other_paths_are_harmless() -> None:
    with LoopbackApi([]) as api:
        assert post(api, "/v1/messages/count_tokens?beta=true", {}) == (200, b'{"input_tokens": 25}')
        assert post(api, "/v1/other", {})[0] == 404
        connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=10)
        for method, status in (("HEAD", 200), ("GET", 404), ("HEAD", 200)):
            connection.request(method, "/anything")
            response = connection.getresponse()
            assert (response.status, len(response.read()) > 0) == (status, method == "GET")
        connection.close()
        assert api.requests == []


def test_errors_carry_status_and_retry_after() -> None:
    with LoopbackApi([http_error(429, retry_after=1.5)]) as api:
        connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=10)
        connection.request("POST", "/v1/messages?beta=true", json.dumps({"messages": []}))
        response = connection.getresponse()
        assert (response.status, response.headers["retry-after"]) == (429, "1.5")
        assert json.loads(response.read())["error"]["type"] == "rate_limit_error"
        connection.close()


def test_side_requests_do_not_use_up_the_script() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    title = {"messages": [user("<session>\nx\n</session>")], "output_config": {"format": {"schema": schema}}}
    summary = {"messages": [user("CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.\n\n- Do NOT")]}
    with LoopbackApi([reply("the answer")], side=[reply("a title"), reply("a summary")]) as api:
        assert b"a title" in post(api, "/v1/messages", title)[1]
        assert b"a summary" in post(api, "/v1/messages", summary)[1]
        assert b"the answer" in post(api, "/v1/messages", {"messages": [user("hi")]})[1]
        assert [request.is_title_or_side_request for request in api.requests] == [True, True, False]


def test_until_is_a_rendezvous() -> None:
    event = threading.Event()
    with LoopbackApi([reply("first ").until(event).text("then")]) as api:
        connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=10)
        connection.request("POST", "/v1/messages", json.dumps({"messages": [], "stream": True}))
        response = connection.getresponse()
        while b"content_block_stop" not in response.readline():
            pass
        event.set()
        assert b"then" in response.read()
        connection.close()


def test_close_ends_pauses_hangs_and_idle_connections_at_once() -> None:
    script = [reply("a").hang(), reply("b").wait(1000).text("c"), reply("d").until(threading.Event())]
    api = LoopbackApi(script)
    connections = [http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=10) for _ in range(4)]
    for connection in connections[:3]:
        connection.request("POST", "/v1/messages", json.dumps({"messages": [], "stream": True}))
        connection.getresponse().readline()
    connections[3].connect()
    api.close()
    api.close()
    assert api_threads() == []
    for connection in connections:
        connection.close()


def test_the_prompt_is_what_the_user_asked_last() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "42"}
    messages = [
        user("<system-reminder>\nx</system-reminder>\n", "the prompt"),
        {"role": "system", "content": "# Environment"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [result]},
        user("<system-reminder>\ny</system-reminder>"),
    ]
    request = Request(
        0, {"messages": messages, "system": [{"type": "text", "text": "be kind"}], "model": "m"}
    )
    assert request.prompt == "the prompt"
    assert request.tool_results == {"t1": "42"}
    assert request.system == "be kind"
    assert request.last_text.startswith("<system-reminder>")
    assert Request(0, {"messages": [{"role": "user", "content": "plain"}]}).prompt == "plain"
    assert Request(0, {}).prompt == ""
