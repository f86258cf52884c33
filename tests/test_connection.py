"""The protocol alone: no process, no clock, no SDK; bytes in, events out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from rxccsdk.chunk_json import from_json, to_json
from rxccsdk.chunks import Chunk, NoticeChunk, ResultChunk, TextChunk, UnknownChunk
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import (
    ControlAnswer,
    Defect,
    Event,
    NewSessionId,
    SdkFrame,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from tests.wire_traces import LOGS, line_of

RESULT = {"type": "result", "subtype": "success", "result": "Hi!", "session_id": "s", "is_error": False}
INIT = {"type": "system", "subtype": "init", "session_id": "s-1", "tools": [], "mcp_servers": []}


def delta(text: str, **fields: Any) -> dict[str, Any]:
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return {"type": "stream_event", "event": event, "session_id": "s", "parent_tool_use_id": None, **fields}


def begun(**fields: Any) -> dict[str, Any]:
    message = {"id": "m", "role": "assistant", "content": [], "model": "x", "usage": {}}
    return {"type": "stream_event", "event": {"type": "message_start", "message": message}, **fields}


def block(index: int, kind: str = "text") -> dict[str, Any]:
    body = {"type": kind, kind: ""}
    return {
        "type": "stream_event",
        "event": {"type": "content_block_start", "index": index, "content_block": body},
    }


def receive(connection: Connection, *frames: Any, now: float = 0.0) -> list[Event]:
    return connection.receive(b"".join(line_of(frame) for frame in frames), now)


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


# -- a turn ---------------------------------------------------------------------------------------------


def test_a_turn_from_its_prompt_to_its_end() -> None:
    connection = Connection(now=100.0)
    written = json.loads(connection.prompt("Hi", now=101.0, id="p-1"))
    assert written["uuid"] == "p-1"
    assert written["message"] == {"role": "user", "content": "Hi"}
    assert connection.turn == 0
    assert not connection.is_ready

    first = receive(connection, INIT, now=101.5)
    assert NewSessionId("s-1") in first
    assert TurnStarted(0) not in first, "init may be of a turn that the CLI began by itself"
    taken_up = {"type": "command_lifecycle", "command_uuid": "p-1", "state": "started"}
    assert TurnStarted(0) in receive(connection, taken_up)
    texts = receive(connection, begun(), block(0), delta("Hi"), now=102.0)
    (text,) = (chunk for chunk in texts if isinstance(chunk, TextChunk))
    assert (text.text, text.turn, text.at) == ("Hi", 0, 1.0)

    last = receive(connection, RESULT, now=103.0)
    assert kinds(last)[-2:] == ["ResultChunk", "TurnEnded"]
    assert last[-1].result is last[-2]  # type: ignore[union-attr]
    assert connection.turn is None


def test_the_prompt_is_one_line_whatever_it_holds() -> None:
    written = Connection().prompt("two\nlines\u2028 \ud83d \x00 and 😀")
    assert written.count(b"\n") == 1
    assert written.endswith(b"\n")
    assert json.loads(written)["message"]["content"] == "two\nlines\u2028 \ud83d \x00 and 😀"


def test_a_second_prompt_waits_for_the_turn_before() -> None:
    connection = Connection()
    connection.prompt("one")
    with pytest.raises(RuntimeError, match="still runs"):
        connection.prompt("two")
    with pytest.raises(RuntimeError, match="still runs"):
        connection.begin("p-2")
    receive(connection, RESULT)
    connection.prompt("two")
    assert connection.turn == 1


def test_what_cannot_be_written_begins_no_turn() -> None:
    connection = Connection()
    with pytest.raises(TypeError):
        connection.prompt([{"type": "text", "text": b"bytes"}])
    assert connection.is_ready


def test_chunks_are_numbered_turn_by_turn() -> None:
    connection = Connection()
    numbers: list[tuple[int | None, int]] = []
    for _ in range(3):
        connection.prompt("go")
        events = receive(connection, INIT, begun(), block(0), delta("a"), delta("b"), RESULT)
        numbers += [(event.turn, event.seq) for event in events if isinstance(event, Chunk)]
    assert {turn for turn, _ in numbers} == {0, 1, 2}
    for turn in range(3):
        of_it = [seq for number, seq in numbers if number == turn]
        assert of_it == list(range(len(of_it)))


def test_an_abandoned_turn_leaves_nothing_to_the_next() -> None:
    connection = Connection()
    connection.prompt("one")
    receive(connection, begun(), block(0), delta("left over"))
    connection.abandon()
    assert connection.turn is None
    connection.prompt("two")
    events = receive(connection, begun(), block(0), delta("new"), RESULT)
    assert "".join(event.text for event in events if isinstance(event, TextChunk)) == "new"


def test_a_notice_of_our_own_is_numbered_after_what_came() -> None:
    connection = Connection(now=10.0)
    connection.prompt("go", now=11.0)
    events = receive(connection, INIT, begun(), block(0), delta("a"), now=12.0)
    last = max(event.seq for event in events if isinstance(event, Chunk))
    why, notice = connection.put(connection.notice("limit", "30 s without a frame"), 42.0)
    assert why == TurnInterrupted()
    assert isinstance(notice, NoticeChunk)
    assert (notice.turn, notice.seq, notice.at) == (0, last + 1, 31.0)


def test_a_notice_between_two_turns_interrupts_neither() -> None:
    connection = Connection()
    assert [type(event) for event in connection.put(connection.notice("interrupt", "late"))] == [NoticeChunk]
    connection.prompt("go")
    receive(connection, INIT, begun(), block(0), delta("a"), RESULT)
    assert [type(event) for event in connection.put(connection.notice("interrupt", "late"))] == [NoticeChunk]


# -- control requests -----------------------------------------------------------------------------------


def answer(request_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "control_response", "response": {"request_id": request_id, **fields}}


def test_a_request_gets_its_answer_once() -> None:
    connection = Connection()
    written = json.loads(connection.control("set_model", model="haiku"))
    request = connection.request_id
    assert written == {
        "type": "control_request",
        "request_id": request,
        "request": {"subtype": "set_model", "model": "haiku"},
    }
    answered = answer(request, subtype="success", response={"model": "haiku"})
    assert receive(connection, answered) == [ControlAnswer(request, {"model": "haiku"})]
    assert receive(connection, answered) == []


def test_a_request_that_is_refused_says_why() -> None:
    connection = Connection()
    connection.interrupt()
    refused = answer(connection.request_id, subtype="error", error="nothing to stop")
    assert receive(connection, refused) == [ControlAnswer(connection.request_id, {}, "nothing to stop")]


def test_answers_come_in_any_order() -> None:
    connection = Connection()
    requests = []
    for subtype in ("a", "b", "c"):
        connection.control(subtype)
        requests.append(connection.request_id)
    events = receive(connection, *(answer(request, subtype="success") for request in reversed(requests)))
    assert [event.request_id for event in events if isinstance(event, ControlAnswer)] == requests[::-1]


def test_requests_that_wait_are_refused_at_the_end() -> None:
    connection = Connection()
    connection.interrupt()
    request = connection.request_id
    (event,) = connection.end()
    assert isinstance(event, ControlAnswer)
    assert event.request_id == request
    assert event.error is not None
    assert connection.end() == []


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "control_request", "request_id": "r", "request": {"subtype": "can_use_tool"}},
        {"type": "control_cancel_request", "request_id": "r"},
        {"type": "transcript_mirror", "lines": []},
        answer("of-the-sdk", subtype="success", response={}),
        answer("of-the-sdk", subtype="error", error="no"),
    ],
)
def test_the_sdks_frames_are_the_sdks(frame: dict[str, Any]) -> None:
    connection = Connection()
    assert receive(connection, frame) == [SdkFrame(frame)]


def test_an_answer_to_nobody_is_dropped() -> None:
    connection = Connection()
    assert receive(connection, answer("rxccsdk-77", subtype="success")) == []


# -- what is no frame -----------------------------------------------------------------------------------

DAMAGED: list[Any] = [
    {"type": [1]},
    {"type": {"a": 1}},
    {"type": None},
    {"type": None, "parent_tool_use_id": [1]},
    {"type": "new", "parent_tool_use_id": {}},
    {},
    {"type": "control_response", "response": 5},
    {"type": "control_response"},
    {"type": "system", "subtype": [1]},
    {"type": "stream_event", "parent_tool_use_id": [1], "event": {"type": "message_stop"}},
    {"type": "stream_event", "event": {"type": "message_start", "message": {"id": [1], "model": {}}}},
    {"type": "system"},
    {"type": "stream_event", "event": 5},
    {"type": "stream_event", "event": {"type": ["content_block_delta"]}},
    {"type": "stream_event", "event": {"type": "content_block_delta", "index": "0", "delta": {}}},
    {"type": "stream_event", "event": {"type": "content_block_delta", "index": 0, "delta": {"type": [1]}}},
    {"type": "stream_event", "event": {"type": "message_start", "message": 5}},
    {"type": "stream_event", "event": {"type": "message_start", "message": {"usage": "x"}}},
    {"type": "stream_event", "event": {"type": "content_block_start", "index": 0, "content_block": []}},
    {"type": "assistant", "message": 5},
    {"type": "assistant", "message": {"content": 5, "usage": "x"}},
    {"type": "assistant", "message": {"content": [5, {"type": [1]}, {"type": "text", "text": 5}]}},
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": 5}]}},
    {"type": "user", "uuid": [1], "message": {"content": {"a": 1}}},
    {"type": "task_updated", "patch": 5},
    {"type": "system", "subtype": "task_updated", "task_id": [1], "patch": 5},
    {"type": "system", "subtype": "background_tasks_changed", "tasks": 5},
]


@pytest.mark.parametrize("frame", DAMAGED, ids=json.dumps)
@pytest.mark.parametrize("in_a_turn", [False, True])
def test_a_damaged_frame_costs_nothing_but_itself(frame: Any, in_a_turn: bool) -> None:
    connection = Connection()
    if in_a_turn:
        connection.prompt("go")
        receive(connection, INIT, begun(), block(0), delta("a"))
    events = receive(connection, frame)
    assert not any(isinstance(event, Defect | TurnEnded) for event in events)
    assert all(from_json(to_json(event)) == event for event in events if isinstance(event, Chunk))
    if not in_a_turn:
        connection.prompt("go")
    events = receive(connection, begun(), block(0), delta("b"), RESULT)
    assert isinstance(events[-1], TurnEnded)
    assert "b" in "".join(event.text for event in events if isinstance(event, TextChunk))


@pytest.mark.parametrize(
    "fields",
    [
        {"usage": "x", "modelUsage": 5},
        {"total_cost_usd": "much", "duration_ms": [1], "num_turns": {}},
        {"subtype": [1]},
        {"model_usage_since_last_result": {"m": 5}},
        {"errors": 5, "is_error": "yes"},
        {"session_id": 5, "uuid": [1], "origin": "me"},
        {"result": {"a": 1}},
        {"permission_denials": 5},
    ],
)
def test_a_damaged_result_ends_its_turn(fields: dict[str, Any]) -> None:
    connection = Connection()
    connection.prompt("go")
    events = receive(connection, INIT, RESULT | fields)
    assert isinstance(events[-1], TurnEnded)
    assert connection.is_ready


def test_lines_that_are_no_frames_are_shown_whole() -> None:
    connection = Connection()
    events = connection.receive(b'oops\n[1]\n"x"\n\n   \n{"type":"result"\n\xff\xfe\n')
    assert [event.frame for event in events if isinstance(event, UnknownChunk)] == [
        {"type": "not_json", "line": line}
        for line in ("oops", "[1]", '"x"', '{"type":"result"', "\ufffd\ufffd")
    ]


def test_the_last_line_needs_no_newline() -> None:
    connection = Connection()
    connection.prompt("go")
    assert connection.receive(line_of(RESULT).rstrip()) == []
    assert kinds(connection.end()) == ["ResultChunk", "TurnEnded"]


# -- one path -------------------------------------------------------------------------------------------


def chunks_of(data: bytes, *, keep_raw: bool) -> list[Any]:
    connection = Connection(keep_raw=keep_raw)
    connection.prompt("go", id="p")
    events = connection.receive(data) + connection.end()
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert not keep_raw or all(chunk.raw for chunk in chunks if not isinstance(chunk, NoticeChunk))
    return [structs.replace(chunk, raw=None) for chunk in chunks]


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_typed_reading_of_a_delta_is_the_general_one(log: Path) -> None:
    """A delta is decoded by its type; with `keep_raw` it is decoded as any other frame."""
    typed, general = (chunks_of(log.read_bytes(), keep_raw=keep) for keep in (False, True))
    assert typed == general


scalars = st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.text(max_size=4)


@given(
    event_type=st.sampled_from(["content_block_delta", "content_block_start", "x"]) | scalars,
    kind=st.sampled_from(["text_delta", "thinking_delta", "input_json_delta", "citations_delta"]) | scalars,
    index=st.integers(-1, 2) | scalars,
    text=st.text(max_size=5) | scalars,
    agent=st.none() | st.text(max_size=3) | scalars,
)
def test_deltas_of_any_shape_read_alike(
    event_type: Any, kind: Any, index: Any, text: Any, agent: Any
) -> None:
    piece = {"type": kind, "text": text, "thinking": text, "partial_json": text}
    frame = {
        "type": "stream_event",
        "event": {"type": event_type, "index": index, "delta": piece},
        "parent_tool_use_id": agent,
    }
    data = b"".join(
        json.dumps(f).encode() + b"\n" for f in (INIT, begun(), block(0), block(1), frame, RESULT)
    )
    typed, general = (chunks_of(data, keep_raw=keep) for keep in (False, True))
    if any(
        isinstance(value, float) and not math.isfinite(value) for value in (index, text, event_type, kind)
    ):
        return  # no JSON: only that nothing breaks
    assert typed == general


def test_notices_of_a_turn_that_ended_by_a_guess() -> None:
    connection = Connection()
    connection.prompt("go")
    spontaneous = {"type": "system", "subtype": "task_notification", "task_id": "t", "status": "completed"}
    events = receive(connection, INIT, spontaneous, begun(), block(0), delta("a"), RESULT)
    assert all(event.kind == "ambiguous" for event in events if isinstance(event, NoticeChunk))
    assert isinstance(events[-1], TurnEnded)
    assert isinstance(events[-2], ResultChunk)
