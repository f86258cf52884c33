"""A stand-in for the CLI that does what the real one cannot be made to: crash, stall, ignore signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from rxccsdk.testing.frames import Frame, interrupted, text_turn
from rxccsdk.testing.steps import Steps, compile_steps, steps

Plan: TypeAlias = Steps | Sequence[Frame]


class ScriptedCli:
    """An executable that plays a plan; give its `path` as `cli_path`.

    Leaving it as a context manager ends what it started and did not end itself.

    Args:
        folder: Where it is written; a temporary folder, one for each scripted CLI.
        prompts: What it does at its first prompt, its second, ...; later ones are answered with "ok". A plan
            is `steps(...)` or a list of frames.
        on_start: What it does before it reads anything.
        on_interrupt: What it does with an interrupted prompt, after answering the request; by default it
            writes `interrupted()`. When idle it only answers.
        answer_initialize: Whether it answers the `initialize` request.
        answer_interrupt: Whether it answers interrupts, and obeys them.
        ignore_signals: `"SIGINT"`, `"SIGTERM"` or both.
        exit_on_eof: Whether it ends when standard input does and all prompts are answered.
        lifecycle: Whether it names prompts as 2.1.330 does (`command_lifecycle` frames,
            `user_message_uuids`); 2.1.197 did not.
        version: What it answers to `--version`.
        lifetime: Seconds after which it ends in any case.

    Raises:
        ValueError: A signal that cannot be ignored.

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
            "answers": {"initialize": answer_initialize, "interrupt": answer_interrupt},
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
        # -I and -S: nothing of the machine's Python configuration, and a start twice as fast.
        self._path = self._folder / "claude"
        self._path.write_bytes(f"#!{sys.executable} -IS\n".encode() + program)
        self._path.chmod(0o755)

    @property
    def path(self) -> Path:
        """The executable."""
        return self._path

    @property
    def received(self) -> list[dict[str, Any]]:
        """All frames read from standard input so far, over all starts."""
        return [json.loads(line) for line in self._lines("received")]

    @property
    def starts(self) -> list[dict[str, Any]]:
        """For each start `pid`, `argv`, `environ_names` (sorted, never the values) and `cwd`."""
        return [json.loads(line) for line in self._lines("starts")]

    @property
    def argv(self) -> list[str]:
        """The arguments of the last start, without the program's name."""
        argv: list[str] = self._last_start()["argv"]
        return argv[1:]

    @property
    def environ_names(self) -> list[str]:
        """The names of the variables in the environment of the last start."""
        names: list[str] = self._last_start()["environ_names"]
        return names

    @property
    def signals(self) -> list[str]:
        """The names of the signals received, obeyed or not: SIGINT and SIGTERM."""
        return self._lines("signals")

    @property
    def children(self) -> list[int]:
        """The process ids of all children started by `spawn_child`, alive or not."""
        return [int(line) for line in self._lines("children")]

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], *, timeout: float = 10.0) -> dict[str, Any]:
        """Wait (blocking) until a frame has been received that a predicate accepts, and return it.

        Raises:
            TimeoutError: None came within `timeout` seconds.
        """
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            for frame in self.received:
                if wanted(frame):
                    return frame
            time.sleep(0.01)
        raise TimeoutError(f"no such frame within {timeout:g} s; received: {self.received}")

    def close(self) -> None:
        """Kill the processes of this CLI that still run, and their children (where there is a `/proc`)."""
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
            raise LookupError("the scripted CLI was not started yet")
        return starts[-1]

    def _lines(self, name: str) -> list[str]:
        try:
            text = (self._folder / name).read_text()
        except FileNotFoundError:
            return []
        # A line that is being written has no end yet.
        return text[: text.rfind("\n") + 1].splitlines()


def _kill(pid: int, mark: str) -> None:
    """Kill a process if its command line still has `mark`: the id may belong to another one by now."""
    with contextlib.suppress(OSError):
        if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
