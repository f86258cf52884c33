"""The agent dies with us: however the program ends, the CLI and all it started stop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from rxccsdk import ClaudeSession, SessionOptions, TextChunk
from rxccsdk.testing import ScriptedCli, steps
from rxccsdk.transport import _guardian_program
from tests.conftest import Scripted
from tests.test_scripted_cli import half_a_message

PROGRAM = """
import asyncio, os, sys
from rxccsdk import ClaudeSession, SessionOptions, TextChunk

async def main(path, backend, survive):
    session = ClaudeSession(SessionOptions(cli_path=path, backend=backend, survive=survive == "survive"))
    await session.open()
    async for chunk in session.stream("go"):
        if isinstance(chunk, TextChunk):
            print("runs", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def busy_cli(folder: Path, **options: Any) -> ScriptedCli:
    """A CLI that works on, with a child, whatever becomes of its input."""
    plan = steps(*half_a_message("half ")).spawn_child().silence()
    return ScriptedCli(folder, [plan], exit_on_eof=False, answer_interrupt=False, **options)


def started(cli: ScriptedCli, backend: str, survive: str = "") -> tuple[subprocess.Popen[bytes], set[int]]:
    """Run a program up to the middle of a turn; give it, and the CLI with its family."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, str(cli.path), backend, survive]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
    assert program.stdout is not None
    assert program.stdout.readline() == b"runs\n"
    assert until(lambda: bool(cli.children), 5)
    family = {child.pid for child in psutil.Process(program.pid).children(recursive=True)}
    return program, {pid for pid in family if runs(pid)} | set(cli.children)


@pytest.mark.parametrize("what", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("stubborn", [False, True], ids=["polite", "deaf"])
def test_it_ends_within_five_seconds(
    what: signal.Signals, stubborn: bool, backend: str, tmp_path: Path
) -> None:
    cli = busy_cli(tmp_path, ignore_signals=("SIGINT", "SIGTERM") if stubborn else ())
    program, family = started(cli, backend)
    with program:
        program.send_signal(what)
        program.wait(5)
    assert len(family) >= 2
    assert until(lambda: not any(map(runs, family)), 5), "the agent goes on"


def test_it_may_survive(backend: str, tmp_path: Path) -> None:
    cli = busy_cli(tmp_path)
    program, family = started(cli, backend, "survive")
    with program:
        program.kill()
    try:
        assert not until(lambda: not any(map(runs, family)), 1.5)
    finally:
        for pid in family:
            os.kill(pid, signal.SIGKILL)


async def test_what_a_killed_cli_left_is_ended(scripted: Scripted) -> None:
    """Its Bash runs in a session of its own; nobody knows any more whose child that was."""
    session = scripted(steps(*half_a_message("half ")).spawn_child().silence(), exit_on_eof=False)
    async with session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                while not scripted.cli.children:
                    await asyncio.sleep(0.01)
                os.kill(cli_pid(session), signal.SIGKILL)
                break
        children = scripted.cli.children
        assert children
    assert not [pid for pid in children if runs(pid)]


def cli_pid(session: ClaudeSession) -> int:
    process = session._exchange._transport._process  # type: ignore[attr-defined]
    return int(process._transport.get_pid())


async def test_the_guardian_comes_with_the_first_cli_and_goes_with_the_last(tmp_path: Path) -> None:
    def guardians() -> int:
        program = Path(_guardian_program.__file__).name
        children = psutil.Process().children()
        return sum(any(program in part for part in child.cmdline()) for child in children)

    cli = ScriptedCli(tmp_path, [steps(*half_a_message("a"))])
    assert guardians() == 0
    async with ClaudeSession(SessionOptions(cli_path=cli.path)):
        assert guardians() == 1
        async with ClaudeSession(SessionOptions(cli_path=cli.path)):
            assert guardians() == 1
        assert guardians() == 1
    assert guardians() == 0


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="marks are read from /proc")
def test_what_is_just_starting_is_found_by_its_mark() -> None:
    """Within `exec` a process has no environment for a moment."""
    missed = 0
    for _ in range(1000):
        mark = uuid.uuid4().hex
        env = {**os.environ, _guardian_program.MARK: mark}
        pid = os.posix_spawnp("sleep", ["sleep", "100"], env)
        if pid not in _guardian_program.marked([mark]):
            missed += 1
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert missed == 0


def test_a_session_on_a_thread_that_ends_is_not_ended(scripted: Scripted) -> None:
    """As `PR_SET_PDEATHSIG` would: it heeds the thread that forked."""
    import threading

    session = scripted(steps(*half_a_message("half ")).silence(), exit_on_eof=False)
    loop = asyncio.new_event_loop()

    def open_it() -> None:
        loop.run_until_complete(session.open())

    thread = threading.Thread(target=open_it)
    thread.start()
    thread.join()
    pid = cli_pid(session)
    assert not until(lambda: not runs(pid), 0.3)
    loop.run_until_complete(session.aclose())
    loop.close()
    assert not runs(pid)
