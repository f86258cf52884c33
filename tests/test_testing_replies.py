"""Scripted replies and their encoding."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk.testing import Reply, http_error, reply, split_text
from rxccsdk.testing.reply_steps import Break, Pause


def events(answer: Reply) -> list[dict[str, Any]]:
    """Return all events after `message_start`."""
    data = b"".join(item for item in answer.body if isinstance(item, bytes)).decode()
    parsed = []
    for record in data.split("\n\n")[:-1]:
        name, payload = record.split("\n")
        event: dict[str, Any] = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        parsed.append(event)
    return parsed


@given(st.text(), st.one_of(st.none(), st.integers(1, 50)))
def test_pieces_join_to_the_text(text: str, pieces: int | None) -> None:
    split = split_text(text, pieces)
    assert "".join(split) == text
    assert all(split)


def test_pieces_are_nearly_equal() -> None:
    assert sorted({len(piece) for piece in split_text("x" * 2500, 1000)}) == [2, 3]
    assert len(split_text("x" * 2500, 1000)) == 1000


def test_pieces_keep_words_whole() -> None:
    assert split_text("one two\n three") == ("one ", "two\n ", "three")


@pytest.mark.parametrize("pieces", [0, -1, ["a"]])
def test_impossible_pieces_are_refused(pieces: int | list[str]) -> None:
    with pytest.raises(ValueError, match="pieces"):
        split_text("ab", pieces)


def test_a_reply_has_every_kind_of_block_in_order() -> None:
    answer = (
        reply().thinking("hm", "proof").redacted("blob").text("a b").tool("Bash", {"command": "ls"}, id="t1")
    )
    seen = events(answer)
    starts = [event["content_block"]["type"] for event in seen if event["type"] == "content_block_start"]
    assert starts == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert [event["index"] for event in seen if event["type"] == "content_block_stop"] == [0, 1, 2, 3]
    assert [event["type"] for event in seen[-2:]] == ["message_delta", "message_stop"]
    assert seen[-2]["delta"]["stop_reason"] == "tool_use"
    deltas = [event["delta"] for event in seen if event["type"] == "content_block_delta"]
    assert {"type": "signature_delta", "signature": "proof"} in deltas
    partial = "".join(delta.get("partial_json", "") for delta in deltas)
    assert json.loads(partial) == {"command": "ls"}


def test_replies_are_immutable_and_tool_calls_have_ids_of_their_own() -> None:
    start = reply("a")
    ids = {events(start.tool("Bash", {}))[3]["content_block"]["id"] for _ in range(2)}
    assert len(ids) == 2
    assert len(start.steps) == 1


def test_stop_and_usage_can_be_set() -> None:
    answer = reply("a").stop("max_tokens").usage(input_tokens=7, output_tokens=8)
    assert events(answer)[-2]["delta"]["stop_reason"] == "max_tokens"
    assert events(answer)[-2]["usage"] == {"output_tokens": 8}
    assert (
        json.loads(answer.start_event("m", "x").split(b"data: ")[1])["message"]["usage"]["input_tokens"] == 7
    )


@pytest.mark.parametrize(("mid_block", "stops"), [(True, 0), (False, 1)])
def test_a_break_leaves_its_block_open_or_not(mid_block: bool, stops: int) -> None:
    answer = reply("a b").cut(mid_block=mid_block, grace=0.5)
    assert sum(event["type"] == "content_block_stop" for event in events(answer)) == stops
    assert not any(event["type"] == "message_stop" for event in events(answer))
    assert answer.body[-2:] == (Pause(0.5, mid_block=mid_block), Break("cut", mid_block))


def test_nothing_follows_a_break() -> None:
    with pytest.raises(ValueError, match="hang"):
        reply("a").hang().text("b")


def test_a_delay_is_before_each_piece() -> None:
    body = reply("a b c", delay=0.25).body
    assert [item for item in body if isinstance(item, Pause)] == [Pause(0.25, mid_block=True)] * 3


def test_fifty_thousand_deltas_are_few_writes() -> None:
    answer = reply("x" * 50_000, pieces=50_000)
    assert len(answer.body) < 500
    assert len(events(answer)) == 50_000 + 4


def test_a_reply_can_be_given_whole() -> None:
    whole = reply("a b").thinking("hm", "sig").tool("Bash", {"n": 1}, id="t").whole("m", "x")
    assert whole["content"] == [
        {"type": "text", "text": "a b"},
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "tool_use", "id": "t", "name": "Bash", "input": {"n": 1}},
    ]


def test_http_errors_know_the_usual_words() -> None:
    assert json.loads(http_error(401).body)["error"]["type"] == "authentication_error"
    assert "credit" in http_error(400).message
    assert http_error(418, "teapot", "short", 2).retry_after == 2
