"""What goes between a session and its CLI beside prompts: control requests, and answers to the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from rxccsdk.chunks import AskChunk, Chunk, Frame
from rxccsdk.errors import ControlError, SessionClosedError
from rxccsdk.session.watching import CommandWatch
from rxccsdk.transport import Transport
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import ControlAnswer, Event, PromptSettled
from rxccsdk.wire.steering import OWN_STEER

if TYPE_CHECKING:
    from rxccsdk.session.turn import Turn

Answered = tuple[Literal["delivered", "queued"], "Turn"]
"""What became of a message sent into a turn, and the turn that answers it."""


class Talk:
    """Asks the CLI, and answers its agent, on the session's loop.

    Args:
        transport: carries the bytes.
        connection: makes them.
        deliver: takes what is put into the stream from here.
        tool_output: seconds between two questions about what running commands wrote; `None` asks none.
    """

    def __init__(
        self,
        transport: Transport,
        connection: Connection,
        deliver: Callable[[list[Event]], None],
        tool_output: float | None = None,
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._deliver = deliver
        self._watch = CommandWatch(self.control, tool_output, self._put_output) if tool_output else None
        self._waiting: dict[str, asyncio.Future[ControlAnswer]] = {}
        self._messages: dict[str, tuple[Turn, asyncio.Future[Answered]]] = {}  # sent into turns, by uuid

    async def control(self, subtype: str, fields: Mapping[str, Any], seconds: float) -> Frame:
        """Send a control request, and return the CLI's answer.

        Raises:
            ControlError: the CLI refuses it, or gives no answer within so many seconds.
            SessionClosedError: it takes no more input.
        """
        data = self._connection.control(subtype, **fields)
        request_id = self._connection.request_id
        waiting = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(data)
            async with asyncio.timeout(seconds):
                answer = await waiting
        except TimeoutError:
            raise ControlError(f"The CLI did not answer {subtype} within {seconds:g} s.") from None
        finally:
            del self._waiting[request_id]
        if answer.error is not None:
            raise ControlError(f"{subtype}: {answer.error}")
        response: Frame = answer.response
        return response

    def settle(self, answer: ControlAnswer | PromptSettled, running: Turn | None) -> None:
        """Bring an answer to whoever waits for it."""
        if isinstance(answer, PromptSettled):
            self._settle_message(answer, running)
            return
        waiting = self._waiting.get(answer.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    @property
    def turn(self) -> int | None:
        """The number of the turn that runs."""
        return self._connection.turn

    @property
    def names_prompts(self) -> bool | None:
        """Whether this CLI says what becomes of each prompt; `None` until that shows."""
        return self._connection.names_prompts

    async def steer(self, turn: Turn, text: str) -> Answered:
        """Send a message into the running turn, and wait until it is known which turn answers it.

        Raises:
            ControlError: it was taken back.
            SessionClosedError: the CLI takes no more input.
        """
        message, line, data = self._connection.steer(text)
        answered: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._messages[message] = (turn, answered)
        self._transport.record(line)
        self._transport.write(data)
        self._show(line)
        return await answered

    def _settle_message(self, event: PromptSettled, running: Turn | None) -> None:
        if event.state == "delivered" and running is not None:
            self.message_is_answered(event.uuid, running)
        elif event.uuid in self._messages:
            _, answered = self._messages.pop(event.uuid)
            if not answered.done():
                answered.set_exception(ControlError("The message was taken back before the agent had it."))

    def message_is_answered(self, uuid: str, turn: Turn) -> None:
        """Tell whoever has sent a message which turn answers it."""
        if uuid in self._messages:
            sent_into, answered = self._messages.pop(uuid)
            if not answered.done():
                answered.set_result(("delivered" if turn is sent_into else "queued", turn))

    def take_messages_back(self) -> None:
        """Ask the CLI to forget the messages that the agent does not have yet."""
        for message in self._connection.waiting_messages:
            with suppress(SessionClosedError):  # its end, which is due, will say so
                self._transport.write(self._connection.control("cancel_async_message", message_uuid=message))

    @property
    def pid(self) -> int | None:
        """The CLI's process id, where there is one."""
        return self._transport.pid

    @property
    def is_live(self) -> bool:
        """Whether a CLI is there to be talked to, and not a recording of one."""
        return self._transport.is_live

    def waits(self, ask: AskChunk) -> bool:
        """Whether a question of the agent waits for an answer that can be given."""
        try:
            return self.is_live and self._connection.what_became_of(ask.id) is None
        except KeyError:
            return False

    def answer(self, ask: AskChunk, response: Frame) -> None:
        """Answer a question of the agent.

        Raises:
            ControlError: it was answered or withdrawn, it is of another session, or a recording asks it.
            SessionClosedError: the CLI takes no more input.
        """
        try:
            decision = self._connection.what_became_of(ask.id)
        except KeyError:
            raise ControlError("This session has not asked that.") from None
        if decision is not None:
            words = {"allow": "answered before: allowed", "deny": "answered before: denied"}
            raise ControlError(f"This question was {words.get(decision, 'withdrawn: nobody waits for it')}.")
        if not self.is_live:
            raise ControlError("A recording asks this: it has its own answer.")
        line = self._connection.answer(ask.id, response)
        self._transport.write(line)
        self._show(line)

    def notice(self, kind: str, detail: str) -> None:
        """Put a notice into the running turn."""
        line = self._connection.notice(kind, detail)
        self._transport.record(line)
        self._show(line)

    def see(self, chunk: Chunk) -> None:
        """Look at a chunk: a command may begin or end with it."""
        if self._watch is not None:
            self._watch.see(chunk)

    def stop(self) -> None:
        """Ask no more of ourselves, and tell who still waits for what became of a message."""
        if self._watch is not None:
            self._watch.stop()
        while self._messages:
            _, answered = self._messages.popitem()[1]
            if not answered.done():
                answered.set_exception(ControlError("The turn was over before the message came."))

    def relay(self, frame: Frame, line: bytes) -> None:
        """Do what somebody says to the CLI from another machine: a message, an answer, a request.

        What comes too late, or was answered before, is passed over.

        Args:
            frame: the line, decoded.
            line: what was written there.
        """
        kind, connection = frame.get("type"), self._connection
        with suppress(SessionClosedError, KeyError):
            if kind == OWN_STEER and connection.turn is not None:
                _, note, data = connection.steer(str(frame.get("text")), str(frame.get("uuid")))
                self._transport.record(note)
                self._transport.write(data)
                self._show(note)
            elif kind == "control_response":
                ask_id = str((frame.get("response") or {}).get("request_id"))
                if connection.what_became_of(ask_id) is None:
                    self._transport.write(line)
                    self._show(line)
            elif kind == "control_request":
                self._transport.write(line)

    def _put_output(self, call: str, task: str, output: str, total: int, ended: bool) -> None:
        line = self._connection.tool_output(call, task, output, total, ended=ended)
        if line is not None:
            self._transport.record(line)
            self._show(line)

    def _show(self, line: bytes) -> None:
        """Put a line of our own into the stream, where it does not come back by itself."""
        if not self._transport.echoes:
            self._deliver(self._connection.put(line, self._transport.time()))
