"""A redis-server of our own on loopback, for as long as a case takes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from redis import Redis
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError

from benchmarks.harness import CannotDo

Fsync = Literal["always", "everysec", "no"]

_ATTEMPTS = 5  # at a free port: somebody else may take it first
_LOG = "log"
_PATIENCE = 20.0  # seconds until it answers


@dataclass(frozen=True)
class RedisServer:
    """A server that runs.

    Attributes:
        url: as redis-py takes it.
    """

    url: str

    def cpu(self) -> float:
        """Seconds of CPU that it took so far, user and system, its threads' included."""
        told = self._told("cpu")
        return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])

    def used_memory(self) -> int:
        """Bytes that it has allocated, as it counts them itself."""
        return int(self._told("memory")["used_memory"])

    def _told(self, about: str) -> dict[str, Any]:
        with Redis.from_url(self.url) as client:
            told: dict[str, Any] = client.info(about)
        return told


@contextmanager
def redis_server(fsync: Fsync | None = "always") -> Iterator[RedisServer]:
    """Start a server, give it when it answers, and end it.

    Args:
        fsync: when its append-only file reaches the disk; `None` keeps no file.

    Raises:
        CannotDo: there is no redis-server on this machine.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise CannotDo("there is no redis-server on this machine")
    with tempfile.TemporaryDirectory() as folder:
        process, port = _started(program, Path(folder), fsync)
        try:
            yield RedisServer(f"redis://127.0.0.1:{port}")
        finally:
            ended = process.poll()
            process.kill()
            process.wait()
            if ended is not None:
                log = (Path(folder) / _LOG).read_text(errors="replace")
                print(f"redis-server has ended by itself, with {ended}:\n{log[-2000:]}", file=sys.stderr)


def _started(program: str, folder: Path, fsync: Fsync | None) -> tuple[subprocess.Popen[bytes], int]:
    settings = ["--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--logfile", _LOG]
    settings += ["--auto-aof-rewrite-percentage", "0"]  # at no moment of its own
    settings += ["--appendonly", "yes", "--appendfsync", fsync] if fsync is not None else []
    for _ in range(_ATTEMPTS):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        command = [program, "--port", str(port), *settings]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if _answers(process, port):
            return process, port
        process.kill()
        process.wait()
    raise CannotDo("redis-server does not start")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until it answers, and whether it is this one that does."""
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with Redis(port=port) as client:
                told: dict[str, Any] = client.info("server")
            return bool(told["process_id"] == process.pid)
        except NotConnected:
            time.sleep(0.02)
        except RedisError:
            return False
    return False
