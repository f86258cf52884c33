"""The benchmarks still run: every row is there. How fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent

CASES = ("text, 5 byte", "text, 200 byte", "text, 4 KB", "thinking, 5 byte", "tool input, 5 byte")
ROWS = {
    "rxccsdk, five operators",
    "claude-code-sdk, bare loop",
    "claude-agent-sdk, bare loop",
    "claude-code-sdk, toolkit loop",
    "bare pipe and orjson",
    "bare pipe, nothing decoded",
}


def test_a_quick_run_has_every_row(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    run = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    results = json.loads((tmp_path / "pipe_to_response.json").read_text())
    markdown = (tmp_path / "pipe_to_response.md").read_text()
    assert len(results["cases"]) == len(CASES)
    for case, name in zip(results["cases"], CASES, strict=True):
        assert case["case"].startswith(name)
        assert {row["name"] for row in case["rows"]} == ROWS
        assert all(len(row["figures"]) == 1 and row["figures"][0] > 0 for row in case["rows"])
        assert f"## {case['case']}" in markdown
    for row in ROWS:
        assert run.stdout.count(row) == markdown.count(f"| {row} |") == len(CASES)
    assert {"cores", "cpu", "python", "versions", "rounds"} <= set(results)
