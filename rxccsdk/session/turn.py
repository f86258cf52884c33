"""One prompt and everything that answers it, for any number of subscribers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from time import time
from typing import Any, Literal

from reactivex import abc
from reactivex.disposable import Disposable

from rxccsdk.chunks import Chunk
from rxccsdk.errors import RxccError, SessionClosedError
from rxccsdk.session.conductor import Conductor
from rxccsdk.session.limits import Linger, limits
from rxccsdk.session.log import Log
from rxccsdk.session.prompt import Prompt
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.since import Resumable
from rxccsdk.session.steering import Steering
from rxccsdk.session.structure import put_parsed
from rxccsdk.text.clock import Moment, call_on, running_loop
from rxccsdk.text.flow import Source
from rxccsdk.text.leave import iterate
from rxccsdk.text.replay import Cursor
from rxccsdk.text.sink import Failures, Sink
from rxccsdk.wire.events import Mark

_log = logging.getLogger("rxccsdk")

Status = Literal["pending", "running", "completed", "interrupted", "failed"]

_NOT_OPEN = "The session is not open: subscribe inside `async with session:`."
_LOOP_ENDED = "The event loop that the session was opened on has ended: open it on the loop it is used on."
NEVER_SENT = "The turn was ended before it was sent."
_RAISED = "a subscriber of a turn raised; the turn goes on"
_SLICE = 0.01  # seconds that one subscriber reads before the others and the loop have their turn


class Turn(Source[Chunk], Steering, Resumable):
    """An Observable of the chunks that answer one prompt, made by `ClaudeSession.stream` or `rxccsdk.ask`.

    The prompt is sent at the first subscription, once. Each subscriber reads the turn's log from its first
    chunk, whenever it subscribes, at its own pace. When the last one leaves before the end, the turn is
    interrupted. `async for chunk in turn` and `await turn.pipe(...)` are subscriptions like any other.

    Attributes:
        prompt: what is asked.
        index: the turn's number in its session, from 0; `None` before the prompt was sent.
        uuid: the prompt's id in the session's transcript; `None` before it was sent.
        started_at: when the prompt was sent, in seconds since the epoch; `None` before.
    """

    def __init__(
        self,
        conductor: Conductor,
        prompt: Prompt,
        *,
        on_dispose: Literal["interrupt", "finish"] = "interrupt",
        replay: bool = True,
        max_output_tokens: int | None = None,
        timeout: float | None = None,
        linger: float = 0.0,
        output: Any = None,
        session: object = None,
    ) -> None:
        super().__init__()
        self.prompt = prompt
        self.index: int | None = None
        self.uuid: str | None = None
        self.started_at: float | None = None
        self._follower: Turn | None = None  # the turn of a message that came too late for this one
        self._mark = Mark()  # where it ended in its conversation
        self._before_end: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._conductor = conductor
        self._output = output  # the model or schema that the answer is to fit
        self._session = session  # a session that only its turns refer to is not dropped
        self._on_dispose = on_dispose
        self._replay = replay
        self._limits = limits(max_output_tokens, timeout)
        self._linger = Linger(linger)
        self._log = Log()
        self._backend: Callable[[], str | None] = lambda: None
        self._cursors: list[Cursor] = []
        self._holders = 0
        self._status: Status = "pending"
        self._submitted = self._ended = False
        self._error: Exception | None = None
        self._is_handled = False  # somebody takes the error: the others need no report
        self._because: tuple[str, str] | None = None
        self._over = Moment()

    # -- for users ----------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """How far it is: `completed` by its result, good or bad; `failed` by `on_error`."""
        return self._status

    @property
    def backend(self) -> str | None:
        """Which SDK the prompt went through; `None` before it was sent."""
        return self._backend()

    @property
    def response(self) -> SessionResponse:
        """The turn reduced, as far as it has come."""
        response = self._log.response(self.backend, self._because)
        response.warnings.extend(self._conductor.warnings)
        if self._output is not None:
            put_parsed(response, self._output)
        return response

    async def interrupt(self) -> None:
        """Stop the turn. Returns when it has ended; what arrived until then is in `response`."""
        await self._end_early("turn.interrupt() was called")

    async def aclose(self) -> None:
        """Interrupt the turn if it still runs, and return when it has ended."""
        await self._end_early("turn.aclose() was called")

    async def __aenter__(self) -> Turn:
        self._holders += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._holders -= 1
        await self.aclose()

    def __aiter__(self) -> AsyncGenerator[Chunk, None]:
        return iterate(self)

    def _check_run(self) -> None:
        """Raise where `run()` could not come to an end.

        Raises:
            RuntimeError: a running loop would be blocked, or the session's does not run.
        """
        if running_loop() is not None:
            raise RuntimeError("turn.run() would block the running event loop: `await turn` instead.")
        loop = self._conductor.loop
        if loop is None or not loop.is_running():
            raise RuntimeError("turn.run() needs its session's event loop to run: use rxccsdk.run(prompt).")

    # -- subscribers --------------------------------------------------------------------------------------

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put the turn's chunks into the sink, from the first one, on the session's loop."""
        failures = Failures(lambda error: self._report(_RAISED, error), _RAISED)
        sink.subscriber.report = failures.add
        loop = self._conductor.loop
        cursor = Cursor(sink, self._log.start, self._log.lock)
        if loop is None or loop.is_closed():
            self._replay_here(cursor)
            return Disposable()

        def leave() -> None:
            failures.close()
            if not loop.is_closed():
                call_on(loop, lambda: self._leave(cursor))

        call_on(loop, lambda: self._enter(cursor, loop))
        return Disposable(leave)

    def _enter(self, cursor: Cursor, loop: asyncio.AbstractEventLoop) -> None:
        if cursor.subscriber.stopped:
            return
        cursor.place = self._log.start
        self._cursors.append(cursor)
        self._linger.stop()
        if not self._submitted and not self._ended:
            self._submitted = True
            self._conductor.enqueue(self)
        loop.call_soon(self._read, cursor)

    def _leave(self, cursor: Cursor) -> None:
        if cursor in self._cursors:
            self._cursors.remove(cursor)
            if not self._cursors and not self._holders and not self._ended:
                self._linger.start(self._interrupt_unwatched)

    def _interrupt_unwatched(self) -> None:
        if self._ended or self._holders:
            return
        if self.index is None:
            self._conductor.withdraw(self)
        elif self._on_dispose == "interrupt":
            self._conductor.interrupt_turn(self, "the last subscriber left")

    def _replay_here(self, cursor: Cursor) -> None:
        """Serve a subscriber whose session's loop is not there: nothing more can come."""
        cursor.read(self._log)
        if not self._ended:
            why = _NOT_OPEN if self._conductor.loop is None else _LOOP_ENDED
            self._finish("failed", error=SessionClosedError(why), because=("closed", why))
        if not cursor.subscriber.stopped:
            self._end_cursor(cursor)

    def _read(self, cursor: Cursor) -> None:
        """Let a subscriber read on."""
        cursor.is_due = False
        has_seen_all = cursor.read(self._log, _SLICE)
        if cursor.subscriber.stopped or cursor.is_reading:
            return
        if not has_seen_all:
            cursor.is_due = True
            asyncio.get_running_loop().call_soon(self._read, cursor)
        elif self._ended:
            self._end_cursor(cursor)

    def _end_cursor(self, cursor: Cursor) -> None:
        if cursor in self._cursors:
            self._cursors.remove(cursor)
        error, subscriber = self._error, cursor.subscriber
        if error is not None and self._is_handled and not subscriber.handles_errors:
            subscriber.stop()
            return
        subscriber.report = lambda raised: self._report("a subscriber of a turn raised at its end", raised)
        cursor.end(error)

    def _report(self, message: str, error: Exception) -> None:
        if (loop := self._conductor.loop) is None:
            _log.error(message, exc_info=error)
        else:
            loop.call_exception_handler({"message": f"rxccsdk: {message}", "exception": error, "turn": self})

    # -- for the session, on its loop ---------------------------------------------------------------------

    @property
    def _is_lagging(self) -> bool:
        """Whether a subscriber has yet to read what there is."""
        return any(cursor.is_due for cursor in self._cursors)

    def _begin(self, index: int, backend: Callable[[], str], uuid: str | None = None) -> None:
        """Note that the prompt is written, as the session's turn of this number, with this SDK and uuid."""
        self.index, self.uuid = index, uuid
        self.started_at = time()
        if self._limits is not None:
            self._limits.begin(self._stop)
        self._backend = backend
        self._status = "running"

    def _followed_by(self, text: str) -> Turn:
        """Return the turn of a message that came too late for this one. It is sent."""
        self._follower = follower = Turn(
            self._conductor,
            text,
            on_dispose=self._on_dispose,
            replay=self._replay,
            output=self._output,
            session=self._session,
        )
        follower._submitted = True
        return follower

    def _hold_end(self, cleanup: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let the end wait for this."""
        self._before_end = cleanup

    def _push(self, chunks: Sequence[Chunk]) -> None:
        """Append chunks that arrived together, and let every subscriber read on."""
        self._log.extend(chunks)
        if self._limits is not None:
            self._limits.see(chunks, self._stop)
        for cursor in tuple(self._cursors):
            if not cursor.is_due:
                self._read(cursor)
        if self._replay:
            self._log.pack()
        else:
            self._forget()

    def _finish(
        self,
        status: Status,
        last: Sequence[Chunk] = (),
        *,
        error: Exception | None = None,
        because: tuple[str, str] | None = None,
    ) -> None:
        """End the turn: completed, or with an error.

        Args:
            status: what `status` is from now on: leaving at the last chunk is not leaving early.
            last: the chunks that came with the end.
            error: what subscribers get instead of completion.
            because: for the response of a turn without a result: its error kind, and the error in words.
        """
        if self._ended:
            return
        self._status = status
        if self._before_end is not None and self._conductor.loop is not None:
            cleanup, self._before_end = self._before_end, None

            async def finish_after_it() -> None:
                try:
                    await cleanup()
                finally:
                    self._finish(status, error=error, because=because)

            self._push(last)
            self._ending = self._conductor.loop.create_task(finish_after_it())
            return
        self._log.extend(last)
        self._error, self._because = error, because
        self._is_handled = any(cursor.subscriber.handles_errors for cursor in self._cursors)
        if isinstance(error, RxccError) and error.partial is None:
            error.partial = self.response
        if self._limits is not None:
            self._limits.end()
        with self._log.lock:
            self._ended = True
        self._over.come()
        for cursor in tuple(self._cursors):
            if not cursor.is_due:
                self._read(cursor)
        if not self._replay:
            self._forget()

    async def wait(self) -> None:
        """Wait until the turn has ended; from any loop."""
        await self._over.wait()

    async def _end_early(self, why: str) -> None:
        loop = self._conductor.loop
        if loop is None or loop.is_closed():
            self._finish("interrupted", because=("interrupted", NEVER_SENT))
            return

        def end() -> None:
            if self._ended:
                return
            if self.index is None:
                self._conductor.withdraw(self)
            else:
                self._conductor.interrupt_turn(self, why)

        call_on(loop, end)
        await self.wait()

    def _stop(self, words: str, kind: str) -> None:
        if not self._ended:
            self._conductor.interrupt_turn(self, words, kind)

    def _forget(self) -> None:
        """Without replay: drop what every subscriber has read."""
        self._log.forget(min((cursor.place for cursor in self._cursors), default=None))
