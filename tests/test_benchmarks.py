"""The benchmarks still run: every row is there. How fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rxccsdk.testing import clean_environment, environment
from tests.redis_server import PROGRAM, WHY_NOT

CHECKOUT = Path(__file__).parent.parent

MEASURES = [
    "displays",
    "fan_out",
    "fleet",
    "group_commit",
    "growth",
    "latency",
    "live",
    "log_memory",
    "many_sessions",
    "operators",
    "pipe_to_response",
    "pipes",
    "printing",
    "redis_streams",
    "session_job",
    "soak",
    "startup",
    "warm",
    "web",
]
LONG = {"fleet"}  # a minute also when it is quick: `python -m benchmarks --quick --only fleet`
NEED_REDIS = {"group_commit", "redis_streams"}
CANNOT = {
    "claude-code-sdk, bare loop",  # a line above 1 MiB
    "rxccsdk 0.1.0, five operators",  # where the history is not at hand
}


def benchmarks(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    env, pipe = {**os.environ, "COLUMNS": "200"}, subprocess.PIPE
    return subprocess.Popen(command, cwd=CHECKOUT, env=env, stdout=pipe, stderr=pipe, text=True)


def finished(run: subprocess.Popen[str]) -> str:
    out, err = run.communicate(timeout=600)
    assert run.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The results of a quick run of all measures, on both cores: it is not for the figures."""
    folders = [tmp_path_factory.mktemp("results") for _ in range(2)]
    environ = clean_environment("http://127.0.0.1:9", tmp_path_factory.mktemp("machine"))
    with environment(environ):
        left_out = LONG if PROGRAM is not None else LONG | NEED_REDIS
        halves = [[it for it in half if it not in left_out] for half in (MEASURES[::2], MEASURES[1::2])]
        runs = [
            benchmarks("--quick", "--out", str(folder), "--only", *half)
            for folder, half in zip(folders, halves, strict=True)
        ]
        for run in runs:
            finished(run)
    return {measure: folders[place % 2] for place, measure in enumerate(MEASURES)}


def cells(page: str) -> list[str]:
    return [cell.strip() for line in page.splitlines() for cell in line.split("|")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("measure", MEASURES)
def test_a_quick_run_has_every_row(measure: str, quick: dict[str, Path]) -> None:
    if measure in LONG:
        pytest.skip("it takes a minute")
    if measure in NEED_REDIS and PROGRAM is None:
        pytest.skip(WHY_NOT)
    folder = quick[measure]
    results = json.loads((folder / f"{measure}.json").read_text())
    page = (folder / f"{measure}.md").read_text()
    summary = (folder / "README.md").read_text()
    assert results["cases"]
    for case in results["cases"]:
        assert f"## {case['case']}" in page
        assert case["baseline"] in [row["name"] for row in case["rows"]]
        for row in case["rows"]:
            assert_ran(row)
            assert row["name"] in cells(page)
            if row["aim"] is not None:
                assert {case["case"], row["name"], row["aim"]["words"]} <= set(cells(summary))
    assert {"cores", "cpu", "python", "versions"} <= set(results)
    assert "not installed" not in results["versions"].values()
    assert (folder / f"{measure}.png").read_bytes().startswith(b"\x89PNG")


def assert_ran(row: dict[str, Any]) -> None:
    if row["failure"] is not None:
        assert row["name"] in CANNOT, row["failure"]
    else:
        assert len(row["figures"]) == 1, row
        assert row["figures"][0] > 0, row


def test_every_measure_is_run_here() -> None:
    listed = finished(benchmarks("--help")).partition("{")[2].partition("}")[0].split(",")
    assert sorted(name.strip() for name in listed) == MEASURES
