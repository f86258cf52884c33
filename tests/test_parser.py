"""What the logs do not show: rare frames, broken ones, and figures."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest

from rxccsdk.chunks import (
    Chunk,
    Frame,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk.wire.messages import TurnCounter
from rxccsdk.wire.parser import Parser
from rxccsdk.wire.silent import CARRY_NOTHING, DELTAS_CARRY_NOTHING, EVENTS_CARRY_NOTHING
from tests.wire_strategies import random_trace
from tests.wire_traces import read_trace


def parse(*frames: Frame, parser: Parser | None = None) -> list[Chunk]:
    parser, counter = parser or Parser(), TurnCounter(0)
    chunks: list[Chunk] = []
    for frame in frames:
        chunks += parser.parse(frame, counter, 1.5)
    return chunks


def event(type: str, **fields: Any) -> Frame:
    outer = {"abandoned_blocks": fields.pop("abandoned")} if "abandoned" in fields else {}
    return {"type": "stream_event", "event": {"type": type, **fields}, "parent_tool_use_id": None, **outer}


def start(id: str = "msg") -> Frame:
    return event("message_start", message={"id": id, "model": "claude"})


def block(index: int, type: str = "text", **fields: Any) -> Frame:
    return event("content_block_start", index=index, content_block={"type": type, **fields})


def delta(index: int, type: str = "text_delta", **fields: Any) -> Frame:
    return event("content_block_delta", index=index, delta={"type": type, **fields})


def whole(*content: Any, id: str = "msg", agent: str | None = None, **fields: Any) -> Frame:
    message = {"id": id, "content": list(content)}
    return {"type": "assistant", "message": message, "parent_tool_use_id": agent, **fields}


def text(words: str) -> Frame:
    return {"type": "text", "text": words}


def user(*content: Any, **fields: Any) -> Frame:
    return {"type": "user", "message": {"content": list(content)}, **fields}


def of(kind: type[Chunk], chunks: list[Chunk]) -> list[Any]:
    return [chunk for chunk in chunks if isinstance(chunk, kind)]


def texts(chunks: list[Chunk]) -> list[tuple[int, str]]:
    return [(chunk.block, chunk.text) for chunk in of(TextChunk, chunks)]


# -- whole and streamed -----------------------------------------------------------------------------------


def test_every_chunk_says_where_it_stands() -> None:
    chunks = parse(start(), block(0), delta(0, text="a"), whole(text("sub"), id="m2", agent="A"))
    assert [(c.turn, c.seq, c.at, c.agent, c.message_id) for c in chunks] == [
        (0, 0, 1.5, None, "msg"),
        (0, 1, 1.5, None, "msg"),
        (0, 2, 1.5, "A", "m2"),
    ]
    assert texts(chunks) == [(0, "a"), (1, "sub")]


def test_identical_blocks_and_messages_each_count() -> None:
    twice = parse(whole(text("a")), whole(text("a")), whole(text("a"), id="m2"))
    assert texts(twice) == [(0, "a"), (1, "a"), (2, "a")]
    streamed = [block(0), delta(0, text="a"), whole(text("a")), event("content_block_stop", index=0)]
    again = [block(1), delta(1, text="a"), whole(text("a")), event("content_block_stop", index=1)]
    assert texts(parse(start(), *streamed, *again)) == [(0, "a"), (1, "a")]


def test_a_whole_block_adds_what_its_deltas_lacked() -> None:
    assert texts(parse(start(), block(0), delta(0, text="Hel"), whole(text("Hello")))) == [
        (0, "Hel"),
        (0, "lo"),
    ]


def test_a_whole_block_after_the_messages_end_confirms_it() -> None:
    """Some CLIs write it there."""
    ending = [event("content_block_stop", index=0), event("message_stop"), whole(text("ab"))]
    chunks = parse(start(), block(0), delta(0, text="ab"), *ending, {"type": "result"})
    assert texts(chunks) == [(0, "ab")]
    assert of(RetractedChunk, chunks) == []
    assert [type(chunk) for chunk in chunks[-2:]] == [MessageChunk, ResultChunk]
    assert [chunk.event for chunk in of(MessageChunk, chunks)] == ["start", "stop"]
    before = parse(start(), block(0), delta(0, text="ab"), *ending)
    assert before == chunks[:-1], "that the message stood is told at once"


def test_white_space_waits_for_something_visible() -> None:
    chunks = parse(start(), block(0), delta(0, text="\n"), delta(0, text=" \n"), delta(0, text="a\n"))
    assert texts(chunks) == [(0, "\n \na\n")]
    assert parse(whole(text(" \n\ufeff"))) == []
    assert texts(parse(whole(text("\x85")))) == [(0, "\x85")], "JavaScript's trim leaves it"


def test_a_block_of_white_space_takes_no_number() -> None:
    chunks = parse(start(), block(0), delta(0, text=" "), block(1), delta(1, text="a"))
    assert texts(chunks) == [(0, "a")]


def test_text_that_a_block_starts_with_counts() -> None:
    assert texts(parse(start(), block(0, text="Hel"), delta(0, text="lo"))) == [(0, "Hel"), (0, "lo")]


def test_content_may_be_a_string() -> None:
    spoken: Frame = {"type": "assistant", "message": {"id": "m", "content": "hi"}}
    shown: Frame = {"type": "user", "message": {"content": "a summary"}, "isSynthetic": True}
    chunks = parse(spoken, shown)
    assert texts(chunks) == [(0, "hi")]
    assert [(c.text, c.synthetic) for c in of(UserChunk, chunks)] == [("a summary", True)]


def test_a_call_without_input_has_no_input_chunk() -> None:
    call = {"type": "tool_use", "id": "T", "name": "Now", "input": {}}
    opening = [block(0, "tool_use", id="T", name="Now"), delta(0, "input_json_delta", partial_json="")]
    chunks = parse(start(), *opening, whole(call))
    assert of(ToolInputChunk, chunks) == []
    assert [(c.id, c.name, c.input, c.block) for c in of(ToolUseChunk, chunks)] == [("T", "Now", {}, 0)]


# -- what breaks off --------------------------------------------------------------------------------------


def cut(*frames: Frame, first: int = 0) -> list[Chunk]:
    abandoned = {"api_message_id": "msg", "from_block_index": first}
    stop = event("message_stop", abandoned=abandoned)
    return parse(start(), *frames, stop, {"type": "system", "subtype": "api_retry"})


def test_a_cut_input_is_taken_back_with_its_call() -> None:
    opening = [block(0, "tool_use", id="T", name="Bash"), delta(0, "input_json_delta", partial_json='{"a')]
    (gone,) = of(RetractedChunk, cut(*opening))
    assert (gone.blocks, gone.tool_ids, gone.replaced) == ((0,), ("T",), True)


def test_what_was_never_shown_is_not_taken_back() -> None:
    chunks = cut(block(0, "tool_use", id="T", name="Bash"))
    assert of(RetractedChunk, chunks) == []
    assert [chunk.event for chunk in of(MessageChunk, chunks)] == ["start", "stop"]
    assert of(RetractedChunk, cut(block(0), delta(0, text=" \n"))) == []
    assert of(RetractedChunk, cut()) == []


@pytest.mark.parametrize("again", [start("m2"), whole(text("first try, whole"), id="m2")])
def test_the_next_message_tells_that_a_new_version_follows(again: Frame) -> None:
    abandoned = {"api_message_id": "msg", "from_block_index": 0}
    told = event("message_delta", delta={"stop_reason": "end_turn"})  # it broke off all the same
    stop = event("message_stop", abandoned=abandoned)
    chunks = parse(start(), block(0), delta(0, text="first try"), told, stop, again)
    (gone,) = of(RetractedChunk, chunks)
    assert (gone.blocks, gone.replaced) == ((0,), True)


def test_a_turn_begins_without_the_messages_of_the_last() -> None:
    """Ids may repeat where a CLI or a script gives none."""
    parser = Parser()
    ending = {"type": "result", "is_error": True}
    assert texts(parse(start(), block(0), delta(0, text="ab"), ending, parser=parser)) == [(0, "ab")]
    assert texts(parse(whole(text("abc")), parser=parser)) == [(0, "abc")]


def test_a_message_that_an_old_cli_never_ended_is_taken_back_when_the_next_begins() -> None:
    chunks = parse(start(), block(0), delta(0, text="first try"), start("m2"), block(0), delta(0, text="x"))
    assert [type(chunk) for chunk in chunks[1:4]] == [TextChunk, RetractedChunk, MessageChunk]
    assert of(RetractedChunk, chunks)[0].replaced
    assert texts(chunks) == [(0, "first try"), (1, "x")]


def test_after_a_crash_the_rest_is_kept() -> None:
    parser = Parser()
    chunks = parse(start(), block(0), delta(0, text="half"), parser=parser)
    parser.abandon()
    assert of(RetractedChunk, chunks) == []
    assert of(RetractedChunk, parse(start("m2"), parser=parser)) == []


def test_a_sub_agents_cut_leaves_the_main_agent_alone() -> None:
    theirs = {**delta(0, text="sub"), "parent_tool_use_id": "A"}
    begin = {**start("sub"), "parent_tool_use_id": "A"}
    end = {**event("message_stop"), "parent_tool_use_id": "A"}
    chunks = parse(start(), block(0), delta(0, text="main"), begin, theirs, end, delta(0, text=" goes on"))
    (gone,) = of(RetractedChunk, chunks)
    assert (gone.agent, gone.blocks) == ("A", (1,))
    assert texts(chunks) == [(0, "main"), (1, "sub"), (0, " goes on")]


# -- the rest of the frames -------------------------------------------------------------------------------


def test_a_heartbeat_names_the_tool_it_is_of() -> None:
    """`parent_tool_use_id` is the tool itself here, not a sub-agent."""
    call = {"type": "tool_use", "id": "N", "name": "Bash", "input": {}}
    beat = {"type": "tool_progress", "elapsed_time_seconds": 30}
    chunks = parse(
        {**beat, "tool_use_id": "X-heartbeat-0", "parent_tool_use_id": "X"},
        whole(call, agent="A"),
        {**beat, "tool_use_id": "N-heartbeat-0", "parent_tool_use_id": "N"},
        {**beat, "tool_use_id": "Y", "parent_tool_use_id": None},
    )
    beats = of(ToolProgressChunk, chunks)
    assert [(c.tool_use_id, c.agent, c.elapsed) for c in beats] == [
        ("X", None, 30),
        ("N", "A", 30),
        ("Y", None, 30),
    ]


def test_results_keep_what_the_cli_structured() -> None:
    content = {"type": "tool_result", "tool_use_id": "T", "content": [text("x")], "is_error": True}
    (chunk,) = of(ToolResultChunk, parse(user(content, tool_use_result={"stdout": "x"})))
    assert (chunk.content, chunk.is_error, chunk.structured) == ([text("x")], True, {"stdout": "x"})


@pytest.mark.parametrize("sign", [{"error": "server_error"}, {"is_api_error_message": True}])
def test_an_api_error_is_no_answer(sign: Frame) -> None:
    chunks = parse(whole(text("API Error"), **sign))
    assert [(c.kind, c.detail) for c in of(NoticeChunk, chunks)] == [("api_error", "API Error")]
    assert len(chunks) == 1


def test_the_model_synthetic_is_no_sign_of_an_error() -> None:
    said: Frame = {
        "type": "assistant",
        "message": {"id": "m", "model": "<synthetic>", "content": [text("$1")]},
    }
    assert texts(parse(said)) == [(0, "$1")]


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "rate_limit_event", "info": 1},
        {"type": "brand_new"},
        {},
        {"type": None},
        {"type": "assistant"},
        {"type": "assistant", "message": {"id": "m", "content": [{"type": "brand_new"}]}},
        {"type": "assistant", "message": {"id": "m", "content": [{"type": "text"}]}},
        {"type": "user", "message": {"content": [{"type": "novel", "source": {}}]}},
        {"type": "user", "message": {"content": 7}},
        {"type": "stream_event"},
        {"type": "stream_event", "event": {"type": "brand_new"}},
        {
            "type": "stream_event",
            "event": {"type": "content_block_delta", "index": 0, "delta": {"type": "new"}},
        },
        {"type": "stream_event", "event": {"type": "content_block_delta", "index": [], "delta": {}}},
        {"type": "system", "subtype": "task_started"},
        {"type": "tool_progress", "tool_use_id": "T", "elapsed_time_seconds": "long"},
        {"type": "tool_progress", "tool_use_id": "T", "elapsed_time_seconds": 10**400},
    ],
)
def test_what_is_not_known_is_shown_as_it_is(frame: Frame) -> None:
    (chunk,) = parse(frame)
    assert isinstance(chunk, UnknownChunk)
    assert chunk.frame == frame or chunk.frame in frame["message"]["content"]


def test_system_frames_of_any_kind_are_kept() -> None:
    frame = {"type": "system", "subtype": "brand_new", "x": 1}
    (chunk,) = parse(frame)
    assert isinstance(chunk, SystemChunk)
    assert (chunk.subtype, chunk.data) == ("brand_new", frame)


def test_what_carries_nothing_is_named_with_its_reason() -> None:
    for names in (CARRY_NOTHING, EVENTS_CARRY_NOTHING, DELTAS_CARRY_NOTHING):
        assert all(names.values())
    for name in CARRY_NOTHING:
        assert parse({"type": name}) == []
    for name in EVENTS_CARRY_NOTHING:
        assert parse(event(name, index=0, content_block={"type": "text"})) == []


@pytest.mark.parametrize("seed", range(60))
def test_no_damaged_frame_is_fatal_or_lost(seed: int) -> None:
    """One value anywhere in a frame becomes something else: there is still a chunk, and no exception."""
    random = Random(seed)
    trace = random_trace(random, max_turns=1)
    frames = copy.deepcopy(trace.frames)
    for frame in random.sample(frames, k=min(5, len(frames))):
        damage(frame, random)
    read_trace(frames, trace.prompts)


JUNK: list[Any] = [None, 7, -1, 10**400, 1.5, True, "", "junk", [], ["x"], {}, {"type": "junk"}, [None], [[]]]


def damage(frame: Any, random: Random) -> None:
    place: Any = frame
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = random.choice(list(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or random.random() < 0.3:
            place[key] = random.choice(JUNK)
            return
        place = place[key]


def test_raw_is_kept_only_when_asked_for() -> None:
    frames = [start(), block(0), delta(0, text="a"), whole(text("ab"))]
    assert [chunk.raw for chunk in parse(*frames)] == [None] * 3
    assert [chunk.raw for chunk in parse(*frames, parser=Parser(keep_raw=True))] == [frames[0], *frames[2:]]


def test_thinking_is_not_text() -> None:
    chunks = parse(start(), block(0, "thinking"), delta(0, "thinking_delta", thinking="hm"))
    assert [chunk.text for chunk in of(ThinkingChunk, chunks)] == ["hm"]
    assert texts(chunks) == []


# -- figures ----------------------------------------------------------------------------------------------


def cost_of(parser: Parser, **frame: Any) -> Any:
    (chunk,) = of(ResultChunk, parse({"type": "result", **frame}, parser=parser))
    return chunk.cost_usd


def test_cost_is_the_difference_of_totals() -> None:
    parser = Parser()
    assert cost_of(parser, total_cost_usd=0.25) == 0.25
    assert cost_of(parser, total_cost_usd=0.75) == 0.5
    assert cost_of(parser) is None, "not told"
    assert cost_of(parser, total_cost_usd=0.875) == 0.125
    assert cost_of(parser, total_cost_usd=0.5) is None, "its base is not known"
    assert cost_of(parser, total_cost_usd=0.75) == 0.25


def test_after_resume_the_base_is_unknown() -> None:
    parser = Parser(base_cost=None)
    assert cost_of(parser, total_cost_usd=5.0) is None
    assert cost_of(parser, total_cost_usd=5.5) == 0.5


def test_the_clis_own_share_wins() -> None:
    share = {"model_usage_since_last_result": {"a": {"costUSD": 0.25}, "b": {"costUSD": None}, "c": {}}}
    assert cost_of(Parser(base_cost=None), total_cost_usd=9, **share) == 0.25


def test_clearing_the_conversation_resets_the_total() -> None:
    parser = Parser()
    cost_of(parser, total_cost_usd=0.75)
    assert [type(c) for c in parse({"type": "conversation_reset"}, parser=parser)] == [UnknownChunk]
    assert cost_of(parser, total_cost_usd=0.25) == 0.25


def test_what_the_cli_did_not_say_is_none() -> None:
    (chunk,) = of(ResultChunk, parse({"type": "result", "subtype": "success"}))
    assert chunk.usage is chunk.duration_ms is chunk.num_turns is chunk.total_cost_usd is chunk.result is None
