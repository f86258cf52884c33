"""What a program leaves behind: processes, tasks, threads and file descriptors that were not ended.

async with assert_clean():
    await my_program()
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

_EVERY = 0.02
_ADVICE = {
    "process": "end it and wait for it; a CLI ends with its session: `await session.aclose()`",
    "task": "await it, or cancel it and await that; a turn ends with `await turn.aclose()`",
    "thread": "join it; shut its executor down; a LoopbackApi ends with `close()`",
    "descriptor": "close the file, socket, pipe or event loop it belongs to",
}


def assert_clean(*, timeout: float = 3.0) -> Leftovers:
    """Fail when something is left behind that was not there before.

    What there is at the end of the block is compared with what there was at its beginning (or, without a
    block, at this call): child processes and theirs, asyncio tasks of the running loop, threads and file
    descriptors. What is about to end has `timeout` seconds for it. Where the block raises, its error shows
    more, and nothing is checked.

    Args:
        timeout: Seconds to wait for things to end by themselves.

    Returns:
        A context manager for `async with` (which sees the running loop's tasks) and for `with`; and without
        a block an object with `check()`.

    Raises:
        AssertionError: At the end; it names each thing and how to end it.

    Example:
        >>> with assert_clean():
        ...     worker = threading.Thread(target=print)
        ...     worker.start()
        ...     worker.join()
        <BLANKLINE>
        >>> clean = assert_clean()
        >>> clean.check()
    """
    return Leftovers(timeout)


@dataclass
class _Seen:
    """What there is at one moment."""

    processes: set[psutil.Process] = field(default_factory=set)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    threads: set[threading.Thread] = field(default_factory=set)
    descriptors: dict[str, str] = field(default_factory=dict)


class Leftovers:
    """What `assert_clean` gives; see there."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._before = _look()

    def check(self) -> None:
        """Fail if something is left behind, after waiting for it (blocking).

        Inside a running loop use `async with`: nothing on the loop can end while this waits.
        """
        for left in self._looks():
            if left:
                time.sleep(_EVERY)

    async def acheck(self) -> None:
        """Fail if something is left behind, after waiting for it."""
        for left in self._looks():
            if left:
                await asyncio.sleep(_EVERY)

    def __enter__(self) -> Leftovers:
        self._before = _look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.check()

    async def __aenter__(self) -> Leftovers:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.acheck()

    def _looks(self) -> Iterator[list[str]]:
        """Return what is left, again and again, until it is nothing or the time is up."""
        ends = time.monotonic() + self._timeout
        while left := _named(self._before, _look()):
            if time.monotonic() >= ends:
                raise AssertionError(f"left behind, {self._timeout:g} s later still:\n" + "\n".join(left))
            yield left


def _look() -> _Seen:
    seen = _Seen(processes=set(psutil.Process().children(recursive=True)), descriptors=_open_descriptors())
    try:
        current = asyncio.current_task()
    except RuntimeError:
        pass
    else:
        seen.tasks = asyncio.all_tasks() - {current}
    # A loop keeps the threads of its default executor, named like this, until it is closed.
    seen.threads = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    return seen


def _open_descriptors() -> dict[str, str]:
    """Return what each open descriptor leads to, as far as the system says; nothing where it does not."""
    folder = next((path for path in ("/proc/self/fd", "/dev/fd") if Path(path).is_dir()), None)
    found: dict[str, str] = {}
    for name in os.listdir(folder) if folder else ():
        try:
            found[name] = os.readlink(f"{folder}/{name}") if folder == "/proc/self/fd" else _kind(int(name))
        except OSError:
            pass  # the one that listed the folder, closed again
    return found


def _kind(descriptor: int) -> str:
    """Return what a descriptor is, where the system does not name it."""
    return f"device {os.fstat(descriptor).st_dev}, inode {os.fstat(descriptor).st_ino}"


def _named(before: _Seen, now: _Seen) -> list[str]:
    """Return what is there now and was not before, in words."""
    lines: list[str] = []

    def report(kind: str, names: list[str]) -> None:
        lines.extend(f"  {kind} {name}" for name in names)
        if names:
            lines.append(f"    -> {_ADVICE[kind]}")

    report("process", sorted(map(_process, now.processes - before.processes)))
    report("task", sorted(_task(task) for task in now.tasks - before.tasks))
    report("thread", sorted(map(_thread, now.threads - before.threads)))
    # By where they lead: numbers are given again.
    more = Counter(now.descriptors.values()) - Counter(before.descriptors.values())
    news: list[str] = []
    for number, target in sorted(now.descriptors.items(), key=lambda item: int(item[0])):
        if more[target] > 0 and before.descriptors.get(number) != target:
            more[target] -= 1
            news.append(f"{number} ({target})")
    report("descriptor", news)
    return lines


def _process(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return f"{process.pid} ({process.name()}), ended but not waited for"
        return f"{process.pid} ({' '.join(process.cmdline())[:100]})"
    except psutil.Error:
        return f"{process.pid} (ending)"


def _task(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    code = task.get_coro()
    name = getattr(code, "__qualname__", repr(code))
    at = f" at {stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else ""
    return f"{task.get_name()!r} ({name}){at}"


def _thread(thread: threading.Thread) -> str:
    return f"{thread.name!r}{' (daemon)' if thread.daemon else ''}"
