"""The example project's own tests pass as a stranger would run them, without account and network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rxccsdk.testing import LoopbackApi, clean_environment, reply

PROJECT = Path(__file__).parent.parent / "examples/support_bot"
CASSETTE = "tests/cassettes/test_support_bot/test_a_conversation.jsonl"
NOWHERE = "http://127.0.0.1:9"


def without_network() -> list[str]:
    """How to start a command that has nothing but loopback, where this system allows it; else nothing."""
    alone = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        works = subprocess.run([*alone, "true"], capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        works = False
    return alone if works else []


def run_tests(folder: Path, url: str, *arguments: str, start: Sequence[str] = ()) -> tuple[str, Path]:
    """Run the suite in a copy of the project; give what it printed, and the copy."""
    copy = folder / "support_bot"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    env = clean_environment(url, folder / "home", PYTHONPATH=os.pathsep.join(sys.path))
    plugins = ["-p", "rxccsdk.testing.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*start, sys.executable, "-m", "pytest", *plugins, *arguments],
        cwd=copy,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, copy


def test_the_suite_passes(tmp_path: Path) -> None:
    out, _ = run_tests(tmp_path, NOWHERE, start=without_network())
    assert re.search(r"= 5 passed in ", out), "none skipped, no warnings:\n" + out


def test_its_cassette_can_be_recorded_again(tmp_path: Path) -> None:
    with LoopbackApi([reply("Of course, e-bikes too."), reply("On Saturdays until two.")]) as api:
        out, copy = run_tests(tmp_path, api.url, "--record-cassettes", "-k", "conversation")
    assert f"recorded {CASSETTE}" in out
    recorded = (copy / CASSETTE).read_text()
    assert "Of course, e-bikes too." in recorded
    assert str(tmp_path) not in recorded


def test_its_cassette_tells_nothing_of_a_machine() -> None:
    paths = re.findall(r'[^\w.](/(?!home/user\b)\w[^"]*)', (PROJECT / CASSETTE).read_text())
    assert paths == []
