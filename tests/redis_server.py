"""A Redis server of a test's own, on loopback, that keeps every write before it answers; and its end."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server")
"""Where the server is, if this machine has one."""

WHY_NOT = "there is no redis-server on this machine (Debian: apt install redis-server)"

# Below the ports that systems give to whoever connects: while the server is down, nobody else takes its own.
_PORTS = range(20_000, 32_000)
_PATIENCE = 20.0  # seconds to start or to end


class RedisServer:
    """A server in a folder; with the same folder and port it comes back with what it has kept.

    Args:
        folder: where its data and its log are.

    Attributes:
        port: where it listens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it; return when it answers.

        Raises:
            RuntimeError: it does not.
        """
        assert PROGRAM is not None, WHY_NOT
        assert self._process is None, "it runs"
        self.port = self.port or _free_port()
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "logfile": str(self._folder / "log"),
        }
        command = [PROGRAM, *(word for name, value in options.items() for word in (f"--{name}", value))]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"redis-server did not start: {self._log()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it, as a machine that loses power does; return when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it, and start it with what it has kept."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Let it stand still: it is connected to, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, in whatever state it is."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
            self.kill()

    def _signal(self, number: int) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64) == b"+PONG\r\n"  # else it is still loading
        except OSError:
            return False

    def _log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / "log").read_text()[-2000:]
        return "it wrote no log"


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Run a server for the block; where there is none on this machine, skip the test."""
    if PROGRAM is None:
        pytest.skip(WHY_NOT)
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
