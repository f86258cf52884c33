"""The command as a process of its own: in pipes, and in a pseudo-terminal with a keyboard."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from typer.testing import CliRunner

import rxccsdk
from rxccsdk.cli import app
from tests.emulator import Emulator

COMMAND = [sys.executable, "-m", "rxccsdk"]
ESCAPE = "\x1b"
CTRL_C = b"\x03"
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(**extra: str) -> dict[str, str]:
    """This process's environment, without what changes how rich writes."""
    dropped = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CLICOLOR")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    root = str(Path(rxccsdk.__file__).parents[1])
    return {**kept, "PYTHONPATH": root, "TERM": "xterm-256color", "COLORTERM": "truecolor", **extra}


def heed_ctrl_c() -> None:
    """What a shell starts in the background ignores SIGINT, and so would what these tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(
    *command: str, stdin: bytes | str = b"", stdout: IO[Any] | int = subprocess.PIPE, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with its output in pipes, or its standard output in a file."""
    done = subprocess.run(
        command,
        env=environment(**extra),
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    out = done.stdout.decode() if done.stdout is not None else ""
    return subprocess.CompletedProcess(done.args, done.returncode, out, done.stderr.decode())


def here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process: a second less each, for what needs no signals and no real pipes."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


class Terminal:
    """A command in a pseudo-terminal: its session's own, so that Ctrl+C on the keyboard is what it is."""

    def __init__(
        self, *command: str, size: tuple[int, int] = (100, 40), stdout: IO[Any] | None = None, **extra: str
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        name = os.ttyname(slave)

        def prepare() -> None:
            heed_ctrl_c()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave,
            env=environment(**extra), start_new_session=True, preexec_fn=prepare,
        )  # fmt: skip
        os.close(slave)
        self._read = b""
        self._screen, self._decoder = Emulator(*size), getincrementaldecoder("utf-8")("replace")
        self._name = name

    @property
    def output(self) -> str:
        """All that was read so far."""
        return self._read.decode(errors="replace")

    @property
    def words(self) -> str:
        """The same without control codes."""
        return _CODES.sub("", self.output).replace("\r", "")

    def read_until(self, words: str, seconds: float = 30.0) -> None:
        """Read until these words were written, or stand on the screen in whatever pieces; or to the end.

        Raises:
            TimeoutError: none of it came in time.
        """
        deadline = time.monotonic() + seconds
        while words.encode() not in self._read and words not in self._screen.text():
            if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"{words!r} did not come: {self.words[-2000:]}")
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # the other side is closed
                return
            if not piece:
                return
            self._read += piece
            self._screen.feed(self._decoder.decode(piece))

    def press(self, keys: bytes) -> None:
        """Type on its keyboard."""
        os.write(self._master, keys)

    def press_and_wait(self, line: str, seconds: float = 30.0) -> None:
        """Type a line, and wait until the command has read it.

        Raises:
            TimeoutError: it did not read it in time.
        """
        self.press(line.encode() + b"\n")
        self.read_until(line, seconds)  # the echo: the terminal has it
        deadline = time.monotonic() + seconds
        keyboard = os.open(self._name, os.O_RDONLY | os.O_NOCTTY)
        try:
            while struct.unpack("i", fcntl.ioctl(keyboard, termios.FIONREAD, b"\0" * 4))[0]:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{line!r} was not read: {self.words[-2000:]}")
                time.sleep(0.02)
        finally:
            os.close(keyboard)

    def end(self) -> int:
        """Read to the end; give the exit code."""
        self.read_until("\0")
        return self.process.wait(timeout=30)

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextlib.contextmanager
def terminal(*command: str, **options: Any) -> Iterator[Terminal]:
    """A command in a pseudo-terminal, for the block."""
    opened = Terminal(*command, **options)
    try:
        yield opened
    finally:
        opened.close()
