"""`rxccsdk ask` on a terminal: it asks the person, shows what commands write, and takes messages."""

from __future__ import annotations

import io
import re
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rxccsdk import Allow, AskChunk
from rxccsdk.chunks import LimitChunk, ToolOutputChunk, ToolResultChunk
from rxccsdk.cli.person import Limits
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.questions import Person, suggestion_in_words
from rxccsdk.display.running import Running
from rxccsdk.testing import reply
from tests.cli_processes import COMMAND, CTRL_C, run
from tests.desk import Desk, desks

ASK = [*COMMAND, "ask"]
TOUCH = {"command": "touch made", "description": "make a file"}
CTRL_D = b"\x04"


BOTH = pytest.mark.parametrize("sdk", ["claude-code-sdk", "claude-agent-sdk"])


@pytest.fixture
def sdk() -> str:
    """The SDK, where it makes no difference."""
    return "claude-agent-sdk"


@pytest.fixture
def sit(sdk: str, tmp_path: Path) -> Iterator[Any]:
    """Sit down at a terminal where `rxccsdk ask` runs, against a scripted API."""
    with desks(tmp_path, "ask", "--backend", sdk, last=("go",)) as start:
        yield start


def made(desk: Desk) -> bool:
    return (desk.folder / "project" / "made").exists()


def tries(**input: Any) -> list[Any]:
    return [reply("I try. ").tool("Bash", {**TOUCH, **input}), reply("That is it.")]


@BOTH
def test_a_permission_is_given_once(sit: Any) -> None:
    desk = sit([*tries()[:1], reply("Again. ").tool("Bash", TOUCH), reply("That is it.")])
    desk.see("? Bash touch made")
    desk.see("make a file")
    desk.see("Allow it?")
    desk.press("maybe\n")
    desk.see("nothing happens before you answer")
    assert not made(desk)
    desk.press("y\n")
    desk.see("Again.")
    assert made(desk)
    desk.wait(lambda: desk.screen.text().count("Allow it?") == 3, "it asks again")
    desk.press("yes\n")
    assert desk.end() == 0
    assert "That is it." in desk.screen.text()
    assert desk.modes_now() == desk.modes


def test_a_permission_is_given_for_good(sit: Any) -> None:
    desk = sit([*tries()[:1], reply("Again. ").tool("Bash", TOUCH), reply("That is it.")])
    desk.see("always would allow: ")
    desk.press("a\n")
    assert desk.end() == 0
    assert desk.screen.text().count("Allow it?") == 1
    assert "That is it." in desk.screen.text()
    assert made(desk)


@BOTH
def test_a_permission_is_refused_with_a_reason(sit: Any) -> None:
    desk = sit(tries())
    desk.see("Allow it?")
    desk.press("n keep the folder clean\n")
    assert desk.end() == 0
    assert not made(desk)
    assert "keep the folder clean" in str(desk.api.requests[-1].messages)


def test_where_nobody_types_any_more_it_is_refused(sit: Any) -> None:
    desk = sit(tries())
    desk.see("Allow it?")
    desk.press(CTRL_D)
    assert desk.end() == 0
    assert not made(desk)
    assert "Nobody is at the keyboard" in str(desk.api.requests[-1].messages)


def test_ctrl_c_ends_it_while_it_asks(sit: Any) -> None:
    desk = sit(tries())
    desk.see("Allow it?")
    desk.press(CTRL_C)
    assert desk.end() == 130
    assert not made(desk)
    assert desk.modes_now() == desk.modes


@BOTH
def test_questions_are_answered_by_number_or_in_words(sit: Any) -> None:
    options = [{"label": "red", "description": "warm"}, {"label": "blue", "description": "cold"}]
    questions = [
        {"question": "Which colour?", "header": "Colour", "multiSelect": False, "options": options},
        {"question": "Which ones?", "header": "Both", "multiSelect": True, "options": options},
        {"question": "Why?", "header": "Why", "multiSelect": False, "options": options},
    ]
    desk = sit([reply("I ask. ").tool("AskUserQuestion", {"questions": questions}), reply("I see.")])
    desk.see("2 blue  cold")
    desk.press("7\n")
    desk.see("numbers 1 to 2")
    desk.press("2\n")
    desk.see("Which ones?")
    desk.press("1, 2\n")
    desk.see("Why?")
    desk.press("because it is quiet\n")
    assert desk.end() == 0
    told = str(desk.api.requests[-1].messages)
    assert "blue" in told
    assert "red, blue" in told
    assert "because it is quiet" in told


def test_a_plan_is_shown_and_refused(sit: Any) -> None:
    script = [reply("I plan. ").tool("ExitPlanMode", {"plan": "Look, then leap."}), reply("Again.")]
    desk = sit(script, "--permission-mode", "plan")
    desk.see("? The plan:")
    desk.see("Allow it?")
    desk.press("n look twice\n")
    assert desk.end() == 0
    assert "look twice" in str(desk.api.requests[-1].messages)


def test_what_a_command_writes_is_seen_while_it_runs(sit: Any) -> None:
    lines = "for i in $(seq 1 45); do echo line $i; sleep 0.1; done"
    script = [reply("I count. ").tool("Bash", {"command": lines, "description": "count"}), reply("Counted.")]
    desk = sit(script, "--allowed-tools", "Bash")
    desk.see("│ line 3")
    rows = [row for row in desk.screen.text().splitlines() if "│ line" in row]
    assert 1 <= len(rows) <= 3
    assert desk.end() == 0
    assert "│ line" not in desk.screen.text()
    assert "✓ Bash" in desk.screen.text()
    assert re.search(r"· context \d+%", desk.screen.text())


@BOTH
def test_what_is_typed_reaches_the_agent(sit: Any) -> None:
    lines = "for i in $(seq 1 20); do sleep 0.1; done"
    script = [reply("I wait. ").tool("Bash", {"command": lines, "description": "wait"}), reply("I see.")]
    desk = sit(script, "--allowed-tools", "Bash", "--steer")
    desk.see("Enter sends it")
    desk.see("I wait.")
    desk.press("use uvX")
    desk.see("› use uvX")
    desk.press(b"\x7f\x1b[D, please\r")
    desk.see("› use uv, please")
    assert desk.end() == 0
    assert "use uv, please" in str(desk.api.requests[-1].messages)
    assert desk.modes_now() == desk.modes


def test_what_is_typed_too_late_is_answered_next(sit: Any) -> None:
    script = [reply().text("A long last word. ", pieces=4, delay=0.5), reply("And this is next.")]
    desk = sit(script, "--steer")
    desk.see("A long")
    desk.press("and then\r")
    assert desk.end() == 0
    text = desk.screen.text()
    assert "answered next" in text
    assert "And this is next." in text


def test_questions_and_messages_share_the_keyboard(sit: Any) -> None:
    desk = sit(tries(command="touch made; for i in $(seq 1 15); do sleep 0.1; done"), "--steer")
    desk.see("Allow it?")
    desk.press("y\n")
    desk.wait(lambda: made(desk), "allowed")
    desk.press("and more\r")
    assert desk.end() == 0
    assert "and more" in str(desk.api.requests[-1].messages)
    assert desk.modes_now() == desk.modes


def test_a_signal_gives_the_keyboard_back(sit: Any) -> None:
    lines = "for i in $(seq 1 30); do sleep 0.1; done"
    script = [reply("I wait. ").tool("Bash", {"command": lines, "description": "wait"}), reply("I see.")]
    desk = sit(script, "--allowed-tools", "Bash", "--steer")
    desk.see("Enter sends it")
    flags = desk.modes_now()[3]
    assert isinstance(flags, int)
    assert not flags & termios.ICANON
    desk.process.terminate()
    desk.end()
    assert desk.modes_now() == desk.modes


def test_steering_needs_a_terminal() -> None:
    done = run(*ASK, "--steer", "go")
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


async def test_a_plan_that_comes_with_the_question_is_rendered() -> None:
    shown = io.StringIO()

    class Sure(LiveDisplay):
        async def ask(self, question: str) -> str:
            return "y"

    ask = AskChunk("a", "plan", "ExitPlanMode", None, {"plan": "# Two steps\n\n1. Look\n2. Leap\x1b[2J"}, ())
    assert await Person(Sure(Console(file=shown))).decide(ask) == Allow()
    assert "Two steps" in shown.getvalue()
    assert "2 Leap" in shown.getvalue()
    assert "\x1b" not in shown.getvalue()


# -- words --------------------------------------------------------------------------------------------------


def test_suggestions_in_words() -> None:
    rules: list[Any] = [{"toolName": "Bash", "ruleContent": "git push:*"}, {"toolName": "Read"}]
    found: list[dict[str, Any]] = [
        {"type": "addRules", "rules": rules, "behavior": "allow", "destination": "localSettings"},
        {"type": "setMode", "mode": "acceptEdits", "destination": "session"},
        {"type": "addDirectories", "directories": ["/tmp"], "destination": "session"},
        {"type": "addRules", "rules": 5},
        {"type": "novel"},
    ]
    assert suggestion_in_words(found) == (
        "Bash(git push:*), Read in this project, for you; mode acceptEdits for this session; "
        "work in /tmp for this session"
    )


def test_limits_that_matter_are_said() -> None:
    limits = Limits()
    limits.add(LimitChunk("five_hour", "allowed"))
    assert limits.in_words() == []
    limits.add(LimitChunk("five_hour", "allowed_warning", None, 0.9))
    limits.add(LimitChunk("seven_day", "rejected", 0.0))
    assert limits.in_words()[0] == "five hour limit 90%"
    assert limits.in_words()[1].startswith("seven day limit reached, until ")


def test_the_end_of_an_output_is_shown_as_it_stands() -> None:
    outputs = Running()
    outputs.add(ToolOutputChunk("a", "t", "one\ntwo\n10%\r20%\r30%", 0, 0))
    assert [row.plain for row in outputs.rows(0.0, 20, 2)] == ["  │ two", "  │ 30%"]
    outputs.add(ToolOutputChunk("b", "u", "\x1b[2Jevil\n", 0, 0))
    assert "\x1b" not in outputs.rows(0.0, 20, 2)[0].plain
    outputs.add(ToolOutputChunk("b", "u", "x" * 100, 6, 4))
    (row,) = outputs.rows(0.0, 12, 1)
    assert row.cell_len == 12
    outputs.add(ToolResultChunk("b", "done", False))
    assert outputs.rows(0.0, 20, 1)[0].plain == "  │ 30%"
    outputs.add(ToolResultChunk("a", "done", False))
    assert outputs.rows(0.0, 20, 3) == []
