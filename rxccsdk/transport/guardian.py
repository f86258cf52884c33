"""The agent dies with us: a small process that ends the CLIs of a program that has died, however it died.

The CLI works on when its parent is gone: it calls the model and runs tools, unseen and billed. Closing its
input stops nothing, and `PR_SET_PDEATHSIG` fires when the thread ends that started it, not only the process,
and reaches nothing that the CLI started. So one guardian for all sessions of a program waits on a pipe whose
other end the program holds. It starts with the first CLI, costs a few milliseconds, and ends with the last.

On macOS the pipe, `posix_spawn` and process groups work as they do here; there is no `PR_SET_PDEATHSIG` to
begin with. Without `/proc` the guardian finds what a CLI started by the parents that `ps` lists. What lost
its parent before the program died, a daemon for one, it finds by its mark on Linux only: on macOS no process
may read the environment of another, so that one stays. (`kqueue` could tell of the program's death, too, but
of no more than the pipe does.)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from pathlib import Path

_log = logging.getLogger("rxccsdk")

_PROGRAM = Path(__file__).with_name("_guardian_program.py")
_REAP_EVERY = 0.005  # seconds
_REAP_WITHIN = 1.0


class Guardian:
    """Watches the CLIs of this process, from one that is started with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[int] = set()
        self._pipe: int | None = None
        self._pid: int | None = None

    def watch(self, pid: int, mark: str) -> None:
        """End this CLI and all it started when this process dies.

        Args:
            pid: the CLI's.
            mark: what it and all it starts carry in their environment.
        """
        with self._lock:
            if self._pipe is None:
                self._start()
            self._watched.add(pid)
            self._write(f"+ {pid} {mark}\n")

    async def release(self, pid: int) -> None:
        """Watch a CLI no more: it is gone. With the last one, the guardian ends."""
        with self._lock:
            if pid not in self._watched:
                return
            self._watched.discard(pid)
            self._write(f"- {pid}\n")
            if self._watched or self._pipe is None:
                return
            guardian, self._pid = self._pid, None
            os.close(self._pipe)
            self._pipe = None
        for _ in range(round(_REAP_WITHIN / _REAP_EVERY)):
            if guardian is None or _is_reaped(guardian):
                return
            await asyncio.sleep(_REAP_EVERY)

    def forget(self) -> None:
        """Leave the guardian to the process that this one was forked from."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                os.close(self._pipe)
        self.__init__()  # type: ignore[misc]

    def _start(self) -> None:
        theirs, ours = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        try:
            command = [sys.executable, "-I", "-S", str(_PROGRAM)]
            self._pid = os.posix_spawn(sys.executable, command, {}, file_actions=actions)
            self._pipe = ours
        except OSError as error:
            os.close(ours)
            _log.warning("nothing ends the CLI when this process dies: %s", error)
        finally:
            os.close(theirs)

    def _write(self, line: str) -> None:
        if self._pipe is not None:
            try:
                os.write(self._pipe, line.encode())
            except OSError as error:
                _log.warning("nothing ends the CLI when this process dies: %s", error)


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


guardian = Guardian()
os.register_at_fork(after_in_child=guardian.forget)
