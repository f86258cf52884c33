"""What goes between a session and its CLI beside prompts: control requests, and answers to the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from rxccsdk.chunks import AskChunk, Chunk, Frame
from rxccsdk.errors import ControlError
from rxccsdk.session.watching import CommandWatch
from rxccsdk.transport import Transport
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import ControlAnswer, Event


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
        self._watch = CommandWatch(self.control, tool_output, self._show) if tool_output else None
        self._waiting: dict[str, asyncio.Future[ControlAnswer]] = {}

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

    def settle(self, answer: ControlAnswer) -> None:
        """Bring an answer to whoever waits for it."""
        waiting = self._waiting.get(answer.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

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
        self._transport.write(self._connection.answer(ask.id, response))
        self._deliver([self._connection.decide(ask.id, response, now=self._transport.time())])

    def see(self, chunk: Chunk) -> None:
        """Look at a chunk: a command may begin or end with it."""
        if self._watch is not None:
            self._watch.see(chunk)

    def stop(self) -> None:
        """Ask no more of ourselves."""
        if self._watch is not None:
            self._watch.stop()

    def _show(self, call: str, task: str, output: str, total: int, ended: bool) -> None:
        now = self._transport.time()
        made = self._connection.tool_output(call, task, output, total, ended=ended, now=now)
        if made is not None:
            self._transport.record(made[0])
            self._deliver(made[1])
