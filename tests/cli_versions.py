"""The tests with the real CLI, against the CLIs of older `claude-agent-sdk` wheels.

`python -m tests.cli_versions 0.2.110 0.2.150` downloads these wheels (about 100 MB each), takes the CLI out
of each and runs the tests with it; what an older CLI cannot do is skipped with its reason.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from rxccsdk.testing import bundled_cli

CLI_VARIABLE = "RXCCSDK_TESTS_CLI"
"""The environment variable that names the CLI for the tests with the real one."""


def needs_cli(version: str, why: str) -> pytest.MarkDecorator:
    """Skip a test with a CLI that is older; `why` says what those do."""
    older = _numbers(_tested_version()) < _numbers(version)
    return pytest.mark.skipif(older, reason=f"CLIs before {version} {why}")


@cache
def _tested_version() -> str:
    program = Path(os.environ[CLI_VARIABLE]) if CLI_VARIABLE in os.environ else bundled_cli()
    assert program is not None, "claude-agent-sdk brings the CLI that these tests run"
    return version_of(program)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


TESTS = (
    "tests/test_real_cli.py",
    "tests/test_controls.py",
    "tests/test_sdk_features.py",
    "tests/test_asks.py",
    "tests/test_steering.py",
    "tests/test_branching.py",
    "tests/test_watch.py",
    "tests/test_cli_watch.py",
)
_CHECKOUT = Path(__file__).parents[1]


def fetch(version: str, cache: Path) -> Path:
    """Return the CLI of a wheel; download it where the cache has it not.

    Raises:
        LookupError: there is no such wheel, or it brings no CLI.
    """
    program = cache / version / "claude"
    if program.exists():
        return program
    wheel = f"claude-agent-sdk=={version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wheel, "-d", str(cache)]
    if subprocess.run(command).returncode != 0:
        raise LookupError(f"pip cannot download {wheel}")
    (path,) = cache.glob(f"claude_agent_sdk-{version}-*.whl")
    program.parent.mkdir(parents=True)
    with zipfile.ZipFile(path) as archive:
        try:
            program.write_bytes(archive.read("claude_agent_sdk/_bundled/claude"))
        except KeyError:
            raise LookupError(f"{wheel} brings no CLI for this machine") from None
    program.chmod(0o755)
    path.unlink()
    return program


def version_of(program: Path) -> str:
    """Return what the CLI says its version is."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[0]


def run_tests(program: Path, chosen: str) -> tuple[int, str]:
    """Run the tests with a CLI; return pytest's exit code and what it printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-rfEs", "--tb=line", *TESTS]
    command += ["-k", chosen] if chosen else []
    env = {**os.environ, CLI_VARIABLE: str(program)}
    done = subprocess.run(command, cwd=_CHECKOUT, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout


@contextmanager
def _cache(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def main() -> int:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cli_versions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("versions", nargs="+", metavar="VERSION", help="of claude-agent-sdk wheels: 0.2.110")
    parser.add_argument("--cache", type=Path, help="a folder to keep the CLIs in (default: a temporary one)")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only these tests, as pytest's -k")
    given = parser.parse_args()
    console, table, worst = Console(), Table("wheel", "CLI", "outcome"), 0
    with _cache(given.cache) as cache:
        for version in given.versions:
            try:
                with console.status(f"downloading {version}"):
                    program = fetch(version, cache)
                named = version_of(program)
                with console.status(f"testing {version}, CLI {named}"):
                    code, printed = run_tests(program, given.k)
            except LookupError as error:
                table.add_row(version, "", str(error))
                worst = 1
                continue
            failures = re.findall(r"^(?:FAILED|ERROR) .*", printed, re.M)
            skips = re.findall(r"^SKIPPED .*", printed, re.M)
            table.add_row(
                version,
                named,
                "\n".join([*(printed.splitlines()[-1:] or ["no test ran"]), *failures, *skips]),
            )
            worst = max(worst, code)
    console.print(table)
    return worst


if __name__ == "__main__":
    sys.exit(main())
