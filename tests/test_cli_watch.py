"""`rxccsdk watch`, as a process of its own, beside sessions that others run: in pipes and in a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rxccsdk import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    SessionResponse,
    SystemChunk,
    TextChunk,
    ToolUseChunk,
    UserChunk,
)
from rxccsdk import operators as cc
from rxccsdk.cli.watched import Shown
from rxccsdk.testing import LoopbackApi, bundled_cli, clean_environment, reply
from rxccsdk.testing import environment as exactly
from tests.cli_processes import COMMAND, CTRL_C, ESCAPE, environment, heed_ctrl_c, here, run, terminal
from tests.conftest import OTHER_CLI, Real

WATCH = [*COMMAND, "watch"]
CLI = OTHER_CLI or bundled_cli()
HOSTILE = "\x1b]0;evil\x07 \x1b[2J gone"


class Reader:
    """A command whose standard output is read line by line."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
            preexec_fn=heed_ctrl_c,
        )  # fmt: skip
        self.lines: list[str] = []

    def until(self, words: str) -> None:
        """Read until these words came."""
        assert self.process.stdout is not None
        while not self.lines or words not in self.lines[-1]:
            line = self.process.stdout.readline()
            assert line, f"{words!r} did not come: {self.lines}"
            self.lines.append(line)

    def end(self) -> tuple[int, str]:
        """End it with Ctrl+C; return its exit code and what it wrote to standard error."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        self.lines += out.splitlines(keepends=True)
        return self.process.returncode, err


@contextmanager
def reader(*command: str) -> Iterator[Reader]:
    """Start a command that is read, for the block."""
    started = Reader(*command)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Serve a script to every CLI that is started in the block."""
    with ExitStack() as stack:

        def start(script: Any) -> LoopbackApi:
            api = stack.enter_context(LoopbackApi(script))
            stack.enter_context(exactly(clean_environment(api.url, tmp_path / "home")))
            return api

        yield start


def claude(cwd: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the CLI as somebody at a shell does."""
    assert CLI is not None
    return subprocess.Popen(
        [str(CLI), "-p", *arguments], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )


# -- a plain CLI --------------------------------------------------------------------------------------------


def test_a_terminal_shows_what_a_claude_elsewhere_does(serve: Any, project: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    command = f"while [ ! -e {gate} ]; do sleep 0.05; done; echo hi"
    serve([
        reply().thinking("hm").text("I **look**. ").tool("Bash", {"command": command, "description": "x"}),
        reply(f"Done {HOSTILE}"),
        reply("And more."),
    ])  # fmt: skip
    first = claude(project, f"go {HOSTILE}", "--allowed-tools", "Bash")
    wait_for_a_session(first)
    with terminal(*WATCH, "--cwd", str(project)) as desk:
        desk.read_until("look")
        desk.read_until("Bash while")
        gate.touch()
        desk.read_until("tokens in, 20 out")
        assert first.wait(30) == 0
        again = claude(project, "--continue", "more")
        desk.read_until("And more.")
        assert again.wait(30) == 0
        desk.read_until("tokens in, 10 out")
        desk.press(CTRL_C)
        assert desk.end() == 130
        shown = desk.words
    assert "> go ␛]0;evil" in shown
    assert "> more" in shown
    assert "✓ Bash while" in shown
    assert "**" not in shown
    assert "interrupted" not in shown, "nobody was"
    assert f"{ESCAPE}]0;" not in desk.output
    assert f"{ESCAPE}[2J" not in desk.output
    for process in (first, again):
        process.communicate()


def wait_for_a_session(process: subprocess.Popen[bytes]) -> None:
    """Wait until the CLI has written down what the agent said first."""
    projects = Path(os.environ["CLAUDE_CONFIG_DIR"]) / "projects"
    while not any(b'"assistant"' in path.read_bytes() for path in projects.glob("*/*.jsonl")):
        assert process.poll() is None
        time.sleep(0.02)


def test_a_cli_that_is_killed_is_waited_for_and_its_session_goes_on(serve: Any, project: Path) -> None:
    tool = reply("I wait. ").tool(
        "Bash", {"command": "while [ ! -e go ]; do sleep 0.02; done", "description": "x"}
    )
    serve([tool, reply("Back again."), reply("Back again.")])
    killed = claude(project, "go", "--allowed-tools", "Bash")
    wait_for_a_session(killed)
    with reader(*WATCH, "--cwd", str(project), "--json") as watching:
        watching.until('"ToolUseChunk"')
        killed.kill()
        killed.communicate()
        (project / "go").touch()  # its command has outlived it
        resumed = claude(project, "--continue", "on")
        watching.until("Back again.")
        assert resumed.wait(30) == 0
        resumed.communicate()
        code, err = watching.end()
    assert (code, err.strip().startswith("watching ")) == (130, True)
    turns = {chunk["turn"] for chunk in map(json.loads, watching.lines)}
    assert {0, 1} <= turns


# -- a session of an SDK ------------------------------------------------------------------------------------


async def test_pipes_get_what_ask_would_write(real: Real) -> None:
    script = [
        reply("I look. ").tool("Bash", {"command": "echo hi", "description": "x"}),
        reply("First."),
        reply("Second."),
    ]
    async with real(script, allowed_tools=["Bash"]) as session:
        await session.stream("one").pipe(cc.to_response())
        with (
            reader(*WATCH, "--cwd", str(real.folder / "project")) as answer,
            reader(*WATCH, str(session.session_id)[:6], "--json", "--all") as chunks,
            reader(*WATCH, "--cwd", str(real.folder / "project"), "--quiet") as quiet,
        ):
            answer.until("First.")
            chunks.until('"end_turn"')
            quiet.until("First.")
            await session.stream("two").pipe(cc.to_response())
            answer.until("Second.")
            chunks.until('"Second."')
            chunks.until('"end_turn"')
            quiet.until("Second.")
            code, err = answer.end()
            assert code == 130
            assert quiet.end() == (130, "")
            chunks.end()
        assert "".join(answer.lines) == "I look. \n\nFirst.\n\nSecond.\n"
        assert "".join(quiet.lines) == "First.\nSecond.\n"
        assert re.search(r"✓ Bash echo hi .*\n[^\n]*1 tool call · 50 tokens in, 20 out", err, re.DOTALL)
        assert ESCAPE not in err
        kinds = [json.loads(line)["kind"] for line in chunks.lines]
        assert "ResultChunk" not in kinds, "no transcript has one"
        assert kinds[0] == "UserChunk"
        assert session.status == "open", "it does not know that it was watched"


# -- what is wrong ------------------------------------------------------------------------------------------


def test_what_is_not_there_is_said(project: Path) -> None:
    done = here("watch", "--cwd", str(project))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no session in this folder: {project}" in done.stderr
    done = here("watch", "no-such")
    assert (done.returncode, "There is no session 'no-such'" in done.stderr) == (2, True)
    assert here("watch", "--quiet", "--json").returncode == 2
    assert "Traceback" not in run(*WATCH, "\x1b[31m").stderr
    assert ESCAPE not in run(*WATCH, "\x1b[31m").stderr


def test_a_transcript_that_cannot_be_read_is_said(project: Path) -> None:
    name = "".join(c if c.isalnum() else "-" for c in os.path.realpath(project))
    (Path(os.environ["CLAUDE_CONFIG_DIR"]) / "projects" / name / "a.jsonl").mkdir(parents=True)
    done = here("watch", "--cwd", str(project))
    assert done.returncode == 2
    assert "cannot read the session" in done.stderr


# -- turn by turn -------------------------------------------------------------------------------------------


class Seen:
    """A view that notes what it is told."""

    complete = False
    display = None

    def __init__(self) -> None:
        self.told: list[str] = []
        self.responses: list[SessionResponse] = []

    def __enter__(self) -> Seen:
        self.told.append("open")
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.told.append("close")

    def begin(self, prompt: str | None) -> None:
        self.told.append(f"> {prompt}")

    def show(self, chunk: Chunk) -> None:
        if isinstance(chunk, TextChunk):
            self.told.append(chunk.text)

    def say(self, words: str) -> None:
        self.told.append(f"! {words}")

    def cost(self, usd: float) -> None:
        raise NotImplementedError

    def end(self, response: SessionResponse, hint: str, *more: str) -> None:
        self.responses.append(response)


def shown(*chunks: Chunk) -> tuple[list[str], list[SessionResponse]]:
    view = Seen()
    turns = Shown(view, "")
    for chunk in chunks:
        turns.show(chunk)
    turns.close()
    return view.told, view.responses


def end(stop: str | None = "end_turn", **fields: Any) -> MessageChunk:
    return MessageChunk("delta", None, stop, None, **fields)


def test_a_turn_is_open_until_its_last_message_ends() -> None:
    told, (response,) = shown(
        UserChunk("one", turn=0),
        TextChunk("a", 0, turn=0),
        end("tool_use", turn=0),
        UserChunk("hurry", turn=0),
        TextChunk("b", 1, turn=0, message_id="n"),
        end(turn=0, at=2.5),
        end("end_turn", turn=None, agent="gone"),
        UserChunk("<command-name>/model</command-name> <command-args>opus</command-args>", turn=1),
        UserChunk("<local-command-stdout>Set.</local-command-stdout>", synthetic=True, turn=1),
        UserChunk("<command-name>/clear</command-name>", turn=2),
        SystemChunk("local_command", {"content": "<local-command-stdout></local-command-stdout>"}, turn=2),
        UserChunk("<bash-input> ls</bash-input>", turn=3),
        UserChunk("two", turn=4),
    )
    assert told == [
        *("open", "> one", "a", "! › hurry", "b", "close"),
        *("open", "> /model opus", "! Set.", "close"),
        *("open", "> /clear", "close"),
        *("open", "> ! ls", "close", "open", "> two", "close"),
    ]
    assert (response.content, response.metadata.duration_ms, response.error) == ("a\n\nb", 2500, None)


def test_what_the_agent_does_by_itself_is_shown_when_it_does() -> None:
    told, _ = shown(
        TextChunk("sub", 0, agent="toolu_A"),
        ToolUseChunk("t", "Bash", {}, 1, agent="toolu_A"),
        end(agent="toolu_A"),
        TextChunk("sub", 2, agent="toolu_B"),
        TextChunk("it is done", 3),
        end(agent="toolu_B"),
        end(),
        TextChunk("late", 4),
    )
    opened = ["open", "> None"]
    assert told == [*opened, "sub", "close", *opened, "sub", "it is done", "close", *opened, "late", "close"]


def test_why_a_turn_ended_badly() -> None:
    _, (interrupted, failed) = shown(
        UserChunk("one", turn=0),
        UserChunk("[Request interrupted by user]", synthetic=True, turn=0),
        UserChunk("two", turn=1),
        NoticeChunk("api_error", "no credit", turn=1),
    )
    assert (interrupted.error_kind, failed.error) == ("interrupted", "no credit")
