"""From a pushing Observable to `async for`, and to `await`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TypeVar

from reactivex import Observable
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from rxccsdk.text.clock import running_loop

_T = TypeVar("_T")


class Wake:
    """An event that may be set from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def set(self) -> None:
        if running_loop() is self._loop:
            self._event.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    def clear(self) -> None:
        self._event.clear()

    async def wait(self) -> None:
        await self._event.wait()


async def iterate(source: Observable[_T]) -> AsyncGenerator[_T, None]:
    """Yield what an Observable emits; raise what it fails with.

    It subscribes at the first step and disposes when the loop is left, by `break`, exception or cancellation.
    That is why this is an async generator: a class with `__anext__` does not notice a `break`.

    Example:
        async for chunk in iterate(turn):
            ...
    """
    arrived: deque[_T] = deque()
    ended: list[Exception | None] = []
    wake = Wake()

    def on_next(item: _T) -> None:
        arrived.append(item)
        if len(arrived) == 1:
            wake.set()

    def on_end(error: Exception | None = None) -> None:
        ended.append(error)
        wake.set()

    subscription = source.subscribe(on_next, on_end, on_end)
    try:
        while True:
            while arrived:
                yield arrived.popleft()
            if ended:
                if ended[0] is not None:
                    raise ended[0]
                return
            wake.clear()
            if not arrived and not ended:
                await wake.wait()
    finally:
        subscription.dispose()


async def last(source: Observable[_T]) -> _T:
    """Return the last item an Observable emits; raise what it fails with.

    It does what `await` does with any Observable, but hands down no scheduler, and wakes the loop also where
    the end comes from another thread.

    Raises:
        SequenceContainsNoElementsError: it emitted none.
    """
    newest = await _newest(source)
    if not newest:
        raise SequenceContainsNoElementsError
    return newest.pop()


async def finished(source: Observable[object]) -> None:
    """Return when an Observable completes; raise what it fails with."""
    await _newest(source)


async def _newest(source: Observable[_T]) -> deque[_T]:
    newest: deque[_T] = deque(maxlen=1)
    ended: list[Exception | None] = []
    wake = Wake()

    def on_end(error: Exception | None = None) -> None:
        ended.append(error)
        wake.set()

    subscription = source.subscribe(newest.append, on_end, on_end)
    try:
        if not ended:
            await wake.wait()
    finally:
        subscription.dispose()
    if ended[0] is not None:
        raise ended[0]
    return newest
