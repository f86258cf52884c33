"""An interrupt of the running turn, and what follows when the CLI does not answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxccsdk.errors import SessionClosedError
from rxccsdk.transport import Exit, Transport
from rxccsdk.wire.events import TurnInterrupted, TurnStarted

_DEAF = "The CLI did not answer the interrupt and was ended."


class Interruption:
    """Interrupts what the agent does; ends a CLI that does not answer.

    Args:
        seconds: how long the CLI may take to answer.
    """

    def __init__(self, seconds: float) -> None:
        self.is_under_way = False
        self._is_seen = False  # by everybody who reads the stream, or its recording
        self._seconds = seconds
        self._transport: Transport
        self._request: Callable[[], bytes]
        self._escalation: asyncio.TimerHandle | None = None
        self._terminating: asyncio.Task[None] | None = None

    def open(self, transport: Transport, request: Callable[[], bytes]) -> None:
        """Use this transport, and write what the request says."""
        self._transport, self._request = transport, request

    def begin(self) -> None:
        """Interrupt the running turn."""
        self.is_under_way = True
        loop = asyncio.get_running_loop()
        self._escalation = loop.call_later(self._seconds, self.terminate, Exit(_DEAF))
        self.write()

    def write(self) -> None:
        """Tell the CLI to stop what it does."""
        try:
            self._transport.write(self._request())
        except SessionClosedError:
            pass  # its end, which is due, will say so

    def see(self, event: TurnStarted | TurnInterrupted) -> None:
        """Take from the stream that it is interrupted; say it again to a CLI that had not begun yet."""
        if isinstance(event, TurnInterrupted):
            self._is_seen = True
        elif self.is_under_way:
            self.write()

    def end(self) -> bool:
        """Note that the turn is over; return whether the stream says that it was interrupted."""
        if self._escalation is not None:
            self._escalation.cancel()
            self._escalation = None
        was_seen, self._is_seen, self.is_under_way = self._is_seen, False, False
        return was_seen

    def terminate(self, exit: Exit) -> None:
        """End the CLI although it does not answer."""
        if self._terminating is None:
            self._terminating = asyncio.get_running_loop().create_task(self._transport.terminate(exit))

    async def wait(self) -> None:
        """Wait until a CLI that is being ended is gone."""
        if self._terminating is not None:
            await asyncio.shield(self._terminating)
