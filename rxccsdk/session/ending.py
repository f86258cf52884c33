"""The end of a session: one task, whoever begins it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any


class Ending:
    """Ends a session once, in a task of its own, however many begin it and are cancelled meanwhile.

    A loop that shuts down waits for it: `asyncio.run` cancels all tasks, those that wait for this one among
    them, and lets the asynchronous generators finish after that. One of those is held here.

    Args:
        end: does the work. It is bounded.
    """

    def __init__(self, end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._end = end
        self._task: asyncio.Task[None] | None = None
        self._shutdown: AsyncGenerator[None, None] | None = None
        self._is_over = False

    @property
    def has_begun(self) -> bool:
        """Whether somebody has begun it."""
        return self._task is not None

    async def arm(self) -> None:
        """Let the running loop's shutdown begin it, or wait for it."""
        self._shutdown = self._at_shutdown()
        await anext(self._shutdown)

    def begin(self) -> asyncio.Task[None]:
        """Begin it on the running loop, if it has not begun, and return its task."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
            _running.add(self._task)
            self._task.add_done_callback(_running.discard)
        return self._task

    async def _run(self) -> None:
        try:
            await self._end()
        finally:
            self._is_over = True
            if self._shutdown is not None:
                await self._shutdown.aclose()

    async def _at_shutdown(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._shutdown = None
            if not self._is_over:
                await asyncio.wait([self.begin()])


_running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly only
