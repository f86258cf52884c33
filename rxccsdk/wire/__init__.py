"""From the CLI's bytes to frames, and from frames to chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from rxccsdk.chunks import Frame
from rxccsdk.wire.deltas import DeltaRun


@dataclass(frozen=True)
class Exit:
    """How the CLI, or its recording, ended. `code` is negative where a signal ended it."""

    reason: str
    code: int | None = None
    stderr: tuple[str, ...] = ()

    def describe(self) -> str:
        """Say it in words."""
        if self.code is None:
            return self.reason
        how = f"exit code {self.code}" if self.code >= 0 else f"signal {-self.code}"
        return f"{self.reason} ({how})."


Receive = Callable[[Iterable[Frame | DeltaRun]], None]
"""Takes the frames of one read, without the SDK's control frames; deltas that repeat each other as runs."""

Lost = Callable[[Exit], None]
"""Told once, when no more frames can come."""


class Wire(Protocol):
    """What a session speaks through: the CLI, or a recording of it."""

    @property
    def backend(self) -> str:
        """Which SDK it is, by the name of its package."""

    @property
    def session_id(self) -> str | None:
        """The session's id, where it is known from the start."""

    def time(self) -> float:
        """The time in seconds, as `Chunk.at` counts it."""

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Get ready for prompts; frames may come from then on."""

    def send(self, prompt: str | list[dict[str, Any]]) -> str:
        """Write a prompt; give the uuid it was sent with."""

    def interrupt(self) -> None:
        """Ask the agent to stop what it does."""

    async def cost_so_far(self) -> float | None:
        """Ask what the session has cost, in USD, while a turn runs; `None` where nothing knows."""

    async def terminate(self) -> None:
        """End it, step by step, up to the means that cannot be ignored."""

    async def close(self) -> None:
        """Leave nothing behind. May be called more than once."""
