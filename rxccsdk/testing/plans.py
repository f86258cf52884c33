"""Plans of a scripted CLI: immutable sequences of steps, built fluently.

slow = steps(*text_turn("hello")).pause(0.5).exit(3)
broken = steps().raw(b'{"type":"assist').exit(1)
"""

from __future__ import annotations

import os
import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rxccsdk.testing.frames import Frame, name_prompt, to_line


@dataclass(frozen=True)
class Write:
    """Write bytes or frames `count` times."""

    content: bytes | tuple[Frame, ...]
    count: int = 1


@dataclass(frozen=True)
class Action:
    """Any other step: the name of a `do_` method of the scripted program, and its arguments."""

    name: str
    arguments: Mapping[str, Any]


Step: TypeAlias = Write | Action


@dataclass(frozen=True)
class Steps:
    """A sequence of steps. Build it with `steps()` and the methods below."""

    all: tuple[Step, ...] = ()

    def frame(self, *frames: Frame) -> Steps:
        """Write each frame as one line of JSON, with `$uuid`, `$session` and `$new` replaced."""
        return self._then(Write(frames))

    def raw(self, data: bytes) -> Steps:
        """Write bytes unchanged: half a line, invalid UTF-8, anything that is not JSON."""
        return self._then(Write(data))

    def repeat(self, content: bytes | Frame | Sequence[Frame], count: int) -> Steps:
        """Write bytes, a frame or several frames `count` times."""
        if isinstance(content, bytes):
            return self._then(Write(content, count))
        frames = (content,) if isinstance(content, dict) else tuple(content)
        return self._then(Write(frames, count))

    def file(self, path: str | os.PathLike[str]) -> Steps:
        """Copy a file to standard output unchanged, for instance a log of the real CLI."""
        return self._do("copy", path=str(Path(path).resolve()))

    def pause(self, seconds: float) -> Steps:
        """Pause for some seconds. An interrupt ends the pause and the plan."""
        return self._do("pause", seconds=seconds)

    def silence(self) -> Steps:
        """Write nothing more, until an interrupt or the end of standard input."""
        return self._do("silence")

    def until_answer(self) -> Steps:
        """Wait for a `control_response`, the answer to a `control_request` frame written before."""
        return self._do("until_answer")

    def stderr(self, text: str) -> Steps:
        """Write to standard error."""
        return self._do("stderr", text=text)

    def exit(self, code: int = 0) -> Steps:
        """Exit at once."""
        return self._do("exit", code=code)

    def close_stdout(self) -> Steps:
        """Close standard output without exiting."""
        return self._do("close_stdout")

    def kill_self(self, signal: int = signals.SIGKILL) -> Steps:
        """Send a signal to itself, with its default effect even if the plan ignores it."""
        return self._do("kill_self", signal=int(signal))

    def spawn_child(self, *, holds_output: bool = False) -> Steps:
        """Start `sleep 1000` in a new process session, as the CLI starts Bash.

        With `holds_output` the child inherits standard output, so a reader does not see its end before the
        child exits.
        """
        return self._do("spawn_child", holds_output=holds_output)

    def _do(self, name: str, **arguments: Any) -> Steps:
        return self._then(Action(name, arguments))

    def _then(self, step: Step) -> Steps:
        return Steps((*self.all, step))


Plan: TypeAlias = Steps | Sequence[Frame]


def steps(*frames: Frame) -> Steps:
    """Return a new plan that begins by writing the given frames.

    Example:
        >>> len(steps({"type": "result"}).pause(0.1).exit(2).all)
        3
    """
    return Steps().frame(*frames) if frames else Steps()


def compile_steps(plan: Steps, blob: bytearray, *, lifecycle: bool) -> list[dict[str, Any]]:
    """Return a plan as the JSON the scripted program reads, and append the bytes to write to `blob`.

    Bytes in the JSON would slow down the start of the program for large plans.

    Args:
        plan: The steps.
        blob: All bytes of all plans; extended.
        lifecycle: Whether frames name the prompt (see `name_prompt`).
    """
    compiled: list[dict[str, Any]] = []
    named: set[str] = set()
    for step in plan.all:
        if isinstance(step, Action):
            compiled.append({"do": step.name, **step.arguments})
            continue
        write: dict[str, Any] = {"do": "write", "at": len(blob), "count": step.count}
        if isinstance(step.content, bytes):
            blob += step.content
            write.update(fill=False, ends=False)
        else:
            frames = [name_prompt(frame, named) if lifecycle else frame for frame in step.content]
            blob += b"".join(map(to_line, frames))
            write.update(fill=True, ends=any(frame.get("type") == "result" for frame in step.content))
        compiled.append({**write, "size": len(blob) - write["at"]})
    return compiled
