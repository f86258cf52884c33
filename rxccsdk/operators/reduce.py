"""From a stream to what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk
from rxccsdk.errors import RxccError, StallError
from rxccsdk.operators.core import Operator, Sink, Stage, later_on
from rxccsdk.session.flow import Inlet
from rxccsdk.session.response import ResponseFold, SessionResponse
from rxccsdk.session.turn import Turn


def to_response() -> Operator[Chunk, SessionResponse]:
    """Reduce a turn to its `SessionResponse`, emitted once, at the end.

        T  Use  T  Result  |
        ------------------ R|

    A turn that ended badly gives a response with `error` and what there was of its content. A session that
    broke is an error, whose `partial` is the response so far.

    At a `RetractedChunk`: the blocks it names are left out of `content`.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk
        >>> rx.of(TextChunk("Hel"), TextChunk("lo")).pipe(to_response()).run().content
        'Hello'
    """

    def operator(source: Observable[Chunk]) -> Observable[SessionResponse]:
        def wrap(following: Inlet, given: abc.SchedulerBase | None) -> Sink:
            fold = ResponseFold()

            def on_error(error: Exception) -> None:
                _attach(error, fold)
                following.on_error(error)

            def on_completed() -> None:
                following.take([_response(fold, source, ended=fold.stopped)])
                following.on_completed()

            return Sink(fold.flow, None, on_error, on_completed)

        return Stage(source, wrap)

    return operator


def scan_response(
    every: float = 0.1, *, scheduler: abc.SchedulerBase | None = None
) -> Operator[Chunk, SessionResponse]:
    """Give the response as far as it has come, again and again.

        T"a" T"b" T"c" ------ T"d"  |
        R"a" ------ R"abc" -- R"abcd"|     scan_response(every=...)

    The first chunk gives a snapshot at once, then at most one comes per interval, and the last one at the
    end. A snapshot copies no text: its `content` is joined when it is read.

    Args:
        every: seconds between two snapshots; 0 gives one for each chunk. Waits on `scheduler`, else on the
            one given to `subscribe`, else on the running loop; where there is none, each chunk gives one.
        scheduler: what to wait on.

    At a `RetractedChunk`: later snapshots are without the blocks it names; earlier ones keep them.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk
        >>> seen = rx.of(TextChunk("Hel"), TextChunk("lo")).pipe(scan_response(every=0))
        >>> seen.subscribe(lambda response: print(response.content)).dispose()
        Hel
        Hello
        Hello
    """
    if not every >= 0:
        raise ValueError(f"every must not be negative, not {every!r}.")

    def operator(source: Observable[Chunk]) -> Observable[SessionResponse]:
        def wrap(following: Inlet, given: abc.SchedulerBase | None) -> Sink:
            fold = ResponseFold()
            stop_waiting: Callable[[], None] | None = None
            news = False

            def snapshot() -> SessionResponse:
                nonlocal news, stop_waiting
                news = False
                later = later_on(scheduler or given) if every > 0 else None
                stop_waiting = later(every, interval_over) if later is not None else None
                return _response(fold, source)

            def interval_over() -> None:
                nonlocal stop_waiting
                stop_waiting = None
                if news:
                    following.take([snapshot()])

            def flow(chunks: Iterable[Chunk]) -> Iterator[SessionResponse]:
                nonlocal news
                coming = iter(chunks)
                for chunk in coming:
                    fold.add(chunk)
                    news = True
                    if stop_waiting is None:
                        yield snapshot()
                    else:
                        fold.flow(coming)  # a burst takes no time: the rest of it is within the interval

            def stop() -> None:
                nonlocal stop_waiting
                if stop_waiting is not None:
                    stop_waiting()
                    stop_waiting = None

            def on_error(error: Exception) -> None:
                stop()
                if news:
                    following.take([_response(fold, source)])
                _attach(error, fold)
                following.on_error(error)

            def on_completed() -> None:
                stop()
                following.take([_response(fold, source, ended=fold.stopped)])
                following.on_completed()

            return Sink(flow, None, on_error, on_completed, stop)

        return Stage(source, wrap)

    return operator


def turn_of(source: Observable[Any]) -> Turn | None:
    """Give the turn at the start of the pipe, where there is one."""
    root = source.root if isinstance(source, Stage) else source
    return root if isinstance(root, Turn) else None


def _response(
    fold: ResponseFold, source: Observable[Chunk], ended: tuple[str, str] | None = None
) -> SessionResponse:
    """The response so far. How a turn ended without a result, the turn itself says best, where in reach."""
    turn = turn_of(source)
    if turn is None:
        return fold.response(ended=ended)
    fold.backend = turn.backend
    return fold.response(ended=turn.ended_because)


def _attach(error: Exception, fold: ResponseFold) -> None:
    if isinstance(error, RxccError) and error.partial is None:
        kind = "stall" if isinstance(error, StallError) else "crashed"
        error.partial = fold.response(ended=(kind, str(error)))
