"""The live display, driven by chunks, on recorded consoles of a fixed width."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from rxccsdk import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UserChunk,
)
from rxccsdk.display.live import LiveDisplay, Markdown
from rxccsdk.display.markdown import MarkdownRows
from rxccsdk.display.progress import ProgressLine
from rxccsdk.display.rows import rows
from rxccsdk.display.wording import call_in_words, content_in_words
from rxccsdk.text.harmless import harmless
from tests.emulator import Emulator

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def show(
    *chunks: Chunk, plain: bool = False, width: int = 60, color: bool = False, markdown: Markdown = "rendered"
) -> str:
    """What is left on the page after these chunks."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        height=24,
        force_terminal=not plain,
        color_system="standard" if color else None,
        _environ={"TERM": "xterm"},
    )
    with LiveDisplay(console, plain=plain, clock=Clock(), paint_every=0, markdown=markdown) as display:
        for chunk in chunks:
            display.show(chunk)
    assert not display.closed
    if plain or color:
        return file.getvalue()
    screen = Emulator(width, 24)
    screen.feed(file.getvalue())
    return screen.text()


def text(words: str, block: int = 0, **more: Any) -> TextChunk:
    return TextChunk(words, block, turn=0, **more)


def call(name: str, input: dict[str, Any], id: str = "t1", **more: Any) -> ToolUseChunk:
    return ToolUseChunk(id, name, input, 1, turn=0, **more)


def back(content: Any = "ok", id: str = "t1", is_error: bool = False, **more: Any) -> ToolResultChunk:
    return ToolResultChunk(id, content, is_error, turn=0, **more)


both = pytest.mark.parametrize("plain", [True, False], ids=["plain", "terminal"])


@both
def test_text_streams_and_stays(plain: bool) -> None:
    shown = show(
        *(text(piece) for piece in ("Hello, ", "wor", "ld.\n\nA second", " paragraph.")), plain=plain
    )
    assert shown.rstrip("\n") == "Hello, world.\n\nA second paragraph."


def test_plain_text_of_one_block_is_written_as_it_came() -> None:
    answer = "  indented\n\n\ttab   \n日本語 🎉 end \n\n\nmore"
    assert show(*map(text, re.findall(r"(?s).{1,3}", answer)), plain=True) == answer + "\n"


@both
def test_blocks_are_a_blank_line_apart(plain: bool) -> None:
    chunks = (
        text("One.", 0, message_id="a"),
        MessageChunk("start", message_id="b"),
        text("Two.", 1, message_id="b"),
    )
    assert show(*chunks, plain=plain).rstrip() == "One.\n\nTwo."


@both
def test_a_tool_call_is_one_line_with_its_duration(plain: bool) -> None:
    shown = show(
        text("Look:"),
        call("Bash", {"command": "ls\n  -l"}, at=1.0),
        back(at=3.25),
        text("Done.", 2),
        plain=plain,
    )
    assert shown.rstrip() == "Look:\n\n✓ Bash ls -l  2.2 s\n\nDone."


@both
def test_a_failed_call_says_why(plain: bool) -> None:
    refused = back("<tool_use_error>Permission to use Bash was denied</tool_use_error>", is_error=True)
    denial = {"tool_name": "Bash", "tool_use_id": "t1", "tool_input": {}}
    result = ResultChunk("success", False, turn=0, permission_denials=(denial,))
    shown = show(call("Bash", {"command": "rm x"}), refused, result, plain=plain, width=80)
    assert shown.rstrip() == (
        "✗ Bash rm x  0 ms\n"
        "  Permission to use Bash was denied\n\n"
        "! Bash was denied; to allow it: allowed_tools=['Bash']"
    )


def denied(message: str, **more: Any) -> list[Chunk]:
    """A call that is denied, as 2.1.330 tells it."""
    told = {"tool_name": "Bash", "tool_use_id": "t1", "message": message, **more}
    result = ResultChunk("success", False, turn=0, permission_denials=(told,))
    return [
        call("Bash", {"command": "rm x"}),
        SystemChunk("permission_denied", told),
        back(message, is_error=True),
        result,
    ]


@both
def test_a_denial_is_said_once_with_what_would_allow_it(plain: bool) -> None:
    shown = show(*denied("This command requires approval"), plain=plain)
    told = "✗ Bash rm x  denied\n  This command requires approval\n  to allow it: allowed_tools=['Bash']"
    assert shown.rstrip() == told
    old = [chunk for chunk in denied("This command requires approval") if not isinstance(chunk, SystemChunk)]
    assert show(*old, plain=plain).rstrip() == told, "CLIs before that frame"


def test_what_would_allow_it_depends_on_who_denied_it() -> None:
    def remedy(message: str, mode: str) -> str:
        init = SystemChunk("init", {"permissionMode": mode})
        return show(init, *denied(message), plain=True).partition("to allow it: ")[2].strip()

    assert remedy("Cannot write to x while in plan mode.", "plan") == "permission_mode='acceptEdits'"
    asked = "Permission to use Bash has been denied because Claude Code is running in don't ask mode."
    assert remedy(asked, "dontAsk") == "allowed_tools=['Bash']"
    assert remedy("Permission to use Bash with command rm x has been denied.", "default") == "", "a rule"


def test_a_long_reason_takes_a_few_rows() -> None:
    shown = (
        show(call("Bash", {"command": "x"}), back("word " * 60, is_error=True), width=30).rstrip().split("\n")
    )
    assert shown[0] == "✗ Bash x  0 ms"
    assert shown[1] == "  word word word word word"
    assert shown[3].endswith("…")
    assert len(shown) == 4


@both
def test_less_can_be_shown(plain: bool) -> None:
    chunks = [
        text("said"), ThinkingChunk("thought", 1, turn=0), call("Read", {"file_path": "x"}), back(),
        RetractedChunk((0,)), *denied("needs approval"), TaskChunk("k", "A", "completed"),
        NoticeChunk("api_error", "broken", turn=0), ResultChunk("success", True, "broken", turn=0),
        ResultChunk("success", False, "/cost", turn=1),
    ]  # fmt: skip
    told = "✗ Bash rm x  denied\n  needs approval\n  to allow it: --allow Bash\n\n"

    def less(detail: Any) -> str:
        file = io.StringIO()
        console = Console(file=file, width=60, force_terminal=not plain, _environ={"TERM": "xterm"})
        permit = lambda option, value: f"--allow {value}"  # noqa: E731
        display = LiveDisplay(
            console, plain=plain, detail=detail, permit=permit, clock=Clock(), paint_every=0
        )
        with display:
            for chunk in chunks:
                display.show(chunk)
        if plain:
            return file.getvalue().rstrip()
        screen = Emulator(60)
        screen.feed(file.getvalue())
        return screen.text()

    assert less("activity") == "✓ Read x  0 ms\n" + told + "a command: completed in the background\n! broken"
    assert less("trouble") == told + "! broken"


def agents() -> list[Chunk]:
    return [
        call("Agent", {"description": "first", "prompt": "p"}, "A"),
        call("Agent", {"description": "second", "prompt": "p"}, "B"),
        text("from a", 2, agent="A"),
        text("from b", 3, agent="B"),
        call("Read", {"file_path": "x.py"}, "r", agent="A"),
        back(id="r", agent="A"),
        back(id="A", at=4.0),
        back(id="B", at=5.0),
    ]


@both
def test_sub_agents_are_nested_and_told_apart(plain: bool) -> None:
    guide = "|" if plain else "│"
    assert show(*agents(), plain=plain).rstrip().split("\n") == [
        "▸ Agent first",
        "▸ Agent second",
        "▸ Agent first …",
        f"{guide} from a",
        "▸ Agent second …",
        f"{guide} from b",
        "▸ Agent first …",
        f"{guide} ✓ Read x.py  0 ms",
        "✓ Agent first  4.0 s",
        "✓ Agent second  5.0 s",
    ]


@both
def test_a_sub_agent_of_a_sub_agent_is_nested_twice(plain: bool) -> None:
    guide = "| " if plain else "│ "
    shown = show(
        call("Agent", {"description": "outer"}, "A"),
        call("Agent", {"description": "inner"}, "B", agent="A"),
        text("deep", 2, agent="B"),
        back(id="B", agent="A"),
        back(id="A"),
        plain=plain,
    )
    assert f"\n{guide}▸ Agent inner\n{guide}{guide}deep\n{guide}✓ Agent inner" in shown


@both
def test_other_agents_do_not_break_into_the_main_agents_line(plain: bool) -> None:
    chunks = (text("Main text "), text("sub\n", 2, agent="A"), text("goes on."))
    shown = show(call("Agent", {"description": "d"}, "A"), *chunks, plain=plain)
    assert "Main text goes on." in shown
    assert " sub\n" in shown + "\n"


@both
def test_a_background_agent_says_so_and_says_when_it_ended(plain: bool) -> None:
    shown = show(
        call("Agent", {"description": "d"}, "A"),
        ToolResultChunk("A", "Async agent launched", False, {"isAsync": True}, turn=0),
        TaskChunk("k", "A", "progress"),
        TaskChunk("k", "A", "completed"),
        plain=plain,
    )
    assert shown.rstrip().split("\n") == [
        "▸ Agent d",
        "→ Agent d  goes on in the background",
        "",
        "Agent d: completed in the background",
    ]


@both
def test_a_background_agent_outlives_its_turn(plain: bool) -> None:
    guide = "|" if plain else "│"
    shown = show(
        call("Agent", {"description": "d"}, "A"),
        ToolResultChunk("A", "Async agent launched", False, {"isAsync": True}, turn=0),
        call("Bash", {"command": "make"}, "b", agent="A"),
        ResultChunk("success", False, turn=0),
        back(id="b", agent="A", at=2.0),
        text("sub end", agent="A"),
        TaskChunk("k", "A", "completed"),
        plain=plain,
    )
    assert shown.rstrip().split("\n") == [
        "▸ Agent d",
        "→ Agent d  goes on in the background",
        "",
        "▸ Agent d …",
        f"{guide} ✓ Bash make  2.0 s",
        f"{guide} sub end",
        "",
        "Agent d: completed in the background",
    ]


@both
def test_thinking_leaves_one_short_line(plain: bool) -> None:
    shown = show(
        *(ThinkingChunk("hm, well " * 5, 0, turn=0) for _ in range(20)), text("Yes.", 1), plain=plain
    )
    first, answer = shown.rstrip().split("\n")
    assert first.startswith("∴ hm, well hm,")
    assert first.endswith("…")
    assert cell_len(first) <= (302 if plain else 59)
    assert answer == "Yes."


@both
def test_abandoned_text_is_marked(plain: bool) -> None:
    shown = show(
        text("Half a sen", 0, message_id="a"), RetractedChunk((0,), (), True, turn=0),
        text("Half a sentence.", 1, message_id="b"), plain=plain,
    )  # fmt: skip
    assert re.search(
        r"Half a sen\n\n✗ the text above was cut off and does not st.*\n\nHalf a sentence\.", shown
    )


@both
def test_a_retracted_call_is_forgotten_and_nothing_is_said_of_it(plain: bool) -> None:
    shown = show(
        call("Bash", {"command": "x"}),
        RetractedChunk((1,), ("t1",)),
        ResultChunk("success", False),
        plain=plain,
    )
    assert shown.strip() == ""


@both
def test_how_a_bad_turn_ends_is_said_once(plain: bool) -> None:
    failed = ResultChunk("success", True, "Invalid API key", turn=0)
    shown = show(NoticeChunk("api_error", "Invalid API key", turn=0), failed, plain=plain)
    assert shown.rstrip() == "! Invalid API key"
    limit = ResultChunk("error_max_turns", True, errors=("Reached maximum number of turns (2)",), turn=0)
    assert show(text("x"), limit, plain=plain).rstrip() == "x\n\n✗ Reached maximum number of turns (2)"


@both
def test_an_interrupt(plain: bool) -> None:
    shown = show(
        call("Bash", {"command": "sleep 9"}),
        NoticeChunk("interrupt", "session.interrupt() was called", turn=0),
        UserChunk("[Request interrupted by user]", True, turn=0),
        ResultChunk(
            "error_during_execution", True, errors=("[ede_diagnostic] x=y",), terminal_reason="aborted_tools"
        ),
        plain=plain,
    )
    assert shown.rstrip().split("\n") == [
        "! session.interrupt() was called",
        "",
        "? Bash sleep 9  no result",
        "",
        "✗ the turn was interrupted",
    ]
    note = UserChunk("[Request interrupted by user]", True, turn=0)
    assert show(note, plain=plain).rstrip() == "[Request interrupted by user]", "where nothing else says so"


@both
def test_an_answer_that_is_only_in_the_result_is_shown(plain: bool) -> None:
    assert show(ResultChunk("success", False, "Total cost: $0"), plain=plain).rstrip() == "Total cost: $0"


@both
def test_turns_are_a_blank_line_apart(plain: bool) -> None:
    result = ResultChunk("success", False, "as it was streamed", turn=0)
    shown = show(
        text("One."), result, text("Two."), result, ResultChunk("success", False, "/cost"), plain=plain
    )
    assert shown.rstrip() == "One.\n\nTwo.\n\n/cost"


@both
def test_a_retry_is_announced(plain: bool) -> None:
    data = {"error_status": 529, "attempt": 1, "max_retries": 10, "retry_delay_ms": 500.0}
    shown = show(SystemChunk("api_retry", data), plain=plain)
    assert shown.rstrip() == "! the API answered 529; attempt 1 of 10 in 0.5 s"
    del data["error_status"]
    shown = show(SystemChunk("api_retry", data), plain=plain)
    assert shown.rstrip() == "! the connection to the API broke; attempt 1 of 10 in 0.5 s"


@both
@pytest.mark.parametrize("odd", [[1], {}, "x", True, None])
def test_figures_of_any_shape_break_nothing(plain: bool, odd: Any) -> None:
    shown = show(
        SystemChunk("api_retry", {"error_status": odd, "retry_delay_ms": odd, "attempt": odd}),
        MessageChunk("delta", usage={"output_tokens": odd}),
        text("fine"),
        plain=plain,
    )
    assert "fine" in shown


@both
def test_text_cannot_steer_the_terminal(plain: bool) -> None:
    shown = show(
        text("a\x1b[2Jb\x07\r\nc\x9b31m\ud800"),
        call("Bash", {"command": "\x1b]0;title\x07"}),
        back(),
        plain=plain,
    )
    assert shown.rstrip() == "a␛[2Jb\nc31m?\n\n✓ Bash ␛]0;title  0 ms"


def test_long_lines_and_wide_characters_fit_a_narrow_terminal() -> None:
    words = (
        "日本語のとても長い文章です。" * 30
        + " and_a_word_that_is_far_longer_than_any_row " * 3
        + "👩‍👩‍👧 é" * 20
    )
    shown = show(text(words), call("Bash", {"command": words}), back("x", at=1.0), width=32)
    lines = shown.split("\n")
    assert max(cell_len(line) for line in lines if "_far_longer_" not in line) <= 31
    assert lines[-1].startswith("✓ Bash 日本語")
    assert lines[-1].endswith("…  1.0 s")
    assert "".join(lines[:-2]).replace(" ", "") == words.replace(" ", "")


def test_rows_join_to_the_text_and_only_the_last_one_changes() -> None:
    words = "one  two three日本 four-and-a-very-long-word e\u0301nd "
    for width in (1, 2, 5, 9, 60):
        before: list[str] = []
        for end in range(len(words) + 1):
            now = rows(words[:end], width)
            assert "".join(now) == words[:end]
            assert all(cell_len(row.rstrip(" ")) <= max(width, 2) for row in now)
            assert before[:-1] == now[: max(0, len(before) - 1)]
            before = now


def test_a_line_of_a_million_characters_takes_one_pass() -> None:
    assert len(rows("x" * 1_000_000, 80)) == 12_500


def test_styles_change_no_character() -> None:
    answer = "# Head\n**bold** and `code`\n```diff\n-old\n+new\n```\nend"
    shown = show(text(answer), color=True, markdown="raw")
    assert "\x1b[32m+new" in shown
    assert "\x1b[31m-old" in shown
    assert "\x1b[36m`code`" in shown
    assert "\x1b[1m# Head" in shown
    screen = Emulator(60)
    screen.feed(shown)
    assert screen.text() == answer


def test_what_a_row_leaves_open_goes_on_in_the_next() -> None:
    shown = show(
        text("See `one two three four` and five, six, `seven`.\n`next\nline"),
        color=True,
        width=18,
        markdown="raw",
    )
    coloured = re.findall(r"\x1b\[36m([^\x1b]*)", shown.replace("⠋", ""))
    assert [words.strip() for words in coloured if words.strip()] == [
        "`one two",
        "three four`",
        "`seven`",
        "`next",
    ]


def test_a_closed_pipe_closes_the_display_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself, rich would turn the program's standard output away, too."""
    turned: list[Any] = []
    monkeypatch.setattr("os.dup2", lambda *descriptors: turned.append(descriptors))

    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    for plain in (True, False):
        console = Console(file=Gone(), force_terminal=not plain, _environ={"TERM": "xterm"})
        with LiveDisplay(console, plain=plain, paint_every=0) as display:
            display.show(text("Hello\n"))
            display.show(text("Hello\n"))
        assert display.closed
    assert not turned


def test_a_file_that_cannot_hold_every_character_gets_the_others() -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, "ascii"))
    with LiveDisplay(console) as display:
        display.show(text("naïve"))
    assert display.plain
    assert raw.getvalue() == b"na?ve\n"


def test_a_terminal_that_knows_only_ascii_gets_plain_text() -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), "ascii"), force_terminal=True)
    assert LiveDisplay(console).plain
    assert LiveDisplay(Console(force_terminal=True, _environ={"TERM": "dumb"})).plain


def test_the_progress_line() -> None:
    clock = Clock()
    progress = ProgressLine(clock)

    def line() -> str:
        return progress.render(79).plain[2:]

    clock.now += 2.5
    assert line() == "2.5 s · 0 tokens · starting"
    progress.add(MessageChunk("start", turn=0, at=1.0, message_id="a"))
    assert line() == "1.0 s · 0 tokens · waiting for the model"
    progress.add(text("x" * 40, at=1.5))
    clock.now += 0.25
    assert line() == "1.8 s · ~10 tokens · writing"
    clock.now += 0.25
    assert line() == "2.0 s · ~10 tokens, 20/s · writing"
    progress.add(text("x" * 60, at=2.5))
    assert line() == "2.5 s · ~25 tokens, 25/s · writing"
    progress.add(MessageChunk("delta", usage={"output_tokens": 12}, turn=0, at=2.0, message_id="a"))
    progress.add(call("Bash", {"command": "make"}, "a", at=2.0))
    progress.add(call("Read", {"file_path": "f"}, "b", at=2.0))
    clock.now += 4
    assert line() == "6.0 s · 12 tokens · Read f (+1), 4.0 s · silent for 4.0 s"
    progress.add(back(id="b", at=6.0))
    progress.add(ToolProgressChunk("a", 30.0, turn=0, at=32.0))
    assert line() == "32.0 s · 12 tokens · Bash make, 30.0 s"
    progress.add(ResultChunk("success", False, total_cost_usd=0.0123, turn=0, at=33.0))
    assert line() == "33.0 s · 12 tokens · $0.0123 · done"
    assert cell_len(progress.render(20).plain) <= 20


def test_a_long_command_leaves_room_for_the_figures() -> None:
    clock = Clock()
    progress = ProgressLine(clock)
    progress.add(call("Bash", {"command": "make " * 40}, at=1.0))
    clock.now += 7
    line = progress.render(59).plain
    assert re.fullmatch(r". 8\.0 s · 0 tokens · Bash make.*… · silent for 7\.0 s", line)
    assert cell_len(line) == 59


def test_the_rate_of_fifty_thousand_pieces_needs_few_entries() -> None:
    progress = ProgressLine(Clock())
    for number in range(50_000):
        progress.add(text("word", at=number / 10_000))
    assert progress.rate == pytest.approx(10_000, rel=0.1)
    assert len(progress._written) < 60


def test_the_progress_line_is_below_the_text_and_gone_at_the_end() -> None:
    file = io.StringIO()
    console = Console(file=file, width=60, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    screen = Emulator(60)
    with LiveDisplay(console, clock=Clock(), paint_every=0) as display:
        display.show(text("First line\nand the beginn"))
        screen.feed(file.getvalue())
        assert screen.text() == "First line\nand the beginn\n⠋ 0.0 s · ~6 tokens · writing"
        assert screen.cursor.y == 0, "the cursor stays where the live rows begin"
    screen = Emulator(60)
    screen.feed(file.getvalue())
    assert screen.text() == "First line\nand the beginn"
    assert not screen.cursor.hidden
    assert screen.wraps


def test_words() -> None:
    assert call_in_words({}) == ""
    assert call_in_words({"n": 3, "other": "text"}) == "text"
    assert (
        content_in_words([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}])
        == "a b"
    )
    assert content_in_words(None) == ""
    assert harmless("plain") == "plain"


def coloured_as_code(text: str) -> list[str]:
    """The rows that the display colours as code, and those that it dims as fences."""
    markdown = MarkdownRows()
    rows = [markdown.done(row, ends_line=True) for row in text.splitlines()]
    return [row.plain for row in rows if row.style in ("cyan", "dim")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("``` a `b` c ```\nprose\n", []),
        ("```py\n~~~\nx\n```\nprose\n", ["```py", "~~~", "x", "```"]),
        ("- item\n\n  ```sh\n  ls\n  ```\nprose\n", ["  ```sh", "  ls", "  ```"]),
        ("10. run\n    ```sh\n    ls\n    ```\nprose", ["    ```sh", "    ls", "    ```"]),
        ("> ```\n> x\nprose\n", ["> ```", "> x"]),
        ("````\n```\nx\n````\nprose\n", ["````", "```", "x", "````"]),
        ("    ```\nprose\n", []),
    ],
)
def test_fences_are_coloured_as_markdown_reads_them(text: str, code: list[str]) -> None:
    assert coloured_as_code(text) == code
