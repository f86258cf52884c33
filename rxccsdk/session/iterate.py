"""From a pushing Observable to `async for`, and to `await`."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator
from typing import TypeVar

from reactivex import Observable
from reactivex.internal.exceptions import SequenceContainsNoElementsError

_T = TypeVar("_T")


async def iterate(source: Observable[_T]) -> AsyncGenerator[_T, None]:
    """Yield what an Observable emits; raise what it fails with.

    It subscribes at the first step and disposes when the loop is left, by `break`, exception or cancellation.
    That is why this is an async generator: a class with `__anext__` is not told of a `break`.

    Example:
        async for chunk in iterate(turn):
            ...
    """
    loop, thread = asyncio.get_running_loop(), threading.get_ident()
    arrived: deque[_T] = deque()
    something = asyncio.Event()
    ended: list[Exception | None] = []

    def wake() -> None:
        if threading.get_ident() == thread:
            something.set()
        else:
            loop.call_soon_threadsafe(something.set)

    def on_next(value: _T) -> None:
        arrived.append(value)
        if not something.is_set():
            wake()

    def on_end(error: Exception | None = None) -> None:
        ended.append(error)
        wake()

    subscription = source.subscribe(on_next, on_end, on_end)
    try:
        while True:
            while arrived:
                yield arrived.popleft()
            if ended:
                if ended[0] is not None:
                    raise ended[0]
                return
            something.clear()
            if not arrived and not ended:
                await something.wait()
    finally:
        subscription.dispose()


async def last(source: Observable[_T]) -> _T:
    """Give the last item an Observable emits; raise what it fails with.

    What `await` does with any Observable; but that hands down a scheduler, too, by which waiting takes longer
    than by the running loop itself.

    Raises:
        SequenceContainsNoElementsError: it emitted none.
    """
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    newest: deque[_T] = deque(maxlen=1)

    def on_error(error: Exception) -> None:
        if not ended.done():
            ended.set_exception(error)

    def on_completed() -> None:
        if not ended.done():
            ended.set_result(None)

    subscription = source.subscribe(newest.append, on_error, on_completed)
    try:
        await ended
    finally:
        subscription.dispose()
    if not newest:
        raise SequenceContainsNoElementsError
    return newest.pop()
