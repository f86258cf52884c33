"""Sessions that are started before they are needed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rxccsdk.session.session import ClaudeSession


class Pool:
    """Gives open sessions, each once, and starts the next one ahead.

    Args:
        make: makes a session.
        wanted: returns how many more will be taken.
    """

    def __init__(self, make: Callable[[], ClaudeSession], wanted: Callable[[], int]) -> None:
        self._make = make
        self._wanted = wanted
        self._opening: deque[asyncio.Task[ClaudeSession]] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self) -> ClaudeSession:
        """Return an open session, and start another one, if it will be wanted.

        Raises:
            RxccError: it cannot be opened.
        """
        task = self._opening.popleft() if self._opening else self._start()
        try:
            session = await asyncio.shield(task)
        except asyncio.CancelledError:
            self._opening.append(task)  # `close` ends it
            raise
        if not self._opening and self._wanted() > 0:
            self._opening.append(self._start())
        if session.status == "open":
            return session
        self.drop(session)  # its CLI died while it waited
        return await self.take()

    def drop(self, session: ClaudeSession) -> None:
        """Close a session, without waiting for it."""
        task = asyncio.get_running_loop().create_task(session.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all sessions that were not taken, and return when all are closed."""
        while self._opening:
            task = self._opening.popleft()
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                self.drop(task.result())
        while self._closing:
            await asyncio.wait(self._closing)

    def _start(self) -> asyncio.Task[ClaudeSession]:
        return asyncio.get_running_loop().create_task(_opened(self._make()))


async def _opened(session: ClaudeSession) -> ClaudeSession:
    await session.open()
    return session
