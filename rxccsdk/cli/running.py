"""Running a command: signals end it cleanly, a closed pipe quietly, and its exit code is the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, Protocol

import typer

from rxccsdk import cli
from rxccsdk.cli.codes import BAD_TURN, NOT_READY, SUCCESS, USAGE, CommandError
from rxccsdk.errors import CassetteError, CLINotFoundError, RxccError, SessionCrashedError, StallError
from rxccsdk.text.harmless import harmless

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP: the terminal was closed

INSTALL = (
    "Install one, either of:\n"
    "  npm install -g @anthropic-ai/claude-code\n"
    "  pip install 'rxccsdk[agent]'        (brings one with claude-agent-sdk)"
)


class Stoppable(Protocol):
    """A turn, or many."""

    @property
    def status(self) -> str:
        """ "pending" before it began, "running" as long as it can be interrupted."""

    async def interrupt(self) -> None:
        """Stop it; return when it has ended."""


class Ending:
    """Ends what runs before its time: gently at first, at once when asked again.

    Attributes:
        code: the exit code, once something asked for the end.
        turn: the turn or the turns that run; it is interrupted, and its end awaited.
        on_ctrl_c: takes a Ctrl+C; where it returns false, that ends the command as it does any other.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self.turn: Stoppable | None = None
        self.on_ctrl_c: Callable[[], bool] = lambda: False
        self.at_once = asyncio.Event()
        self._work: asyncio.Task[int] | None = None
        self._stopping: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, int]) -> asyncio.Task[int]:
        """Start the work that may have to be ended."""
        self._work = asyncio.get_running_loop().create_task(work)
        return self._work

    def on_signal(self, number: int) -> None:
        """Take a signal."""
        if number == signal.SIGINT and self.on_ctrl_c():
            return
        if self.code is not None:
            self.at_once.set()
            return
        self.stop(128 + number)

    def stop(self, code: int) -> None:
        """End with this exit code: interrupt the turn, or cancel the work where none runs."""
        if self.code is not None:
            return
        self.code = code
        if self.turn is not None and self.turn.status == "running":
            self._stopping = asyncio.get_running_loop().create_task(self.turn.interrupt())
        elif self._work is not None and (self.turn is None or self.turn.status == "pending"):
            self._work.cancel()


Work = Callable[[Ending], Coroutine[Any, Any, int]]
"""What a command does: gets what ends it early, gives its exit code."""


def finish(action: Callable[[], int]) -> NoReturn:
    """Do what a command does and exit with its code. What is wrong is said on standard error.

    Args:
        action: gives the exit code.
    """
    try:
        if cli.owns_process and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # from now on it ends with care
        code = action()
    except KeyboardInterrupt:  # while no loop had its handlers: standard input is read, the doctor waits
        code = 128 + signal.SIGINT
    except CommandError as error:
        complain(str(error))
        code = error.code
    except RxccError as error:
        code = _complain_of_session(error)
    except BrokenPipeError:
        code = SUCCESS  # the reader has seen enough
    finally:
        if cli.owns_process:  # a Ctrl+C too many must not break into Python's own leaving
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        _forget_closed_pipe()
    raise typer.Exit(code)


def run(work: Work) -> int:
    """Run a command's work to its end, or to the end a signal makes; give the exit code."""
    return asyncio.run(_run(work))


async def _run(work: Work) -> int:
    ending = Ending()
    loop = asyncio.get_running_loop()
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        # What nohup, or a shell's "&", made us ignore stays ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, ending.on_signal, number)
    task = ending.start(work(ending))
    at_once = loop.create_task(ending.at_once.wait())
    await asyncio.wait({task, at_once}, return_when=asyncio.FIRST_COMPLETED)
    at_once.cancel()
    if not task.done():
        return ending.code or BAD_TURN  # the end of the loop cancels the rest, which kills the CLI
    try:
        code = task.result()
    except asyncio.CancelledError:
        code = BAD_TURN
    except RxccError:
        if ending.code is None:
            raise
        code = BAD_TURN  # it broke because it was ended
    return code if ending.code is None else ending.code


def complain(words: str) -> None:
    """Say on standard error what is wrong."""
    with contextlib.suppress(OSError):
        line = f"rxccsdk: {harmless(words)}"
        typer.echo(typer.style(line, fg="red") if _is_colourful(sys.stderr) else line, err=True)


def _is_colourful(file: Any) -> bool:
    return bool(file.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _complain_of_session(error: RxccError) -> int:
    """Say why a session broke, in the words of the command line; give the exit code."""
    if isinstance(error, CLINotFoundError):
        complain(f"There is no Claude Code CLI that could be run.\n{INSTALL}\n`rxccsdk doctor` says more.")
        return NOT_READY
    if isinstance(error, StallError):
        complain("given up, because nothing came for too long (--stall)")
        return BAD_TURN
    complain(str(error))
    if isinstance(error, CassetteError) or type(error) is RxccError:
        return USAGE
    refused = isinstance(error, SessionCrashedError) and any("error: option" in line for line in error.stderr)
    return USAGE if refused else BAD_TURN


def _forget_closed_pipe() -> None:
    """Where the reader of our output is gone, keep Python from complaining about it when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
