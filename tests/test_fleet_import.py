"""The fleet without redis-py: what needs it says so, what does not works."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rxccsdk.fleet

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "redis":
            raise ModuleNotFoundError("No module named 'redis'", name="redis")

sys.meta_path.insert(0, Missing())
"""


def run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + source], capture_output=True, text=True, timeout=60, check=False
    )


def test_logs_in_files_need_no_redis() -> None:
    done = run("from rxccsdk.fleet import EntryId, FileLog, TurnLog; FileLog('x')")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["Fleet", "Worker", "RedisLog", "PatientRedis"])
def test_what_needs_it_says_what_to_install(name: str) -> None:
    done = run(f"from rxccsdk.fleet import {name}")
    assert done.stderr.endswith(
        f"ImportError: {name} needs the extra `redis`: pip install 'rxccsdk[redis]'\n"
    )


def test_the_command_says_it_too() -> None:
    done = run(
        "from rxccsdk.__main__ import main; sys.argv = ['rxccsdk', 'serve', '--redis', 'redis://x']; main()"
    )
    assert done.returncode == 3
    assert "pip install 'rxccsdk[redis]'" in done.stderr


def test_all_names_are_there() -> None:
    assert all(getattr(rxccsdk.fleet, name) for name in rxccsdk.fleet.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Flet'"):
        _ = rxccsdk.fleet.Flet
