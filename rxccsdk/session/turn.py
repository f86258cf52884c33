"""One prompt and everything that answers it, for as many subscribers as want to see it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Literal, Protocol

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxccsdk.chunks import Chunk, MessageChunk
from rxccsdk.errors import RxccError, SessionClosedError
from rxccsdk.session.flow import End, Inlet
from rxccsdk.session.iterate import iterate, last
from rxccsdk.session.log import Log
from rxccsdk.session.prompt import Prompt
from rxccsdk.session.response import ResponseFold, SessionResponse

_log = logging.getLogger("rxccsdk")

Status = Literal["pending", "running", "completed", "interrupted", "failed"]

_NOT_OPEN = "The session is not open: subscribe inside `async with session:`."
_BATCH = 2048  # chunks delivered before the loop gets its turn, so that replaying a long log blocks nothing


class Conductor(Protocol):
    """What a turn needs of its session. All of it is called on the session's loop."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...

    def enqueue(self, turn: Turn) -> None:
        """Write the turn's prompt as soon as the turns before it are over."""

    def withdraw(self, turn: Turn) -> None:
        """Take a turn back whose prompt was not written."""

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        """Note in the turn why it is stopped, and stop it; its result will come, or its session end."""


class _Cursor:
    """How far one subscriber has read."""

    __slots__ = ("index", "inlet", "reading", "stopped")

    def __init__(self, inlet: Inlet, index: int) -> None:
        self.inlet = inlet
        self.index = index
        self.reading = False
        self.stopped = False


class Turn(Observable[Chunk]):
    """An Observable of the chunks that answer one prompt.

    The prompt is sent at the first subscription, once. Each subscriber reads the turn's log from its first
    chunk, whenever it comes, at its own pace. When the last one leaves before the end, the turn is
    interrupted. `async for chunk in turn` and `await turn.pipe(...)` are subscriptions like any other.

    A turn is made by `ClaudeSession.stream` or `rxccsdk.ask`.
    """

    def __init__(
        self,
        conductor: Conductor,
        prompt: Prompt,
        *,
        on_dispose: Literal["interrupt", "finish"] = "interrupt",
        replay: bool = True,
        max_output_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.prompt = prompt
        self.index: int | None = None
        self.before_end: Callable[[], Coroutine[Any, Any, None]] | None = None  # completion waits for it
        self._ending: asyncio.Task[None] | None = None
        self._conductor = conductor
        self._on_dispose = on_dispose
        self._replay = replay
        self._max_output_tokens = max_output_tokens
        self._output_tokens: dict[str | None, int] = {}
        self._log = Log()
        self._forgotten = 0  # with replay=False: chunks that nobody can read any more
        self._backend: str | None = None
        self._folded = 0
        self._cursors: list[_Cursor] = []
        self._holders = 0
        self._status: Status = "pending"
        self._submitted = False
        self._error: Exception | None = None
        self.ended_because: tuple[str, str] | None = None
        self._ended = False
        self._awaited: concurrent.futures.Future[None] | None = None  # by those who wait for the end
        self._lock = threading.Lock()

    # -- for users ----------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """`pending`, `running`, `completed` (its result arrived, good or bad), `interrupted`, or `failed`
        (it ended in `on_error`)."""
        return self._status

    @property
    def backend(self) -> str | None:
        """Which SDK the prompt went through; `None` before it was sent."""
        return self._backend

    @property
    def response(self) -> SessionResponse:
        """The turn reduced, as far as it has come."""
        with self._lock:
            self._catch_up()
            self._fold.backend = self._backend
            return self._fold.response(ended=self.ended_because)

    async def interrupt(self) -> None:
        """Stop the turn. Returns when it has ended; what arrived until then is in `response`."""
        await self._end("turn.interrupt() was called")

    async def aclose(self) -> None:
        """Interrupt the turn if it still runs, and return when it has ended."""
        await self._end("turn.aclose() was called")

    async def __aenter__(self) -> Turn:
        self._holders += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._holders -= 1
        await self.aclose()

    def __await__(self) -> Generator[Any, None, Chunk]:
        return last(self).__await__()

    def __aiter__(self) -> AsyncGenerator[Chunk, None]:
        return iterate(self)

    def run(self, scheduler: abc.SchedulerBase | None = None) -> Chunk:
        """Block until the turn is over and give its last chunk, from a thread other than the session's.

        Raises:
            RuntimeError: inside a running event loop, which it would block, or when the session's does not
                run.
        """
        if _running_loop() is not None:
            raise RuntimeError("turn.run() would block the running event loop: `await turn` instead.")
        loop = self._conductor.loop
        if loop is None or not loop.is_running():
            raise RuntimeError("turn.run() needs its session's event loop to run: use rxccsdk.run(prompt).")
        return super().run(scheduler)

    # -- subscribers --------------------------------------------------------------------------------------

    def subscribe(
        self,
        on_next: abc.ObserverBase[Chunk] | abc.OnNext[Chunk] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer, or functions, as to any Observable.

        A turn says nothing after its end or a dispose, so it needs no guard around the observer, which
        would cost each subscriber more for a chunk than the turn itself does.

        Args:
            on_next: gets each chunk; or an observer, then the other functions are ignored.
            on_error: gets the error the turn ends with; without, it is reported to the loop.
            on_completed: told of the end.
            scheduler: for observables that are not ours.
        """
        inlet = on_next if isinstance(on_next, Inlet) else Inlet(End.of(on_next, on_error, on_completed))
        loop = self._conductor.loop
        cursor = _Cursor(inlet, self._forgotten)
        if loop is None or loop.is_closed():
            self._replay_here(cursor)
            return Disposable()

        def dispose() -> None:
            cursor.stopped = True
            if not inlet.end.stopped:
                inlet.end.stop()
            if not loop.is_closed():
                self._on_loop(loop, lambda: self._leave(cursor))

        self._on_loop(loop, lambda: self._enter(cursor, loop))
        return Disposable(dispose)

    @staticmethod
    def _on_loop(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
        if _running_loop() is loop:
            action()
        else:
            loop.call_soon_threadsafe(action)

    def _enter(self, cursor: _Cursor, loop: asyncio.AbstractEventLoop) -> None:
        if cursor.stopped:
            return
        cursor.index = self._forgotten
        self._cursors.append(cursor)
        if not self._submitted and not self._ended:
            self._submitted = True
            self._conductor.enqueue(self)
        loop.call_soon(self._read, cursor)

    def _leave(self, cursor: _Cursor) -> None:
        if cursor in self._cursors:
            self._cursors.remove(cursor)
            if not self._cursors and not self._holders and not self._ended:
                self._left_alone()

    def _replay_here(self, cursor: _Cursor) -> None:
        """Serve a subscriber whose session's loop is not there: nothing more can come."""
        while cursor.index < len(self._log) and not cursor.stopped:
            self._read_some(cursor)
        if not self._ended:
            self.finish("failed", error=SessionClosedError(_NOT_OPEN), because=("closed", _NOT_OPEN))
        self._tell_end(cursor)

    def _left_alone(self) -> None:
        if self.index is None:
            self._conductor.withdraw(self)
        elif self._on_dispose == "interrupt":
            self._conductor.interrupt_turn(self, "the last subscriber left")

    def _read(self, cursor: _Cursor) -> None:
        """Hand a subscriber what it has not seen."""
        if cursor.reading or cursor.stopped:
            return  # a call from inside its own on_next: the loop below goes on by itself
        cursor.reading = True
        try:
            self._read_some(cursor)
        finally:
            cursor.reading = False
        if cursor.stopped:
            return
        if cursor.index < len(self._log):
            loop = self._conductor.loop
            assert loop is not None, "a subscriber reads on its session's loop"
            loop.call_soon(self._read, cursor)
        elif self._ended:
            self._tell_end(cursor)

    def _read_some(self, cursor: _Cursor) -> None:
        log, take, report, budget = self._log, cursor.inlet.take, self._report_raised, _BATCH
        while budget > 0 and not cursor.stopped:
            chunks = log.read(cursor.index, budget)
            if not chunks:
                return
            try:
                take(chunks, report)
            finally:
                cursor.index += len(chunks)  # only now: until then nobody forgets what it has not read
            budget -= len(chunks)

    def _tell_end(self, cursor: _Cursor) -> None:
        cursor.stopped = True
        if cursor in self._cursors:
            self._cursors.remove(cursor)
        try:
            if self._error is not None:
                cursor.inlet.on_error(self._error)
            else:
                cursor.inlet.on_completed()
        except Exception as error:
            self._report("a subscriber of a turn raised at its end", error)

    def _report_raised(self, error: Exception) -> None:
        """It costs this subscriber this chunk, and nobody else anything."""
        self._report("a subscriber of a turn raised; the turn goes on", error)

    def _report(self, message: str, error: Exception) -> None:
        loop = self._conductor.loop
        if loop is None:
            _log.error(message, exc_info=error)
        else:
            loop.call_exception_handler({"message": f"rxccsdk: {message}", "exception": error, "turn": self})

    # -- for the session, on its loop ---------------------------------------------------------------------

    def begin(self, index: int, backend: str) -> None:
        """The prompt was written, as the session's turn of this number, with this SDK."""
        self.index = index
        self._backend = backend
        self._status = "running"

    def push(self, parts: Sequence[Sequence[Chunk]]) -> None:
        """Append chunks that arrived together, and let every subscriber read on.

        Args:
            parts: as `stretches` gives them.
        """
        with self._lock:
            self._log.extend(parts)
        if self._max_output_tokens is not None:
            self._watch_tokens(chain.from_iterable(parts))
        for cursor in tuple(self._cursors):
            self._read(cursor)
        if self._replay:
            with self._lock:
                self._log.fold()
        else:
            self._forget()

    def finish(
        self,
        status: Status,
        last: Sequence[Sequence[Chunk]] = (),
        *,
        error: Exception | None = None,
        because: tuple[str, str] | None = None,
    ) -> None:
        """End the turn: completed, or with an error.

        Args:
            status: what `status` says from now on: who leaves at the last chunk does not leave early.
            last: the chunks that came with the end, as for `push`.
            error: what subscribers get instead of completion.
            because: for the response of a turn without a result: its error kind, and the error in words.
        """
        if self._ended:
            return
        self._status = status
        if self.before_end is not None and self._conductor.loop is not None:
            cleanup, self.before_end = self.before_end, None
            self.push(last)
            ending = self._finish_after(cleanup, status, error, because)
            self._ending = self._conductor.loop.create_task(ending)
            return
        with self._lock:
            self._log.extend(last)
        self._error, self.ended_because = error, because
        if isinstance(error, RxccError) and error.partial is None:
            error.partial = self.response
        with self._lock:
            self._ended, awaited = True, self._awaited
        if awaited is not None:
            awaited.set_result(None)
        for cursor in tuple(self._cursors):
            self._read(cursor)
        if not self._replay:
            self._forget()

    async def _finish_after(
        self,
        cleanup: Callable[[], Coroutine[Any, Any, None]],
        status: Status,
        error: Exception | None,
        because: tuple[str, str] | None,
    ) -> None:
        try:
            await cleanup()
        finally:
            self.finish(status, error=error, because=because)

    async def wait(self) -> None:
        """Wait until the turn has ended; from any loop."""
        with self._lock:
            if self._ended:
                return
            if self._awaited is None:
                self._awaited = concurrent.futures.Future()
            awaited = self._awaited
        await asyncio.shield(asyncio.wrap_future(awaited))

    async def _end(self, why: str) -> None:
        loop = self._conductor.loop
        if loop is None or loop.is_closed():
            self.finish("interrupted", because=("interrupted", "The turn was ended before it was sent."))
            return

        def end() -> None:
            if self._ended:
                return
            if self.index is None:
                self._conductor.withdraw(self)
            else:
                self._conductor.interrupt_turn(self, why)

        self._on_loop(loop, end)
        await self.wait()

    def _watch_tokens(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            if isinstance(chunk, MessageChunk) and chunk.event == "delta" and chunk.usage:
                self._output_tokens[chunk.message_id] = int(chunk.usage.get("output_tokens") or 0)
        spent, limit = sum(self._output_tokens.values()), self._max_output_tokens
        if limit is not None and spent > limit and not self._ended:
            self._max_output_tokens = None
            words = f"max_output_tokens={limit} was exceeded: {spent} tokens."
            self._conductor.interrupt_turn(self, words, "limit")

    @cached_property
    def _fold(self) -> ResponseFold:
        return ResponseFold()

    def _catch_up(self) -> None:
        while self._folded < len(self._log):
            chunks = self._log.read(self._folded, _BATCH)
            for chunk in chunks:
                self._fold.add(chunk)
            self._folded += len(chunks)

    def _forget(self) -> None:
        with self._lock:
            self._catch_up()
            self._forgotten = min((c.index for c in self._cursors), default=self._folded)
            self._log.forget(self._forgotten)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
