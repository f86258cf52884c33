"""The region in a terminal: what stands is the one-shot render, and the terminal is as it was."""

from __future__ import annotations

import io
import re
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console

from rxccsdk import TextChunk, ToolResultChunk, ToolUseChunk
from rxccsdk.display import jobs
from rxccsdk.display.blocks import leaves
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.region import Region
from tests.emulator import Emulator
from tests.markdown_strategies import chunkings, documents
from tests.test_display_markdown import REAL, one_shot

SIZES = [(40, 12), (80, 24), (120, 40), (200, 50)]


class Stage:
    """A display on an emulated terminal, in this process, without a timer."""

    def __init__(self, columns: int, lines: int) -> None:
        self._file = io.StringIO()
        self.screen = Emulator(columns, lines)
        self.written = ""
        self.console = Console(
            file=self._file, width=columns, height=lines, force_terminal=True, color_system="truecolor",
            _environ={"TERM": "xterm"},
        )  # fmt: skip
        self.display = LiveDisplay(self.console, paint_every=0)

    def look(self) -> None:
        """Bring the screen up to date."""
        written = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        self.written += written
        self.screen.feed(written)

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        self.look()
        self.screen.resize(lines, columns)
        self.console.size = (columns, lines)

    def say(self, pieces: list[str]) -> None:
        """Show a text."""
        for piece in pieces:
            self.display.show(TextChunk(piece, 0, turn=0))
            self.look()


def text_of(markdown: str, columns: int) -> str:
    """What a terminal shows of a whole answer, as logical lines."""
    screen = Emulator(columns, 50)
    lines = (re.sub("[\x1b]", "␛", line.plain) for line in one_shot(markdown, columns - 1))
    screen.feed("".join(f"{line}\n" for line in lines))
    return screen.text()


def committed(written: str) -> str:
    """What was written to stay: all but what was painted with autowrap off."""
    stays = re.sub(r"\x1b\[\?7l.*?\x1b\[\?7h", "", written, flags=re.DOTALL)
    stays = re.sub(r"\x1b\[\?25l\x1b\[\?7h *", "", stays)
    stays = re.sub(r"\x1b\]8;.*?\x1b\\", "", stays)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", stays)


@given(documents, st.sampled_from(SIZES), st.data())
def test_the_scrollback_is_the_one_shot_render(
    markdown: str, size: tuple[int, int], data: st.DataObject
) -> None:
    stage = Stage(*size)
    with stage.display:
        stage.say(data.draw(chunkings(markdown)))
    stage.look()
    assert stage.screen.text() == text_of(markdown, size[0])
    expected = "".join(f"{line.plain}\n" for line in one_shot(markdown, size[0] - 1))
    assert committed(stage.written).strip("\n") == expected.replace("\x1b", "␛").strip("\n"), "each line once"
    assert not stage.screen.cursor.hidden
    assert stage.screen.wraps


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("path", REAL[1:2], ids=lambda path: path.name)
def test_a_real_document(path: Path, size: tuple[int, int]) -> None:
    markdown = path.read_text(encoding="utf-8")
    stage = Stage(*size)
    with stage.display:
        stage.say([markdown[start : start + 97] for start in range(0, len(markdown), 97)])
    stage.look()
    assert stage.screen.text() == text_of(markdown, size[0])


def words_of(text: str) -> str:
    """The letters alone: how they are arranged depends on the width, and some scripts may break in a word."""
    return re.sub(r"[▌─\s]+", "", text)


@given(documents, st.data())
def test_no_resize_leaves_stale_rows_or_loses_a_word(markdown: str, data: st.DataObject) -> None:
    assume(all(leaf.kind != "table_open" for leaf in leaves(markdown)))
    stage = Stage(80, 24)
    sizes = st.tuples(st.integers(24, 130), st.integers(5, 50))
    with stage.display:
        for piece in data.draw(chunkings(markdown)):
            stage.say([piece])
            if data.draw(st.booleans()):
                stage.resize(*data.draw(sizes))
            if data.draw(st.booleans()):
                stage.display.show(
                    ToolUseChunk("t", "Bash", {"command": "sleep " * 20}, 1, turn=0, agent="a")
                )
    stage.look()
    assert words_of(stage.screen.text()) == words_of(text_of(markdown, 130))


def test_a_window_dragged_narrower_while_a_tool_runs() -> None:
    stage = Stage(120, 24)
    with stage.display:
        stage.display.show(ToolUseChunk("t", "Bash", {"command": "make " * 40}, 1, turn=0))
        for columns in range(119, 39, -1):
            stage.resize(columns, 24)
            stage.display.print("")  # paints
        stage.resize(120, 24)
        stage.resize(40, 24)
        stage.display.show(ToolResultChunk("t", "ok", False, turn=0, at=1.0))
    stage.look()
    assert stage.screen.text().lstrip("\n").startswith("✓ Bash make")
    assert len(stage.screen.text().strip().split("\n")) == 1


def test_what_is_shown_is_rewritten_as_little_as_can_be() -> None:
    stage = Stage(80, 24)
    with stage.display:
        stage.say(["A paragraph that grows"])
        before = len(stage.written)
        stage.say([" on"])
        assert len(stage.written) - before < 130, stage.written[before:]


def test_a_display_on_a_terminal_that_is_gone_takes_nothing_and_leaves_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    console = Console(file=Gone(), force_terminal=True, _environ={"TERM": "xterm"})
    with LiveDisplay(console) as display:
        display.show(TextChunk("x", 0, turn=0))
    assert display.closed
    assert not jobs._borrowers
    assert not Region._all


def test_two_sessions_in_one_display_keep_their_lines() -> None:
    stage = Stage(60, 24)
    one, two = "one and on\n\nsecond", "another speaks\n\n- of\n- a list"
    pieces = zip_longest(re.findall("(?s)..?.?", one), re.findall("(?s)..?.?", two), fillvalue="")
    with stage.display:
        for first, second in pieces:
            stage.display.show(TextChunk(first, 0, turn=0), "api")
            stage.display.show(TextChunk(second, 0, turn=0), "web")
            stage.look()
        assert sum(re.match("(api|web) . [0-9]", row) is not None for row in stage.screen.window()) == 2
    stage.look()
    lines = stage.screen.text().split("\n")
    assert [line for line in lines if line.startswith("api")] == ["api ┃ one and on", "api ┃", "api ┃ second"]
    assert [line[6:] for line in lines if line.startswith("web")] == [
        "another speaks",
        "",
        "• of",
        "• a list",
    ]


def test_a_painting_is_seen_at_once_or_not_at_all() -> None:
    """Synchronized output: mode 2026 around all that moves the cursor."""
    stage = Stage(80, 24)
    with stage.display:
        stage.say(["# One\n\ntwo ", "three\n\n- four\n"])
    stage.look()
    outside = re.sub(r"\x1b\[\?2026h.*?\x1b\[\?2026l", "", stage.written, flags=re.DOTALL)
    assert "\x1b" not in outside
    assert stage.written.count("\x1b[?2026h") == stage.written.count("\x1b[?2026l") > 2


def test_links_are_of_our_making_and_lead_where_they_say() -> None:
    stage = Stage(80, 24)
    with stage.display:
        stage.say(
            ["[here](https://example.org/a) and [there](javascript:alert(1)) \x1b]8;;https://evil\x1b\\x\n"]
        )
    stage.look()
    targets = set(re.findall(r"\x1b\]8;[^;]*;([^\x1b]+)\x1b", stage.written))
    assert targets == {"https://example.org/a"}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_rows_of_what_runs_fit_and_leave_nothing(size: tuple[int, int]) -> None:
    columns, lines = size
    stage = Stage(columns, lines)
    calls = [ToolUseChunk(str(n), "Bash", {"command": f"make part-{n} " * 9}, n, turn=0) for n in range(5)]
    with stage.display:
        for call in [*calls, ToolUseChunk("a", "Agent", {"description": "日本語 review"}, 9, turn=0)]:
            stage.display.show(call)
            stage.display.print("printed")  # paints
            stage.look()
        window = stage.screen.window()
        shown = [row for row in window if row.startswith(("◦", "▸ Agent"))]
        assert shown
        assert len(shown) <= max(4, lines // 3)
        stage.resize(columns - 7, lines)
        for call in calls:
            stage.display.show(ToolResultChunk(call.id, "ok", False, turn=0, at=1.0))
        stage.display.show(ToolResultChunk("a", "ok", False, turn=0, at=1.0))
        stage.look()
    stage.look()
    text = stage.screen.text()
    assert "◦" not in text
    assert text.count("✓ Bash make part-") == 5
    assert text.count("printed") == 6
