"""`rxccsdk ask`, as a process of its own with the real CLI on a loopback API: in pipes and in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from rxccsdk.testing import (
    LoopbackApi,
    Request,
    ScriptedCli,
    bundled_cli,
    clean_environment,
    http_error,
    reply,
    steps,
    text_turn,
)
from rxccsdk.testing import environment as exactly
from tests.cli_processes import COMMAND, CTRL_C, ESCAPE, environment, heed_ctrl_c, here, run, terminal
from tests.desk import Desk

ASK = [*COMMAND, "ask"]
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
RETRIES = {"CLAUDE_CODE_MAX_RETRIES": "10"}  # as at home: they would take minutes


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Serve a script for the block; whatever is started then is answered by it."""
    with contextlib.ExitStack() as stack:

        def start(script: Any, *, without: tuple[str, ...] = (), **env: str) -> LoopbackApi:
            api = stack.enter_context(LoopbackApi(script))
            clean = clean_environment(api.url, tmp_path / "home", **env)
            stack.enter_context(exactly({name: clean[name] for name in clean if name not in without}))
            return api

        yield start


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def bundled_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with the real CLI in it, as `npm install` leaves it: for claude-code-sdk."""
    cli = bundled_cli()
    assert cli is not None
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "claude").symlink_to(cli)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def scripted_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Put a scripted CLI on PATH: for claude-code-sdk, which looks nowhere else."""
    with contextlib.ExitStack() as stack:

        def start(*prompts: Any, **plan: Any) -> ScriptedCli:
            cli = stack.enter_context(ScriptedCli(tmp_path / "cli", prompts, **plan))
            monkeypatch.setenv("PATH", f"{cli.path.parent}{os.pathsep}{os.environ['PATH']}")
            return cli

        yield start


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until a condition holds; whether it came to that."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds


def no_cli_left() -> bool:
    """Whether every real CLI that this test started comes to its end."""
    ours = os.environ["CLAUDE_CONFIG_DIR"]

    def is_ours(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return "claude" in process.name() and process.environ().get("CLAUDE_CONFIG_DIR") == ours
        return False

    return eventually(lambda: not any(map(is_ours, psutil.process_iter())))


def is_over(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to take note."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def without_result(text: str) -> list[Any]:
    """The frames of a turn that says this and does not end."""
    return [frame for frame in text_turn(text) if frame["type"] != "result"]


def test_in_pipes_the_answer_is_alone_and_the_rest_on_stderr(serve: Any, project: Path) -> None:
    api = serve(
        [
            reply("I look. ").tool("Bash", {"command": "echo a-file"}),
            reply()
            .thinking("Now write.")
            .text("I write. ")
            .tool("Write", {"file_path": "x", "content": "x"}),
            reply("It cannot be."),
        ]
    )
    done = run(
        *ASK, "--allowed-tools", "Bash,Read", "--cwd", str(project), "What", "is here?", stdin="unread"
    )
    assert done.returncode == 0
    assert done.stdout == "I look. \n\nI write. \n\nIt cannot be.\n"
    assert api.requests[0].prompt == "What is here?"
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"✓ Bash echo a-file  \d.*", lines[0])
    assert lines[1] == "✗ Write x  denied"
    assert "haven't granted it yet" in lines[2]
    assert lines[3] == "  to allow it: --allowed-tools Write"
    assert re.fullmatch(r"\S+ \S+ · 2 tool calls, 1 failed · 75 tokens in, 30 out · \$0\.\d+ · \S+", lines[4])
    assert re.fullmatch(r"to go on: rxccsdk ask --resume [0-9a-f-]{36}", lines[5])
    assert len(lines) == 6
    assert ESCAPE not in done.stdout + done.stderr


def test_in_a_terminal_everything_is_live(serve: Any, project: Path) -> None:
    seen = threading.Event()
    serve(
        [
            reply("I write. ").tool("Write", {"file_path": "x", "content": "x"}),
            reply().text("**One** two three four ", delay=0.15).until(seen, mid_block=True).text("and five."),
        ]
    )
    with terminal(*ASK, "--cwd", str(project), "Write x", size=(90, 30)) as shown:
        shown.read_until("Allow it?")
        shown.press(b"n not here\n")
        shown.read_until("refused")
        shown.read_until("not here")
        shown.read_until(" · writing · silent for 2")
        assert re.search(r"· ~\d+ tokens, \d+/s · \$0\.\d+ · writing", shown.words), "with the cost so far"
        seen.set()
        assert shown.end() == 0
        assert any(spinner in shown.words for spinner in SPINNER)
        assert "starting" in shown.words
        assert "waiting for the model" in shown.words
        assert "\x1b[1m" in shown.output
        assert re.search(r"1 tool call, 1 failed · 50 tokens in, 20 out · \$0\.\d+", shown.words)
        assert re.search(r"to go on: rxccsdk ask --resume [0-9a-f-]{36}\n", shown.words)
        assert "was denied" not in shown.words
        assert shown.output.rfind("\x1b[?25h") > shown.output.rfind("\x1b[?25l"), "the cursor is back"


def test_a_file_gets_the_answer_while_the_terminal_shows_the_work(serve: Any, tmp_path: Path) -> None:
    serve([reply("Half a sen", pieces=["Half a ", "sen"]).cut(), reply("Half a sentence.", delay=0.2)])
    with (
        (tmp_path / "answer").open("w") as answer,
        terminal(*ASK, "x", stdout=answer, size=(60, 15)) as shown,
    ):
        assert shown.end() == 0
        assert "the connection to the API broke; attempt 1 of" in shown.words
        assert "writing" in shown.words
        assert "sentence" not in shown.words
        assert "to go on: rxccsdk ask --resume" in shown.words
    assert (tmp_path / "answer").read_text() == "Half a sentence.\n"


def test_quiet_prints_the_last_words_of_a_prompt_from_stdin(serve: Any) -> None:
    api = serve([reply("I look. ").tool("Bash", {"command": "touch x"}), reply("Fix the\nparser. ü")])
    done = run(*ASK, "--quiet", "A message for:", "-", stdin="a\ndiff ü\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Fix the\nparser. ü\n", "")
    assert api.requests[0].prompt == "A message for:\n\na\ndiff ü"


def test_json_is_one_chunk_a_line(serve: Any) -> None:
    serve([reply("ü 🎉").tool("Bash", {"command": "touch x"}), reply("Done.")])
    done = run(*ASK, "--json", stdin="go", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    chunks = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    assert "".join(c["text"] for c in chunks if c["kind"] == "TextChunk") == "ü 🎉Done."
    assert [c["seq"] for c in chunks] == list(range(len(chunks)))
    assert chunks[-1]["kind"] == "ResultChunk"
    assert chunks[-1]["subtype"] == "success"
    assert [c["name"] for c in chunks if c["kind"] == "ToolUseChunk"] == ["Bash"]
    assert all("raw" not in c and c["turn"] == 0 for c in chunks)
    assert "--allowed-tools Bash" in done.stderr
    assert "to go on" not in done.stderr


@pytest.mark.usefixtures("bundled_on_path")
@pytest.mark.parametrize("backend", ["claude-code-sdk", "claude-agent-sdk"])
def test_the_newest_session_of_the_folder_goes_on(serve: Any, project: Path, backend: str) -> None:
    api = serve([reply("First."), reply("Second.")])
    where = ("--backend", backend, "--cwd", str(project))
    assert run(*ASK, *where, "one").stdout == "First.\n"
    done = run(*ASK, *where, "--continue", "two")
    assert done.stdout == "Second.\n", done.stderr
    told = str(api.requests[-1].messages)
    assert all(words in told for words in ("one", "First.", "two"))
    done = here("ask", "--continue", "--resume", "x", "three")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def test_record_resume_and_the_flags_of_the_agent(
    serve: Any, project: Path, tmp_path: Path, bundled_on_path: Path
) -> None:
    """One session over both SDKs: recorded, resumed, replayed."""
    tape = tmp_path / "tape.jsonl"
    api = serve([reply("First. ").tool("Write", {"file_path": "x", "content": "written"}), reply("Second.")])
    flags = ["--permission-mode", "acceptEdits", "--model", "claude-haiku-4-5", "--cwd", str(project)]
    done = run(*ASK, *flags, "--backend", "claude-code-sdk", "--record", str(tape), "the first prompt")
    assert (done.returncode, done.stdout) == (0, "First. \n\nSecond.\n")
    assert (project / "x").read_text() == "written"
    assert api.requests[0].model.startswith("claude-haiku-4-5")
    session = done.stderr.split()[-1]

    api = serve([reply("I remember.")])
    done = run(*ASK, "--resume", session, "--cwd", str(project), "--backend", "claude-agent-sdk", "and now?")
    assert (done.returncode, done.stdout) == (0, "I remember.\n")
    assert "the first prompt" in json.dumps(api.requests[-1].messages)
    assert session in done.stderr

    played = run(*COMMAND, "replay", str(tape), "--speed", "1000")
    assert (played.returncode, played.stdout) == (0, "First. \n\nSecond.\n")


def test_all_flags_reach_the_cli(scripted_cli: Any, project: Path) -> None:
    cli = scripted_cli(text_turn("hello"))
    done = run(
        *ASK, "--backend=claude-code-sdk", "--model=opus", "--max-turns=3", "--max-budget-usd=0.5",
        "--allowed-tools=Read,Edit", "--allowed-tools", "Bash(a:*, b)", "--permission-mode=plan",
        "--resume=0b0e7b0c-0000-4000-8000-000000000000", "--cwd", str(project), "--plain", "--", "-x",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "hello\n")
    argv = " ".join(cli.argv)
    for words in (
        "--model opus", "--max-turns 3", "--max-budget-usd 0.5", "--allowedTools Read,Edit,Bash(a:*, b)",
        "--permission-mode plan", "--resume 0b0e7b0c-0000-4000-8000-000000000000",
    ):  # fmt: skip
        assert words in argv
    assert cli.starts[-1]["cwd"] == str(project)
    assert [f["message"]["content"] for f in cli.received if f["type"] == "user"] == ["-x"]


# -- endings ----------------------------------------------------------------------------------------------


def test_ctrl_c_stops_the_agent_and_keeps_what_there_is(serve: Any) -> None:
    api = serve([reply("Half an answer").hang()])
    with terminal(*ASK, "go") as shown:
        shown.read_until("Half an answer")
        shown.press(CTRL_C)
        assert shown.end() == 130
        assert "stopping the agent; Ctrl+C again ends at once" in shown.words
        assert "Half an answer\n" in shown.words
        assert "to go on: rxccsdk ask --resume" in shown.words
        assert "Traceback" not in shown.output
        assert shown.output.rfind("\x1b[?25h") > shown.output.rfind("\x1b[?25l")
    assert len(api.requests) == 1
    assert no_cli_left()


def test_ctrl_c_in_a_pipe_prints_what_there_is(serve: Any, tmp_path: Path) -> None:
    serve(lambda request: reply("Half an answer\n", pieces=1).hang())

    def interrupted(flag: str) -> tuple[int, str, str]:
        tape = tmp_path / flag  # written through; `--quiet` shows nothing before its end
        with subprocess.Popen(
            [*ASK, flag, "--record", str(tape), "go"], env=environment(), encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_ctrl_c,
        ) as process:  # fmt: skip
            if flag == "--plain":
                assert process.stdout is not None
                assert process.stdout.readline() == "Half an answer\n"
            assert eventually(lambda: tape.exists() and '"text_delta"' in tape.read_text())
            process.send_signal(signal.SIGINT)
            out, told = process.communicate(timeout=30)
            return process.returncode, out, told

    with ThreadPoolExecutor() as pool:
        plain, quiet = pool.map(interrupted, ["--plain", "--quiet"])
    assert plain[:2] == (130, "")
    assert "stopping the agent" in plain[2]
    assert "Traceback" not in plain[2]
    assert quiet == (130, "Half an answer\n", "")


def test_a_second_ctrl_c_ends_at_once(scripted_cli: Any) -> None:
    """The CLI neither answers an interrupt nor obeys a signal: to end it gently takes nine seconds."""
    plan = steps(*without_result("Half an answer")).silence()
    cli = scripted_cli(plan, answer_interrupt=False, ignore_signals=["SIGINT", "SIGTERM"])
    with terminal(*ASK, "--backend", "claude-code-sdk", "go") as shown:
        shown.read_until("Half an answer")
        shown.press(CTRL_C)
        shown.read_until("Ctrl+C again ends at once")
        began = time.monotonic()
        shown.press(CTRL_C)
        assert shown.end() == 130
        assert time.monotonic() - began < 5
        assert "Traceback" not in shown.output
        assert shown.output.rfind("\x1b[?25h") > shown.output.rfind("\x1b[?25l")
    assert eventually(lambda: is_over(cli.starts[-1]["pid"]))


def test_an_agent_that_is_killed_leaves_the_terminal_as_it_was(scripted_cli: Any, tmp_path: Path) -> None:
    cli = scripted_cli(steps(*without_result("Half **an** answer")).silence())
    at = Desk(tmp_path, *ASK, "--backend", "claude-code-sdk", "go")
    try:
        at.see("Half an answer")
        at.wait(lambda: not at.echoes)
        os.kill(cli.starts[-1]["pid"], signal.SIGKILL)
        assert at.end() == 1
        assert at.screen.text().count("Half an answer") == 1
        assert at.modes_now() == at.modes
        assert not at.screen.cursor.hidden
        assert at.screen.wraps
    finally:
        at.close()


def test_ctrl_c_before_anything_was_asked(scripted_cli: Any) -> None:
    cli = scripted_cli(answer_initialize=False)
    with terminal(*ASK, "--backend", "claude-code-sdk", "go") as shown:
        assert eventually(lambda: bool(cli.received))
        shown.press(CTRL_C)
        assert shown.end() == 130
        assert "interrupted" in shown.words
        assert "Traceback" not in shown.output


def test_ctrl_c_while_the_prompt_is_read() -> None:
    with terminal(*ASK, "-") as shown:
        shown.press_and_wait("the first line")
        shown.press(CTRL_C)
        assert shown.end() == 130
        assert "Traceback" not in shown.output
        assert "Aborted" not in shown.output


def test_other_signals_end_it_cleanly(serve: Any) -> None:
    serve(lambda request: reply("Half an answer\n").hang())

    def end_with(sent: signal.Signals) -> tuple[int, str, str]:
        with subprocess.Popen(
            [*ASK, "go"], env=environment(), encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "Half an answer\n"
            process.send_signal(sent)
            out, said = process.communicate(timeout=20)
            return process.returncode, out, said

    with ThreadPoolExecutor() as pool:
        for code, out, said in pool.map(end_with, [signal.SIGTERM, signal.SIGHUP]):
            assert code in (143, 129)
            assert out == ""
            assert "Traceback" not in said
    assert no_cli_left()


def test_the_suite_ends_also_where_hangups_come_ignored() -> None:
    """As under `nohup python -m pytest`: what tests start would ignore them, too, and wait for ever."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", __file__, "-k", "test_other_signals_end_it_cleanly"],
        cwd=Path(__file__).parents[1],
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("nohup") is None, reason="needs nohup")
def test_under_nohup_it_goes_on(serve: Any) -> None:
    serve(lambda request: reply("one\ntwo\n", pieces=["one\n", "two\n"], delay=1.0))
    with subprocess.Popen(
        ["nohup", *ASK, "go"], env=environment(), encoding="utf-8",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=20)
        assert out == "two\n"
        assert process.returncode == 0


def test_a_closed_pipe_ends_quietly(serve: Any) -> None:
    words = "".join(f"line {number}\n" for number in range(2000))
    serve(lambda request: reply(words, pieces=words.splitlines(keepends=True), delay=0.05))

    def close_early(flag: str) -> tuple[int, str, float]:
        with subprocess.Popen(
            [*ASK, flag, "go"], env=environment(), encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            began = time.monotonic()
            said = process.stderr.read()
            return process.wait(timeout=30), said, time.monotonic() - began

    with ThreadPoolExecutor() as pool:
        for code, said, seconds in pool.map(close_early, ["--plain", "--json"]):
            assert code == 0
            assert seconds < 50, "the agent was stopped: its answer takes a hundred seconds"
            assert "Traceback" not in said
            assert "Broken" not in said
    assert no_cli_left()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_no_success(serve: Any) -> None:
    serve([reply("An answer.")])
    with open("/dev/full", "w") as full:
        done = run(*ASK, "go", stdout=full)
    assert done.returncode == 1
    assert "cannot write the answer: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


# -- what goes wrong --------------------------------------------------------------------------------------


def test_no_login_is_said_at_the_first_401(serve: Any) -> None:
    api = serve(lambda request: http_error(401), **RETRIES)
    with terminal(*ASK, "go") as shown:
        assert shown.end() == 3
        assert "The API refused the key from ANTHROPIC_API_KEY." in shown.words
        assert " auth login" in shown.words
    assert len(api.requests) == 1, "it did not wait for another attempt"


def test_nobody_is_logged_in(serve: Any) -> None:
    api = serve([reply("never")], without=("ANTHROPIC_API_KEY",), **RETRIES)
    done = here("ask", "go")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Claude Code is not logged in" in done.stderr
    assert " auth login\n" in done.stderr
    assert api.requests == []


def test_no_cli(serve: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serve([])
    monkeypatch.setenv("PATH", str(tmp_path))
    for flag in ("--plain", "--quiet"):
        done = here("ask", "--backend", "claude-code-sdk", flag, "go")
        assert (done.returncode, done.stdout) == (3, "")
        assert "There is no Claude Code CLI" in done.stderr
        assert "npm install -g @anthropic-ai/claude-code" in done.stderr
        assert "Traceback" not in done.stderr
        assert "starting" not in done.stderr


def test_a_turn_that_ends_badly_exits_with_1(serve: Any) -> None:
    def script(request: Request) -> Any:
        if request.prompt == "fail":
            return http_error(400)
        call = {"command": f"echo {request.index}"}
        return reply("Much. ").tool("Bash", call).usage(output_tokens=100_000)

    serve(script)
    turns = here("ask", "--allowed-tools", "Bash", "--max-turns", "1", "go")
    budget = here("ask", "--allowed-tools", "Bash", "--max-budget-usd", "0.01", "--quiet", "go")
    failed = here("ask", "fail")
    assert (turns.returncode, turns.stdout) == (1, "Much. \n")
    assert "✗ Reached maximum number of turns (1)" in turns.stderr
    assert (budget.returncode, budget.stdout) == (1, "Much. \n")
    assert "budget" in budget.stderr
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.count("Credit balance is too low") == 1


def test_a_cli_that_dies_exits_with_1(scripted_cli: Any) -> None:
    scripted_cli(steps(*without_result("Half")).stderr("boom").exit(7))
    done = run(*ASK, "--backend", "claude-code-sdk", "go")
    assert (done.returncode, done.stdout) == (1, "Half\n")
    assert "exit code 7" in done.stderr
    assert "boom" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_the_cli_refuses_are_wrong_usage(serve: Any, tmp_path: Path) -> None:
    serve([])
    mode = here("ask", "--permission-mode", "nonsense", "go")
    record = here("ask", "--record", str(tmp_path / "no" / "tape"), "go")
    assert mode.returncode == 2
    assert "Allowed choices are" in mode.stderr
    assert record.returncode == 2
    assert "Cannot record to" in record.stderr


def test_a_stall_is_given_up(scripted_cli: Any) -> None:
    cli = scripted_cli(steps(*without_result("Half an answer")).silence())
    done = run(*ASK, "--backend", "claude-code-sdk", "--stall", "1", "go")
    assert (done.returncode, done.stdout) == (1, "Half an answer\n")
    assert "nothing came for too long (--stall)" in done.stderr
    assert "Traceback" not in done.stderr
    assert eventually(lambda: is_over(cli.starts[-1]["pid"]))
