"""How a turn stands, now and then."""

from __future__ import annotations

import time

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk
from rxccsdk.operators.standing import Progress, Standing
from rxccsdk.text.clock import Timer
from rxccsdk.text.flow import Handlers, Operator, Stage
from rxccsdk.text.sink import Sink


def progress(every: float = 0.2, *, scheduler: abc.SchedulerBase | None = None) -> Operator[Chunk, Progress]:
    """Emit how the turn stands: what the agent does, since when, tokens, cost, what runs.

        T ---- T ------------ Result  |
        P -- P -- P -- P -- P P       |     progress(every=...)

    The first chunk emits one at once; then one follows per interval, also where nothing comes, and the last
    one at the end, with `ended` true, an error's too. The figures are those of the displays.

    Args:
        every: seconds between two. Waits on `scheduler`, else on the one given to `subscribe`, else on the
            running loop; where there is none, each chunk emits one.
        scheduler: what to wait on.

    Raises:
        ValueError: `every` is not positive.

    At a `RetractedChunk`: nothing; the tokens of what was taken back were used all the same.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk
        >>> turn = rx.of(TextChunk("Hello"))
        >>> turn.pipe(progress()).subscribe(lambda it: print(it.activity, it.ended)).dispose()
        writing False
        writing True
    """
    if not every > 0:
        raise ValueError(f"every must be positive, not {every!r}.")

    def operator(source: Observable[Chunk]) -> Observable[Progress]:
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            timer = Timer(scheduler or given)
            standing: Standing | None = None

            def tick() -> None:
                if standing is not None:
                    timer.start(every, tick)
                    downstream.on_next(standing.progress())

            def on_next(chunk: Chunk) -> None:
                nonlocal standing
                if standing is None:
                    standing = Standing(timer.clock.now if timer.clock is not None else time.monotonic)
                standing.add(chunk)
                if not timer.waits:
                    tick()

            def rest() -> list[Progress]:
                timer.stop()
                if standing is None:
                    return []
                standing.ended = True
                return [standing.progress()]

            return Handlers(on_next, rest, dispose=timer.stop)

        return Stage(source, attach)

    return operator
