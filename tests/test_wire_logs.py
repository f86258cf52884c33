"""Each log of the real CLI gives the answer a person would give.

The logs are copies of what the CLI wrote (see logs/README.md). For each stands here what it says, and why.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxccsdk import ClaudeSession
from rxccsdk.chunks import (
    Chunk,
    Frame,
    ResultChunk,
    RetractedChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import Event
from rxccsdk.wire.routing import AMBIGUOUS
from tests.wire_traces import (
    LOGS,
    Prompts,
    TraceChunks,
    blocks_of,
    check,
    inputs_of,
    notices_of,
    read_trace,
    response_of,
    results_of,
    text_of,
    write_cassette,
)

ALPHABET = " ".join("abcdefghijklmnopqrstuvwxyz") + " "


@dataclass
class Turn:
    """What a turn comes to.

    Attributes:
        content: the text of the response.
        blocks: the main agent's blocks that stand, in order: texts, ("thinking", text), ("tool_use", id).
        results: each tool result: how it begins, and whether it is an error.
        retracted: each text taken back, and whether a new version follows.
        notices: what the CLI dressed as an answer.
        error: the error kind, and the error.
        cost: in millionths of a dollar.
    """

    content: str
    blocks: list[tuple[str, str]]
    cost: float
    results: dict[str, tuple[str, bool]] = field(default_factory=dict)
    retracted: list[tuple[str, bool]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    error: tuple[str | None, str | None] = (None, None)


@dataclass
class Log:
    """A log: before which frame its prompts were written, and what it comes to."""

    prompts: list[int]
    turns: list[Turn]
    outside: list[str] = field(default_factory=list)


def said(text: str) -> tuple[str, str]:
    return ("text", text)


def call(id: str) -> tuple[str, str]:
    return ("tool_use", id)


INJECTED_INSIDE = [
    "SystemChunk init",
    "SystemChunk status",
    "MessageChunk start",
    "main says injected words",
    "main calls toolu_000002",
    "MessageChunk delta",
    "MessageChunk stop",
    "main gets toolu_000002: (Bash completed with no output)",
    "SystemChunk status",
    "MessageChunk start",
    "main says launched",
    "MessageChunk delta",
    "MessageChunk stop",
]
RESULTS_LAUNCHED = ("Async agent launched successfully.", False)

LOG: dict[str, Log] = {
    # The turn is over when its agents have hardly begun: what they say, and the two turns the CLI starts on
    # its own when they finish (the first has no message at all), are nobody's answer. That the second says
    # the very words of the answer makes no difference. The launches are tool results of the turn.
    "background-agents": Log(
        prompts=[0],
        turns=[
            Turn(
                "I will delegate \n\nmain done after agents ",
                [said("I will delegate "), call("toolu_A"), call("toolu_B"), said("main done after agents ")],
                654.4,
                results={"toolu_A": RESULTS_LAUNCHED, "toolu_B": RESULTS_LAUNCHED},
            )
        ],
        outside=[
            "toolu_A thinks sub thinking a bit ",
            "toolu_B thinks sub thinking a bit ",
            "toolu_A says sub says looking ",
            "toolu_A calls toolu_sub_6180",
            "task a94514d05fef9a9b2 progress",
            "toolu_B says sub says looking ",
            "toolu_B calls toolu_sub_4284",
            "task a91774b186f4e7556 progress",
            "toolu_A gets toolu_sub_6180: sub",
            "toolu_B gets toolu_sub_4284: sub",
            "toolu_A thinks sub final think ",
            "toolu_B thinks sub final think ",
            "toolu_A says sub answer final ",
            "task a94514d05fef9a9b2 completed",
            "task a94514d05fef9a9b2 completed",
            "SystemChunk background_tasks_changed",
            "toolu_B says sub answer final ",
            "task a91774b186f4e7556 completed",
            "task a91774b186f4e7556 completed",
            "SystemChunk background_tasks_changed",
            "SystemChunk init",
            "result 1348.8",
            "SystemChunk init",
            "SystemChunk status",
            "MessageChunk start",
            "main says main done after agents ",
            "MessageChunk delta",
            "MessageChunk stop",
            "result 237.2",
        ],
    ),
    # The call and the text before it were kept; "more " broke off and never comes again: the agent goes on
    # from the call's result. The error in the middle is no answer, and the turn succeeds.
    "cut-after-tool-call": Log(
        prompts=[0],
        turns=[
            Turn(
                "doing \n\ndone ",
                [said("doing "), call("toolu_a"), said("done ")],
                814.4,
                results={"toolu_a": ("(Bash completed with no output)", False)},
                retracted=[("more ", False)],
                notices=["API Error: Connection lost mid-response. The response above may be incomplete."],
            )
        ],
    ),
    # The first block was kept; the second broke off and follows again. The agent was asked to go on where it
    # stopped, so no blank line stands there. (The scripted API began anew instead: that is what it said.)
    "cut-and-resent": Log(
        prompts=[0],
        turns=[
            Turn(
                "first block complete first block complete one two three ",
                [said("first block complete "), said("first block complete "), said("one two three ")],
                654.4,
                retracted=[("one two three ", True)],
            )
        ],
    ),
    # Nothing was shown before the cut, so nothing is taken back; the whole reply comes unstreamed, under
    # another id. This prompt was sent without a uuid: the first result ends it.
    "cut-before-any-block": Log(prompts=[0], turns=[Turn("second try ", [said("second try ")], 314.4)]),
    # "Invalid API key" is the CLI's, not the agent's: the answer is empty, and the error says it. What
    # counts is the result's is_error; its subtype is "success".
    "http-401": Log(
        prompts=[0],
        turns=[
            Turn(
                "",
                [],
                0,
                notices=["Invalid API key · Fix external API key"],
                error=("auth", "Invalid API key · Fix external API key"),
            )
        ],
    ),
    # The CLI confirmed what had arrived of the text; this old one ends the message nowhere else.
    "interrupt-2.1.197": Log(
        prompts=[0],
        turns=[
            Turn("w " * 11, [said("w " * 11)], 0, error=("interrupted", "The turn was interrupted.")),
        ],
    ),
    # `abandoned_blocks` from index 1 takes back nothing: there is no such block.
    "interrupt-in-text": Log(
        prompts=[0],
        turns=[
            Turn("w " * 31, [said("w " * 31)], 557.2, error=("interrupted", "The turn was interrupted.")),
        ],
    ),
    # Thinking that was interrupted is not kept by the CLI, and nothing replaces it.
    "interrupt-in-thinking": Log(
        prompts=[0],
        turns=[
            Turn(
                "",
                [],
                557.2,
                retracted=[("t " * 31, False)],
                error=("interrupted", "The turn was interrupted."),
            )
        ],
    ),
    # The call stands; its result is the rejection.
    "interrupt-in-tool": Log(
        prompts=[0],
        turns=[
            Turn(
                "calling a tool ",
                [said("calling a tool "), call("toolu_x2")],
                317.2,
                results={"toolu_x2": ("The user doesn't want to proceed with this tool use.", True)},
                error=("interrupted", "The turn was interrupted."),
            )
        ],
    ),
    # Two turns, each stopped by the limit with its tools run; the words are in `errors`. The second turn's
    # cost is its own share: the total counts over the session.
    "max-turns": Log(
        prompts=[0, 39],
        turns=[
            Turn(
                f"step {a} \n\nstep {b} ",
                [said(f"step {a} "), call(f"toolu_{a}"), said(f"step {b} "), call(f"toolu_{b}")],
                594.4,
                results={f"toolu_{a}": ("hi", False), f"toolu_{b}": ("hi", False)},
                error=("max_turns", "Reached maximum number of turns (2)"),
            )
            for a, b in ((2, 4), (6, 8))
        ],
    ),
    # Three calls in one message, text on both sides of them: a blank line, for calls stand between. Results
    # come as the tools finish, two of them without `is_error`.
    "parallel-tools": Log(
        prompts=[0],
        turns=[
            Turn(
                "three at once \n\nand trailing text \n\nfinished 4 ",
                [
                    ("thinking", "plan "),
                    said("three at once "),
                    *map(call, ("toolu_p1", "toolu_p2", "toolu_p3")),
                    said("and trailing text "),
                    said("finished 4 "),
                ],
                794.4,
                results={
                    "toolu_p3": ("1\tB\n2\t", False),
                    "toolu_p2": ("1\tA\n2\t", False),
                    "toolu_p1": ("one", False),
                },
            )
        ],
    ),
    # A turn of the CLI's own took up the second prompt: `command_lifecycle` says when it begins and is done,
    # the result that follows names no prompt and has an origin.
    "absorbed-2.1.257": Log(
        prompts=[0, 57],
        turns=[
            Turn(
                "go \n\nlaunched",
                [said("go "), call("toolu_000000"), call("toolu_000001"), said("launched")],
                750,
                results={"toolu_000000": RESULTS_LAUNCHED, "toolu_000001": RESULTS_LAUNCHED},
            ),
            Turn("answer to second", [said("answer to second")], 1500),
        ],
        outside=[
            "toolu_000000 says sub answer",
            "SystemChunk background_tasks_changed",
            "task ac2c0996cadf315d7 completed",
            "task ac2c0996cadf315d7 completed",
            "SystemChunk init",
            "SystemChunk status",
            "MessageChunk start",
            "main says injected words",
            "toolu_000001 says sub answer",
            "SystemChunk background_tasks_changed",
            "task a05d6cd0008738c3c completed",
            "task a05d6cd0008738c3c completed",
            "main calls toolu_000002",
            "MessageChunk delta",
            "MessageChunk stop",
            "main gets toolu_000002: (Bash completed with no output)",
        ],
    ),
    # The first turn's own result never comes: one result, of the turn that the CLI began in between. What
    # came after the second `init` is not the answer.
    "merged-first-turn-2.1.170": Log(
        prompts=[0],
        turns=[
            Turn(
                "go \n\nlaunched",
                [said("go "), call("toolu_000000"), call("toolu_000001"), said("launched")],
                2250,
                results={"toolu_000000": RESULTS_LAUNCHED, "toolu_000001": RESULTS_LAUNCHED},
                notices=[AMBIGUOUS],
            )
        ],
        outside=INJECTED_INSIDE,
    ),
    # No uuids, no origin: the same, and the second turn is told apart by its own `init`.
    "injected-2.1.116": Log(
        prompts=[0, 82],
        turns=[
            Turn(
                "go \n\nlaunched",
                [said("go "), call("toolu_000000"), call("toolu_000001"), said("launched")],
                1800,
                results={"toolu_000000": RESULTS_LAUNCHED, "toolu_000001": RESULTS_LAUNCHED},
                notices=[AMBIGUOUS],
            ),
            Turn("answer to second", [said("answer to second")], 225),
        ],
        outside=[line.replace("toolu_000002", "toolu_000006") for line in INJECTED_INSIDE],
    ),
    # The API's stream broke off: no success, though `is_error` says nothing of it, and what came is kept.
    "error-subtype-2.1.19": Log(
        prompts=[0],
        turns=[
            Turn(
                text := "".join(f"w{n} " for n in range(21)),
                [said(text)],
                0,
                error=("execution", "The agent failed during the turn (error_during_execution)."),
            )
        ],
    ),
    # The second prompt was written when the CLI had begun a turn of its own. What that turn says until it
    # takes the prompt up, the call and its result included, is not the answer; its only result, with `origin`
    # and the prompt's uuid, ends the answer, and its cost covers both.
    "prompt-absorbed-by-injected-turn": Log(
        prompts=[1, 38],
        turns=[
            Turn(
                "go \n\nlaunched ",
                [said("go "), call("toolu_A"), said("launched ")],
                454.4,
                results={"toolu_A": RESULTS_LAUNCHED},
            ),
            Turn("answer to second ", [said("answer to second ")], 1871.6),
        ],
        outside=[
            "SystemChunk session_state_changed",
            "toolu_A says sub answer ",
            "task afb1267fa74450a7d completed",
            "task afb1267fa74450a7d completed",
            "SystemChunk background_tasks_changed",
            "SystemChunk init",
            "SystemChunk status",
            "MessageChunk start",
            "main says " + "injected turn text " * 20,
            "main calls toolu_inj",
            "MessageChunk delta",
            "MessageChunk stop",
            "main gets toolu_inj: x",
            "SystemChunk session_state_changed",
        ],
    ),
    # Two text blocks side by side in one message: nothing between them. Redacted thinking shows as unknown.
    "thinking-redacted": Log(
        prompts=[0],
        turns=[
            Turn(
                "Hello there friend second block here ",
                [
                    ("thinking", "I should think about this carefully now "),
                    ("redacted_thinking", ""),
                    said("Hello there friend "),
                    said("second block here "),
                ],
                417.2,
            )
        ],
    ),
    # A command that took nine seconds, in the foreground: its task is the turn's.
    "tool-progress": Log(
        prompts=[0],
        turns=[
            Turn(
                "running long \n\nfinished 4 ",
                [said("running long "), call("toolu_long"), said("finished 4 ")],
                494.4,
                results={"toolu_long": ("line 1\nline 2\n", False)},
            )
        ],
    ),
    # Three prompts were written at once; we never do that. Taken as ours are, the second is written when the
    # first turn is over. The CLI answered the second and third together: one result lists both.
    "two-prompts-at-once": Log(
        prompts=[0, 64],
        turns=[
            Turn(
                text
                := "reply to < | - security-review: Complete a security review of the pending changes on the "
                f"current branch | | Today's date is 2026-11-22.> {ALPHABET}",
                [said(text)],
                1157.2,
            ),
            Turn(
                text := f"reply to <prompt number 1 | prompt number 2> {ALPHABET}",
                [said(text)],
                857.2,
            ),
        ],
    ),
}

NAMES = sorted(LOG)


@cache
def lines_of(name: str) -> list[bytes]:
    return (LOGS / f"{name}.jsonl").read_bytes().splitlines()


def read(name: str) -> tuple[list[Frame], Prompts]:
    """A log's frames, and its prompts with the uuids the CLI names next."""
    frames = [json.loads(line) for line in lines_of(name)]
    prompts, known = [], set()
    for position in LOG[name].prompts:
        uuids = (f["command_uuid"] for f in frames[position:] if f["type"] == "command_lifecycle")
        uuid = next((uuid for uuid in uuids if uuid not in known), "unnamed")
        known.add(uuid)
        prompts.append((position, uuid))
    return frames, prompts


def without_partial_messages(name: str) -> tuple[list[Frame], Prompts]:
    """The log as the CLI writes it without `--include-partial-messages`."""
    frames, prompts = read(name)
    kept = [n for n, frame in enumerate(frames) if frame["type"] != "stream_event"]
    return [frames[n] for n in kept], [(sum(n < at for n in kept), uuid) for at, uuid in prompts]


def assert_turn(chunks: list[Chunk], expected: Turn, *, streamed: bool = True) -> None:
    response = response_of(chunks)
    assert response.content == expected.content
    assert (response.error_kind, response.error) == expected.error
    assert response.metadata.cost_usd == pytest.approx(expected.cost * 1e-6)
    assert blocks_of(chunks).get(None, []) == expected.blocks
    assert {use.id for use in response.tool_uses} == {
        called for kind, called in expected.blocks if kind == "tool_use"
    }
    assert notices_of(chunks) == expected.notices
    errors = {c.tool_use_id: c.is_error for c in chunks if isinstance(c, ToolResultChunk)}
    results = results_of(chunks)
    assert list(results) == list(expected.results)
    for called, (begins, is_error) in expected.results.items():
        assert plain(results[called]).startswith(begins)
        assert errors[called] is is_error
    if streamed:
        assert retracted_of(chunks) == expected.retracted


def retracted_of(chunks: list[Chunk]) -> list[tuple[str, bool]]:
    texts: dict[int, str] = {}
    gone: list[tuple[str, bool]] = []
    for chunk in chunks:
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            texts[chunk.block] = texts.get(chunk.block, "") + chunk.text
        elif isinstance(chunk, RetractedChunk):
            gone += [(texts[block], chunk.replaced) for block in chunk.blocks]
    return gone


def plain(content: Any) -> str:
    return content if isinstance(content, str) else str(content[0]["text"])


def told(chunks: list[Chunk]) -> list[str]:
    """What is outside any turn, in words; pieces of one block as one."""
    lines: list[str] = []
    block = -1
    for chunk in chunks:
        who = chunk.agent or "main"
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            if chunk.block == block:
                lines[-1] += chunk.text
                continue
            block = chunk.block
            lines.append(f"{who} {'says' if isinstance(chunk, TextChunk) else 'thinks'} {chunk.text}")
        elif isinstance(chunk, ToolUseChunk):
            lines.append(f"{who} calls {chunk.id}")
        elif isinstance(chunk, ToolResultChunk):
            lines.append(f"{who} gets {chunk.tool_use_id}: {chunk.content}")
        elif isinstance(chunk, TaskChunk):
            lines.append(f"task {chunk.task_id} {chunk.status}")
        elif isinstance(chunk, ResultChunk):
            lines.append(f"result {(chunk.cost_usd or 0) * 1e6:g}")
        elif not hasattr(chunk, "partial_json"):
            what = getattr(chunk, "subtype", getattr(chunk, "event", ""))
            lines.append(f"{type(chunk).__name__} {what}")
    return lines


@pytest.mark.parametrize("name", NAMES)
def test_the_log_gives_the_right_answer(name: str) -> None:
    got = read_trace(*read(name))
    check(got)
    assert got.ended == [True] * len(LOG[name].turns)
    for chunks, expected in zip(got.turns, LOG[name].turns, strict=True):
        assert_turn(chunks, expected)
    assert told(got.outside) == LOG[name].outside


def test_every_log_is_described() -> None:
    assert sorted(path.stem for path in LOGS.glob("*.jsonl")) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "error-subtype-2.1.19"])  # never whole
def test_without_partial_messages_the_answer_is_the_same(name: str) -> None:
    """Law 1. What broke off was only ever streamed; it does not stand in either."""
    got = read_trace(*without_partial_messages(name))
    check(got)
    for chunks, expected in zip(got.turns, LOG[name].turns, strict=True):
        assert_turn(chunks, expected, streamed=False)
        assert retracted_of(chunks) == []
        assert text_of(chunks) == expected.content
    streamed = read_trace(*read(name))
    for one, other in zip([*got.turns, got.outside], [*streamed.turns, streamed.outside], strict=True):
        assert blocks_of(one) == blocks_of(other)
        assert inputs_of(one) == inputs_of(other)
        assert results_of(one) == results_of(other)


@settings(max_examples=8)
@given(st.sampled_from(NAMES), st.lists(st.integers(1, 5000), min_size=1, max_size=4))
def test_any_split_into_reads_gives_the_same_chunks(name: str, reads: list[int]) -> None:
    assert chunks_in_reads(name, reads) == chunks_in_reads(name, [1 << 20])


@pytest.mark.parametrize("name", NAMES)
def test_byte_by_byte_gives_the_same_chunks(name: str) -> None:
    assert chunks_in_reads(name, [1]) == chunks_in_reads(name, [1 << 20])


def chunks_in_reads(name: str, reads: list[int]) -> list[Event]:
    """Read a log in reads of these sizes, over and over."""
    frames, prompts = read(name)
    connection, events, turn = Connection(), [], 0
    starts = [place for place, _ in prompts] + [len(frames)]
    for (start, uuid), end in zip([(0, ""), *prompts], [*starts], strict=True):
        if uuid:
            connection.begin(uuid)
        written = b"".join(line + b"\n" for line in lines_of(name)[start:end])
        while written:
            size = reads[turn % len(reads)]
            events += connection.receive(written[:size])
            written, turn = written[size:], turn + 1
    return events


@pytest.mark.parametrize("name", NAMES)
async def test_a_replayed_session_gives_the_same_chunks(name: str, tmp_path: Path) -> None:
    frames, prompts = read(name)
    expected = read_trace(frames, prompts)
    write_cassette(tmp_path / "log.jsonl", frames, prompts)
    got = TraceChunks()
    session = ClaudeSession.replay(tmp_path / "log.jsonl", speed=float("inf"))
    session.chunks.subscribe(lambda chunk: got.outside.append(chunk) if chunk.turn is None else None)
    async with session:
        turns = [session.stream("whatever was asked") for _ in prompts]
        collectors = [asyncio.ensure_future(collect(turn)) for turn in turns]
        got.turns = [await collector for collector in collectors]
        for _ in frames:  # what follows the last result
            await asyncio.sleep(0)
        for turn, answer in zip(turns, LOG[name].turns, strict=True):
            assert turn.status == ("interrupted" if answer.error[0] == "interrupted" else "completed")
            assert turn.response.content == answer.content
            assert (turn.response.error_kind, turn.response.error) == answer.error
    assert [timeless(turn) for turn in got.turns] == [timeless(turn) for turn in expected.turns]
    assert timeless(got.outside) == timeless(expected.outside)


async def collect(turn: Any) -> list[Chunk]:
    return [chunk async for chunk in turn]


def timeless(chunks: list[Chunk]) -> list[Chunk]:
    return [dataclasses.replace(chunk, at=0.0) for chunk in chunks]
