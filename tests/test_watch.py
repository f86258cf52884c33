"""Watching a session that somebody else runs: from its transcript, with the real CLI and both SDKs."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rxccsdk
from rxccsdk import (
    Chunk,
    CompactChunk,
    MessageChunk,
    NoticeChunk,
    RxccError,
    SystemChunk,
    TextChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing import http_error, reply
from rxccsdk.transport.watched import find_transcript, follow
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.silent import TRANSCRIPTS_CARRY_NOTHING
from rxccsdk.wire.transcript import Transcript
from tests.cli_versions import needs_cli
from tests.conftest import Real

pytestmark = pytest.mark.usefixtures("no_leftovers")


class Watcher:
    """Watches a session, and keeps what it says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.chunks: list[Any] = []
        self.error: Exception | None = None
        self._news = asyncio.Event()
        self._subscription = rxccsdk.watch(*args, **kwargs).subscribe(self._take, self._fail)

    def _take(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self._news.set()

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._news.set()

    async def until(self, what: Callable[[Any], bool], count: int = 1) -> None:
        """Wait until so many chunks are of a kind."""
        async with asyncio.timeout(30):
            while self.error is None and sum(map(what, self.chunks)) < count:
                self._news.clear()
                await self._news.wait()

    async def __aenter__(self) -> Watcher:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._subscription.dispose()
        await asyncio.sleep(0)

    def text(self, turn: int | None) -> list[str]:
        """What the main agent wrote in a turn."""
        return [
            chunk.text
            for chunk in self.chunks
            if isinstance(chunk, TextChunk) and chunk.turn == turn and chunk.agent is None
        ]


def is_end(chunk: Any) -> bool:
    return isinstance(chunk, MessageChunk) and chunk.agent is None and chunk.stop_reason == "end_turn"


# -- lines --------------------------------------------------------------------------------------------------


def read(*lines: dict[str, Any], agent: str | None = None) -> list[Any]:
    transcript = Transcript()
    return [chunk for line in lines for chunk in transcript.receive(line, agent)] + transcript.settle()


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "user", "message": {"role": "user", "content": content}, **fields}


def said(text: str, stop: str | None = "end_turn", id: str = "m", **fields: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    message = {"id": id, "role": "assistant", "model": "opus", "content": content, "stop_reason": stop}
    return {"type": "assistant", "message": {**message, "usage": {"output_tokens": 7}}, **fields}


def test_what_carries_nothing_is_named_with_its_reason_and_only_in_transcripts() -> None:
    for name, why in TRANSCRIPTS_CARRY_NOTHING.items():
        assert why
        assert read({"type": name}) == []
        (chunk,) = Connection().put(json.dumps({"type": name}).encode())
        assert isinstance(chunk, UnknownChunk)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)
NAMES = [
    *("type", "subtype", "message", "content", "timestamp", "isSidechain", "agentId", "promptId", "origin"),
    *("toolUseResult", "isMeta", "attachment", "compactMetadata", "error", "isApiErrorMessage", "kind", "id"),
]
KINDS = st.sampled_from(
    ["user", "assistant", "system", "attachment", "mode", "new", "stream_event", "result"]
)
damaged = st.fixed_dictionaries(
    {"type": KINDS | json_values},
    optional={name: json_values | st.dictionaries(st.sampled_from(NAMES), json_values) for name in NAMES[1:]},
)


@given(lines=st.lists(damaged | st.builds(said, st.text()) | st.builds(user, st.text()), max_size=9))
def test_no_line_is_fatal_or_lost(lines: list[dict[str, Any]]) -> None:
    transcript = Transcript()
    for line in lines:
        chunks = transcript.receive(line)
        kind = line.get("type")
        known = isinstance(kind, str) and kind in TRANSCRIPTS_CARRY_NOTHING
        assert chunks or known or may_be_silent(line), line
    transcript.settle()


def may_be_silent(line: dict[str, Any]) -> bool:
    """Messages of no blocks, and of blank ones, give no chunk on the wire either."""
    message = line.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    blank = isinstance(content, list) and not any(
        str(block.get("text", "")).strip() for block in content if isinstance(block, dict)
    )
    return blank or content in ("", [], {}) or line.get("type") == "stream_event"


def test_a_turn_begins_with_what_somebody_asks() -> None:
    chunks = read(
        user("one", promptId="p1", timestamp="2026-01-01T00:00:00.000Z"),
        said("1", timestamp="2026-01-01T00:00:02.500Z"),
        user("<bash-stdout>x</bash-stdout>", promptId="p1"),
        user([{"type": "tool_result", "tool_use_id": "t", "content": "x"}], promptId="p1"),
        user("a summary", isCompactSummary=True),
        user("a hint", isMeta=True),
        user("[Request interrupted by user]"),
        user([{"type": "text", "text": "two"}], promptId="p2", timestamp="2026-01-01T00:01:00.000Z"),
        user("old CLIs give prompts no id"),
        user("an agent is done", origin={"kind": "task-notification"}),
        said("3", id="n"),
        user("typed", origin={"kind": "human"}),
    )
    assert [c.turn for c in chunks if isinstance(c, UserChunk) and not c.synthetic] == [0, 1, 2, 3]
    assert [(c.turn, c.at) for c in chunks if isinstance(c, TextChunk)] == [(0, 2.5), (None, 60.0)]
    by_turn: dict[int | None, list[int]] = {}
    for chunk in chunks:
        by_turn.setdefault(chunk.turn, []).append(chunk.seq)
    assert all(numbers == list(range(len(numbers))) for numbers in by_turn.values())


def test_a_message_ends_where_something_else_follows_or_nothing_does() -> None:
    transcript: Any = Transcript()
    assert [type(c) for c in transcript.receive(said("1"))] == [TextChunk]
    assert [type(c) for c in transcript.receive(said("2"))] == [TextChunk]
    delta, text = transcript.receive(said("3", id="n", stop="tool_use"))
    assert (delta.event, delta.stop_reason, delta.message_id, delta.model) == (
        "delta",
        "end_turn",
        "m",
        "opus",
    )
    assert delta.usage == {"output_tokens": 7}
    assert text.text == "3"
    assert [c.stop_reason for c in transcript.settle()] == ["tool_use"]
    assert transcript.settle() == []
    assert [type(c) for c in transcript.receive(said("4", stop=None))] == [TextChunk]
    assert transcript.settle() == [], "an old CLI writes a block before its message is over"


def test_what_transcripts_spell_otherwise() -> None:
    (compact,) = read(
        {
            "type": "system",
            "subtype": "compact_boundary",
            "compactMetadata": {"trigger": "auto", "preTokens": 9},
        }
    )
    assert isinstance(compact, CompactChunk)
    assert (compact.trigger, compact.tokens_before) == ("auto", 9)
    (retry,) = read(
        {
            "type": "system",
            "subtype": "api_error",
            "error": {"status": 529},
            "retryAttempt": 1,
            "maxRetries": 2,
            "retryInMs": 5,
        }
    )
    assert isinstance(retry, SystemChunk)
    assert retry.subtype == "api_retry"
    assert [retry.data[name] for name in ("attempt", "max_retries", "retry_delay_ms", "error_status")] == [
        1,
        2,
        5,
        529,
    ]
    (notice,) = read(said("no credit", isApiErrorMessage=True))
    assert notice == NoticeChunk("api_error", "no credit")
    (result,) = read(
        user([{"type": "tool_result", "tool_use_id": "t", "content": "x"}], toolUseResult={"a": 1})
    )
    assert isinstance(result, ToolResultChunk)
    assert result.structured == {"a": 1}
    queued = {"type": "queued_command", "prompt": "hurry", "source_uuid": "u"}
    prompt, steered = read(user("go"), {"type": "attachment", "attachment": queued})
    assert (steered.text, steered.uuid, steered.synthetic, steered.turn) == ("hurry", "u", False, prompt.turn)
    (sub,) = read(said("old", isSidechain=True, agentId="a"))[:1]
    assert sub.agent == "a"


# -- which session ------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., Path]:
    """Write transcripts where the CLI keeps them, each newer than the last: `kept("id", line, cwd=x)`."""
    written = 0

    def write(session: str, *lines: dict[str, Any], cwd: Path | None = None) -> Path:
        nonlocal written
        written += 1
        folder = os.path.realpath(cwd or tmp_path)
        name = "".join(c if c.isalnum() else "-" for c in folder)
        path = Path(os.environ["CLAUDE_CONFIG_DIR"]) / "projects" / name / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines or (user("hi", cwd=folder),)))
        os.utime(path, (written, written))
        return path

    return write


def test_a_session_is_the_newest_or_named(kept: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first, second = kept("aa11"), kept("aa22")
    far, near = kept("ab33", cwd=other), kept("aa33", cwd=other)
    kept("agent-1")  # a sub-agent's, of an older CLI
    assert find_transcript(None, tmp_path) == second
    assert find_transcript(None, other) == near
    assert find_transcript("aa11", other) == first, "wherever it is"
    assert find_transcript("aa3", tmp_path) == near
    assert find_transcript("aa", other) == near, "the folder's own first"
    assert find_transcript("ab", other) == far
    with pytest.raises(RxccError, match="2 sessions begin with 'aa': aa11, aa22"):
        find_transcript("aa", tmp_path)
    for nonsense in ("zz", "", "../aa11", "*"):
        with pytest.raises(
            RxccError, match=r"There is no session .*/projects\. Newest of this .*: aa22, aa11"
        ):
            find_transcript(nonsense, tmp_path)
    with pytest.raises(RxccError, match=r"There is no session in this folder: .*empty"):
        find_transcript(None, tmp_path / "empty")


async def test_no_session_is_an_error_of_the_stream(tmp_path: Path) -> None:
    with pytest.raises(RxccError, match="no session in this folder"):
        await rxccsdk.watch(cwd=tmp_path)
    with pytest.raises(RuntimeError, match="running"):
        await asyncio.to_thread(rxccsdk.watch(cwd=tmp_path).subscribe)


# -- live ---------------------------------------------------------------------------------------------------


async def test_the_newest_turn_comes_first_or_all_of_them(kept: Any, tmp_path: Path) -> None:
    path = kept("one", user("a"), said("1"), user("b"), said("2", id="n"))
    async with Watcher(cwd=tmp_path) as watcher, Watcher(cwd=tmp_path, history=True) as whole:
        await watcher.until(is_end)
        await whole.until(is_end, 2)
        assert (watcher.text(0), watcher.text(1)) == ([], ["2"])
        assert (whole.text(0), whole.text(1)) == (["1"], ["2"])
        with path.open("a") as file:
            file.write(json.dumps(user("c")) + "\n" + json.dumps(said("3", id="o"))[:9])
            file.flush()
            await watcher.until(lambda chunk: isinstance(chunk, UserChunk) and chunk.text == "c")
            file.write(json.dumps(said("3", id="o"))[9:] + "\n")
        for one in (watcher, whole):
            await one.until(lambda chunk: chunk.turn == 2 and is_end(chunk))
            assert one.text(2) == ["3"]
        assert whole.chunks[-len(watcher.chunks) :] == watcher.chunks


async def test_a_subscriber_that_raises_costs_nobody_anything(
    kept: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept("one", user("a"), said("1"))
    came = asyncio.Event()
    seen: list[Chunk] = []

    def fail(chunk: Chunk) -> None:
        seen.append(chunk)
        if is_end(chunk):
            came.set()
        raise ValueError("no")

    subscription = rxccsdk.watch(cwd=tmp_path).subscribe(fail)
    await asyncio.wait_for(came.wait(), 30)
    subscription.dispose()
    assert len(seen) == 3
    assert "a subscriber of a watched session raised" in caplog.text


async def test_a_defect_of_the_reader_fails_the_stream(
    kept: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept("one", user("a"), said("1"))
    monkeypatch.setattr(Transcript, "receive", lambda *args: 1 / 0)
    async with Watcher(cwd=tmp_path) as watcher:
        await watcher.until(is_end)
    assert isinstance(watcher.error, ZeroDivisionError)


async def test_it_can_be_left_from_any_thread(kept: Any, tmp_path: Path) -> None:
    kept("one", user("a"), said("1"))
    async with Watcher(cwd=tmp_path) as watcher:
        await watcher.until(is_end)
        thread = threading.Thread(target=watcher._subscription.dispose)
        thread.start()
        await asyncio.to_thread(thread.join)


async def lines_of(path: Path) -> list[Any]:
    found = []
    async for line in follow(path):
        if line is None:
            break
        found.append(line)
    return found


async def test_what_is_no_json_is_shown_and_zeros_of_a_crash_are_not(kept: Any) -> None:
    path = kept("one")
    path.write_bytes(b"\0\0\0\n" + b"\0" * 9 + json.dumps(user("a")).encode() + b"\nhm {\n\n")
    assert [line.frame["type"] for line in await lines_of(path)] == ["user", "not_json"]


async def test_sub_agents_come_in_the_order_of_time(kept: Any) -> None:
    def at(second: int, line: dict[str, Any]) -> dict[str, Any]:
        return {**line, "timestamp": f"2026-01-01T00:00:{second:02}.000Z"}

    path = kept("one", at(1, user("a")), at(2, said("call", "tool_use")), at(6, said("done", id="n")))
    folder = path.with_suffix("") / "subagents"
    folder.mkdir(parents=True)
    for name, call in (("x", "toolu_X"), ("y", None), ("z", 7)):
        (folder / f"agent-{name}.meta.json").write_text(json.dumps({"toolUseId": call}))
        (folder / f"agent-{name}.jsonl").write_text(json.dumps(at(4, said(name))) + "\n")
    (folder / "agent-w.meta.json").write_text('{"toolUse')
    found = [(line.agent, line.frame["type"]) for line in await lines_of(path)]
    assert found == [(None, "user"), (None, "assistant"), ("toolu_X", "assistant"), (None, "assistant")]


async def test_a_sub_agent_that_writes_first_waits_for_its_call(kept: Any, tmp_path: Path) -> None:
    path = kept("one", user("a"))
    folder = path.with_suffix("") / "subagents"
    folder.mkdir(parents=True)
    call = {"type": "tool_use", "id": "toolu_X", "name": "Agent", "input": {}}

    def write(name: str, *lines: dict[str, Any]) -> None:
        with (folder / name).open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    async with Watcher(cwd=tmp_path) as watcher:
        await watcher.until(lambda chunk: isinstance(chunk, UserChunk))
        for name in "xy":
            write(f"agent-{name}.jsonl", user("do it"), said(name))
            write(f"agent-{name}.meta.json", {"toolUseId": f"toolu_{name.upper()}"})
        write("../../one.jsonl", said("I wait"))
        await watcher.until(lambda chunk: isinstance(chunk, TextChunk))
        write("../../one.jsonl", {"type": "assistant", "message": {"id": "n", "content": [call]}})
        await watcher.until(lambda chunk: isinstance(chunk, TextChunk) and bool(chunk.agent), 2)
    agents = [chunk.agent for chunk in watcher.chunks if isinstance(chunk, (TextChunk, ToolUseChunk))]
    assert agents == [None, None, "toolu_X", "toolu_Y"], (
        "a call that does not come is not waited for for ever"
    )


# -- the real CLI -------------------------------------------------------------------------------------------


@needs_cli("2.1.191", "keep no list of their sub-agents")
async def test_a_session_of_an_sdk_is_seen_from_beside(real: Real) -> None:
    script = [
        reply().thinking("hm").text("I look. ").tool("Bash", {"command": "echo hi", "description": "x"})
        .agent("do A", background=False, id="toolu_A"),
        reply("Done \x1b]0;evil\x07 here."),
        reply("Second."),
    ]  # fmt: skip
    async with real(script, agents=[reply("sub says")], allowed_tools=["Bash"]) as session:
        turn = session.stream("go")
        response = await turn.pipe(cc.to_response())
        async with Watcher(session.session_id, history=True) as watcher:
            await watcher.until(is_end)
            assert "\n\n".join(watcher.text(0)) == response.content
            uses = [c for c in watcher.chunks if isinstance(c, ToolUseChunk)]
            assert [use.name for use in uses] == ["Bash", "Agent"]
            results = {c.tool_use_id for c in watcher.chunks if isinstance(c, ToolResultChunk)}
            assert results == {use.id for use in uses}
            (sub,) = (c for c in watcher.chunks if isinstance(c, TextChunk) and c.agent)
            assert (sub.agent, sub.text, sub.turn) == ("toolu_A", "sub says", 0)
            called = next(
                i for i, c in enumerate(watcher.chunks) if isinstance(c, ToolUseChunk) and c.id == sub.agent
            )
            returned = next(
                i
                for i, c in enumerate(watcher.chunks)
                if isinstance(c, ToolResultChunk) and c.tool_use_id == sub.agent
            )
            assert called < watcher.chunks.index(sub) < returned
            second = await session.stream("two").pipe(cc.to_response())
            await watcher.until(is_end, 2)
            assert watcher.text(1) == [second.content]
            assert not [c for c in watcher.chunks if isinstance(c, UnknownChunk)]
            assert [c.text for c in watcher.chunks if isinstance(c, UserChunk) and not c.agent] == [
                "go",
                "two",
            ]
            for number in (0, 1):
                assert [c.seq for c in watcher.chunks if c.turn == number] == list(
                    range(sum(c.turn == number for c in watcher.chunks))
                )


@needs_cli("2.1.191", "keep no list of their sub-agents")
async def test_what_an_agent_does_in_the_background_is_of_no_turn(real: Real) -> None:
    answered = threading.Event()  # an agent that is done before that is told of in the turn that launched it
    script = [
        reply("I start. ").agent("do A", background=True, id="toolu_A"),
        reply("Started."),
        reply("It has told."),
    ]
    async with real(script, agents=[reply().until(answered).text("sub says")]) as session:
        await session.stream("go").pipe(cc.to_response())
        answered.set()
        async with Watcher(session.session_id) as watcher:
            await watcher.until(lambda c: is_end(c) and c.turn is None)
    assert (watcher.text(0), watcher.text(None)) == (["I start. ", "Started."], ["It has told."])
    assert {c.turn for c in watcher.chunks if c.agent == "toolu_A"} == {None}


async def test_errors_of_the_api_are_told(real: Real) -> None:
    async with real([http_error(529), reply("ok"), http_error(400), http_error(400)]) as session:
        await session.stream("go").pipe(cc.to_response())
        failed = await session.stream("two").pipe(cc.to_response())
        async with Watcher(session.session_id, history=True) as watcher:
            await watcher.until(lambda c: isinstance(c, NoticeChunk))
    assert [c.subtype for c in watcher.chunks if isinstance(c, SystemChunk)][:1] == ["api_retry"]
    (notice,) = (c for c in watcher.chunks if isinstance(c, NoticeChunk))
    assert (notice.kind, notice.turn) == ("api_error", 1)
    assert failed.error
    assert notice.detail in failed.error
