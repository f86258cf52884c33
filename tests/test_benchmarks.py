"""The benchmarks still run: every row is there. How fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parent.parent

MEASURES = [
    "fan_out",
    "growth",
    "latency",
    "log_memory",
    "many_sessions",
    "operators",
    "pipe_to_response",
    "pipes",
    "printing",
    "session_job",
    "startup",
]
CANNOT = {"claude-code-sdk, bare loop"}  # a line above 1 MiB


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    env = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=110)


def cells(page: str) -> list[str]:
    return [cell.strip() for line in page.splitlines() for cell in line.split("|")]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_quick_run_has_every_row(measure: str, tmp_path: Path) -> None:
    run = benchmarks("--quick", "--only", measure, "--out", str(tmp_path))
    assert run.returncode == 0, run.stderr
    results = json.loads((tmp_path / f"{measure}.json").read_text())
    page = (tmp_path / f"{measure}.md").read_text()
    summary = (tmp_path / "README.md").read_text()
    assert results["cases"]
    for case in results["cases"]:
        assert f"## {case['case']}" in page
        assert case["baseline"] in [row["name"] for row in case["rows"]]
        for row in case["rows"]:
            assert_ran(row)
            assert row["name"] in cells(page)
            if row["aim"] is not None:
                assert {case["case"], row["name"], row["aim"]["words"]} <= set(cells(summary))
    assert {"cores", "cpu", "python", "versions", "rounds"} <= set(results)
    assert "not installed" not in results["versions"].values()
    assert (tmp_path / f"{measure}.png").read_bytes().startswith(b"\x89PNG")


def assert_ran(row: dict[str, Any]) -> None:
    if row["failure"] is not None:
        assert row["name"] in CANNOT, row["failure"]
    else:
        assert len(row["figures"]) == 1, row
        assert row["figures"][0] > 0, row


def test_every_measure_is_run_here() -> None:
    run = benchmarks("--help")
    assert run.returncode == 0, run.stderr
    listed = run.stdout.partition("{")[2].partition("}")[0].split(",")
    assert sorted(name.strip() for name in listed) == MEASURES
