"""The newest text for what cannot take each piece: a message that is edited, a status line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk, ResultChunk, RetractedChunk, TextChunk
from rxccsdk.session.fold import ResponseFold
from rxccsdk.text.callbacks import CallbackRunner
from rxccsdk.text.clock import Timer
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.sink import Sink

_T = TypeVar("_T")


def tap_latest(
    callback: Callable[[str], Awaitable[Any] | Any],
    every: float = 0.8,
    *,
    on_error: Callable[[Exception], Any] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Keeping:
    """Call a function with the whole text so far, now and then, and pass the stream on unchanged.

        T"a" T"b" T"c" -------- T"d"  |
        T"a" T"b" T"c" -------- T"d"  |      callback("a"), callback("abc"), callback("abcd")

    The first text calls it at once. Then it is called when there is news, `every` seconds after the last
    call began and not before that has ended: there are never two calls at once, and what was overtaken
    meanwhile is skipped. Completion and errors wait until the last text was passed; dispose cancels. A
    callback that raises is called again for the next text.

    The text is that of the main agent, as `response.content` has it. Works on `str` streams too.

    Args:
        callback: sync or async.
        every: seconds between the beginnings of two calls; 0 does not wait. Waits on `scheduler`, else on the
            one given to `subscribe`, else on the running loop; where there is none, each text calls it.
        on_error: gets what the callback raises; without, it is logged with its traceback.
        scheduler: what to wait on.

    Raises:
        ValueError: `every` is negative.

    At a `RetractedChunk`: the next text is without the blocks it names, and may be "".

    Example:
        >>> import reactivex as rx
        >>> _ = rx.of("Hel", "lo").pipe(tap_latest(print, every=0)).run()
        Hel
        Hello
    """
    if not every >= 0:
        raise ValueError(f"every must not be negative, not {every!r}.")

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            runner, timer, newest = CallbackRunner(callback, on_error), Timer(scheduler or given), _Newest()
            subscriber, emit = downstream.subscriber, downstream.on_next

            def call() -> None:
                if timer.waits or runner.is_busy or not newest.is_due():
                    return
                if every > 0:
                    timer.start(every, call)
                runner.call(newest.text)

            runner.on_idle = call

            def on_next(item: Any) -> None:
                newest.add(item)
                call()
                if not subscriber.stopped:
                    emit(item)

            def end(ending: Callable[[], object]) -> None:
                timer.stop()
                runner.on_idle = None
                if newest.is_due():
                    runner.call(newest.text)  # which waits for the call before it
                if not subscriber.stopped:
                    runner.when_done(ending)

            def dispose() -> None:
                timer.stop()
                runner.cancel()

            return Handlers(
                on_next,
                on_error=lambda error: end(lambda: downstream.on_error(error)),
                on_completed=lambda: end(downstream.on_completed),
                dispose=dispose,
            )

        return Stage(source, attach)

    return operator


class _Newest:
    """The text so far.

    Attributes:
        text: as it was when it was last due.
    """

    def __init__(self) -> None:
        self.text = ""
        self._fold = ResponseFold()
        self._words: list[str] = []  # of a stream of strings
        self._has_news = False

    def add(self, item: Any) -> None:
        """Take the next item."""
        if isinstance(item, str):
            self._words.append(item)
            self._has_news = True
        elif isinstance(item, Chunk):
            self._fold.add(item)
            if isinstance(item, TextChunk):
                self._has_news |= item.agent is None
            elif isinstance(item, (RetractedChunk, ResultChunk)):
                self._has_news = True

    def is_due(self) -> bool:
        """Join the text; return whether it is another one than before."""
        if not self._has_news:
            return False
        self._has_news = False
        before = self.text
        if self._words:
            self._words = ["".join(self._words)]
            self.text = self._words[0]
        else:
            self.text = self._fold.response().content
        return self.text != before
