"""Calling functions with what passes, at no risk to the stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from rxccsdk.chunks import Chunk
from rxccsdk.text.callbacks import tapping
from rxccsdk.text.flow import Keeping, Operator
from rxccsdk.text.pieces import Pieces

_T = TypeVar("_T")


# The first is for what takes any chunk, which must not widen the type of the stream it passes on.
@overload
def tap_chunks(
    callback: Callable[[Chunk], Awaitable[Any] | Any], *, on_error: Callable[[Exception], Any] | None = None
) -> Keeping: ...
@overload
def tap_chunks(
    callback: Callable[[_T], Awaitable[Any] | Any], *, on_error: Callable[[Exception], Any] | None = None
) -> Operator[_T, _T]: ...
def tap_chunks(
    callback: Callable[[Any], Awaitable[Any] | Any], *, on_error: Callable[[Exception], Any] | None = None
) -> Keeping:
    """Call a function with each chunk, and pass the stream on unchanged.

        T  Use  Result  |
        T  Use  Result  |      callback(T), callback(Use), callback(Result)

    An async callback runs in order, one at a time, without holding up the stream; completion waits for the
    last one, dispose cancels. A callback that raises is called again for the next chunk.

    Args:
        callback: sync or async.
        on_error: gets what the callback raises; without, it is logged with its traceback.

    At a `RetractedChunk`: the callback gets it like any other.

    Example:
        >>> import reactivex as rx
        >>> _ = rx.of(1, 2).pipe(tap_chunks(print)).run()
        1
        2
    """

    return tapping(callback, on_error)


def tap_text(
    callback: Callable[[str], Awaitable[Any] | Any],
    agents: str = "main",
    *,
    on_error: Callable[[Exception], Any] | None = None,
) -> Keeping:
    r"""Call a function with each piece of text, as `text()` gives them, and pass the stream on unchanged.

        T"a"  [tool]  T"b"  |
        T"a"  [tool]  T"b"  |      callback("a"), callback("\n\nb")

    Async callbacks and errors: as in `tap_chunks`. Works on `str` streams too.

    Args:
        callback: sync or async.
        agents: "main", "all", or the id of one sub-agent.
        on_error: gets what the callback raises; without, it is logged with its traceback.

    At a `RetractedChunk`: nothing; the callback got the abandoned text already.

    Example:
        >>> import reactivex as rx
        >>> got = []
        >>> _ = rx.of("a", "b").pipe(tap_text(got.append)).run()
        >>> got
        ['a', 'b']
    """

    return tapping(callback, on_error, lambda: Pieces(agents=agents).of)
