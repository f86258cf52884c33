"""From a stream to what it came to."""

from __future__ import annotations

from typing import Any

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk
from rxccsdk.errors import RxccError, StallError
from rxccsdk.session.fold import ResponseFold
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.structure import put_parsed
from rxccsdk.session.turn import Turn
from rxccsdk.text.clock import Timer
from rxccsdk.text.flow import Handlers, Operator, Stage
from rxccsdk.text.sink import Sink


def to_response() -> Operator[Chunk, SessionResponse]:
    """Reduce a turn to its `SessionResponse`, emitted once, at the end.

        T  Use  T  Result  |
        ------------------ R|

    A turn that ended badly has a response with `error` and what there was of its content. A session that
    broke is an error, whose `partial` is the response so far.

    At a `RetractedChunk`: the blocks it names are left out of `content`.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk
        >>> rx.of(TextChunk("Hel"), TextChunk("lo")).pipe(to_response()).run().content
        'Hello'
    """

    def operator(source: Observable[Chunk]) -> Observable[SessionResponse]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            fold = ResponseFold()

            def on_error(error: Exception) -> None:
                _add_partial(error, fold)
                downstream.on_error(error)

            def on_completed() -> None:
                downstream.on_next(_response(fold, source, ended=fold.stopped))
                downstream.on_completed()

            return Handlers(fold.add, None, on_error, on_completed)

        return Stage(source, attach)

    return operator


def scan_response(
    every: float = 0.1, *, scheduler: abc.SchedulerBase | None = None
) -> Operator[Chunk, SessionResponse]:
    """Emit the response as far as it has come, again and again.

        T"a" T"b" T"c" ------ T"d"  |
        R"a" ------ R"abc" -- R"abcd"|     scan_response(every=...)

    The first chunk emits a snapshot at once, then at most one follows per interval, and the last one at the
    end. A snapshot copies no text: its `content` is joined when it is read.

    Args:
        every: seconds between two snapshots; 0 emits one for each chunk. Waits on `scheduler`, else on the
            one given to `subscribe`, else on the running loop; where there is none, each chunk emits one.
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
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            fold, timer = ResponseFold(), Timer(scheduler or given)
            has_news = False

            def snapshot() -> None:
                nonlocal has_news
                has_news = False
                if every > 0:
                    timer.start(every, interval_over)
                downstream.on_next(_response(fold, source))

            def interval_over() -> None:
                if has_news:
                    snapshot()

            def on_next(chunk: Chunk) -> None:
                nonlocal has_news
                fold.add(chunk)
                has_news = True
                if not timer.waits:
                    snapshot()

            def on_error(error: Exception) -> None:
                timer.stop()
                if has_news:
                    downstream.on_next(_response(fold, source))
                _add_partial(error, fold)
                downstream.on_error(error)

            def on_completed() -> None:
                timer.stop()
                downstream.on_next(_response(fold, source, ended=fold.stopped))
                downstream.on_completed()

            return Handlers(on_next, None, on_error, on_completed, timer.stop)

        return Stage(source, attach)

    return operator


def turn_of(source: Observable[Any]) -> Turn | None:
    """Return the turn at the start of the pipe, where there is one."""
    root = source.root if isinstance(source, Stage) else source
    return root if isinstance(root, Turn) else None


def _response(
    fold: ResponseFold, source: Observable[Chunk], ended: tuple[str, str] | None = None
) -> SessionResponse:
    """Return the response so far. Where the turn is in reach, it knows best how it ended without a result."""
    turn = turn_of(source)
    if turn is None:
        return fold.response(ended=ended)
    fold.backend = turn.backend
    response = fold.response(ended=turn._because)
    response.warnings.extend(turn._conductor.warnings)
    if turn._output is not None:
        put_parsed(response, turn._output)
    return response


def _add_partial(error: Exception, fold: ResponseFold) -> None:
    if isinstance(error, RxccError) and error.partial is None:
        kind = "timeout" if isinstance(error, StallError) else "crashed"
        error.partial = fold.response(ended=(kind, str(error)))
