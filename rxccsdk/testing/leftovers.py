"""Detect what a program leaks: child processes, asyncio tasks, threads and file descriptors.

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
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

_POLL_INTERVAL = 0.02  # seconds
_ADVICE = {
    "process": "end it and wait for it; a CLI ends with its session: `await session.aclose()`",
    "task": "await it, or cancel it and await that; a turn ends with `await turn.aclose()`",
    "thread": "join it; shut its executor down; a LoopbackApi ends with `close()`",
    "descriptor": "close the file, socket, pipe or event loop it belongs to",
}


def assert_clean(*, timeout: float = 3.0) -> Leftovers:
    """Fail if the program leaks processes, tasks, threads or descriptors.

    The end of the block is compared with its beginning (without a block: with this call): child processes and
    their descendants, asyncio tasks of the running loop, threads and file descriptors. They have `timeout`
    seconds to end. If the block raises, nothing is checked: its exception takes precedence.

    Args:
        timeout: Seconds to wait for them to end by themselves.

    Returns:
        A context manager for `async with` (which includes the tasks of the running loop) and `with`. Without
        a block, call its `check()` or `await` its `acheck()`.

    Raises:
        AssertionError: At the end; it names each leak and says how to end it.

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
class _Snapshot:
    """The processes, tasks, threads and descriptors at one moment."""

    processes: set[psutil.Process]
    tasks: set[asyncio.Task[Any]]
    threads: set[threading.Thread]
    descriptors: dict[str, str]


class Leftovers:
    """The context manager `assert_clean` returns; see there."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._before = _snapshot()

    def check(self) -> None:
        """Block until nothing is leaked, and fail after the timeout.

        In a running loop use `async with` or `acheck`: tasks cannot end while this blocks.

        Raises:
            AssertionError: Something is still leaked.
        """
        for _ in self._poll():
            time.sleep(_POLL_INTERVAL)

    async def acheck(self) -> None:
        """Wait until nothing is leaked, and fail after the timeout.

        Raises:
            AssertionError: Something is still leaked.
        """
        for _ in self._poll():
            await asyncio.sleep(_POLL_INTERVAL)

    def __enter__(self) -> Leftovers:
        self._before = _snapshot()
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

    def _poll(self) -> Iterator[None]:
        """Yield as long as something is leaked, and raise after the timeout."""
        deadline = time.monotonic() + self._timeout
        while leaks := _leaks(self._before, _snapshot()):
            if time.monotonic() >= deadline:
                raise AssertionError(f"left behind, {self._timeout:g} s later still:\n" + "\n".join(leaks))
            yield


def _snapshot() -> _Snapshot:
    try:
        current = asyncio.current_task()
    except RuntimeError:
        tasks = set()
    else:
        tasks = asyncio.all_tasks() - {current}
    return _Snapshot(
        processes=set(psutil.Process().children(recursive=True)),
        tasks=tasks,
        # The threads of a loop's default executor, named like this, end only when the loop is closed.
        threads={thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")},
        descriptors=_open_descriptors(),
    )


def _open_descriptors() -> dict[str, str]:
    """Map each open descriptor to its target, where the system lists them; else return nothing."""
    folder = next((path for path in ("/proc/self/fd", "/dev/fd") if Path(path).is_dir()), None)
    targets: dict[str, str] = {}
    for number in os.listdir(folder) if folder else ():
        try:
            targets[number] = (
                os.readlink(f"{folder}/{number}") if folder == "/proc/self/fd" else _device(int(number))
            )
        except OSError:
            pass  # the descriptor that listed the directory, closed by now
    return targets


def _device(descriptor: int) -> str:
    status = os.fstat(descriptor)
    return f"device {status.st_dev}, inode {status.st_ino}"


def _leaks(before: _Snapshot, now: _Snapshot) -> list[str]:
    """Describe what exists now and did not exist before, line by line."""
    leaks = {
        "process": sorted(map(_describe_process, now.processes - before.processes)),
        "task": sorted(map(_describe_task, now.tasks - before.tasks)),
        "thread": sorted(map(_describe_thread, now.threads - before.threads)),
        "descriptor": _new_descriptors(before.descriptors, now.descriptors),
    }
    lines: list[str] = []
    for kind, descriptions in leaks.items():
        lines += (f"  {kind} {description}" for description in descriptions)
        if descriptions:
            lines.append(f"    -> {_ADVICE[kind]}")
    return lines


def _new_descriptors(before: dict[str, str], now: dict[str, str]) -> list[str]:
    # Compare targets, not numbers: the system reuses a number once it is closed.
    excess = Counter(now.values()) - Counter(before.values())
    descriptions: list[str] = []
    for number, target in sorted(now.items(), key=lambda item: int(item[0])):
        if excess[target] > 0 and before.get(number) != target:
            excess[target] -= 1
            descriptions.append(f"{number} ({target})")
    return descriptions


def _describe_process(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return f"{process.pid} ({process.name()}), ended but not waited for"
        return f"{process.pid} ({' '.join(process.cmdline())[:100]})"
    except psutil.Error:
        return f"{process.pid} (ending)"


def _describe_task(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    at = f" at {stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else ""
    return f"{task.get_name()!r} ({name}){at}"


def _describe_thread(thread: threading.Thread) -> str:
    return f"{thread.name!r}{' (daemon)' if thread.daemon else ''}"
