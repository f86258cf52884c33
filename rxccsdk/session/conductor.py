"""What a turn needs of its session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from rxccsdk.session.talk import Talk
from rxccsdk.transport import Exit

if TYPE_CHECKING:
    from rxccsdk.session.turn import Turn


class Conductor(Protocol):
    """Sends turns, one after the other. All of it is called on the session's loop."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...

    @property
    def session_id(self) -> str | None:
        """The session's id, once it is known."""

    @property
    def warnings(self) -> list[str]:
        """What went wrong beside the turns, in words."""

    @property
    def exit(self) -> Exit | None:
        """How the CLI ended, if it has."""

    @property
    def talk(self) -> Talk:
        """What goes on with the CLI beside prompts.

        Raises:
            SessionClosedError: the session is not open.
        """

    def enqueue(self, turn: Turn) -> None:
        """Write the turn's prompt as soon as the turns before it are over."""

    def withdraw(self, turn: Turn) -> None:
        """Take a turn back whose prompt was not written."""

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        """Note in the turn why it is stopped, and stop it; its result will come, or its session end."""
