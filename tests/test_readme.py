"""The README's snippets run, each as a program of its own, with the real CLI on a loopback API."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rxccsdk.testing import LoopbackApi, Reply, Request, bundled_cli, clean_environment, reply

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)

PRELUDE = """
import asyncio
from rxccsdk import ClaudeSession, SessionOptions, Turn, operators as cc
def on_text(text: str) -> None: ...
def enough(text: str) -> bool: return len(text) > 3
"""
RECORD = """
async def record() -> None:
    async with ClaudeSession(SessionOptions(record="session.jsonl")) as session:
        await session.query("go")
asyncio.run(record())
"""
IN_A_TURN = """
async def main() -> None:
    async with ClaudeSession(SessionOptions()) as session:
        turn = session.stream("go")
        await snippet(turn)
asyncio.run(main())
"""


def program(snippet: str) -> str:
    """Return a snippet with what it leaves to the reader."""
    if "asyncio.run(" in snippet:
        return snippet
    left = re.search(r"\bturn\.pipe", snippet) and "turn = " not in snippet
    argument = "turn: Turn" if left else ""
    body = f"async def snippet({argument}) -> None:\n{textwrap.indent(snippet, '    ')}\n"
    record = RECORD if "replay(" in snippet else ""
    return PRELUDE + record + body + (IN_A_TURN if argument else "asyncio.run(snippet())\n")


def answer(request: Request) -> Reply:
    """Answer whatever a snippet asks."""
    tools = {tool["name"] for tool in request.body.get("tools", ())}
    if request.tool_results:
        return reply("Tidy now.")
    if "StructuredOutput" in tools:
        return reply("").tool("StructuredOutput", {"name": "Rome", "people": 2_800_000})
    if "Set the project up" in request.prompt:
        return reply("I install. ").tool(
            "Bash", {"command": "echo pip install; sleep 0.5", "description": "x"}
        )
    if "Tidy" in request.prompt:
        return reply("I look. ").tool("Bash", {"command": "touch made", "description": "x"})
    return reply("An answer in a few words.")


def run(source: str, folder: Path, url: str) -> str:
    """Run a program with the CLI in `bin`, the real one where there is none, and return what it prints."""
    (folder / "bin").mkdir(exist_ok=True)
    if not (folder / "bin" / "claude").exists():
        cli = bundled_cli()
        assert cli is not None
        (folder / "bin" / "claude").symlink_to(cli)
    env = clean_environment(url, folder / "home", PYTHONPATH=os.pathsep.join(sys.path))
    env["PATH"] = f"{folder / 'bin'}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", source],
        cwd=folder, env=env, input="yes\n" * 3, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_tests(folder: Path) -> str:
    """Run pytest in a folder, and return what it prints."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


SHOWN = {
    "stream_output=True": "An answer in a few words.\n0.000",
    "turn.pipe(cc.of_type": "An answer in a few words.",
    "enough(piece)": "An ans",
    "def decide": "I look. \n\nTidy now.",
    "ask_all(": "",
    "class City": "name='Rome' people=2800000 {'name': 'Rome', 'people': 2800000}",
    "replay(": "",
}


@pytest.mark.parametrize("mark", SHOWN)
def test_a_snippet_runs(mark: str, tmp_path: Path) -> None:
    (snippet,) = [snippet for snippet in SNIPPETS if mark in snippet]
    with LoopbackApi(answer) as api:
        shown = run(program(snippet), tmp_path, api.url)
    assert shown.startswith(SHOWN[mark])
    if mark == "ask_all(":
        assert sorted(shown.splitlines()) == [f"{index} 1 An answer in a few words." for index in (0, 1)]


def test_the_test_in_it_passes(tmp_path: Path) -> None:
    (snippet,) = [snippet for snippet in SNIPPETS if "def test_" in snippet]
    (tmp_path / "test_it.py").write_text(snippet)
    assert "1 passed" in run_tests(tmp_path)


def test_none_is_left_out() -> None:
    assert len(SNIPPETS) == len(SHOWN) + 1
