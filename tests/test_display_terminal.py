"""The display on a real pseudo-terminal: keys, job control, signals, and what a program prints beside it."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk import Desk

PROGRAM = [sys.executable, "-m", "tests.display_program"]
CTRL_Z = b"\x1a"


@contextlib.contextmanager
def desk(folder: Path, *steps: str, **options: tuple[int, int]) -> Iterator[Desk]:
    """The program at a desk, in its foreground."""
    opened = Desk(folder, *PROGRAM, str(folder), *steps, **options)
    try:
        yield opened
    finally:
        opened.close()


def is_as_it_was(at: Desk) -> None:
    """The terminal is as it was before the program."""
    assert at.modes_now() == at.modes
    assert not at.screen.cursor.hidden
    assert at.screen.wraps


def test_what_a_program_prints_and_logs_is_above_the_live_rows(tmp_path: Path) -> None:
    steps = ["text:One ", "print:printed\\n", "log:logged", "text:two.", "print:no newline", "print: yet\\n"]
    with desk(tmp_path, *steps, "print:never one") as at:
        at.step(0, 1, 2)
        at.see("logged\nOne")
        at.step(3, 4)
        at.see("no newline\nOne two.")
        at.step(5, 6)
        assert at.end() == 0
        lines = "begin\nprinted\nlogged\nno newline yet\nOne two.\nnever one\nend"
        assert at.screen.text() == lines
        is_as_it_was(at)


def test_a_question_is_seen_and_its_answer_read(tmp_path: Path) -> None:
    with desk(tmp_path, "text:Some ", "input:Your name? ", "ask:And\x1b[2J yours?", "text:text.") as at:
        at.step(0)
        (tmp_path / "1").touch()
        at.see("Your name?")
        at.wait(lambda: at.echoes)
        at.press("Ann\n")
        at.see("input gave 'Ann'\nSome")
        (tmp_path / "2").touch()
        at.see("And␛[2J yours?")
        at.wait(lambda: at.echoes)
        at.press("Bea\n")
        at.see("ask gave 'Bea'\nSome")
        at.step(3)
        assert at.end() == 0
        shown = "begin\nYour name? Ann\ninput gave 'Ann'\nAnd␛[2J yours? Bea\nask gave 'Bea'\nSome text.\nend"
        assert at.screen.text() == shown
        is_as_it_was(at)


def test_keys_pressed_meanwhile_leave_no_trace(tmp_path: Path) -> None:
    with desk(tmp_path, "text:One\n\n- two", "text: three", "text: four") as at:
        at.step(0)
        at.wait(lambda: not at.echoes)
        at.press("\n\nabc\n")
        at.step(1)
        at.press("\n" * 30)
        at.step(2)
        assert at.end() == 0
        assert at.screen.text() == "begin\nOne\n\n• two three four\nend"
        is_as_it_was(at)


def test_two_displays_share_the_rows(tmp_path: Path) -> None:
    with desk(tmp_path, "text:First ", "other:Second ", "text:display.", "other:one.", "print:x\\n") as at:
        at.step(0, 1, 2)
        at.see("First display.")
        at.see("Second")
        at.step(3, 4)
        assert at.end() == 0
        assert sorted(at.screen.text().split("\n")) == sorted(
            ["begin", "x", "First display.", "Second one.", "end"]
        )
        is_as_it_was(at)


def test_a_window_that_changes(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(60))
    with desk(tmp_path, f"text:{words}", "tool:make", "text:\n\nMore", size=(120, 30)) as at:
        at.step(0)
        at.see("word59")
        for columns in (80, 41, 110, 60):
            at.resize(columns, 20)
            at.see("word59")
        at.step(1)
        at.resize(40, 12)
        at.step(2)
        assert at.end() == 0
        assert at.screen.text().split() == ["begin", *words.split(), "More", "end"]
        is_as_it_was(at)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_with_what_there_is(tmp_path: Path, number: signal.Signals) -> None:
    with desk(tmp_path, "text:What there **is** at the", "never") as at:
        at.step(0)
        at.see("What there")
        at.process.send_signal(number)
        code = at.end()
        assert code == -number
        assert at.screen.text().split("\n").count("What there is at the") == 1
        assert at.screen.text().count("What there") == 1
        is_as_it_was(at)


def test_an_exception_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with desk(tmp_path, "text:Before it", "raise:broken") as at:
        at.step(0)
        (tmp_path / "1").touch()
        assert at.end() == 1
        assert at.screen.text().startswith("begin\nBefore it\nTraceback")
        assert at.screen.text().endswith("RuntimeError: broken")
        is_as_it_was(at)


@contextlib.contextmanager
def shell(folder: Path) -> Iterator[Desk]:
    """A shell at a desk."""
    opened = Desk(folder, "bash", "--norc", "--noprofile", "--noediting", "-i")
    try:
        opened.see("$")
        yield opened
    finally:
        opened.close()


def command(folder: Path, *steps: str) -> str:
    """The program, as a shell is told to run it."""
    return " ".join([*PROGRAM, str(folder), *(f"'{step}'" for step in steps)])


def test_stopped_and_in_the_foreground_again(tmp_path: Path) -> None:
    with shell(tmp_path) as at:
        at.press(command(tmp_path, "text:Before ", "text:and after.") + "\n")
        at.step(0)
        at.see("Before")
        at.wait(lambda: not at.echoes)
        at.press(CTRL_Z)
        at.see("Stopped")
        at.wait(lambda: at.prompts)
        assert not at.screen.cursor.hidden
        assert "Before" not in at.screen.text().split("\n"), "the live rows are gone"
        at.press("echo shell\n")
        at.see("\nshell\n")
        at.press("fg\n")
        at.see("Before")
        at.wait(lambda: not at.echoes)
        at.step(1)
        at.see("\nend")
        at.wait(lambda: at.echoes)
        shown = at.screen.text().split("\n")
        assert [line for line in shown if line.startswith("Before")] == ["Before and after."]
        assert not at.screen.cursor.hidden


def test_in_the_background_nothing_is_painted(tmp_path: Path) -> None:
    with shell(tmp_path) as at:
        at.press(command(tmp_path, "text:First.\\n\\nSecond ", "text:one.") + " & echo the''shell\n")
        at.see("theshell")
        at.step(0)
        at.see("First.")
        assert at.echoes
        assert "\x1b[?25l" not in at.written
        at.press("echo my''own\n")
        at.see("myown")
        at.press("fg\n")
        at.see("Second")
        at.wait(lambda: not at.echoes)
        at.step(1)
        at.see("\nend")
        at.wait(lambda: at.echoes)
        assert at.screen.text().count("Second one.") == 1
        assert not at.screen.cursor.hidden
