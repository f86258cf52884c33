"""Watching a turn that somebody else has asked."""

from __future__ import annotations

import asyncio

from rxccsdk.session.ask import OneShot
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn

_SOON = 0.005  # seconds between two looks at whether the turn is read


class Onlooker(OneShot):
    """Conducts a turn that is not ours to take back: what ends it early is said to its machine.

    Args:
        session: reads it.
    """

    def __init__(self, session: ClaudeSession) -> None:
        super().__init__(session)
        self._stopping: asyncio.Task[None] | None = None

    def withdraw(self, turn: Turn) -> None:
        """Interrupt the turn, although nobody here has read it yet."""
        if self._stopping is None:
            if self._opening is None:
                turn.subscribe(None, lambda error: None)
            self._stopping = asyncio.get_running_loop().create_task(self._stop(turn))

    async def _stop(self, turn: Turn) -> None:
        while turn.index is None and turn.status == "pending":  # noqa: ASYNC110
            await asyncio.sleep(_SOON)
        self.interrupt_turn(turn, "turn.interrupt() was called")
