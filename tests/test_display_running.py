"""Rows of what runs, what tools did, thoughts, meters and calls for attention."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    ResultChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolOutputChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.progress import ProgressLine
from rxccsdk.display.results import changes_in_words, diff, output
from rxccsdk.display.running import Running
from rxccsdk.testing import result_frame
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.frames import to_line


def call(id: str, command: str, at: float = 0.0, agent: str | None = None) -> ToolUseChunk:
    return ToolUseChunk(id, "Bash", {"command": command}, 0, turn=0, at=at, agent=agent)


def agent(id: str, words: str, at: float = 0.0) -> ToolUseChunk:
    return ToolUseChunk(id, "Agent", {"description": words}, 0, turn=0, at=at)


def rows(*chunks: Chunk, now: float = 12.0, width: int = 60, output_rows: int = 3) -> list[str]:
    running = Running()
    for chunk in chunks:
        running.add(chunk)
    return [row.plain for row in running.rows(now, width, output_rows)]


def result_chunk(**fields: Any) -> ResultChunk:
    connection = Connection()
    connection.prompt("go")
    events = connection.receive(to_line({**result_frame("done"), **fields}))
    return next(event for event in events if isinstance(event, ResultChunk))


# -- what runs ----------------------------------------------------------------------------------------------


def test_one_tool_has_the_progress_line_for_itself() -> None:
    assert rows(call("a", "make")) == []


def test_several_tools_have_a_row_each() -> None:
    assert rows(call("a", "make", at=2.0), call("b", "make test", at=11.5)) == [
        "◦ Bash make · 10.0 s",
        "◦ Bash make test",
    ]
    assert rows(call("a", "make"), call("b", "test"), ToolResultChunk("a", "", False)) == []


def test_an_agent_says_what_it_does_and_how_much_it_has_done() -> None:
    chunks: list[Chunk] = [
        agent("s", "Review", at=2.0),
        call("a", "ls", agent="s"),
        call("b", "cat x", agent="s"),
    ]
    assert rows(*chunks) == ["▸ Agent Review · 2 tool calls · Bash cat x · 10.0 s"]
    chunks.append(ToolResultChunk("b", "", False, agent="s"))
    assert rows(*chunks) == ["▸ Agent Review · 2 tool calls · 10.0 s"]
    chunks.append(ThinkingChunk("hm", 1, agent="s"))
    assert rows(*chunks) == ["▸ Agent Review · 2 tool calls · thinking · 10.0 s"]
    assert rows(*chunks, TaskChunk("t", "s", "progress", description="Reading")) == [
        "▸ Agent Review · 2 tool calls · Reading · 10.0 s"
    ]
    assert rows(*chunks, ToolResultChunk("s", "done", False)) == []


def test_a_background_agent_outlives_its_call_and_its_turn() -> None:
    asynchronous = ToolResultChunk("s", "started", False, {"isAsync": True})
    chunks: list[Chunk] = [agent("s", "Look"), asynchronous, result_chunk()]
    assert rows(*chunks) == ["▸ Agent Look · in the background · 12.0 s"]
    assert rows(*chunks, TaskChunk("t", "s", "completed")) == []


def test_many_rows_are_cut_and_none_is_too_wide() -> None:
    shown = rows(*(call(str(n), f"sleep {n} " * 20) for n in range(20)), width=30)
    assert len(shown) == 6
    assert shown[-1] == "  … and 15 more"
    assert max(map(len, shown)) <= 30
    assert shown[0].endswith("12.0 s")
    assert "\x1b" not in rows(call("a", "\x1b[2J"), call("b", "x"))[0]


def test_the_newest_output_stands_below() -> None:
    wrote = ToolOutputChunk("a", "t", "1\n2\n3\n4\n", 0, 0)
    assert rows(call("a", "make"), wrote) == ["  │ 2", "  │ 3", "  │ 4"]
    assert rows(call("a", "make"), wrote, output_rows=1) == ["  │ 4"]
    assert rows(call("a", "make"), wrote, ToolResultChunk("a", "", False)) == []


# -- what tools did -----------------------------------------------------------------------------------------

PATCH = {"structuredPatch": [{"lines": [" one", "-two", "+2", "+3"]}]}


@pytest.mark.parametrize(
    ("structured", "words"),
    [
        (PATCH, "+2 -1"),
        ({"type": "create", "content": "a\nb", "structuredPatch": []}, "+2 -0"),
        ({"structuredPatch": [{"lines": [5]}, 5]}, ""),
        ({"structuredPatch": 5}, ""),
        ("text", ""),
        (None, ""),
    ],
)
def test_an_edit_in_words(structured: Any, words: str) -> None:
    assert changes_in_words(structured) == words


def test_a_diff_and_an_output_are_cut() -> None:
    assert [line.plain for line in diff(PATCH, 2)] == [" one", "-two", "… 2 more lines"]
    assert [line.plain for line in output("1\n2\n\n3\x1b[2J\n", 2)] == ["… 1 more line", "2", "3␛[2J"]


def shown(*chunks: Chunk, **options: Any) -> str:
    screen = io.StringIO()
    with LiveDisplay(Console(file=screen, width=80), **options) as display:
        for chunk in chunks:
            display.show(chunk)
    return screen.getvalue()


def test_edits_say_what_they_changed() -> None:
    edit = ToolUseChunk("e", "Edit", {"file_path": "a.py"}, 0, turn=0)
    done = ToolResultChunk("e", "ok", False, PATCH, turn=0, at=0.5)
    assert shown(edit, done) == "✓ Edit a.py  +2 -1  0.5 s\n"
    assert shown(edit, done, tools="full") == "✓ Edit a.py  +2 -1  0.5 s\n   one\n  -two\n  +2\n  +3\n"


def test_in_full_a_command_shows_the_end_of_its_output() -> None:
    text = "\n".join(map(str, range(30)))
    printed = shown(call("a", "make"), ToolResultChunk("a", text, False, turn=0), tools="full")
    assert printed.startswith("✓ Bash make  0 ms\n  … 10 more lines\n  10\n")
    assert printed.endswith("  29\n")
    assert "29" not in shown(call("a", "make"), ToolResultChunk("a", text, False, turn=0))


@pytest.mark.parametrize(
    ("thinking", "lines"),
    [
        ("line", ["∴ First this. Then that."]),
        ("off", []),
        ("full", ["∴ First this. Then that.", "  First this.", "  Then that."]),
    ],
)
def test_thinking_is_a_line_or_all_or_nothing(thinking: str, lines: list[str]) -> None:
    thought = ThinkingChunk("First this.\nThen that.", 0, turn=0)
    printed = shown(thought, TextChunk("Yes.", 1, turn=0), thinking=thinking)
    assert list(filter(None, printed.splitlines())) == [*lines, "Yes."]


# -- meters and bells ---------------------------------------------------------------------------------------


def test_budget_and_context_are_in_the_progress_line() -> None:
    line = ProgressLine(lambda: 0.0, budget=0.5)
    line.add(SystemChunk("init", {}, turn=0))
    line.add(MessageChunk("start", usage={"input_tokens": 34_200}, turn=0))
    line.cost = 0.125
    assert "$0.1250 of $0.5 · context 34k · " in line.render(120).plain
    assert "context" not in line.render(80).plain
    line.add(result_chunk())  # of a model that reads a million tokens
    assert "context 34k (3%)" in line.render(120).plain


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("notify", "at", "sent"),
    [
        ("bell", 12.0, "\a"),
        ("osc9", 12.0, "\x1b]9;The agent is done\a"),
        ("bell", 5.0, ""),
        (None, 12.0, ""),
    ],
)
def test_the_end_of_a_long_turn_is_told(notify: Any, at: float, sent: str) -> None:
    screen = Tty()
    console = Console(file=screen, force_terminal=True, width=80, height=24)
    with LiveDisplay(console, notify=notify, paint_every=0) as display:
        display.show(dataclasses.replace(result_chunk(), at=at))
    written = screen.getvalue()
    assert ("\a" in written) is bool(sent)
    assert sent in written
