"""Calling what users pass in: in order, one call at a time, and never at the stream's cost."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc

from rxccsdk.text.clock import running_loop
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.sink import Failures, Sink

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")


class CallbackRunner(Generic[_T]):
    """Calls a function, sync or async, with one value after the other.

    A sync callback has returned before `call` does. From the first awaitable on, values queue up and are
    passed one by one in a task. Only `when_done` waits for the queue to drain.

    Args:
        callback: what to call. An exception it raises is isolated, and it is called again for the next value.
        on_error: gets those exceptions; without, they are logged with their traceback.

    Attributes:
        on_idle: called when values were queued or awaited, and all are handled; not after the end.
    """

    def __init__(
        self,
        callback: Callable[[_T], Awaitable[Any] | Any],
        on_error: Callable[[Exception], Any] | None = None,
    ) -> None:
        self._callback = callback
        self._on_error = on_error
        self.on_idle: Callable[[], object] | None = None
        self._waiting: deque[_T] = deque()
        self._task: asyncio.Task[None] | None = None
        self._on_done: Callable[[], object] | None = None
        self._cancelled = False
        self._failures = Failures(_log_failure, "a callback")

    @property
    def is_busy(self) -> bool:
        """Whether a call is awaited."""
        return self._task is not None

    def call(self, value: _T) -> None:
        """Call the callback with a value, now or after those that wait."""
        if self._task is not None:
            self._waiting.append(value)
            return
        try:
            result = self._callback(value)
            if result is not None and inspect.isawaitable(result):
                self._follow(result)
        except Exception as error:
            self._report(error)

    def when_done(self, action: Callable[[], object]) -> None:
        """Call `action` when every value was handled; at once, if they all were."""
        if self._task is None:
            self._failures.close()
            action()
        else:
            self._on_done = action

    def cancel(self) -> None:
        """Handle no more values, and cancel the callback that runs."""
        self._cancelled = True
        self._failures.close()
        self._waiting.clear()
        self._on_done = self.on_idle = None
        task, self._task = self._task, None
        if task is None:
            return
        loop = task.get_loop()
        if running_loop() is loop:
            if task is not asyncio.current_task(loop):
                task.cancel()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    def _follow(self, result: Awaitable[Any]) -> None:
        """Await what the callback returned; from now on values wait."""
        loop = running_loop()
        if loop is None or self._cancelled:  # cancelled by the callback itself
            if inspect.iscoroutine(result):
                result.close()
            if loop is None:
                raise RuntimeError("no running event loop: an async callback needs one")
            return
        self._task = loop.create_task(self._run(result))
        # What goes on to the loop is not said again when the task is collected.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        if inspect.iscoroutine(result):  # cancelled before its first step, it would never be closed
            self._task.add_done_callback(lambda _: result.close())

    async def _run(self, pending: Awaitable[Any]) -> None:
        try:
            await self._call_on(pending)
        except (KeyboardInterrupt, SystemExit):  # it goes on to the loop, and nothing waits for this callback
            self._callback, self._task = _ignore, None
            self._waiting.clear()
            if self._on_done is not None:
                self._on_done()
            raise

    async def _call_on(self, pending: Awaitable[Any]) -> None:
        """Await what the callback returned, and call it with what waits."""
        while True:
            try:
                await pending
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._report(RuntimeError(f"what the callback waited for was cancelled: {error!r}"))
            except GeneratorExit:
                if running_loop() is None or asyncio.current_task() is not self._task:
                    raise  # this coroutine is being closed
                self._report(RuntimeError("the callback raised GeneratorExit"))
            except Exception as error:
                self._report(error)
            awaitable = self._next_awaitable()
            if awaitable is None:
                return
            pending = awaitable

    def _next_awaitable(self) -> Awaitable[Any] | None:
        """Call the callback with what waits, up to the next awaitable; `None` when the queue is empty."""
        while self._waiting:
            try:
                result = self._callback(self._waiting.popleft())
                if inspect.isawaitable(result):
                    return result
            except Exception as error:
                self._report(error)
            except (asyncio.CancelledError, GeneratorExit) as error:
                self._report(RuntimeError(f"the callback raised {type(error).__name__}"))
        self._task = None
        if self._on_done is None:
            if self.on_idle is not None:
                self.on_idle()
        else:
            self._failures.close()
            try:
                self._on_done()
            except Exception as error:  # nothing awaits this task: it would be lost in it
                _log.error("a subscriber raised at the end of the stream", exc_info=error)
        return None

    def _report(self, error: Exception) -> None:
        if self._on_error is not None:
            try:
                self._on_error(error)
                return
            except Exception as handler_error:
                error = handler_error
        self._failures.add(error)


def _ignore(_: object) -> None:
    return None


def _log_failure(error: Exception) -> None:
    _log.error("a callback raised %r; the stream goes on", error, exc_info=error)


def tapping(
    callback: Callable[[Any], Awaitable[Any] | Any],
    on_error: Callable[[Exception], Any] | None,
    make_select: Callable[[], Callable[[Any], Any]] | None = None,
) -> Keeping:
    """Return the operator behind `tap_chunks` and `tap_text`.

    Args:
        callback: sync or async.
        on_error: gets what the callback raises; without, it is logged with its traceback.
        make_select: makes a function, one for each subscription, that returns what the callback gets of an
            item; it gets nothing where that is "". Without, it gets the item.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            runner = CallbackRunner(callback, on_error)
            select = make_select() if make_select is not None else None
            subscriber, call, emit = downstream.subscriber, runner.call, downstream.on_next

            def on_next(item: Any) -> None:
                if select is None:
                    call(item)
                elif value := select(item):
                    call(value)
                if not subscriber.stopped:
                    emit(item)

            return Handlers(
                on_next,
                on_error=lambda error: runner.when_done(lambda: downstream.on_error(error)),
                on_completed=lambda: runner.when_done(downstream.on_completed),
                dispose=runner.cancel,
            )

        return Stage(source, attach)

    return operator
