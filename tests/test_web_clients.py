"""Front ends that exist read a turn: the AI SDK and AG-UI's client, run by Node, with the real CLI."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ag_ui.core import EventType
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxccsdk import Allow, Deny, Turn, cassettes
from rxccsdk import operators as cc
from rxccsdk.session.session import ClaudeSession
from rxccsdk.testing import reply
from rxccsdk.web import ag_ui, ui_messages
from rxccsdk.web.ag_ui import _AgUi
from rxccsdk.web.translating import translated
from rxccsdk.web.ui_messages import _UiMessages
from tests.conftest import Real
from tests.web_server import serving

TOUCH = {"command": "touch made", "description": "make a file"}

AI_SDK = """
import { parseJsonEventStream, readUIMessageStream, uiMessageChunkSchema } from "ai";
const answer = await fetch(process.argv[2]);
const types = [], errors = [];
let last = null, states = 0;
const stream = parseJsonEventStream({ stream: answer.body, schema: uiMessageChunkSchema }).pipeThrough(
  new TransformStream({ transform(part, controller) {
    if (!part.success) throw part.error;
    types.push(part.value.type);
    controller.enqueue(part.value);
  } }));
const onError = (error) => errors.push(String(error.message));
for await (const message of readUIMessageStream({ stream, onError })) {
  last = message;
  states += 1;
}
const header = answer.headers.get("x-vercel-ai-ui-message-stream");
console.log(JSON.stringify({ header, types, errors, states, message: last }));
"""

AG_UI = """
import { HttpAgent } from "@ag-ui/client";
const types = [], custom = [];
let error = null;
const agent = new HttpAgent({ url: process.argv[2], threadId: "my-thread" });
agent.addMessage({ id: "1", role: "user", content: "go" });
await agent.runAgent({ runId: "my-run" }, {
  onEvent({ event }) { types.push(event.type); },
  onCustomEvent({ event }) { custom.push(event.name); },
  onRunErrorEvent({ event }) { error = event.message; },
}).catch((raised) => { error ??= String(raised); });
console.log(JSON.stringify({ types, custom, error, messages: agent.messages }));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Any]:
    """Run a program with the npm packages; skip where they cannot be installed."""
    npm, program = shutil.which("npm"), shutil.which("node")
    if npm is None or program is None:
        pytest.skip("Node and npm are not installed")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"]
    try:
        subprocess.run(
            [*command, "ai@6", "@ag-ui/client@1"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=60,
        )
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm cannot install the clients: {error}")

    def run(code: str, address: str) -> Any:
        (folder / "client.js").write_text(code)
        done = subprocess.run(
            [program, "client.js", address],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


async def read(turn: Turn, respond: Callable[..., Response], node: Any, code: str) -> Any:
    """What a client has after it has read a turn."""

    async def answer(request: Request) -> Response:
        if request.method == "POST":
            given = await request.json()
            return respond(turn, thread_id=given["threadId"], run_id=given["runId"])
        return respond(turn)

    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    async with serving(app) as address:
        return await asyncio.to_thread(node, code, f"{address}/")


SCRIPT = [
    reply()
    .thinking("Hm, what now.")
    .text("I **try**. ", pieces=3)
    .tool("Bash", TOUCH, id="toolu_1", pieces=4),
    reply("And Ω again. ").tool("Bash", {"command": "exit 3", "description": "fail"}, id="toolu_2"),
    reply("Done."),
]


def answer_both(turn: Turn) -> None:
    """Allow the first call, and deny the second."""
    answers: Iterator[Allow | Deny] = iter([Allow(), Deny("no more")])
    turn.pipe(cc.answer_asks(lambda ask: next(answers))).subscribe()


async def test_the_ai_sdk_reads_a_turn(real: Real, node: Any) -> None:
    async with real(SCRIPT, ask="stream") as session:
        turn = session.stream("go", linger=30)
        answer_both(turn)
        found = await read(turn, ui_messages, node, AI_SDK)
    assert found["header"] == "v1"
    assert not found["errors"]
    message = found["message"]
    assert message["id"] == turn.uuid
    parts = [part for part in message["parts"] if part["type"] in ("text", "reasoning", "dynamic-tool")]
    assert [(part["type"], part["state"]) for part in parts] == [
        ("reasoning", "done"),
        ("text", "done"),
        ("dynamic-tool", "output-available"),
        ("text", "done"),
        ("dynamic-tool", "output-error"),
        ("text", "done"),
    ]
    assert [part["text"] for part in parts if part["type"] == "text"] == [
        "I **try**. ",
        "And Ω again. ",
        "Done.",
    ]
    assert "\n\n".join(part["text"] for part in parts if part["type"] == "text") == turn.response.content
    assert (parts[2]["toolName"], parts[2]["input"]) == ("Bash", TOUCH)
    assert "no more" in parts[4]["errorText"]
    asks = [part for part in message["parts"] if part["type"] == "data-ask"]
    assert [part["data"]["decision"] for part in asks] == ["allow", "deny"]
    assert message["metadata"]["sessionId"] == session.session_id
    assert found["states"] > 5  # it could be shown while it was written


async def test_the_ai_sdk_is_told_what_does_not_stand(real: Real, node: Any) -> None:
    script = [reply("Half of it").cut(), reply("All of it.")]
    async with real(script) as session:
        turn = session.stream("go", linger=30)
        found = await read(turn, ui_messages, node, AI_SDK)
    parts = found["message"]["parts"]
    (retracted,) = [part for part in parts if part["type"] == "data-retracted"]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    assert len(retracted["data"]["parts"]) == 1
    assert retracted["data"]["replaced"]
    assert texts[-1] == turn.response.content == "All of it."


async def test_agui_reads_a_turn(real: Real, node: Any) -> None:
    async with real(SCRIPT, ask="stream") as session:
        turn = session.stream("go", linger=30)
        answer_both(turn)
        found = await read(turn, ag_ui, node, AG_UI)
    assert found["error"] is None
    assert (found["types"][0], found["types"][-1]) == ("RUN_STARTED", "RUN_FINISHED")
    messages = found["messages"][1:]
    texts = [
        message["content"]
        for message in messages
        if message["role"] == "assistant" and message.get("content")
    ]
    assert texts == ["I **try**. ", "And Ω again. ", "Done."]
    calls = [call for message in messages for call in message.get("toolCalls", [])]
    assert [call["id"] for call in calls] == ["toolu_1", "toolu_2"]
    assert json.loads(calls[0]["function"]["arguments"]) == TOUCH
    results = {m["toolCallId"]: m["content"] for m in messages if m["role"] == "tool"}
    assert "no more" in results["toolu_2"]
    assert found["custom"].count("ask") == found["custom"].count("decision") == 2


async def test_both_say_that_a_turn_was_interrupted(real: Real, node: Any) -> None:
    async with real([reply().text("On and on.").tool("Bash", TOUCH, pieces=5).hang()]) as session:
        turn = session.stream("go", linger=30)

        async def stop() -> None:
            async for _ in turn.pipe(cc.text(), cc.to_async_iterator()):
                await turn.interrupt()

        stopping = asyncio.create_task(stop())
        shown = await read(turn, ui_messages, node, AI_SDK)
        await stopping
        run = await read(turn, ag_ui, node, AG_UI)
    assert shown["types"][-1] == "abort"
    assert run["types"][-1] == "RUN_ERROR"
    assert run["error"] == turn.response.error


async def test_a_recorded_agent_has_its_text_and_every_block_ends() -> None:
    async with ClaudeSession.replay(cassettes.AGENT, speed=float("inf")) as session:
        turn = session.stream("again", linger=30)
        parts = [
            json.loads(line[6:])
            async for piece in translated(_UiMessages(turn))
            for line in piece.decode().splitlines()
            if line.startswith("data: {")
        ]
        events = [
            json.loads(line[6:])
            async for piece in translated(_AgUi(turn, None, None))
            for line in piece.decode().splitlines()
            if line.startswith("data: {")
        ]
    texts = "".join(
        "\n\n" if p["type"] == "text-start" else p.get("delta", "") for p in parts if "text" in p["type"]
    )
    assert texts.removeprefix("\n\n") == turn.response.content
    for kind in ("text", "reasoning"):
        ends = [part["type"] for part in parts if part["type"] in (f"{kind}-start", f"{kind}-end")]
        assert ends == [f"{kind}-start", f"{kind}-end"] * (len(ends) // 2)
    said = [event["delta"] for event in events if event["type"] == EventType.TEXT_MESSAGE_CONTENT]
    assert said == [part["delta"] for part in parts if part["type"] == "text-delta"]
