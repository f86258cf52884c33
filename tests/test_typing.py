"""Pipes are typed: what mypy must infer, and the misuses it must find (in `typing/`)."""

from __future__ import annotations

import re
import subprocess
import sys
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


@pytest.mark.parametrize("name", cc.__all__)
def test_every_operator_has_a_type_test(name: str) -> None:
    assert f"cc.{name}(" in (SAMPLES / "accepted.py").read_text()
