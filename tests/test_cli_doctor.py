"""`rxccsdk doctor`: with the real CLI, with CLIs that are odd, and with none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rxccsdk.cli import examining, installed
from rxccsdk.cli.installed import Cli
from rxccsdk.testing import LoopbackApi, ScriptedCli, bundled_cli, clean_environment, environment, reply
from tests.cli_processes import COMMAND, ESCAPE, run, terminal

DOCTOR = [*COMMAND, "doctor"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[LoopbackApi]:
    with LoopbackApi([reply("never")]) as api, environment(clean_environment(api.url, tmp_path / "home")):
        yield api


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_all_is_well(api: LoopbackApi) -> None:
    with ThreadPoolExecutor() as pool:
        done, simple = pool.map(lambda extra: run(*DOCTOR, **extra), [{}, {"PYTHONIOENCODING": "ascii"}])
    assert (done.returncode, simple.returncode) == (0, 0)
    assert ESCAPE not in done.stdout
    for words in (
        "✓ Python ", "✓ rxccsdk ", "✓ claude-agent-sdk  0.", ", used unless", "✓   its CLI         2.",
        str(bundled_cli()), "✓   login           logged in (ANTHROPIC_API_KEY)", "✓ claude-code-sdk   0.0.25",
        "no terminal: plain text", "encoding",
    ):  # fmt: skip
        assert words in done.stdout
    assert "ok      Python" in simple.stdout
    assert "!         encoding        ascii" in simple.stdout
    assert "export PYTHONIOENCODING=utf-8" in simple.stdout
    assert api.requests == [], "no prompt is sent"


def test_nobody_is_logged_in(api: LoopbackApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with terminal(*DOCTOR, size=(60, 15)) as shown:
        assert shown.end() == 3
        assert "✗   login           not logged in" in shown.words
        assert f"  {bundled_cli()} auth login  # or set ANTHROPIC_API_KEY" in shown.words.replace("\n", "")
        assert "terminal on stdin, stdout, stderr; TERM=xterm-256color" in shown.words
        assert "colours         16 million" in shown.words
        assert "size            60 x 15" in shown.words
        assert "\x1b[31m✗" in shown.output
    assert api.requests == []


def test_a_terminal_without_colours(api: LoopbackApi) -> None:
    with terminal(*DOCTOR, NO_COLOR="1") as shown:
        assert shown.end() == 0
        assert "(NO_COLOR)" in shown.words
        assert "\x1b[31m" not in shown.output


def test_each_sdk_names_the_cli_it_would_run(api: LoopbackApi, tmp_path: Path) -> None:
    with ScriptedCli(tmp_path / "bin", version="1.0.3") as cli:
        done = run(*DOCTOR, PATH=f"{cli.path.parent}{os.pathsep}{os.environ['PATH']}")
        assert done.returncode == 0, "what claude-code-sdk would run is not used"
        assert f"1.0.3, {cli.path}" in done.stdout
        assert str(bundled_cli()) in done.stdout
        assert "!   login           unknown: this version does not say" in done.stdout
        assert cli.received == []
        asked = [start["argv"][1:] for start in cli.starts]
        assert ["auth", "status"] not in asked, "an old CLI would take it for a prompt"


def examined(monkeypatch: pytest.MonkeyPatch, capsys: Any, clis: dict[str, Cli | None]) -> tuple[int, str]:
    """What the doctor says where these SDKs are installed, with these CLIs."""
    monkeypatch.setattr(examining, "package_version", lambda sdk: "1.2" if sdk in clis else None)
    monkeypatch.setattr(examining, "find_cli", lambda sdk: cli.path if (cli := clis[sdk]) else None)
    monkeypatch.setattr(examining, "ask_cli", lambda sdk, path: clis[sdk])
    code = examining.examine()
    return code, capsys.readouterr().out


WELL = Cli("/bin/claude", "2.1.330", True, "logged in")


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    code, said = examined(monkeypatch, capsys, {})
    assert code == 3
    assert "pip install 'rxccsdk[agent]'  # an SDK and its CLI" in said
    code, said = examined(monkeypatch, capsys, {"claude-code-sdk": None})
    assert code == 3
    assert "npm install -g @anthropic-ai/claude-code  # a Claude Code CLI" in said
    assert "not installed, and not needed" in said
    code, said = examined(monkeypatch, capsys, {"claude-code-sdk": None, "claude-agent-sdk": WELL})
    assert code == 0
    assert "# only for --backend claude-code-sdk" in said
    code, said = examined(monkeypatch, capsys, {"claude-agent-sdk": Cli("x", None, None, "", problem="odd")})
    assert code == 3
    assert "x: odd" in said
    code, said = examined(monkeypatch, capsys, {"claude-agent-sdk": WELL, "claude-code-sdk": WELL})
    assert code == 0
    assert 'All is well: rxccsdk ask "Hello"' in said


@pytest.mark.parametrize(
    ("version", "is_old"),
    [("2.1.221", True), ("1.0.3", True), ("2.1.222", False), ("2.1.330 (x)", False), ("3.0", False)],
)
def test_an_old_cli_is_worth_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, version: str, is_old: bool
) -> None:
    cli = Cli("/bin/claude", version, True, "logged in")
    code, said = examined(monkeypatch, capsys, {"claude-agent-sdk": cli})
    assert code == 0
    assert ("too old to say" in said) is is_old
    assert ("claude update" in said) is is_old


def test_odd_clis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "_TIMEOUT", 0.5)

    def ask(script: str) -> Cli:
        return installed.ask_cli("claude-agent-sdk", str(executable(tmp_path / "claude", script)))

    began = time.monotonic()
    assert ask("sleep 100 & sleep 100").problem == "it gave no answer within 0.5 s"
    assert time.monotonic() - began < 5, "what it started is gone too"
    assert ask("echo broken; exit 4").problem == "broken"
    assert ask("exit 4").problem == "exit code 4"
    (tmp_path / "claude").chmod(0o644)
    assert "cannot be run" in installed.ask_cli("claude-agent-sdk", str(tmp_path / "claude")).problem
    told = ask(
        'case "$*" in *--help) echo Usage: claude auth status;; --version) echo 9.9;; *) echo no;; esac'
    )
    assert (told.version, told.logged_in, told.login) == ("9.9", None, "it gave no answer that could be read")


def test_how_one_is_logged_in() -> None:
    told = {"loggedIn": True, "authMethod": "claude.ai", "email": "me@example.org", "subscriptionType": "max"}
    assert installed._login(told) == "logged in (claude.ai), me@example.org max"
    assert installed._login({"loggedIn": True}) == "logged in"
    assert installed._login({"loggedIn": False, "authMethod": "none"}) == "not logged in"
