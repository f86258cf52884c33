"""The progress table: a row for each turn that runs, a total, the newest events, lines of what ended."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from rxccsdk import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResponseMetadata,
    SessionResponse,
    SystemChunk,
    TextChunk,
    ToolUseChunk,
)
from rxccsdk.display import ProgressTable
from rxccsdk.testing import reply
from rxccsdk.testing.strategies import turns
from tests.conftest import Real
from tests.emulator import Emulator
from tests.operator_laws import result

DONE = SessionResponse(metadata=ResponseMetadata(cost_usd=0.25))
FAILED = SessionResponse(error="The API is overloaded.", error_kind="overloaded")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Screen:
    """A table on an emulated terminal."""

    def __init__(self, columns: int = 80, lines: int = 24, **options: object) -> None:
        self._file = io.StringIO()
        self._emulator = Emulator(columns, lines)
        self._fed = 0
        self.clock = Clock()
        console = Console(
            file=self._file,
            width=columns,
            height=lines,
            force_terminal=True,
            color_system="standard",
            _environ={"TERM": "xterm"},
        )
        self.table = ProgressTable(console, plain=False, clock=self.clock, paint_every=0, **options)  # type: ignore[arg-type]

    def rows(self) -> list[str]:
        """What the terminal shows."""
        written = self._file.getvalue()
        self._emulator.feed(written[self._fed :])
        self._fed = len(written)
        return [row.rstrip() for row in self._emulator.text().splitlines() if row.strip()]


def begin(name: str = "hello") -> list[Chunk]:
    return [
        SystemChunk("init", {}, turn=0, at=1.0),
        TextChunk("a" * 40, 0, turn=0, at=2.0),
        ToolUseChunk(name, "Bash", {"command": f"make {name}"}, turn=0, at=2.5),
    ]


def test_rows_total_and_events() -> None:
    screen = Screen(total=5, budget=5.0)
    with screen.table as table:
        for name in ("tests", "docs"):
            for chunk in begin(name):
                table.show(chunk, name)
        table.show(NoticeChunk("api_error", "Overloaded", turn=0, at=3.0), "docs")
        screen.clock.now = 8.5
        table.note("see the log")
        rows = screen.rows()
        assert rows[0] == "see the log"
        assert re.fullmatch(r". tests Bash make tests, 8\.5 s +11\.0 s +~10 tokens", rows[1])
        assert re.fullmatch(r". docs  Bash make docs, 9\.0 s +11\.5 s +~10 tokens", rows[2])
        assert rows[3] == "0 of 5 done · 2 running · 8.5 s · 20 tokens · $0.0000 of $5"
        assert rows[4:] == ["  docs Bash make docs", "  docs api_error: Overloaded"]
        table.end("tests", DONE)
        table.end("docs", FAILED)
        rows = screen.rows()
        assert rows[1] == "✓ tests 11.0 s · 10 tokens · $0.2500"
        assert rows[2] == "✗ docs 11.5 s · 10 tokens The API is overloaded."
        assert rows[3] == "1 of 5 done · 1 failed · 8.5 s · 20 tokens · $0.2500 of $5"
    assert screen.rows()[-1] == "1 of 5 done · 1 failed · 8.5 s · 20 tokens · $0.2500 of $5"
    assert len(screen.rows()) == 4


def test_more_turns_than_rows() -> None:
    screen = Screen(80, 24)
    with screen.table as table:
        for number in range(30):
            table.show(begin()[0], f"turn {number}")
        table.note("now")
        rows = screen.rows()[1:]
        assert len(rows) == 8  # a third of the terminal
        assert rows[-2:] == ["  and 24 more", "0 done · 30 running · 0 ms · 0 tokens · $0.0000"]


def test_a_low_window_has_turns_before_events() -> None:
    screen = Screen(80, 12)
    with screen.table as table:
        for number in range(3):
            for chunk in begin():
                table.show(chunk, f"turn {number}")
        assert [row.plain.split(" Bash")[0][2:] for row in table.rows(80, 4)[:3]] == [
            "turn 0",
            "turn 1",
            "turn 2",
        ]
        assert "turn 0" in table.rows(80, 2)[0].plain
        assert len(table.rows(80, 8)) == 6  # the newest two events
        assert table.rows(80, 3)[1].plain == "  and 2 more"


def test_a_turn_that_is_tried_again_begins_anew() -> None:
    screen = Screen()
    with screen.table as table:
        for chunk in [*begin(), result("", is_error=True, turn=0, at=5.0), *begin()[:1]]:
            table.show(chunk, "one")
        table.note("now")
        assert "waiting for the model" in screen.rows()[1]
        table.end("one", DONE)
        assert screen.rows()[2].startswith("1 done · 0 ms")


@given(
    turn=turns(),
    columns=st.sampled_from([20, 40, 80, 200]),
    lines=st.sampled_from([5, 12, 24]),
    labels=st.lists(st.text(), min_size=1, max_size=5),
)
def test_it_keeps_its_place_whatever_is_shown(
    turn: list[Chunk], columns: int, lines: int, labels: list[str]
) -> None:
    screen = Screen(columns, lines)
    with screen.table as table:
        for place, chunk in enumerate(turn):
            table.show(chunk, labels[place % len(labels)])
        for most in (1, 3, 8):
            rows = table.rows(columns, most)
            assert len(rows) <= most
            assert all(cell_len(row.plain) <= columns for row in rows)
            assert not any(character < " " for row in rows for character in row.plain)
    assert "done" in screen.rows()[-1]


@pytest.fixture
def plain() -> Iterator[tuple[ProgressTable, io.StringIO]]:
    file = io.StringIO()
    with ProgressTable(Console(file=file, width=80), total=2, clock=Clock()) as table:
        yield table, file


def test_plain_lines_where_there_is_no_terminal(plain: tuple[ProgressTable, io.StringIO]) -> None:
    table, file = plain
    for chunk in begin():
        table.show(chunk, "one \x1b]52;c;aGk=\x07")
    assert file.getvalue() == ""
    table.end("one \x1b]52;c;aGk=\x07", DONE)
    table.__exit__(None, None, None)
    line, total = file.getvalue().splitlines()
    assert line.startswith("✓ one ")
    assert "\x1b" not in line
    assert total == "1 of 2 done · 0 ms · 10 tokens · $0.2500"


def test_what_it_writes_to_may_be_gone() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with ProgressTable(Console(file=Gone(), width=80)) as table:
        table.show(MessageChunk("start"), "one")
        table.end("one", DONE)
        assert table.closed


async def test_turns_of_the_real_cli(real: Real) -> None:
    screen = Screen(total=2)
    async with real(lambda request: reply(f"It is {request.prompt}.")) as session:
        turns = {name: session.stream(name) for name in ("one", "two")}
        with screen.table as table:
            for name, turn in turns.items():
                table.watch(turn, name)
            await asyncio.gather(*(turn.wait() for turn in turns.values()))
            await asyncio.sleep(0)
        cost = sum(turn.response.metadata.cost_usd or 0.0 for turn in turns.values())
        tokens = sum((turn.response.metadata.usage or {})["output_tokens"] for turn in turns.values())
    rows = screen.rows()
    assert [row[:5] for row in rows[:2]] == ["✓ one", "✓ two"]
    assert rows[2].startswith("2 of 2 done · ")
    assert rows[2].endswith(f"{tokens:,} tokens · ${cost:.4f}")
