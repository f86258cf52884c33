"""Fewer, larger chunks, with nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import TextChunk, ThinkingChunk
from rxccsdk.operators.hold import MAY_OVERTAKE, Held, Run, text_of
from rxccsdk.text.clock import SLACK, Timer
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.pieces import same_block
from rxccsdk.text.sink import Sink

_T = TypeVar("_T")


def buffer_text(
    seconds: float | None = 0.05, chars: int | None = None, *, scheduler: abc.SchedulerBase | None = None
) -> Keeping:
    """Merge neighbouring pieces of text into fewer, larger ones.

        T"a" T"b" ---------- T"c" [tool] |
        ---------- T"ab" --- T"c" [tool] |     buffer_text(seconds=...)

    Pieces of one block of text or thinking are merged; the merged chunk keeps `seq` and `at` of its first.
    What is held is released after `seconds`, at `chars` characters, before the agent's next content, before a
    retraction, before an error and at the end. Chunks of the system and of other agents may overtake it.
    Works on `str` streams too.

    Args:
        seconds: how long a piece may be held; `None` for no limit. Waits on `scheduler`, else on the one
            given to `subscribe`, else on the running loop; where there is none, it has no effect.
        chars: release as soon as this many characters are held; `None` for no limit.
        scheduler: what to wait on.

    Raises:
        ValueError: `seconds` or `chars` is not positive.

    At a `RetractedChunk`: what is held of that agent is released before it.

    Example:
        >>> import reactivex as rx
        >>> rx.of("to", "ge", "ther").pipe(buffer_text(chars=100)).run()
        'together'
    """
    if (seconds is not None and not seconds > 0) or (chars is not None and chars < 1):
        raise ValueError(f"seconds and chars must be positive, not seconds={seconds!r}, chars={chars!r}.")

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            held, timer = Held(_Merged), Timer(scheduler or given)
            since: float | None = None  # from when on what is held is waited for
            size = 0  # characters that are held, where they are counted, else whether there are any
            last: Any = None  # the last piece, as long as it waits,
            run = _Merged(None)  # and where

            def release_all() -> Sequence[Any]:
                nonlocal last, since
                last = since = None
                return held.release_all()

            def rest() -> Sequence[Any]:
                timer.stop()
                return release_all()

            def time_is_up() -> None:
                if since is None or timer.clock is None or seconds is None:
                    return
                left = since + seconds - timer.clock.now()
                if left > SLACK:  # it was started for what is gone already
                    timer.start(left, time_is_up)
                else:
                    downstream.emit(release_all())

            def on_next(item: Any) -> None:
                nonlocal size
                if last is not None and same_block(last, item):
                    words = text_of(item)
                    run.words.append(words)
                    if chars is not None:
                        run.size += len(words)
                        size += len(words)
                        if size >= chars:
                            downstream.emit(release_all())
                elif isinstance(item, MAY_OVERTAKE):
                    downstream.on_next(item)
                else:
                    downstream.emit(hold(item))

            def hold(item: Any) -> Sequence[Any]:
                nonlocal since, size, last, run
                last = None
                released = held.add(item)
                size = sum(run.size for run in held.runs)
                if chars is not None and size >= chars:
                    return [*released, *release_all()]
                if size and since is None and seconds is not None and timer.clock is not None:
                    since = timer.clock.now()
                    if not timer.waits:
                        timer.start(seconds, time_is_up)
                if size and isinstance(item, (TextChunk, ThinkingChunk, str)):
                    run = held.run_of(None if isinstance(item, str) else item.agent)
                    last = item if run.size else None
                return released

            return Handlers(on_next, rest, dispose=timer.stop)

        return Stage(source, attach)

    return operator


class _Merged(Run):
    """Cuts nothing: what is held is merged. It keeps the words only, so that the chunks can go."""

    __slots__ = ("_source", "size", "words")

    def __init__(self, first: Any) -> None:
        super().__init__(first)
        self.words: list[str] = []
        self.size = 0  # characters; exact where the operator counts them, else whether there are any
        self._source: Any = None

    def add(self, item: Any, words: str) -> tuple[()]:
        """Take more text; none of it is ready before it is released."""
        if words and not self.size:
            self._source = item
        self.words.append(words)
        self.size += len(words)
        return ()

    def rest(self) -> list[str]:
        """Return all that is held, merged."""
        text = "".join(self.words)
        return [text] if text else []

    def source(self, piece: str) -> Any:
        """Return the first item that brought any text."""
        return self._source
