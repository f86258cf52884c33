"""`rxccsdk demo`, as a process of its own: in a pipe and in a pseudo-terminal."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rxccsdk import ClaudeSession, cassettes
from rxccsdk.display.demo import PROGRAM
from tests.cli_processes import COMMAND, ESCAPE, environment, heed_ctrl_c, run, terminal

FAST = [*COMMAND, "demo", "--speed", "1000"]


def test_in_a_pipe_it_is_plain_text() -> None:
    done = run(*FAST)
    assert done.returncode == 0
    assert done.stderr == ""
    assert ESCAPE not in done.stdout
    assert "⠋" not in done.stdout
    assert "> A test fails. Find out why, and mend it.\n" in done.stdout
    assert re.search(r"\n✓ Bash python3 -m unittest .*  \d+(\.\d)? m?s\n", done.stdout)
    assert re.search(r"\n▸ Agent Find uses of the limit\n\| I search .*\n\| ✓ Bash grep .*\n", done.stdout)
    assert re.search(r"\ntokens +[\d,]+ in, [\d,]+ out\n", done.stdout)
    assert "\nThe same in Python:\n" in done.stdout
    assert run(*FAST, FORCE_COLOR="1").stdout == done.stdout


async def test_the_answer_is_there_as_it_was_recorded() -> None:
    shown = run(*FAST, "--cassette", "answer").stdout
    async with ClaudeSession.replay(cassettes.ANSWER, float("inf")) as session:
        assert (await session.query("anything")).content in shown


def test_in_a_terminal_it_is_alive() -> None:
    with terminal(*FAST) as shown:
        assert shown.end() == 0
        assert "\x1b[?25l" in shown.output, "the cursor was hidden"
        assert "\x1b[?25h" in shown.output, "and is back"
        assert "tokens · " in shown.output
        assert "\x1b[32m✓" in shown.output
        assert "│ " in shown.output
        assert "Traceback" not in shown.output


def test_plain_in_a_terminal() -> None:
    with terminal(*FAST, "--plain") as shown:
        assert shown.end() == 0
        assert ESCAPE not in shown.output


def test_a_dumb_terminal_gets_plain_text() -> None:
    with terminal(*FAST, TERM="dumb") as shown:
        assert shown.end() == 0
        assert ESCAPE not in shown.output


def test_no_color_is_honoured() -> None:
    with terminal(*FAST, NO_COLOR="1") as shown:
        assert shown.end() == 0
        assert "tokens · " in shown.output
        codes = re.findall(r"\x1b\[([0-9;]*)m", shown.output)
        colours = [code for code in codes if re.search(r"(^|;)(3[0-8]|4[0-8]|9\d|10\d)(;|$)", code)]
        assert colours == []


def test_a_closed_pipe_ends_quietly() -> None:
    with subprocess.Popen(
        [*COMMAND, "demo", "--cassette", "answer", "--speed", "20"],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("A recording of Claude Code")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_cleanly(sent: signal.Signals, code: int) -> None:
    with terminal(*COMMAND, "demo") as shown:
        shown.read_until("thinking")
        shown.process.send_signal(sent)
        assert shown.end() == code
        assert shown.output.rfind("\x1b[?25h") > shown.output.rfind("\x1b[?25l"), "the cursor is back"
        assert "interrupted" in shown.output
        assert "Traceback" not in shown.output
        assert "Aborted" not in shown.output


def test_ctrl_c_in_a_pipe() -> None:
    with subprocess.Popen(
        [*COMMAND, "demo"],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        preexec_fn=heed_ctrl_c,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        while not process.stdout.readline().startswith("> "):
            pass
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().endswith("interrupted\n")
        assert process.stderr.read() == ""
        assert process.wait(timeout=10) == 130


@pytest.mark.parametrize("cassette", [cassettes.ANSWER, cassettes.AGENT], ids=lambda path: path.stem)
def test_the_program_it_shows_runs(cassette: Path, tmp_path: Path) -> None:
    shown = run(*FAST, "--cassette", cassette.stem, COLUMNS="200").stdout
    program = shown.partition("The same in Python:\n\n")[2]
    assert program.splitlines()[0] == PROGRAM.splitlines()[0]
    hurried = program.replace(f"{cassette.stem.upper()})", f"{cassette.stem.upper()}, speed=1000)")
    script = tmp_path / "program.py"
    script.write_text(hurried, encoding="utf-8")
    done = run(sys.executable, str(script))
    assert done.stderr == ""
    assert re.fullmatch(r"0\.\d+", done.stdout.splitlines()[-1])


@pytest.mark.parametrize("cassette", [cassettes.ANSWER, cassettes.AGENT], ids=lambda path: path.stem)
def test_a_cassette_says_nothing_of_the_machine_it_was_recorded_on(cassette: Path) -> None:
    recorded = cassette.read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w.~])/[a-z]+(?:/[\w.-]+)+", recorded)
    assert not re.search(r"/(tmp|root|work|opt|var|usr|private|Users)\b", recorded)
    assert all(path.startswith("/home/user/project") for path in paths), paths
    assert "sk-ant" not in recorded
    assert len(recorded) < 200_000


async def test_the_agent_cassette_has_all_it_promises() -> None:
    async with ClaudeSession.replay(cassettes.AGENT, float("inf")) as session:
        kinds = {type(chunk).__name__ async for chunk in session.stream("x")}
        assert {"ThinkingChunk", "TextChunk", "ToolUseChunk", "ToolResultChunk", "TaskChunk"} <= kinds
    async with ClaudeSession.replay(cassettes.AGENT, float("inf")) as session:
        response = await session.query("x")
    assert response.success
    assert {tool.name for tool in response.tool_uses} == {"Agent", "Bash", "Edit", "Read"}
    assert any(tool.agent for tool in response.tool_uses)
    assert all(tool.finished and not tool.is_error for tool in response.tool_uses)
    assert "```diff" in response.content
