"""An interrupt of the running turn, and what follows when the CLI does not answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxccsdk.errors import SessionClosedError
from rxccsdk.transport import Transport


class Interruption:
    """Interrupts what the agent does; ends a CLI that does not answer.

    Args:
        seconds: how long the CLI may take to answer.
    """

    def __init__(self, seconds: float) -> None:
        self.is_under_way = False
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
        self._escalation = asyncio.get_running_loop().call_later(self._seconds, self.terminate)
        self.write()

    def write(self) -> None:
        """Tell the CLI to stop what it does."""
        try:
            self._transport.write(self._request())
        except SessionClosedError:
            pass  # its end, which is due, will say so

    def end(self) -> bool:
        """Note that the turn is over; return whether it was being interrupted."""
        if self._escalation is not None:
            self._escalation.cancel()
            self._escalation = None
        was_under_way, self.is_under_way = self.is_under_way, False
        return was_under_way

    def terminate(self) -> None:
        """End the CLI although it does not answer."""
        if self._terminating is None:
            self._terminating = asyncio.get_running_loop().create_task(self._transport.terminate())

    async def wait(self) -> None:
        """Wait until a CLI that is being ended is gone."""
        if self._terminating is not None:
            await asyncio.shield(self._terminating)
