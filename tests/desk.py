"""A pseudo-terminal with an emulator before it: where a test sits down and looks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rxccsdk.testing import LoopbackApi, bundled_cli, clean_environment
from rxccsdk.testing import environment as exactly
from tests.cli_processes import COMMAND, environment, heed_ctrl_c
from tests.emulator import Emulator


class Desk:
    """A pseudo-terminal with an emulator before it, and a program, or a shell, in its session."""

    api: LoopbackApi  # that answers what runs here, where something does

    def __init__(self, folder: Path, *command: str, size: tuple[int, int] = (80, 24)) -> None:
        self.folder = folder
        self.screen = Emulator(*size)
        self.written = ""
        self._master, self._slave = os.openpty()
        self._keep_what_is_written()
        self.resize(*size)
        self.modes = self.modes_now()

        def prepare() -> None:
            heed_ctrl_c()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, stdin=self._slave, stdout=self._slave, stderr=self._slave, start_new_session=True,
            preexec_fn=prepare, env=environment(PS1="$ ", PYTHONDONTWRITEBYTECODE="1"),
        )  # fmt: skip

    def _keep_what_is_written(self) -> None:
        """Let Ctrl+C and Ctrl+Z discard nothing.

        A terminal sends the signal first and then drops what is written and not yet read: on a busy machine
        also what a program writes because of the signal, such as the end of its rows.
        """
        modes = termios.tcgetattr(self._slave)
        modes[3] |= termios.NOFLSH
        termios.tcsetattr(self._slave, termios.TCSANOW, modes)

    def modes_now(self) -> list[object]:
        """The terminal's modes."""
        return list(termios.tcgetattr(self._slave))

    @property
    def echoes(self) -> bool:
        """Whether keys are shown."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    @property
    def prompts(self) -> bool:
        """Whether a shell waits for a command."""
        return self.echoes and self.screen.text().endswith("\n$")

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: bytes | str) -> None:
        """Type."""
        os.write(self._master, keys if isinstance(keys, bytes) else keys.encode())

    def step(self, *numbers: int) -> None:
        """Let the program take these steps, one after the other."""
        for number in numbers:
            (self.folder / str(number)).touch()
            self.wait((self.folder / f"{number}.done").exists)

    def see(self, words: str) -> None:
        """Wait until these words are on the screen."""
        self.wait(lambda: words in self.screen.text(), words)

    def wait(self, what: Callable[[], bool], name: str = "") -> None:
        """Read until something is so."""
        deadline = time.monotonic() + 30
        while not what():
            assert time.monotonic() < deadline, f"{name}\n{self.screen.text()}"
            self._read(0.02)

    def end(self) -> int:
        """Read to the end of the program; give its exit code."""
        self.wait(lambda: self.process.poll() is not None)
        while self._read(0.05):
            pass
        return int(self.process.returncode)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        piece = os.read(self._master, 65536).decode(errors="replace")
        self.written += piece
        self.screen.feed(piece)
        return True

    def close(self) -> None:
        """End what runs here."""
        for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        self.process.wait()
        os.close(self._slave)
        os.close(self._master)


@contextlib.contextmanager
def desks(folder: Path, *command: str, make: type[Desk] = Desk, last: tuple[str, ...] = ()) -> Iterator[Any]:
    """Give what sits down where a command of ours runs in a project of its own, answered by a script.

    Args:
        folder: for the project, the CLI and what it writes.
        command: of rxccsdk, with its first arguments.
        make: the desk.
        last: its last arguments.
    """
    cli, project = bundled_cli(), folder / "project"
    assert cli is not None
    (folder / "bin").mkdir()
    (folder / "bin" / "claude").symlink_to(cli)
    project.mkdir()
    with contextlib.ExitStack() as stack:

        def start(script: Any, *arguments: str, size: tuple[int, int] = (80, 24)) -> Desk:
            api = stack.enter_context(LoopbackApi(script))
            clean = clean_environment(api.url, folder / "home")
            clean["PATH"] = f"{folder / 'bin'}:{clean['PATH']}"
            stack.enter_context(exactly(clean))
            desk = make(folder, *COMMAND, *command, "--cwd", str(project), *arguments, *last, size=size)
            stack.callback(desk.close)
            desk.api = api
            return desk

        yield start
