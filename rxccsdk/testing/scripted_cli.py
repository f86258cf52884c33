"""A scripted CLI, for what the real one does not do on demand: crash, stall, ignore signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rxccsdk.testing.frames import interrupted, text_turn
from rxccsdk.testing.plans import Plan, Steps, compile_steps, steps


class ScriptedCli:
    """An executable that plays a plan. Pass its `path` as `cli_path`.

    As a context manager it kills the processes it started that still run.

    Args:
        folder: A temporary directory for the executable and its records, one for each scripted CLI.
        prompts: The plans for the first prompt, the second, ...; later prompts are answered with "ok". A plan
            is `steps(...)` or a list of frames.
        on_start: The plan to play before reading any input.
        on_interrupt: The plan to play when a prompt is interrupted, after the control response; by default
            `interrupted()`. An interrupt without a running prompt gets only the control response.
        answer_initialize: Whether to answer the `initialize` request.
        answer_interrupt: Whether to answer and obey interrupts.
        ignore_requests: Subtypes of other control requests that get no answer.
        ignore_signals: `"SIGINT"`, `"SIGTERM"` or both.
        exit_on_eof: Whether to exit at the end of standard input, when all prompts are answered.
        lifecycle: Whether to name prompts as 2.1.330 does (`command_lifecycle` frames,
            `user_message_uuids`); 2.1.197 does not.
        version: The output of `--version`.
        lifetime: Seconds after which the process exits in any case.

    Raises:
        ValueError: `ignore_signals` has another signal.

    Example:
        `ScriptedCli(tmp_path, [steps(*text_turn("hello")), steps().stderr("boom").exit(3)]).path`
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        prompts: Sequence[Plan] = (),
        *,
        on_start: Plan = (),
        on_interrupt: Plan | None = None,
        answer_initialize: bool = True,
        answer_interrupt: bool = True,
        ignore_requests: Sequence[str] = (),
        ignore_signals: Sequence[str] = (),
        exit_on_eof: bool = True,
        lifecycle: bool = True,
        version: str = "2.1.330",
        lifetime: float = 120.0,
    ) -> None:
        if unknown := set(ignore_signals) - {"SIGINT", "SIGTERM"}:
            raise ValueError(f"cannot ignore {sorted(unknown)}: only SIGINT and SIGTERM")
        self._folder = Path(folder).resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        blob = bytearray()

        def compiled(plan: Plan) -> list[dict[str, Any]]:
            return compile_steps(plan if isinstance(plan, Steps) else steps(*plan), blob, lifecycle=lifecycle)

        plan = {
            "on_start": compiled(on_start),
            "prompts": [compiled(plan) for plan in prompts],
            "otherwise": compiled(text_turn("ok")),
            "on_interrupt": compiled(interrupted() if on_interrupt is None else on_interrupt),
            "answers": {
                **dict.fromkeys(ignore_requests, False),
                "initialize": answer_initialize,
                "interrupt": answer_interrupt,
            },
            "initialize": {"commands": [], "output_style": "default", "available_output_styles": ["default"]},
            "ignore_signals": list(ignore_signals),
            "exit_on_eof": exit_on_eof,
            "lifecycle": lifecycle,
            "version": version,
            "lifetime": lifetime,
        }
        (self._folder / "plan.json").write_text(json.dumps(plan))
        (self._folder / "blob").write_bytes(blob)
        program = Path(__file__).with_name("scripted_program.py").read_bytes()
        # -I and -S: no Python configuration of the machine, and twice as fast to start.
        self._path = self._folder / "claude"
        _write_executable(self._path, f"#!{sys.executable} -IS\n".encode() + program)

    @property
    def path(self) -> Path:
        """The path of the executable."""
        return self._path

    @property
    def received(self) -> list[dict[str, Any]]:
        """All frames read from standard input so far, by all processes."""
        return [json.loads(line) for line in self._lines("received")]

    @property
    def starts(self) -> list[dict[str, Any]]:
        """The `pid`, `argv`, `environ_names` (sorted, without values) and `cwd` of each process."""
        return [json.loads(line) for line in self._lines("starts")]

    @property
    def argv(self) -> list[str]:
        """The arguments of the last process, without the name of the program."""
        argv: list[str] = self._last_start()["argv"]
        return argv[1:]

    @property
    def environ_names(self) -> list[str]:
        """The names of the environment variables of the last process."""
        names: list[str] = self._last_start()["environ_names"]
        return names

    @property
    def signals(self) -> list[str]:
        """The names of the signals received (SIGINT, SIGTERM), including ignored ones."""
        return self._lines("signals")

    @property
    def children(self) -> list[int]:
        """The process ids of all children started by `spawn_child`, including dead ones."""
        return [int(line) for line in self._lines("children")]

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], *, timeout: float = 10.0) -> dict[str, Any]:
        """Block until a frame is received that a predicate accepts, and return the frame.

        Args:
            wanted: The predicate.
            timeout: Seconds to wait.

        Raises:
            TimeoutError: No such frame was received within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for frame in self.received:
                if wanted(frame):
                    return frame
            time.sleep(0.01)
        raise TimeoutError(f"no such frame within {timeout:g} s; received: {self.received}")

    def close(self) -> None:
        """Kill the processes of this CLI that still run, and their children (only where `/proc` exists)."""
        for pid in [start["pid"] for start in self.starts]:
            _kill(pid, str(self._path))
        for pid in self.children:
            _kill(pid, "sleep\x001000")

    def __enter__(self) -> ScriptedCli:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last_start(self) -> dict[str, Any]:
        starts = self.starts
        if not starts:
            raise LookupError("the scripted CLI has not been started yet")
        return starts[-1]

    def _lines(self, name: str) -> list[str]:
        try:
            text = (self._folder / name).read_text()
        except FileNotFoundError:
            return []
        # A line that is being written does not end in a newline yet.
        return text[: text.rfind("\n") + 1].splitlines()


def _write_executable(path: Path, content: bytes) -> None:
    """Write a program that can be started at once.

    Another process writes it. Were it open for writing here, a process that another thread starts meanwhile
    would have it open, too, until its own `exec`; and what is open for writing cannot be executed
    ("text file busy").
    """
    subprocess.run(["/bin/sh", "-c", 'cat >"$0" && chmod 755 "$0"', path], input=content, check=True)


def _kill(pid: int, mark: str) -> None:
    """Kill a process if its command line contains `mark`: the id may have been reused."""
    with contextlib.suppress(OSError):
        if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
