"""Pipes are typed: what mypy must infer, and the misuses it must find (in `typing/`)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rxccsdk import operators as cc

SAMPLES = Path(__file__).parent / "typing"


@pytest.fixture(scope="module")
def complaints() -> dict[str, dict[int, str]]:
    """mypy's errors in the samples: by file and line."""
    pytest.importorskip("mypy")
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--no-error-summary", str(SAMPLES)],
        cwd=SAMPLES.parent.parent,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert run.returncode in (0, 1), run.stderr or run.stdout
    found: dict[str, dict[int, str]] = {}
    for path, line, words in re.findall(r"^(.+?):(\d+): error: (.+)$", run.stdout, re.MULTILINE):
        found.setdefault(Path(path).name, {})[int(line)] = words
    return found


def test_what_is_right_is_accepted_with_the_right_types(complaints: dict[str, dict[int, str]]) -> None:
    assert complaints.get("accepted.py", {}) == {}


def test_each_misuse_is_found_and_nothing_else(complaints: dict[str, dict[int, str]]) -> None:
    lines = (SAMPLES / "rejected.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("  # error")}
    assert len(wrong) > 20
    assert set(complaints.get("rejected.py", {})) == wrong
    assert set(complaints) == {"rejected.py"}, "rxccsdk itself is clean"


# What the snippets speak of and leave to the reader.
GIVEN = """
from rxccsdk import Turn
def on_text(text: str) -> None: ...
def enough(text: str) -> bool: return True
turn: Turn
session: ClaudeSession
"""


@pytest.fixture(scope="module")
def snippets(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The snippets of the README and the site, each a module of its own."""
    root = SAMPLES.parent.parent
    docs = sorted(page for page in (root / "docs").glob("*.md") if page.name != "fleet.md")
    pages = [page.read_text() for page in (root / "README.md", *docs)]
    of_each = [re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) for page in pages]
    snippets = [snippet for of_page in of_each for snippet in of_page]
    assert len(of_each[0]) >= 5
    files, folder = [], tmp_path_factory.mktemp("snippets")
    for number, snippet in enumerate(snippets):
        given = "from rxccsdk import ClaudeSession, SessionOptions, operators as cc\n" + GIVEN
        body = snippet
        if not snippet.startswith(("import asyncio", "from typing")):  # a part of a coroutine
            body = "async def snippet() -> None:\n" + textwrap.indent(snippet, "    ")
        files.append(folder / f"snippet_{number}.py")
        files[-1].write_text(given + body)
    return list(map(str, files))


@pytest.mark.parametrize(
    "checker",
    [
        ("mypy", "--strict", "--no-pretty"),
        ("basedpyright", "--pythonpath", sys.executable, "--level", "error"),
    ],
    ids=lambda c: c[0],
)
def test_the_snippets_are_typed(snippets: list[str], checker: tuple[str, ...]) -> None:
    pytest.importorskip(checker[0])
    project = Path(snippets[0]).with_name("pyrightconfig.json")
    project.write_text('{"typeCheckingMode": "standard"}')  # pyright's own, not the stricter fork's
    run = subprocess.run(
        [sys.executable, "-m", *checker, *snippets],
        cwd=SAMPLES.parent.parent if checker[0] == "mypy" else project.parent,
        env={**os.environ, "PYTHONPATH": str(SAMPLES.parent.parent)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", cc.__all__)
def test_every_operator_has_a_type_test(name: str) -> None:
    assert f"cc.{name}(" in (SAMPLES / "accepted.py").read_text()
