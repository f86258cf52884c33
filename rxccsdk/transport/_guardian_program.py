"""The guardian: ends the CLIs of a program that has died, however it died, and all they started.

It is run as `python -I -S` by `guardian.py`, and reads one line a CLI from its standard input: `+ PID MARK`
for one that runs, `- PID` for one that is gone. The program's death closes its standard input. It uses the
standard library only, and outlives the terminal and the signals that end the program.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable

MARK = "RXCCSDK_MARK"
"""The environment variable that the CLI and all it starts carry."""

_POLL = 1.0  # seconds between two looks at the parent: another process may have inherited the pipe
_POLITE = 2.0  # seconds a CLI may take to end on SIGTERM, which lets it end what it started
_LIMIT = 2.0  # seconds to go on killing what is left
_EXEC = 1.0  # seconds that what is within `exec` may take to show its environment


def main() -> None:
    """Read until the program is gone; then end what it left."""
    for name in ("SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setsid()
    parent, pending = os.getppid(), b""
    running: dict[int, str] = {}
    while os.getppid() == parent:
        ready, _, _ = select.select([0], [], [], _POLL)
        if not ready:
            continue
        data = os.read(0, 65536)
        if not data:
            break
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            sign, pid, *mark = line.decode().split()
            if sign == "+":
                running[int(pid)] = mark[0]
            else:
                running.pop(int(pid), None)
    if running:
        end(running)


def end(running: dict[int, str]) -> None:
    """End these CLIs and all they started: politely, then not."""
    family = descendants(running)
    for pid in running:
        send(pid, signal.SIGTERM)
    wait(family, time.monotonic() + _POLITE)
    until = time.monotonic() + _LIMIT
    while time.monotonic() < until:
        family = {pid for pid in family | descendants(running) | marked(running.values()) if alive(pid)}
        if not family:
            return
        for pid in family:
            send(pid, signal.SIGKILL)
        time.sleep(0.05)


def wait(pids: set[int], until: float) -> None:
    """Wait until these have ended."""
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)


def send(pid: int, what: int) -> None:
    """Send a signal, if there still is such a process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, what)


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        pass
    if os.path.isdir("/proc/self"):
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def descendants(pids: Iterable[int]) -> set[int]:
    """These processes, and all that descend from them."""
    children: dict[int, list[int]] = {}
    for pid, parent in table():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    ahead = [pid for pid in pids if alive(pid)]
    while ahead:
        pid = ahead.pop()
        if pid not in found:
            found.add(pid)
            ahead += children.get(pid, [])
    return found


def table() -> list[tuple[int, int]]:
    """All processes with their parents."""
    if not os.path.isdir("/proc/self"):
        rows = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False)
        pairs = [row.split() for row in rows.stdout.splitlines()]
        return [(int(pid), int(parent)) for pid, parent in pairs]
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                found.append((int(name), int(stat.read().rpartition(b")")[2].split()[1])))
        except OSError:
            pass
    return found


def marked(marks: Iterable[str]) -> set[int]:
    """The processes that carry one of these marks in their environment: also those whose parent is gone."""
    wanted = [f"{MARK}={mark}\0".encode() for mark in marks]
    pids = filter(str.isdigit, os.listdir("/proc")) if os.path.isdir("/proc/self") else ()
    until = time.monotonic() + _EXEC
    found: set[int] = set()
    for pid in pids:
        data = environ(pid, until)
        if any(mark in data for mark in wanted):
            found.add(int(pid))
    return found


def environ(pid: str, until: float) -> bytes:
    """The environment of a process; nothing where it cannot be read.

    What is within `exec` has none for a moment, and is waited for.
    """
    data = _read(f"/proc/{pid}/environ")
    while not data and time.monotonic() < until:
        starting = _is_within_exec(pid)
        data = _read(f"/proc/{pid}/environ")
        if not starting:
            break
    return data + b"\0"


def _is_within_exec(pid: str) -> bool:
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if not fields or pid == "1":
        return False
    size, environment_end = int(fields[20]), int(fields[48])  # fields 23 and 51 of proc(5)
    return size > 0 and environment_end == 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
