"""Leaving Rx."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from reactivex import Observable

from rxccsdk.text.leave import iterate

_T = TypeVar("_T")


def to_async_iterator() -> Callable[[Observable[_T]], AsyncGenerator[_T, None]]:
    """Turn the stream into something to loop over with `async for`.

    It subscribes at the first step, holds what arrives until it is asked for, raises what the stream fails
    with, and disposes when the loop is left: an early `break` ends a turn nobody else watches.

    At a `RetractedChunk`: nothing special; it comes like any other item.

    Example:
        >>> import asyncio, reactivex as rx
        >>> async def main():
        ...     return [item async for item in rx.of(1, 2).pipe(to_async_iterator())]
        >>> asyncio.run(main())
        [1, 2]
    """
    return iterate
