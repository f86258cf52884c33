"""docs/frames.md says what each frame of the CLI becomes: one frame of each row, and what the CLI writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rxccsdk import Chunk, MessageChunk, RetractedChunk, SessionResponse
from rxccsdk.session.fold import ResponseFold
from rxccsdk.testing import init_frame, reply, result_frame
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.frames import to_line
from rxccsdk.wire.silent import CARRY_NOTHING
from tests.conftest import Real
from tests.wire_traces import LOGS

TABLE = Path(__file__).parents[1] / "docs" / "frames.md"
ROWS = re.findall(r"^\| `(SDK\w+)` \| `([\w/]+)` \| (.+?) \|$", TABLE.read_text(), re.MULTILINE)

_TEXT = {"type": "text", "text": "words"}
_TASK = {"task_id": "t", "tool_use_id": "toolu_1"}
_HOOK = {"hook_id": "h", "hook_name": "PreToolUse:Bash", "hook_event": "PreToolUse"}

_RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "out"}
_BLOCKS = (
    _TEXT,
    {"type": "thinking", "thinking": "thoughts", "signature": "s"},
    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    {"type": "redacted_thinking", "data": "x"},
)
_EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "words"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": "thoughts"}},
    {"type": "content_block_start", "index": 2, "content_block": {**_BLOCKS[2], "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
    {"type": "another"},
)


def _message(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"message": {"id": "m", "role": role, "content": list(blocks)}}


# The fields of frames of each kind that show all that it may become.
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "SDKAssistantMessage": [
        _message("assistant", *_BLOCKS),
        {**_message("assistant", _TEXT), "error": "rate_limit"},
    ],
    "SDKUserMessage": [_message("user", _RESULT, _TEXT, {"type": "image"}, {"type": "document"})],
    "SDKPartialAssistantMessage": [{"event": event} for event in _EVENTS],
    "SDKModelRefusalFallbackMessage": [{"retracted_message_uuids": ["u"]}],
}
FIELDS: dict[str, dict[str, Any]] = {
    "SDKUserMessageReplay": {"message": {"role": "user", "content": "words"}, "isReplay": True, "uuid": "u"},
    "SDKResultMessage": result_frame("words"),
    "SDKSystemMessage": init_frame(),
    "SDKCompactBoundaryMessage": {"compact_metadata": {"trigger": "auto", "pre_tokens": 100_000}},
    "SDKHookStartedMessage": _HOOK,
    "SDKHookProgressMessage": {**_HOOK, "stdout": "a", "stderr": "", "output": "a"},
    "SDKHookResponseMessage": {**_HOOK, "output": "a", "exit_code": 0, "outcome": "success"},
    "SDKToolProgressMessage": {"tool_use_id": "toolu_1", "tool_name": "Bash", "elapsed_time_seconds": 2},
    "SDKTaskNotificationMessage": {**_TASK, "status": "completed", "output_file": "f", "summary": "done"},
    "SDKTaskStartedMessage": {**_TASK, "description": "a task", "task_type": "local_bash"},
    "SDKTaskUpdatedMessage": {"task_id": "t", "patch": {"status": "completed"}},
    "SDKTaskProgressMessage": {**_TASK, "description": "a task", "usage": {}, "last_tool_name": "Read"},
    "SDKRateLimitEvent": {"rate_limit_info": {"status": "allowed", "rateLimitType": "five_hour"}},
}


# What may show that a message broke off.
SETTLING = ("stream_event", "assistant", "user", "result", "system/api_retry")

# What comes before: a message that the frame takes back.
BEFORE = {
    "SDKModelRefusalFallbackMessage": [{"type": "assistant", "uuid": "u", **_message("assistant", _TEXT)}]
}


def frames_of(name: str, kind: str) -> list[dict[str, Any]]:
    of, _, subtype = kind.partition("/")
    given = {"type": of, "session_id": "s", "uuid": "u", **({"subtype": subtype} if subtype else {})}
    return [{**given, **fields} for fields in SAMPLES.get(name, [FIELDS.get(name, {})])]


def read(connection: Connection, *frames: dict[str, Any]) -> list[Chunk]:
    events = connection.receive(b"".join(map(to_line, frames)))
    return [event for event in events if isinstance(event, Chunk)]


def chunks_of(*frames: dict[str, Any]) -> list[Chunk]:
    connection = Connection()
    connection.prompt("go", id="p")
    return read(connection, *frames)


def named(becomes: str) -> set[str]:
    return set(re.findall(r"`(\w+Chunk)`", becomes))


def kinds(chunks: list[Chunk]) -> set[str]:
    return {type(chunk).__name__ for chunk in chunks}


def test_the_table_has_a_row_for_each_kind() -> None:
    assert len(ROWS) == 40
    assert len({name for name, _, _ in ROWS}) == 40


@pytest.mark.parametrize(("name", "kind", "becomes"), ROWS, ids=[name for name, _, _ in ROWS])
def test_a_frame_becomes_what_the_table_says(name: str, kind: str, becomes: str) -> None:
    connection = Connection()
    connection.prompt("go", id="p")
    read(connection, *BEFORE.get(name, []))
    each = [read(connection, frame) for frame in frames_of(name, kind)]
    assert kinds([chunk for chunks in each for chunk in chunks]) == named(becomes)


@pytest.mark.parametrize("kind", SETTLING)
def test_what_shows_that_a_message_broke_off_takes_it_back(kind: str) -> None:
    start, words = ({"type": "stream_event", "event": event} for event in _EVENTS[:2])
    stop = {"type": "stream_event", "event": {"type": "message_stop"}}
    nexts = {
        "stream_event": start,
        "assistant": {"type": "assistant", "message": {"id": "n", "role": "assistant", "content": "more"}},
        "user": {"type": "user", "isSynthetic": True, **_message("user", _TEXT)},
        "result": result_frame("words"),
        "system/api_retry": {"type": "system", "subtype": "api_retry"},
    }
    connection = Connection()
    connection.prompt("go", id="p")
    read(connection, init_frame(), start, words, stop)
    retracted, stopped, *rest = read(connection, nexts[kind])
    assert isinstance(retracted, RetractedChunk)
    assert isinstance(stopped, MessageChunk)
    assert (retracted.blocks, stopped.event) == ((0,), "stop")
    assert rest


def key(frame: dict[str, Any]) -> str:
    kind = str(frame.get("type"))
    return f"{kind}/{frame.get('subtype')}" if kind == "system" else kind


KNOWN = {kind for _, kind, _ in ROWS} | set(CARRY_NOTHING)


def check(frames: list[dict[str, Any]]) -> None:
    """Read what a CLI wrote: each frame is in the table, and becomes what that says."""
    connection = Connection()
    for frame in frames:
        if connection.is_ready:
            connection.prompt("go")
        became, kind = kinds(read(connection, frame)), key(frame)
        assert kind in KNOWN
        said = {chunk for _, of, becomes in ROWS if of == kind for chunk in named(becomes)}
        if kind in SETTLING:
            said |= {"RetractedChunk", "MessageChunk"}
        assert became <= said | {"NoticeChunk"}, frame


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.jsonl")), ids=lambda log: str(log.stem))
def test_what_clis_wrote_is_in_the_table(log: Path) -> None:
    check([json.loads(line) for line in log.read_text().splitlines()])


async def test_what_the_installed_cli_writes_is_in_the_table(real: Real, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    script = [
        reply().thinking("I think.").text("I try. ").tool("Bash", {"command": "echo 1", "description": "x"}),
        reply("I ask one. ").agent("Look."),
        reply("I was told."),
        reply("Again."),
    ]
    settings = tmp_path / "settings.json"
    hook = {"hooks": [{"type": "command", "command": "echo hooked"}]}
    settings.write_text(json.dumps({"hooks": {"PreToolUse": [hook]}}))
    async with real(script, agents=[reply("Seen.")], allowed_tools=["Bash"], record=tape) as session:
        await session.query("go", stream=False)
        await session.query("/compact", stream=False)
        await session.query("/clear", stream=False)
    frames = [json.loads(line).get("in") for line in tape.read_text().splitlines()]
    written = {key(frame) for frame in frames if frame is not None}
    assert {"assistant", "user", "result", "stream_event", "system/init"} < written
    check([frame for frame in frames if frame is not None])


def said(uuid: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    message = {"id": "m-" + uuid, "role": "assistant", "content": list(blocks)}
    return {"type": "assistant", "message": message, "parent_tool_use_id": None, "uuid": uuid}


def test_what_a_refused_model_had_said_does_not_stand() -> None:
    tool = {"type": "tool_use", "id": "toolu_9", "name": "Bash", "input": {}}
    fallback = {
        "type": "system",
        "subtype": "model_refusal_fallback",
        "retracted_message_uuids": ["u-1", "u-2", "unknown"],
        "content": "Another model answers.",
    }
    chunks = chunks_of(
        init_frame(),
        said("u-0", {"type": "text", "text": "Before."}),
        said("u-1", {"type": "text", "text": "Refused."}),
        said("u-2", tool),
        fallback,
        said("u-3", {"type": "text", "text": "After."}),
        result_frame("After."),
    )
    (retracted,) = (chunk for chunk in chunks if isinstance(chunk, RetractedChunk))
    assert (retracted.blocks, retracted.tool_ids, retracted.replaced) == ((1, 2), ("toolu_9",), True)
    assert response(chunks).content == "Before.\n\nAfter."
    assert [use.id for use in response(chunks).tool_uses] == ["toolu_9"]  # it was called
    again = chunks_of(init_frame(), said("u-1", {"type": "text", "text": "x"}), fallback, fallback)
    assert sum(isinstance(chunk, RetractedChunk) for chunk in again) == 1
    odd: Any
    for odd in (None, 5, [5, None], "u-1", {}):
        assert chunks_of(init_frame(), said("u-1", _TEXT), {**fallback, "retracted_message_uuids": odd})


def response(chunks: list[Chunk]) -> SessionResponse:
    fold = ResponseFold()
    for chunk in chunks:
        fold.add(chunk)
    return fold.response()
