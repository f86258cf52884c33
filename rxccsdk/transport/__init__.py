"""Where a session's bytes come from and go to: the CLI's process under either SDK, or a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rxccsdk.chunks import Frame


@dataclass(frozen=True, slots=True)
class Exit:
    """How the CLI, or its recording, ended.

    Attributes:
        reason: in words.
        code: its exit code; negative where a signal ended it.
        stderr: its last words there.
        kind: what that is for the turn that ran, for programs.
    """

    reason: str
    code: int | None = None
    stderr: tuple[str, ...] = ()
    kind: Literal["crashed", "connection"] = "crashed"

    def describe(self) -> str:
        """Return it in words."""
        if self.code is None:
            return self.reason
        how = f"exit code {self.code}" if self.code >= 0 else f"signal {-self.code}"
        return f"{self.reason} ({how})."


class Cut(Exit):
    """Where what is read ends, and not the CLI: how the turn ended is not in it."""


class Left(Cut):
    """Where this reader ends: whoever else reads it sees how it goes on."""


Receive = Callable[[bytes], None]
"""Takes one read of the CLI's output."""

Lost = Callable[[Exit], None]
"""Called once, when no more output can come."""


class Transport(Protocol):
    """What carries a session's bytes."""

    @property
    def backend(self) -> str:
        """The SDK it goes through, by the name of its package."""

    @property
    def session_id(self) -> str | None:
        """The session's id, where it is known from the start."""

    @property
    def pid(self) -> int | None:
        """The CLI's process id, where there is one."""

    @property
    def takes_asks(self) -> bool:
        """Whether the agent's questions to its user go into the stream."""

    @property
    def is_live(self) -> bool:
        """Whether a CLI is there, and not the recording of one."""

    @property
    def echoes(self) -> bool:
        """Whether lines of our own come back among the CLI's, in their place: others have theirs, too."""

    def time(self) -> float:
        """Return the time in seconds, as `Chunk.at` counts it."""

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Return when prompts can be written; output may come before that."""

    def prompt_id(self, prompt: str | list[dict[str, Any]]) -> str | None:
        """Return the uuid that this prompt, the next, must carry; `None` where any will do."""

    def write(self, data: bytes) -> None:
        """Write one line to the CLI, without waiting.

        Raises:
            SessionClosedError: it takes no more input.
        """

    def record(self, line: bytes) -> None:
        """Note a line of our own among the CLI's, where the session is recorded."""

    @property
    def warnings(self) -> list[str]:
        """What went wrong beside the session, in words."""

    def hand_to_sdk(self, frame: Frame) -> None:
        """Return the SDK a control frame of the CLI."""

    async def terminate(self, exit: Exit) -> None:
        """End it although it does not answer, step by step, up to the means that cannot be ignored.

        Args:
            exit: how it then ends: by us, not by itself.
        """

    async def close(self) -> None:
        """Leave nothing behind. May be called more than once."""
