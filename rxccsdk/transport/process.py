"""The CLI as a process: bytes in, bytes out, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rxccsdk.errors import CLINotFoundError, RxccError
from rxccsdk.transport import Exit
from rxccsdk.transport._guardian_program import MARK, marked
from rxccsdk.transport.guardian import guardian
from rxccsdk.wire.frames import LineFramer

if TYPE_CHECKING:
    import psutil

_log = logging.getLogger("rxccsdk")

INSTALL_HINT = (
    "Install it (npm install -g @anthropic-ai/claude-code, or pip install 'rxccsdk[agent]', which brings "
    "one), or set SessionOptions(cli_path=...)."
)

# What keeps a process from starting and has nothing to do with the file.
_OTHER_CAUSES = {
    errno.E2BIG: "its command line and environment are too long. Put long texts into files.",
    errno.EMFILE: "this process has no file descriptor left. Close some, or raise its limit (ulimit -n).",
    errno.ENFILE: "the system has no file descriptor left.",
    errno.ENOMEM: "there is no memory left.",
    errno.EAGAIN: "there can be no more processes.",
}
_STDERR_LINES = 50
_GRACE = 2.0  # seconds between one means of ending a process and the next, harder one
_EXIT_GRACE = 2.0  # seconds it may take to be gone after its output has ended: its exit code is worth them
_EOF_GRACE = 0.5  # seconds its output may stay open after it is gone: a child of its may hold the pipe


class CliProcess(asyncio.SubprocessProtocol):
    """A process in a group of its own, so that Ctrl+C reaches us first and our signals reach its children.

    Args:
        on_data: gets each read of its standard output.
        on_end: called once, when its output has ended.
        on_stderr: gets each line of its standard error, beside the last ones being kept.
        survive: let it go on when this process dies.
    """

    def __init__(
        self,
        on_data: Callable[[bytes], None],
        on_end: Callable[[Exit], None],
        on_stderr: Callable[[str], None] | None = None,
        *,
        survive: bool = False,
    ) -> None:
        self._on_data = on_data
        self._on_end = on_end
        self._on_stderr = on_stderr
        self._survive = survive
        self._mark = uuid.uuid4().hex  # what it and all it starts carry in their environment
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._stderr_framer = LineFramer()
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = asyncio.Event()
        self._eof = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._reported = False

    async def start(
        self, argv: Sequence[str], cwd: Path | str | None, env: dict[str, str], user: str | None = None
    ) -> None:
        """Start it.

        Raises:
            CLINotFoundError: there is no such file, or it cannot be executed.
            RxccError: the working directory does not exist.
        """
        _check_directory(cwd)
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {} if user is None else {"user": user}
        env = {**env, MARK: self._mark}
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: self, *argv, cwd=cwd, env=env, start_new_session=True, **options
            )
        except FileNotFoundError as error:
            raise CLINotFoundError(f"There is no Claude Code CLI at {argv[0]}. {INSTALL_HINT}") from error
        except OSError as error:
            if error.errno in _OTHER_CAUSES:
                raise RxccError(f"The CLI cannot be started: {_OTHER_CAUSES[error.errno]}") from error
            raise CLINotFoundError(
                f"The Claude Code CLI at {argv[0]} cannot be executed: {error.strerror or error}. "
                "Check the file and its permissions, or set SessionOptions(cli_path=...)."
            ) from error

        if not self._survive:
            guardian.watch(transport.get_pid(), self._mark)

    @property
    def pid(self) -> int | None:
        """Its process id, once it was started."""
        return self._transport.get_pid() if self._transport is not None else None

    def write(self, data: bytes) -> None:
        """Write to its standard input, without waiting.

        Raises:
            ConnectionError: its input is closed.
        """
        pipe = self._stdin()
        if pipe is None or pipe.is_closing():
            raise ConnectionError("The CLI's input is closed.")
        pipe.write(data)

    def close_stdin(self) -> None:
        """Close its standard input: no more comes."""
        pipe = self._stdin()
        if pipe is not None:
            pipe.close()

    async def end(self, *, at_once: bool = False) -> None:
        """End it and all it started: close its input, then SIGINT, SIGTERM and SIGKILL, two seconds apart.

        Args:
            at_once: do not wait for it to end by itself when its input closes.
        """
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(at_once))
        await asyncio.shield(self._ending)

    # -- asyncio.SubprocessProtocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Its end may be told before `start` goes on.
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        data = cast(bytes, data)
        if fd == 1:
            self._on_data(data)
        else:
            for line in self._stderr_framer.push(data):
                self._note_stderr(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._eof.set()
            self._report_end_when_known()
        elif fd == 2:
            self._note_stderr(self._stderr_framer.flush())

    def process_exited(self) -> None:
        self._exited.set()
        if not self._eof.is_set():
            asyncio.get_running_loop().call_later(_EOF_GRACE, self._eof.set)
            asyncio.get_running_loop().call_later(_EOF_GRACE, self._report_end)
        else:
            self._report_end()

    # -- inside -------------------------------------------------------------------------------------------

    def _stdin(self) -> asyncio.WriteTransport | None:
        if self._transport is None:
            return None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))

    def _note_stderr(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self._stderr.append(text)
            if self._on_stderr is not None:
                try:
                    self._on_stderr(text)
                except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                    self._on_stderr = None
                    _log.error("the stderr callback raised; it is called no more", exc_info=error)

    def _report_end_when_known(self) -> None:
        """Its output has ended; most often it is ending too."""
        if self._exited.is_set():
            self._report_end()
        else:
            asyncio.get_running_loop().call_later(_EXIT_GRACE, self._report_end_unless_due)

    def _report_end_unless_due(self) -> None:
        """Report that it has closed its output; one that is dead is reported when its exit code is known."""
        assert self._transport is not None
        if _is_alive(self._transport.get_pid()):
            self._report_end()
        else:
            asyncio.get_running_loop().call_later(_EXIT_GRACE, self._report_end)

    def _report_end(self) -> None:
        if self._reported:
            return
        self._reported = True
        self._note_stderr(self._stderr_framer.flush())
        code = self._transport.get_returncode() if self._transport is not None else None
        reason = "The CLI ended" if code is not None else "The CLI closed its output."
        self._on_end(Exit(reason, code, tuple(self._stderr)))

    async def _end(self, at_once: bool) -> None:
        try:
            await self._end_step_by_step(at_once)
        except asyncio.CancelledError:
            await self.kill()  # the loop is being torn down: there is no time left
            raise
        finally:
            if self._transport is not None:
                await guardian.release(self._transport.get_pid())

    async def kill(self) -> None:
        """End it and all it started with SIGKILL, and see it gone."""
        transport = self._transport
        if transport is None:
            return
        if not self._exited.is_set():
            family = _frozen_family(transport.get_pid())
            _signal_group(transport.get_pid(), signal.SIGKILL)
            for process in family:
                with contextlib.suppress(Exception):
                    process.kill()
            await self._gone(_EOF_GRACE)
        for process in _marked(self._mark):
            with contextlib.suppress(Exception):
                process.kill()
        transport.close()
        await guardian.release(transport.get_pid())

    async def _end_step_by_step(self, at_once: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        family = _descendants(transport.get_pid())
        self.close_stdin()
        if not at_once and not await self._gone(_GRACE):
            at_once = True
        if at_once:
            for hard in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                if hard is signal.SIGKILL:
                    family |= _frozen_family(transport.get_pid())
                _signal_group(transport.get_pid(), hard)
                if await self._gone(_GRACE):
                    break
        await _end_all(family | _marked(self._mark))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EOF_GRACE):
                await self._eof.wait()
        transport.close()
        self._report_end()

    async def _gone(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._exited.wait()
        return self._exited.is_set()


def _check_directory(path: Path | str | None) -> None:
    if path is not None and not Path(path).is_dir():
        raise RxccError(f"The working directory does not exist, or is none: {path}")


def _descendants(pid: int) -> set[psutil.Process]:
    import psutil

    try:
        return set(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return set()


def _marked(mark: str) -> set[psutil.Process]:
    """Return what carries this mark: what lost its parent, too, as when the CLI itself was killed."""
    import psutil

    found = set()
    for pid in marked([mark]):
        with contextlib.suppress(psutil.Error):
            found.add(psutil.Process(pid))
    return found


def _frozen_family(pid: int) -> set[psutil.Process]:
    """Collect all it started, and keep it from starting more.

    A SIGKILL does not reach what runs in sessions of its own, and after it nothing shows whose that was.
    """
    _signal_group(pid, signal.SIGSTOP)
    return _descendants(pid)


def _signal_group(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, what)


async def _end_all(processes: set[psutil.Process]) -> None:
    """End what outlived the CLI: politely, then not."""
    import psutil

    for hard in (signal.SIGTERM, signal.SIGKILL):
        alive = [process for process in processes if _runs(process)]
        if not alive:
            return
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.send_signal(hard)
        for _ in range(20):
            if not any(_runs(process) for process in alive):
                return
            await asyncio.sleep(0.05)


def _is_alive(pid: int) -> bool:
    import psutil

    try:
        return _runs(psutil.Process(pid))
    except psutil.Error:
        return False


def _runs(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
