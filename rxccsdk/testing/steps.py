"""What a scripted CLI does: a small fluent language for plans.

    slow = steps(*text_turn("hello")).pause(0.5).exit(3)
    broken = steps().raw(b'{"type":"assist').exit(1)

Steps are immutable, like replies.
"""

from __future__ import annotations

import json
import os
import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rxccsdk.testing.frames import Frame, name_prompt


@dataclass(frozen=True)
class Write:
    """Bytes or frames to write `count` times."""

    content: bytes | tuple[Frame, ...]
    count: int = 1


@dataclass(frozen=True)
class Do:
    """Any other step: its name, as the scripted program knows it, and its arguments."""

    name: str
    arguments: Mapping[str, Any]


Step: TypeAlias = Write | Do


@dataclass(frozen=True)
class Steps:
    """A sequence of steps; build it with `steps()` and the methods below."""

    all: tuple[Step, ...] = ()

    def frame(self, *frames: Frame) -> Steps:
        """Write each frame as one line of JSON, with `$uuid`, `$session` and `$new` filled in."""
        return self._then(Write(frames))

    def raw(self, data: bytes) -> Steps:
        """Write bytes as they are: half a line, invalid UTF-8, no JSON at all."""
        return self._then(Write(data))

    def repeat(self, content: bytes | Frame | Sequence[Frame], count: int) -> Steps:
        """Write bytes, a frame or several frames `count` times."""
        if isinstance(content, bytes):
            return self._then(Write(content, count))
        frames = (content,) if isinstance(content, dict) else tuple(content)
        return self._then(Write(frames, count))

    def file(self, path: str | os.PathLike[str]) -> Steps:
        """Copy a file to standard output as it is, for instance a log of the real CLI."""
        return self._do("copy", path=str(Path(path).resolve()))

    def pause(self, seconds: float) -> Steps:
        """Do nothing for some seconds; an interrupt ends the pause and the plan."""
        return self._do("pause", seconds=seconds)

    def silence(self) -> Steps:
        """Say nothing any more, until an interrupt or the end of standard input."""
        return self._do("silence")

    def until_answer(self) -> Steps:
        """Wait for a `control_response`, the answer to a `control_request` frame written before."""
        return self._do("until_answer")

    def stderr(self, text: str) -> Steps:
        """Write to standard error."""
        return self._do("stderr", text=text)

    def exit(self, code: int = 0) -> Steps:
        """End the process at once."""
        return self._do("exit", code=code)

    def close_stdout(self) -> Steps:
        """Close standard output, and lives on."""
        return self._do("close_stdout")

    def kill_self(self, signal: int = signals.SIGKILL) -> Steps:
        """Send itself a signal with its default effect, even one that is otherwise ignored."""
        return self._do("kill_self", signal=int(signal))

    def spawn_child(self, *, holds_output: bool = False) -> Steps:
        """Start `sleep 1000` in a session of its own, as the CLI starts Bash.

        With `holds_output` it keeps our standard output open, so that a reader of it never sees its end.
        """
        return self._do("spawn_child", holds_output=holds_output)

    def _do(self, name: str, **arguments: Any) -> Steps:
        return self._then(Do(name, arguments))

    def _then(self, step: Step) -> Steps:
        return Steps((*self.all, step))


def steps(*frames: Frame) -> Steps:
    """Begin a plan, with the given frames to write first.

    Example:
        >>> len(steps({"type": "result"}).pause(0.1).exit(2).all)
        3
    """
    return Steps().frame(*frames) if frames else Steps()


def compile_steps(plan: Steps, blob: bytearray, *, lifecycle: bool) -> list[dict[str, Any]]:
    """Make a plan what the scripted program reads: JSON, with the bytes to write appended to `blob`.

    Big plans would otherwise cost the program its quick start.
    """
    compiled: list[dict[str, Any]] = []
    named: set[str] = set()
    for step in plan.all:
        if isinstance(step, Do):
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


def to_line(frame: Frame) -> bytes:
    """Return a frame as the CLI writes it: compact JSON in UTF-8, escapes only for lone surrogates."""
    try:
        return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(frame, separators=(",", ":")).encode() + b"\n"
