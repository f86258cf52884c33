"""The frame of the `rxccsdk` command: help, version, usage, completion, prompts, JSON."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rxccsdk
from rxccsdk import Chunk, SystemChunk, ToolProgressChunk, ToolResultChunk
from rxccsdk.chunk_json import json_keys, to_json
from rxccsdk.cli import app, asking
from rxccsdk.cli.codes import CommandError
from tests.cli_processes import COMMAND, environment, heed_ctrl_c, run, terminal

EXIT_CODES = (
    "0    success",
    "1    the turn ended badly",
    "2    wrong usage",
    "3    no Claude Code",
    "130  interr",
)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_the_commands_and_the_exit_codes(option: str) -> None:
    result = CliRunner().invoke(app, [option])
    assert result.exit_code == 0
    for words in ("ask ", "replay ", "doctor ", "demo ", "--version", "--show-completion", *EXIT_CODES):
        assert words in result.output
    assert "..." not in result.output.partition("Commands:")[2], "no line is cut"


OPTIONS = {
    "ask": (
        "--model --cwd --max-turns --max-budget-usd --allowed-tools --permission-mode --resume --continue "
        "--backend --record --stall --plain --quiet --json"
    ),
    "replay": "--speed --turn --plain --quiet --json",
    "watch": "SESSION --cwd --all --markdown --tools --thinking --plain --quiet --json",
    "demo": "--cassette --speed --plain",
    "doctor": "-h",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_each_command_names_its_options(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    for words in OPTIONS[command].split():
        assert words in result.output
    if command in ("ask", "replay"):
        for words in EXIT_CODES:
            assert words in result.output
    assert "130" in result.output or command == "doctor"
    assert max(map(len, result.output.splitlines())) <= 80


def test_help_documents_every_field_of_every_chunk() -> None:
    shown = " ".join(CliRunner().invoke(app, ["ask", "--help"]).output.split())
    for name in rxccsdk.__all__:
        kind = getattr(rxccsdk, name)
        if isinstance(kind, type) and issubclass(kind, Chunk) and kind is not Chunk:
            own = [key for field, key in json_keys(kind) if field not in Chunk.__struct_fields__]
            assert f"{name} {' '.join(own)} " in shown


def test_without_a_command_it_shows_the_help() -> None:
    assert "demo" in CliRunner().invoke(app, []).output


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"rxccsdk {rxccsdk.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        "nope", "demo --speed 0", "demo --cassette x", "demo --nope", "ask --nope x", "ask --max-turns 0 x",
        "ask --max-budget-usd 0 x", "ask --stall -1 x", "ask --backend x x", "ask --cwd /no/such/folder x",
        "ask --quiet --json x", "ask --record / x", "replay", "replay --turn 0 x", "replay --speed 0 x",
        "replay /no/such/file", "replay --quiet --json x", "doctor x",
    ],
)  # fmt: skip
def test_usage_errors_exit_with_2(arguments: str) -> None:
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("given", ["", " \n "])
def test_an_empty_prompt_is_wrong_usage(given: str) -> None:
    for arguments in ([], ["-"], [given]):
        result = CliRunner().invoke(app, ["ask", *arguments], input=given)
        assert result.exit_code == 2
        assert "The prompt is empty." in result.output


def test_without_a_prompt_on_a_terminal_it_says_how() -> None:
    with terminal(*COMMAND, "ask") as shown:
        assert shown.end() == 2
        assert 'Give a prompt: rxccsdk ask "' in shown.words


def test_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*words: str, stdin: bytes = b"in\n") -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "ascii"))
        return asking.read_prompt(words)

    assert read("Explain", "this ", "- ") == "Explain this  - "
    assert read() == "in"
    assert read("-") == "in"
    assert read("Review:", "-", "Be brief.") == "Review:\n\nin\n\nBe brief."
    assert read(stdin="ü\r\n  indented\n".encode()) == "ü\r\n  indented"
    assert read(stdin=b"caf\xe9") == "caf\ufffd"
    assert read("caf\udce9") == "caf\ufffd"
    with pytest.raises(CommandError, match="empty"):
        read("-", stdin=b" \n")


def test_tools_are_taken_apart_at_commas_outside_parentheses() -> None:
    assert asking.tool_names(["Read, Edit,", "Bash(a:*, b),Write"]) == [
        "Read",
        "Edit",
        "Bash(a:*, b)",
        "Write",
    ]
    assert asking.tool_names([]) is None


def test_a_backend_that_is_not_installed_exits_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    result = CliRunner().invoke(app, ["ask", "--backend", "claude-agent-sdk", "x"])
    assert result.exit_code == 3
    assert "pip install 'rxccsdk[agent]'" in result.output


def test_the_command_imports_nothing_it_does_not_need_yet() -> None:
    check = (
        "import sys, rxccsdk.cli; from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(rxccsdk.cli.app, ['--help']).exit_code == 0\n"
        "heavy = ('rxccsdk.display', 'rxccsdk.cli.views', 'claude_', 'mcp', 'psutil', 'rich')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- completion -------------------------------------------------------------------------------------------


def completed(words: str) -> list[str]:
    """What bash offers behind these words."""
    done = run(
        *COMMAND,
        _RXCCSDK_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert done.returncode == 0
    return done.stdout.split()


def test_completion_knows_commands_options_and_values() -> None:
    assert {"ask", "replay", "doctor", "demo"} <= set(completed("rxccsdk "))
    assert {"--permission-mode", "--plain"} == set(completed("rxccsdk ask --p"))
    assert {"claude-code-sdk", "claude-agent-sdk"} == set(completed("rxccsdk ask --backend c"))
    assert completed("rxccsdk ask --permission-mode acc") == ["acceptEdits"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_tab_key_completes_in_bash(tmp_path: Path) -> None:
    command = tmp_path / "rxccsdk"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m rxccsdk "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    shown = run(*COMMAND, "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert shown.returncode == 0
    (tmp_path / "completion").write_text(shown.stdout)
    with terminal("bash", "--norc", "-i", PATH=path) as bash:
        bash.press(f"source {tmp_path}/completion; echo rea''dy\n".encode())
        bash.read_until("ready")
        bash.press(b"rxccsdk dem\t--cas\tans\t")
        bash.read_until("rxccsdk demo --cassette answer")
    assert "rxccsdk demo --cassette answer" in bash.words


# -- odd beginnings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["ask x", "demo", "--help"])
def test_without_standard_output_it_says_so(arguments: str) -> None:
    done = subprocess.run(
        f"exec {sys.executable} -m rxccsdk {arguments} >&-",
        shell=True, env=environment(), stderr=subprocess.PIPE, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "rxccsdk: standard output is closed\n")


def test_without_standard_input_and_error_it_works() -> None:
    done = subprocess.run(
        f"exec {sys.executable} -m rxccsdk demo --speed 1000 <&- 2>&-",
        shell=True, env=environment(), stdout=subprocess.PIPE, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "import asyncio" in done.stdout


def test_what_is_painted_in_two_pieces_is_found_on_the_screen() -> None:
    program = "import sys; sys.stdout.write('Half an\\r\\x1b[7C answer\\r'); sys.stdout.flush(); input()"
    with terminal(sys.executable, "-c", program) as shown:
        shown.read_until("Half an answer", 10)


def test_ctrl_c_while_it_starts_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "rxccsdk", "demo"],
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8",
        preexec_fn=heed_ctrl_c,
    ) as starting:  # fmt: skip
        assert starting.stderr is not None
        while "click" not in starting.stderr.readline():
            assert starting.poll() is None
        starting.send_signal(signal.SIGINT)
        assert "Traceback" not in starting.stderr.read()
        assert starting.wait(timeout=30) in (-signal.SIGINT, 130)


# -- JSON -------------------------------------------------------------------------------------------------


def parsed(chunk: Chunk) -> Any:
    """A chunk's line, read strictly."""
    line = to_json(chunk)
    assert "\n" not in line
    return json.loads(line.encode(), parse_constant=pytest.fail)


def test_json_has_a_word_for_what_json_has_none_for() -> None:
    odd = {"bytes": b"caf\xe9", "nan": math.nan, 3: [math.inf, (1, 2.5)], "big": 10**30, "set": {1}}
    said = parsed(ToolResultChunk("t", odd, True, object()))
    assert said["content"] == {
        "bytes": "caf\ufffd", "nan": None, "3": [None, [1, 2.5]], "big": 10**30, "set": [1],
    }  # fmt: skip
    assert said["structured"].startswith("<object")
    assert parsed(ToolProgressChunk("t", math.nan, at=math.inf))["at"] is None
    assert parsed(SystemChunk("init", {"a": "ü\u2028"}))["data"] == {"a": "ü\u2028"}
