"""What is installed: the SDKs, the CLI each of them would run, and what that CLI reports of itself."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

from rxccsdk.errors import RxccError
from rxccsdk.session.options import SessionOptions
from rxccsdk.transport.sdk import SdkDriver

SDKS = ("claude-agent-sdk", "claude-code-sdk")  # the one "auto" takes comes first
_TIMEOUT = 15.0
_NO_SESSION = "00000000-0000-0000-0000-000000000000"  # none is started


@dataclass(frozen=True)
class Cli:
    """A CLI: where it is, its version, and whether it is logged in; `None` where it does not report that."""

    path: str
    version: str | None
    logged_in: bool | None
    login: str
    problem: str = ""


def package_version(name: str) -> str | None:
    """Return the version of an installed package, or `None`."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def find_cli(backend: str) -> str | None:
    """Return the CLI an SDK would run; `None` where there is none, or the SDK is missing."""
    driver = _driver(backend)
    try:
        return driver.command()[0] if driver is not None else None
    except RxccError:
        return None


def command_name(path: str) -> str:
    """Return what to type for a CLI: its name where that finds it, else its path."""
    name = os.path.basename(path)
    return name if shutil.which(name) == path else shlex.quote(path)


def ask_cli(backend: str, path: str) -> Cli:
    """Ask a CLI for its version and its login. Nothing is sent to a model.

    Args:
        backend: the SDK that would run it; it decides the environment.
        path: where it is.
    """
    driver = _driver(backend)
    env = asyncio.run(driver.environment()) if driver is not None else dict(os.environ)
    code, said = _run([path, "--version"], env)
    if code != 0:
        return Cli(path, None, None, "", problem=said or f"exit code {code}")
    version = said.partition(" ")[0]
    # A CLI that does not know the command might take its words for a prompt; to `--help` it shows its help.
    _, usage = _run([path, "auth", "status", "--help"], env)
    if "auth status" not in usage:
        return Cli(path, version, None, "this version does not say")
    _, said = _run([path, "auth", "status"], env)
    try:
        login = json.loads(said)
        return Cli(path, version, bool(login["loggedIn"]), _login(login))
    except (ValueError, KeyError, TypeError):
        return Cli(path, version, None, "it gave no answer that could be read")


def _login(login: dict[str, Any]) -> str:
    """Return how one is logged in, in words."""
    if not login["loggedIn"]:
        return "not logged in"
    how = str(login.get("apiKeySource") or login.get("authMethod") or "")
    who = " ".join(str(login[name]) for name in ("email", "subscriptionType") if login.get(name))
    return ", ".join(filter(None, (f"logged in ({how})" if how else "logged in", who)))


def _driver(backend: str) -> SdkDriver | None:
    if backend == "auto":
        backend = next((sdk for sdk in SDKS if package_version(sdk)), SDKS[-1])
    try:
        if backend == "claude-agent-sdk":
            from rxccsdk.transport._claude_agent import ClaudeAgentDriver

            return ClaudeAgentDriver(SessionOptions(), _NO_SESSION)
        from rxccsdk.transport._claude_code import ClaudeCodeDriver

        return ClaudeCodeDriver(SessionOptions(), _NO_SESSION)
    except ImportError:
        return None


def _run(command: list[str], env: dict[str, str]) -> tuple[int | None, str]:
    """Run a command that should take no time; give its exit code and what it printed."""
    try:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return None, f"it cannot be run: {error.strerror or error}"
    with process:
        try:
            said, _ = process.communicate(timeout=_TIMEOUT)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # and what it started, which may hold the pipe
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return None, f"it gave no answer within {_TIMEOUT:g} s"
    return process.returncode, said.strip()
