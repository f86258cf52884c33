"""Turns over a transport, one after the other: prompts out, events in, endings."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from uuid import uuid4
from weakref import WeakSet

from rxccsdk.chunks import Chunk, ResultChunk
from rxccsdk.errors import RxccError, SessionClosedError, SessionCrashedError
from rxccsdk.session.ending import Ending
from rxccsdk.session.failure import bad_start, copied, not_sent
from rxccsdk.session.hot import HotChunks
from rxccsdk.session.interruption import Interruption
from rxccsdk.session.talk import Talk
from rxccsdk.session.turn import NEVER_SENT, Turn
from rxccsdk.transport import Cut, Exit, Transport
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import (
    ControlAnswer,
    Defect,
    Event,
    NewSessionId,
    PromptSettled,
    SdkFrame,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from rxccsdk.wire.steering import Message

_log = logging.getLogger("rxccsdk")

_CLOSED = "The session was closed before this prompt was sent."


class Exchange:
    """What goes on between a session and its CLI. It is the `Conductor` of the session's turns.

    Args:
        interrupt_timeout: seconds the CLI may take to answer an interrupt before it is ended.

    Attributes:
        chunks: every chunk as it arrives.
        loop: the one it was opened on.
        session_id: the newest one that the CLI has named.
        exit: how the CLI ended, if it has.
        prompts: the uuids of the prompts, by the numbers of their turns.
    """

    def __init__(self, interrupt_timeout: float) -> None:
        self.chunks = HotChunks(lambda: self.talk)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.session_id: str | None = None
        self.exit: Exit | None = None
        self.prompts: list[str] = []
        self._interruption = Interruption(interrupt_timeout)
        self._transport: Transport
        self._connection: Connection
        self._queue: deque[Turn] = deque()
        self._running: Turn | None = None
        self._turns: WeakSet[Turn] = WeakSet()
        self._events: deque[Event] = deque()  # that wait while one is dispatched
        self._dispatching = False
        self._arrived: list[Chunk] = []  # for the running turn, in this read
        self._talk: Talk | None = None
        self._see: Callable[[Chunk], None] | None = None  # looks at each chunk before it is delivered
        self._ending = Ending(self._close)
        self._last_result_failed = False
        self._outside_result: ResultChunk | None = None  # explains a bad start

    # -- for the session ----------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and neither closed nor lost its CLI."""
        return self.loop is not None and not self._ending.has_begun and self.exit is None

    @property
    def has_closed(self) -> bool:
        """Whether somebody has begun to close it."""
        return self._ending.has_begun

    async def open(self, transport: Transport, connection: Connection, every: float | None = None) -> None:
        """Open the transport, and talk over it from now on.

        Args:
            transport: carries the bytes.
            connection: makes events of them.
            every: seconds between two questions about what running commands wrote; `None` asks none.

        Raises:
            RxccError: it cannot be opened. Nothing is left behind.
        """
        self.loop = asyncio.get_running_loop()
        self._transport, self._connection = transport, connection
        self._interruption.open(transport, connection.interrupt)
        self._talk = Talk(transport, connection, self._dispatch, every)
        self._see = self._talk.see if every is not None else None
        await self._ending.arm()
        try:
            await transport.open(self.receive, self._lose)
            connection.takes_asks = transport.takes_asks
        except BaseException:
            await self.close()
            if self.exit is not None and self._outside_result is not None:
                raise bad_start(self.exit, self._outside_result) from None
            raise
        self.session_id = transport.session_id or self.session_id

    async def close(self) -> None:
        """Interrupt the running turn, end the CLI and all it started. Bounded, whatever they do.

        It is done once, in a task of its own, however many call it and are cancelled meanwhile.
        """
        if self.loop is not None and not self.loop.is_closed():
            await asyncio.shield(self._ending.begin())

    def close_soon(self) -> None:
        """Begin to close, from any thread, if the loop still runs."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._ending.begin)

    async def interrupt(self) -> None:
        """Stop what the agent does; return when the running turn has ended."""
        if (running := self._running) is not None:
            self.interrupt_turn(running, "session.interrupt() was called")
            await running.wait()
        elif self.is_open and self._connection.has_background_work:
            self._interruption.write()

    @property
    def talk(self) -> Talk:
        """What goes on beside prompts.

        Raises:
            SessionClosedError: the session is not open.
        """
        if self._talk is None or not self.is_open:
            raise SessionClosedError("The session is not open: its CLI cannot be talked to.")
        return self._talk

    # -- for turns (see conductor.Conductor) --------------------------------------------------------------

    def enqueue(self, turn: Turn) -> None:
        """Write the turn's prompt as soon as the turns before it are over."""
        if self.loop is None or self._ending.has_begun:
            error = SessionClosedError("The session is closed.")
            turn._finish("failed", error=error, because=("closed", str(error)))
        elif self.exit is not None:
            self._fail_unsent(turn, self.exit)
        else:
            self._turns.add(turn)
            self._queue.append(turn)
            self._send_later()

    def withdraw(self, turn: Turn) -> None:
        """Take back a turn whose prompt was not written: it never is."""
        if turn in self._queue:
            self._queue.remove(turn)
        turn._finish("interrupted", because=("interrupted", NEVER_SENT))

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        """Note in the turn why it is stopped, and stop it."""
        if turn is not self._running or self._interruption.is_under_way:
            return
        if self._connection.turn != turn.index:
            return  # its result is being delivered: leaving at it is not leaving early
        self._interruption.begin()
        if self._talk is not None:
            self._talk.notice(kind, why)

    # -- prompts out --------------------------------------------------------------------------------------

    def _send_later(self) -> None:
        # Not at once: a subscriber that leaves in the same breath has sent nothing.
        self._call_later(0, self._send_next)

    def _send_next(self) -> None:
        if self._running is not None or not (self._queue and self.is_open and self._connection.is_ready):
            return
        turn = self._queue.popleft()
        try:
            prompt_id = self._transport.prompt_id(turn.prompt) or str(uuid4())
            data = self._connection.prompt(turn.prompt, now=self._transport.time(), id=prompt_id)
            self._running = turn
            assert self._connection.turn is not None
            turn._begin(self._connection.turn, lambda: self._transport.backend, prompt_id)
            self.prompts.append(prompt_id)
            self._transport.write(data)
        except Exception as error:
            self._running = None
            self._connection.abandon()
            if not isinstance(error, RxccError):
                _log.error("sending a prompt failed", exc_info=error)
                error = SessionCrashedError(f"The prompt could not be sent: {error!r}")
            turn._finish("failed", error=error, because=("closed", str(error)))
            self._send_later()

    # -- events in ----------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take one read."""
        if self.exit is None:
            self._dispatch(self._connection.receive(data, self._transport.time()))

    def _dispatch(self, events: list[Event]) -> None:
        """Deliver events in order; what a subscriber causes while one is delivered comes after them."""
        self._events.extend(events)
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while self._events or self._arrived:
                while self._events:
                    event = self._events.popleft()
                    if not isinstance(event, Chunk):
                        self._note(event)
                        continue
                    if self._see is not None:
                        self._see(event)
                    if event.turn is not None:
                        self._arrived.append(event)
                    elif isinstance(event, ResultChunk):
                        self._outside_result = event
                    if self.chunks._sinks:
                        self.chunks._send(event)
                arrived, self._arrived = self._arrived, []
                if arrived and self._running is not None:
                    self._running._push(arrived)
        except Exception as error:
            self._fail(error)
        finally:
            self._dispatching = False
        if self._queue and self._connection.is_ready:
            self._send_later()

    def _note(self, event: Event) -> None:
        if isinstance(event, TurnEnded):
            self._end_turn(event)
        elif isinstance(event, TurnStarted | TurnInterrupted):
            self._interruption.see(event)
        elif isinstance(event, SdkFrame):
            self._transport.hand_to_sdk(event.frame)
        elif isinstance(event, ControlAnswer | PromptSettled):
            assert self._talk is not None, "only what was opened receives anything"
            self._talk.settle(event, self._running)
        elif isinstance(event, NewSessionId):
            self.session_id = event.session_id
        elif isinstance(event, Defect):
            self._fail(event.error)

    def _end_turn(self, event: TurnEnded) -> None:
        turn, self._running = self._running, None
        arrived, self._arrived = self._arrived, []
        interrupted = self._interruption.end()
        assert turn is not None, "only a turn that was begun ends"
        turn._mark, result = event.mark, event.result
        if result is not None:
            aborted = (result.terminal_reason or "").startswith("aborted")
            stopped = aborted or (interrupted and result.is_error)
            self._last_result_failed = result.is_error
            turn._finish("interrupted" if stopped else "completed", arrived)
        else:
            stopped = event.because is not None and event.because[0] == "interrupted"
            turn._finish("interrupted" if stopped else "completed", arrived, because=event.because)
        if event.next is not None:
            self._follow(turn, event.next, event.turn + 1)
        self._send_later()

    def _follow(self, turn: Turn, message: Message, index: int) -> None:
        """Go on with the turn that a message has become. It may be over, by what came in the same read."""
        follower = self._running = turn._followed_by(message.text)
        self._turns.add(follower)
        follower._begin(index, lambda: self._transport.backend, message.uuid)
        self.prompts.append(message.uuid)
        if self._talk is not None:
            self._talk.message_is_answered(message.uuid, follower)

    @property
    def warnings(self) -> list[str]:
        """What went wrong beside the turns, in words."""
        return self._transport.warnings if self.loop is not None else []

    def _call_later(self, seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        assert self.loop is not None, "only what was opened waits for anything"
        return self.loop.call_later(seconds, action)

    # -- endings ------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        """End everything, in order: queued turns, the running one, the CLI, what is yet to be read."""
        try:
            while self._queue:
                error = SessionClosedError(_CLOSED)
                self._queue.popleft()._finish("failed", error=error, because=("closed", _CLOSED))
            if self._running is None and self._connection.has_background_work:
                self._interruption.write()
            if self._running is not None and self._talk is not None:
                self._talk.take_messages_back()
            while (running := self._running) is not None:  # a message may have become another one
                self.interrupt_turn(running, "the session was closed")
                await running.wait()
            await self._interruption.wait()
        finally:
            if self._talk is not None:
                self._talk.stop()
            await self._transport.close()
            while any(turn._is_lagging for turn in self._turns):  # noqa: ASYNC110
                await asyncio.sleep(0)  # then each reads a slice
            self.chunks._end()

    def _fail(self, error: Exception) -> None:
        """End what runs: a defect of ours keeps us from going on."""
        _log.error("reading the CLI's output failed; the session ends", exc_info=error)
        words = f"Reading the CLI's output failed: {error!r}. This is a defect of rxccsdk."
        self._call_later(0, lambda: self._lose(Exit(words)))

    def _lose(self, exit: Exit) -> None:
        """End what runs: the CLI is gone, or its output is."""
        if self.exit is not None:
            return
        self.exit = exit
        self._dispatch(self._connection.end(self._transport.time()))
        turn, self._running = self._running, None
        interrupted = self._interruption.end()
        crash = SessionCrashedError(exit.describe(), exit_code=exit.code, stderr=exit.stderr)
        if turn is not None and interrupted and not isinstance(exit, Cut):
            turn._finish("interrupted", because=("interrupted", exit.describe()))
        elif turn is not None:
            turn._finish("failed", error=crash, because=(exit.kind, exit.describe()))
        while self._queue:
            self._fail_unsent(self._queue.popleft(), exit)
        # It may live on, of no use to anybody; and so may what it started, though nobody closes the session.
        self._interruption.terminate(exit)
        expected = self._ending.has_begun or interrupted
        if expected or (self._last_result_failed and exit.code == 1):
            self.chunks._end()
        else:
            self.chunks._end(copied(crash))

    def _fail_unsent(self, turn: Turn, exit: Exit) -> None:
        error = not_sent(exit)
        turn._finish("failed", error=error, because=("closed", str(error.args[0])))
