"""Calling what users hand us: in order, one at a time, and never at the stream's cost."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from rxccsdk.session.flow import End
from rxccsdk.session.stretch import Alike

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")


class CallbackRunner(Generic[_T]):
    """Calls a function, sync or async, with one value after the other.

    What a sync callback does is done before the value is given on. Once a callback has given an awaitable,
    values queue up and are handed over one by one in a task, so that nobody waits for it but `when_done`.

    Args:
        callback: what to call. An exception it raises is isolated, and it is called again for the next value.
        on_error: gets those exceptions; without, they are logged with their traceback.

    Attributes:
        say: what takes the next value: the callback, or the queue.
    """

    def __init__(
        self,
        callback: Callable[[_T], Awaitable[Any] | Any],
        on_error: Callable[[Exception], Any] | None = None,
    ) -> None:
        self._callback = callback
        self._on_error = on_error
        self._waiting: deque[_T] = deque()
        self.say: Callable[[_T], Any] = callback
        self._task: asyncio.Task[None] | None = None
        self._on_done: Callable[[], None] | None = None
        self._cancelled = False

    def hear(self, values: Iterable[_T], end: End) -> Iterable[_T]:
        """Give the values of a burst as they are, each when the callback was called with it or it waits.

        Args:
            values: of the burst.
            end: of the pipe; when it has left, also by what the callback does, nothing more is given.
        """
        heard = self._hear(values, end, of_text=False)
        return Alike(values.first, heard) if isinstance(values, Alike) else heard

    def hear_texts(self, items: Iterable[Any], end: End) -> Iterator[Any]:
        """Give items as they are, each when the callback was called with its text or that waits."""
        return self._hear(items, end, of_text=True)

    def _hear(self, values: Iterable[Any], end: End, *, of_text: bool) -> Iterator[Any]:
        say = self.say
        for value in values:
            try:
                given = say(value.text if of_text else value)
                if given is not None:
                    say = self.follow(given)
            except Exception as error:
                self.failed(error)
            if end.stopped:
                return
            yield value

    def follow(self, result: Any) -> Callable[[_T], Any]:
        """Await what the callback gave, if that can be awaited; from now on values wait for their turn.

        Returns:
            What takes the next value.
        """
        if not inspect.isawaitable(result):
            return self.say
        if self._cancelled:  # by the callback itself
            if inspect.iscoroutine(result):
                result.close()
            return self.say
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            if inspect.iscoroutine(result):
                result.close()
            self.failed(error)
            return self.say
        self._task = loop.create_task(self._run(result))
        self.say = self._waiting.append
        if inspect.iscoroutine(result):  # cancelled before its first step, it would never be closed
            self._task.add_done_callback(lambda _: result.close())
        return self.say

    def when_done(self, action: Callable[[], None]) -> None:
        """Do this when every value was handled; at once, if they all were."""
        if self._task is None:
            action()
        else:
            self._on_done = action

    async def drained(self) -> None:
        """Wait until every value was handled."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def cancel(self) -> None:
        """Handle no more values, and cancel the callback that runs."""
        self._cancelled = True
        self._waiting.clear()
        self._on_done = None
        task, self._task = self._task, None
        self.say = self._callback
        if task is None:
            return
        loop = task.get_loop()
        if _running_loop() is loop:
            if task is not asyncio.current_task(loop):
                task.cancel()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    async def _run(self, pending: Awaitable[Any]) -> None:
        while True:
            try:
                await pending
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self.failed(RuntimeError(f"what the callback waited for was cancelled: {error!r}"))
            except Exception as error:
                self.failed(error)
            while True:
                if not self._waiting:
                    self._task = None
                    self.say = self._callback
                    self._finish()
                    return
                try:
                    result = self._callback(self._waiting.popleft())
                except Exception as error:
                    self.failed(error)
                    continue
                if inspect.isawaitable(result):
                    pending = result
                    break

    def _finish(self) -> None:
        if self._on_done is None:
            return
        try:
            self._on_done()
        except Exception as error:  # nobody awaits this task: what an observer raises would be lost in it
            _log.error("a subscriber raised at the end of the stream", exc_info=error)

    def failed(self, error: Exception) -> None:
        """Report what the callback raised."""
        if self._on_error is not None:
            try:
                self._on_error(error)
                return
            except Exception as handler_error:
                error = handler_error
        _log.error("a callback raised %r; the stream goes on", error, exc_info=error)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
