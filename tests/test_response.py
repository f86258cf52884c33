"""What a turn came to: text, figures, tools, errors, warnings; and that it costs no more than it should."""

from __future__ import annotations

import copy
import json
import pickle
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from reactivex import operators as ops

from rxccsdk import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResponseMetadata,
    ResultChunk,
    RetractedChunk,
    SessionCrashedError,
    SessionResponse,
    SystemChunk,
    TextChunk,
    ToolResultChunk,
    ToolUse,
    ToolUseChunk,
)
from rxccsdk import operators as cc
from rxccsdk.session.fold import ResponseFold
from rxccsdk.testing.strategies import turns
from tests.operator_laws import gathered, result, said, within_subscribe


def response(*chunks: Chunk, **ended: Any) -> SessionResponse:
    fold = ResponseFold()
    for chunk in chunks:
        fold.add(chunk)
    return fold.response(**ended)


# -- metadata -----------------------------------------------------------------------------------------


def test_metadata_reads_three_ways() -> None:
    metadata = response(result(total_cost_usd=0.5, num_turns=2, session_id="s")).metadata
    assert metadata.total_cost_usd == metadata["total_cost_usd"] == metadata.get("total_cost_usd") == 0.5
    assert metadata["num_turns"] == 2
    assert metadata["session_id"] == "s"
    for name in ("no_such_figure", "model_fields", "get"):
        with pytest.raises(KeyError, match=name):
            metadata[name]
        assert metadata.get(name) is None
        assert metadata.get(name, 3) == 3
        if name == "no_such_figure":
            with pytest.raises(AttributeError):
                getattr(metadata, name)


def test_what_the_cli_did_not_say_is_none_never_zero() -> None:
    for metadata in (response().metadata, response(result()).metadata, ResponseMetadata()):
        for name in (
            "total_cost_usd",
            "cost_usd",
            "duration_ms",
            "num_turns",
            "usage",
            "model",
            "session_id",
        ):
            assert metadata[name] is None
            assert metadata.get(name, "unknown") == "unknown"
        assert metadata.permission_denials == []


def test_a_cost_of_zero_is_said() -> None:
    metadata = response(result(total_cost_usd=0.0, cost_usd=0.0)).metadata
    assert metadata.total_cost_usd == 0.0
    assert metadata.get("cost_usd", "unknown") == 0.0


def test_the_result_s_usage_comes_first() -> None:
    streamed = MessageChunk("delta", usage={"output_tokens": 7}, message_id="m")
    assert response(streamed, result(usage={"output_tokens": 20})).metadata.usage == {"output_tokens": 20}


def test_usage_is_per_message_and_the_last_word_counts() -> None:
    chunks = [
        MessageChunk("start", "model", None, {"input_tokens": 10, "output_tokens": 1}, message_id="m"),
        MessageChunk("delta", None, None, {"output_tokens": 5}, message_id="m"),
        MessageChunk("delta", None, "end_turn", {"output_tokens": 50}, message_id="m"),
        MessageChunk("start", "model", None, {"input_tokens": 20, "output_tokens": 1}, message_id="n"),
        MessageChunk("start", "other", None, {"input_tokens": 900}, message_id="s", agent="a"),
        MessageChunk("delta", None, None, {"output_tokens": 900}, message_id="s", agent="a"),
    ]
    assert response(*chunks).metadata.usage == {"input_tokens": 30, "output_tokens": 51}
    assert response(*chunks).metadata.model == "model"
    # After an interrupt in text the result counts nothing; the messages know better.
    aborted = result(
        subtype="error_during_execution",
        is_error=True,
        terminal_reason="aborted_streaming",
        usage={"input_tokens": 0, "output_tokens": 0},
    )
    assert response(*chunks, aborted).metadata.usage == {"input_tokens": 30, "output_tokens": 51}
    assert response(aborted).metadata.usage == {"input_tokens": 0, "output_tokens": 0}


def test_the_session_and_model_are_known_from_the_start() -> None:
    init = SystemChunk("init", {"session_id": "s", "model": "of init"})
    assert response(init).metadata.session_id == "s"
    assert response(init).metadata.model == "of init"
    told = MessageChunk("start", "of the message", message_id="m")
    assert response(init, told).metadata.model == "of the message"
    assert response(init, result(session_id="t")).metadata.session_id == "t"


# -- tools --------------------------------------------------------------------------------------------


def test_tools_and_how_long_they_took() -> None:
    chunks: list[Chunk] = [
        ToolUseChunk("t1", "Bash", {"command": "ls"}, 0, at=1.0),
        ToolUseChunk("t2", "Read", {}, 1, at=1.5, agent="t1"),
        ToolUseChunk("t3", "Write", {}, 2, at=2.0),
        ToolResultChunk("t2", [{"type": "text", "text": "x"}], at=3.5, agent="t1"),
        ToolResultChunk("t1", "failed", True, at=4.0),
        ToolResultChunk("unheard of", "?", at=5.0),
    ]
    tools = response(*chunks).tool_uses
    assert tools == [
        ToolUse(
            id="t1",
            name="Bash",
            input={"command": "ls"},
            result="failed",
            is_error=True,
            finished=True,
            seconds=3.0,
        ),
        ToolUse(
            id="t2",
            name="Read",
            input={},
            agent="t1",
            result=[{"type": "text", "text": "x"}],
            finished=True,
            seconds=2.0,
        ),
        ToolUse(id="t3", name="Write", input={}),
    ]
    assert not tools[2].finished
    assert tools[2].seconds is None


def test_a_snapshot_keeps_what_it_saw() -> None:
    fold = ResponseFold()
    fold.add(said("one"))
    fold.add(ToolUseChunk("t", "Bash", {}, 1))
    early = fold.response()
    fold.add(ToolResultChunk("t", "x"))
    fold.add(said(" two", 2, "n"))
    fold.add(RetractedChunk((0,)))
    late = fold.response()
    assert not early.tool_uses[0].finished
    assert late.tool_uses[0].finished
    assert early.content == "one"
    assert late.content == " two"


# -- how it ended -------------------------------------------------------------------------------------

ENDINGS: dict[str, tuple[list[Chunk], str | None, str | None]] = {
    "success": ([result("fine")], None, None),
    "not yet": ([], None, None),
    "interrupted in text": (
        [result(subtype="error_during_execution", is_error=True, terminal_reason="aborted_streaming")],
        "interrupted",
        "interrupted",
    ),
    "interrupted in a tool": (
        [result(subtype="error_during_execution", is_error=True, terminal_reason="aborted_tools")],
        "interrupted",
        "interrupted",
    ),
    "max_turns": (
        [result(subtype="error_max_turns", is_error=True, errors=("Reached maximum number of turns (1)",))],
        "max_turns",
        "Reached maximum number of turns (1)",
    ),
    "budget": (
        [result(subtype="error_max_budget_usd", is_error=True, errors=("a", "b"))],
        "budget",
        "a; b",
    ),
    "limit of ours": (
        [NoticeChunk("limit", "too many tokens"), result(is_error=True, terminal_reason="aborted_streaming")],
        "output_tokens",
        "too many tokens",
    ),
    "api": (
        [NoticeChunk("api_error", "Invalid API key"), result("Invalid API key", is_error=True)],
        "server",
        "Invalid API key",
    ),
    "api, with other words": (
        [NoticeChunk("api_error", "529"), result(subtype="error_during_execution", is_error=True)],
        "server",
        "529",
    ),
    "connection": (
        [NoticeChunk("api_error", "API Error: Connection lost"), result("x", is_error=True)],
        "connection",
        "x",
    ),
    "structure": (
        [result(subtype="error_max_structured_output_retries", is_error=True)],
        "structure",
        "structured_output",
    ),
    "api, recovered": ([NoticeChunk("api_error", "cut"), result("fine")], None, None),
    "execution": (
        [result(subtype="error_during_execution", is_error=True)],
        "execution",
        "error_during_execution",
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_how_it_ended(name: str) -> None:
    chunks, kind, words = ENDINGS[name]
    answer = response(said("partial"), *chunks)
    assert answer.error_kind == kind
    assert answer.success == (kind is None)
    assert answer.content == "partial"
    if words is None:
        assert answer.error is None
    else:
        assert answer.error is not None
        assert words in answer.error


def test_a_turn_that_ended_without_a_result() -> None:
    answer = response(said("partial"), ended=("crashed", "The CLI died."))
    assert (answer.error_kind, answer.error, answer.success) == ("crashed", "The CLI died.", False)
    assert answer.content == "partial"
    finished = response(result("fine"), ended=("crashed", "The CLI died."))
    assert finished.success, "its result had arrived"


def test_an_interrupted_turn_without_a_result_behind_a_stock_operator() -> None:
    """There the turn itself cannot be asked; what it said in passing must do."""
    chunks: list[Chunk] = [said("partial"), NoticeChunk("interrupt", "turn.interrupt() was called")]
    source = within_subscribe(chunks).pipe(ops.map(lambda chunk: chunk))
    (answer,) = gathered(source.pipe(cc.to_response()))
    assert (answer.error_kind, answer.error) == ("interrupted", "turn.interrupt() was called")
    *running, last = gathered(source.pipe(cc.scan_response(0)))
    assert [snapshot.error for snapshot in running] == [None, None], "it may still end well"
    assert last == answer
    (ended,) = gathered(within_subscribe([*chunks, result("fine")]).pipe(cc.to_response()))
    assert ended.success


def test_denied_tools_are_warnings() -> None:
    denials: tuple[dict[str, Any], ...] = ({"tool_name": "Bash", "tool_use_id": "t"}, {})
    answer = response(result(permission_denials=denials))
    assert "'Bash'" in answer.warnings[0]
    assert "allowed_tools" in answer.warnings[0]
    assert len(answer.warnings) == 2
    assert answer.success
    assert answer.metadata.permission_denials == list(denials)


def test_an_error_carries_the_response_so_far() -> None:
    for operator in (cc.to_response(), cc.scan_response(0)):
        error = SessionCrashedError("died")
        with pytest.raises(SessionCrashedError):
            gathered(within_subscribe([said("so far")], error).pipe(operator))
        assert error.partial is not None
        assert error.partial.content == "so far"
        assert error.partial.error_kind == "crashed"
    known = SessionCrashedError("died", partial=SessionResponse(content="known"))
    with pytest.raises(SessionCrashedError):
        gathered(within_subscribe([said("so far")], known).pipe(cc.to_response()))
    assert known.partial is not None
    assert known.partial.content == "known"
    with pytest.raises(ValueError, match="no"):
        gathered(within_subscribe([said("x")], ValueError("no")).pipe(cc.to_response()))


# -- as a model ---------------------------------------------------------------------------------------


@given(chunks=turns())
def test_reading_back_what_was_written(chunks: list[Chunk]) -> None:
    answer = response(*chunks)
    again = SessionResponse.model_validate_json(answer.model_dump_json())
    assert again == answer
    assert again.content == answer.content
    assert SessionResponse.model_validate(answer.model_dump()) == answer
    assert SessionResponse.model_validate(json.loads(answer.model_dump_json())) == answer
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert copy.deepcopy(answer) == answer == answer.model_copy()


def test_a_response_of_one_s_own() -> None:
    assert SessionResponse(content="x").content == "x"
    assert SessionResponse().content == ""
    assert SessionResponse(content="x") != SessionResponse(content="y")
    assert SessionResponse(content="x") != "x"
    written = SessionResponse(content="x", error="bad").model_dump()
    assert written["content"] == "x"
    assert written["success"] is False
    assert "content" in SessionResponse.model_json_schema(mode="serialization")["properties"]


def test_content_is_joined_when_it_is_read_and_once() -> None:
    answer = response(said("a"), said("b"))
    assert "content" not in answer.__dict__
    assert answer.content is answer.content
    assert "content" in answer.__dict__


# -- what it costs ------------------------------------------------------------------------------------


class CountedList(list[Any]):
    """Counts the items that are copied out of it or iterated."""

    touched = 0

    def __iter__(self) -> Any:
        CountedList.touched += len(self)
        return super().__iter__()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            CountedList.touched += len(range(*key.indices(len(self))))
        return super().__getitem__(key)


def touched(pieces: int, every: int) -> int:
    """How many pieces a fold looks at again, where every so many chunks a snapshot is taken."""
    CountedList.touched = 0
    fold = ResponseFold()
    fold._pieces = CountedList()
    kept = []
    for number in range(pieces):
        fold.add(said("x", number // 100, f"m{number // 100}"))
        if number % every == 0:
            kept.append(fold.response())
    assert kept[-1]._pieces is not None
    return CountedList.touched


def test_a_snapshot_copies_nothing() -> None:
    assert touched(20_000, 10) == 0
    assert touched(2_000, 1) == 0


def test_snapshots_share_their_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = 0
    original = ToolUse.model_copy

    def model_copy(self: ToolUse, **kwargs: Any) -> ToolUse:
        nonlocal copies
        copies += 1
        return original(self, **kwargs)

    monkeypatch.setattr(ToolUse, "model_copy", model_copy)
    tools = [ToolUseChunk(f"t{n}", "Bash", {}, n) for n in range(100)]
    results = [ToolResultChunk(f"t{n}", "x") for n in range(100)]
    text = [said("x", 200)] * 500
    seen = gathered(within_subscribe([*tools, *text, *results]).pipe(cc.scan_response(0)))
    assert len(seen) == 701
    assert copies == 100


def peak_bytes(pieces: int) -> int:
    chunks = [said("some words ", number // 1000, f"m{number // 1000}") for number in range(pieces)]
    tracemalloc.start()
    try:
        answer = gathered(within_subscribe(chunks).pipe(cc.to_response()))[0]
        assert len(answer.content) >= 11 * pieces
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_with_the_text_only() -> None:
    small, large = peak_bytes(5_000), peak_bytes(50_000)
    assert large < 12 * small + 100_000


def test_many_retractions_cost_what_they_take_back() -> None:
    """A retraction rebuilds the text; there is one per broken message, not one per piece."""
    chunks: list[Chunk] = []
    for number in range(50):
        chunks += [said("gone", 2 * number, f"a{number}"), RetractedChunk((2 * number,), (), True)]
        chunks += [said("x", 2 * number + 1, f"b{number}")]
    assert response(*chunks).content == "\n\n".join("x" * 50)


# -- to_response --------------------------------------------------------------------------------------


def test_to_response_gives_one_at_the_end() -> None:
    seen = gathered(rx.from_([said("a"), said("b"), result()]).pipe(cc.to_response()))
    assert [answer.content for answer in seen] == ["ab"]
    assert gathered(rx.empty().pipe(cc.to_response())) == [SessionResponse()]


async def test_to_response_can_be_awaited_behind_stock_operators() -> None:
    source = rx.from_([said("a"), ToolUseChunk("t", "Bash", {}, 1), result(total_cost_usd=1.0)])
    answer = await source.pipe(
        ops.filter(lambda chunk: not isinstance(chunk, ToolUseChunk)), cc.to_response()
    )
    assert answer.content == "a"
    assert answer.tool_uses == []
    assert answer.metadata.total_cost_usd == 1.0


def test_results_are_kept_by_type() -> None:
    (only,) = gathered(rx.of(said("a"), result("a")).pipe(cc.of_type(ResultChunk)))
    assert only.result == "a"
    with pytest.raises(TypeError, match="at least one"):
        cc.of_type()


def test_a_long_block_is_joined_as_it_grows_and_snapshots_keep_what_they_saw() -> None:
    """Five-byte pieces take ten times their text: with `replay=False` nothing else of a turn is kept."""
    fold, snapshots = ResponseFold(), []
    for number in range(30_000):
        fold.add(TextChunk(f"{number} ", number // 12_000, message_id=str(number // 12_000)))
        if number % 3_700 == 0:
            snapshots.append((number, fold.response()))
    whole = "\n\n".join(
        "".join(f"{number} " for number in range(block * 12_000, min(block * 12_000 + 12_000, 30_000)))
        for block in range(3)
    )
    assert fold.response().content == whole
    for number, snapshot in snapshots:
        assert snapshot.content == whole[: whole.index(f"{number} ") + len(f"{number} ")]
    assert sum(len(block.pieces) for block in fold._blocks) < 5_000


def test_what_is_retracted_is_gone_however_it_was_joined() -> None:
    fold = ResponseFold()
    for number in range(20_000):
        block = int(number >= 9_000)
        fold.add(TextChunk("xy"[block], block, message_id=f"m{block}"))
    before = fold.response()
    fold.add(RetractedChunk((1,), (), True))
    fold.add(TextChunk("z", 2, message_id="m2"))
    assert fold.response().content == "x" * 9_000 + "\n\nz"
    assert before.content == "x" * 9_000 + "\n\n" + "y" * 11_000


def test_a_long_block_that_comes_and_is_retracted_in_one_burst() -> None:
    fold = ResponseFold()
    add_all(
        fold, [*(TextChunk("x", 0) for _ in range(5000)), RetractedChunk((0,), (), True), TextChunk("y", 1)]
    )
    add_all(fold, [RetractedChunk((1,), (), False)])
    add_all(fold, [TextChunk("z", 2)])
    assert fold.response().content == "z"
    whole = ResponseFold()
    add_all(whole, [*(TextChunk("x", 0) for _ in range(5000)), RetractedChunk((0,), (), False)])
    assert whole.response().content == ""


def add_all(fold: ResponseFold, chunks: Iterable[Chunk]) -> None:
    for chunk in chunks:
        fold.add(chunk)
