"""Calling functions with what passes, at no risk to the stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, overload

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk
from rxccsdk.operators.core import Keeping, Operator, Sink, Stage
from rxccsdk.session.callbacks import CallbackRunner
from rxccsdk.session.flow import End, Flow, Inlet
from rxccsdk.session.prose import Pieces

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

    return _tap(callback, on_error, lambda runner, end: partial(runner.hear, end=end))


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

    def hearing(runner: CallbackRunner[str], end: End) -> Flow:
        pieces = Pieces(agents=agents)
        return lambda items: pieces.hear(items, runner, end)

    return _tap(callback, on_error, hearing)


def _tap(
    callback: Callable[[Any], Awaitable[Any] | Any],
    report: Callable[[Exception], Any] | None,
    hearing: Callable[[CallbackRunner[Any], End], Flow],
) -> Keeping:
    """Call the callback as a flow says that is made anew for each subscription."""

    def operator(source: Observable[_T]) -> Observable[_T]:
        def wrap(following: Inlet, scheduler: abc.SchedulerBase | None) -> Sink:
            runner = CallbackRunner(callback, report)
            return Sink(
                hearing(runner, following.end),
                on_error=lambda error: runner.when_done(lambda: following.on_error(error)),
                on_completed=lambda: runner.when_done(following.on_completed),
                dispose=runner.cancel,
            )

        return Stage(source, wrap)

    return operator
