"""Fewer, larger chunks, with nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import TextChunk, ThinkingChunk
from rxccsdk.operators.core import SLACK, Clock, Keeping, Sink, Stage, clock_on
from rxccsdk.operators.hold import MAY_OVERTAKE, Held, Run
from rxccsdk.session.flow import Inlet
from rxccsdk.session.stretch import Alike, text_of

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
        def wrap(following: Inlet, given: abc.SchedulerBase | None) -> Sink:
            held = Held(_Merged)
            clock: Clock | None = None
            stop_waiting: Callable[[], None] | None = None
            since: float | None = None  # from when on what is held is waited for
            size = 0  # characters that are held, where they are counted, else whether there are any
            # Where the last piece is held, and what it was of, while it waits: pieces come by the ten
            # thousand, and more of the same is appended without further ado.
            run = _Merged(None)
            kind: type | None = None
            block: int | None = None
            agent: str | None = None
            turn: int | None = None

            def release_all() -> Sequence[Any]:
                nonlocal kind, since
                kind = since = None
                return held.release_all()

            def rest() -> Sequence[Any]:
                stop()
                return release_all()

            def wait(clock: Clock, seconds: float) -> None:
                """See to it that a timer waits: the one that is there will find that it has to wait on."""
                nonlocal stop_waiting, since
                if stop_waiting is None:
                    stop_waiting = clock.later(seconds, partial(time_is_up, clock, seconds))
                since = clock.now()

            def time_is_up(clock: Clock, seconds: float) -> None:
                nonlocal stop_waiting
                stop_waiting = None
                if since is None:
                    return
                left = since + seconds - clock.now()
                if left > SLACK:
                    stop_waiting = clock.later(left, partial(time_is_up, clock, seconds))
                else:
                    following.take(release_all())

            def stop() -> None:
                nonlocal stop_waiting
                if stop_waiting is not None:
                    stop_waiting()
                    stop_waiting = None

            def flow(items: Iterable[Any]) -> Iterator[Any]:
                nonlocal size
                alike, coming = isinstance(items, Alike), iter(items)
                for item in coming:
                    same = type(item) is kind
                    if same and item.block is block and item.agent is agent and item.turn is turn:
                        run.words.append(item.text)
                        if alike and chars is None:
                            run.words.extend(map(text_of, coming))
                        elif chars is not None:
                            run.size += len(item.text)
                            size += len(item.text)
                            if size >= chars:
                                yield from release_all()
                    elif isinstance(item, MAY_OVERTAKE):
                        yield item
                    else:
                        yield from add(item)

            def add(item: Any) -> Sequence[Any]:
                nonlocal clock, size, kind, block, agent, turn, run
                kind = None
                released = held.add(item)
                size = sum(run.size for run in held.runs)
                if chars is not None and size >= chars:
                    return [*released, *release_all()]
                if size and since is None and seconds is not None:
                    clock = clock or clock_on(scheduler or given)
                    if clock is not None:
                        wait(clock, seconds)
                if isinstance(item, (TextChunk, ThinkingChunk)) and size:
                    run = held.run_of(item.agent)
                    if run.size:
                        kind, block, agent, turn = type(item), item.block, item.agent, item.turn
                return released

            return Sink(flow, rest, dispose=stop)

        return Stage(source, wrap)

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
        """Give all that is held, merged."""
        text = "".join(self.words)
        return [text] if text else []

    def source(self, piece: str) -> Any:
        """The first item that brought any text."""
        return self._source
