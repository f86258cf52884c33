"""What the tests stand on: both SDKs, the real CLI on a loopback API, the scripted CLI, and no leftovers."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rxccsdk import ClaudeSession, SessionOptions
from rxccsdk.testing import (
    LoopbackApi,
    ScriptedCli,
    assert_clean,
    bundled_cli,
    clean_environment,
    environment,
)
from tests import redis_server as redis_servers
from tests.cli_versions import CLI_VARIABLE

# CI runs 100 examples of each property; HYPOTHESIS_PROFILE=thorough runs 2,000.
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("thorough", settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# What nohup or a shell's "&" made this process ignore, the programs that tests start would ignore, too. A
# handler that does nothing is not handed on to them, and here it is as good.
for _name in ("SIGHUP", "SIGINT", "SIGQUIT"):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda number, frame: None)

# Read before tests see an environment of their own.
OTHER_CLI = Path(os.environ[CLI_VARIABLE]) if CLI_VARIABLE in os.environ else None

BACKENDS = ("claude-code-sdk", "claude-agent-sdk")
_NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing answers there


@pytest.fixture(autouse=True)
def _clean_machine(tmp_path: Path) -> Iterator[None]:
    """No test sees the machine's configuration or credentials."""
    with environment(clean_environment(_NOWHERE, tmp_path / "machine")):
        yield


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each of the SDKs."""
    return str(request.param)


class Real:
    """Sessions with the real CLI against a scripted Messages API."""

    def __init__(self, backend: str, folder: Path, stack: contextlib.ExitStack) -> None:
        self.backend = backend
        self.folder = folder
        self.api: LoopbackApi
        self._stack = stack

    def options(self, script: Any, *, agents: Any = None, env: Any = None, **options: Any) -> SessionOptions:
        """Serve a script; give the options for a session that is answered by it."""
        self.api = self._stack.enter_context(LoopbackApi(script, agents=agents))
        clean = clean_environment(self.api.url, self.folder / "home", **(env or {}))
        self._stack.enter_context(environment(clean))
        cwd = self.folder / "project"
        cwd.mkdir(exist_ok=True)
        cli = OTHER_CLI or bundled_cli()
        assert cli is not None, "claude-agent-sdk brings the CLI that these tests run"
        return SessionOptions(**{"backend": self.backend, "cli_path": cli, "cwd": cwd, **options})

    def __call__(self, script: Any, **options: Any) -> ClaudeSession:
        return ClaudeSession(self.options(script, **options))


@pytest.fixture
def real(backend: str, tmp_path: Path) -> Iterator[Real]:
    """Make a session with the real CLI: `real([reply("hello")], max_turns=2)`."""
    with contextlib.ExitStack() as stack:
        yield Real(backend, tmp_path, stack)


class Scripted:
    """Sessions with the scripted CLI."""

    def __init__(self, backend: str, folder: Path, stack: contextlib.ExitStack) -> None:
        self.backend = backend
        self.folder = folder
        self.cli: ScriptedCli
        self._stack = stack

    def __call__(self, *prompts: Any, session: dict[str, Any] | None = None, **plan: Any) -> ClaudeSession:
        self.cli = self._stack.enter_context(ScriptedCli(self.folder / "cli", prompts, **plan))
        options = {"backend": self.backend, "cli_path": self.cli.path, **(session or {})}
        return ClaudeSession(SessionOptions(**options))


@pytest.fixture
def scripted(backend: str, tmp_path: Path) -> Iterator[Scripted]:
    """Make a session with a scripted CLI: `scripted(text_turn("hello"), steps().exit(3))`."""
    with contextlib.ExitStack() as stack:
        yield Scripted(backend, tmp_path, stack)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[redis_servers.RedisServer]:
    """Run a Redis server of the test's own, where there is one."""
    with redis_servers.redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def no_leftovers() -> AsyncIterator[None]:
    """Fail when the test leaves a process, a task, a thread or a file descriptor behind."""
    async with assert_clean():
        yield
