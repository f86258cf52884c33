"""What can be said to a turn while it runs."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from rxccsdk.errors import ControlError
from rxccsdk.session.conductor import Conductor
from rxccsdk.text.clock import on_loop
from rxccsdk.text.leave import iterate

if TYPE_CHECKING:
    from rxccsdk.session.turn import Turn

_NOT_SENT = "The turn was not sent yet: put it into its prompt."
_RECORDED = "A recording plays: it has its own messages."
_OVER = "The turn is over: send a prompt of its own."
_CANNOT_MOVE = (
    "Nothing of this call can be moved to the background: it runs as no task. A command becomes one some "
    "seconds after it has started; its TaskChunk says so."
)
_TOO_OLD = (
    "This version of the CLI does not say what becomes of a message: its answer could not be told from the "
    "turn's. CLIs from 2.1.222 on do (pip install -U claude-agent-sdk brings one)."
)


class Steered(str):
    """What became of a message: "delivered", or "queued", where it became a turn of its own.

    Attributes:
        turn: the turn that answers it.
    """

    __slots__ = ("turn",)

    turn: Turn

    def __new__(cls, outcome: Literal["delivered", "queued"], turn: Turn) -> Steered:
        steered = super().__new__(cls, outcome)
        steered.turn = turn
        return steered


class Steering:
    """What is said to a turn. Each may be called from any loop.

    Raises:
        ControlError: the turn does not run, or the CLI refuses it or is too old.
        SessionClosedError: the session is not open.
    """

    _conductor: Conductor
    index: int | None
    _ended: bool
    _holders: int

    async def steer(self, text: str) -> Steered:
        """Send a message into the running turn, and wait until it is known which turn answers it.

        The agent has it at its next model call: after the tool that runs now. A message that comes too late
        for that becomes a turn of its own, right behind this one, and so does one that still waits when the
        turn is interrupted. `PromptChunk`s say the same in the stream.

        Args:
            text: the message.

        Returns:
            "delivered" or "queued", as a `Steered`, whose `turn` is the one that answers: this one, or the
            new one.

        Raises:
            ControlError: the turn was not sent or is over; the message was taken back, as the session ended
                first; or the CLI is older than 2.1.222.
            SessionClosedError: the session is not open.
            ValueError: the message is empty.

        Example:
            async for chunk in turn:
                if isinstance(chunk, ToolUseChunk) and chunk.name == "Bash":
                    await turn.steer("Use uv instead of pip.")  # waits for the tool
        """
        if not isinstance(text, str):
            raise TypeError(f"A message is text, not {type(text).__name__}.")
        if not text.strip():
            raise ValueError("The message is empty.")
        return await on_loop(self._conductor.loop, partial(self._steer, text))

    async def to_background(self, tool_use_id: str | None = None) -> None:
        """Let the agent go on while a running command or sub-agent works in the background.

        The CLI can move what it runs as a task: a command is one after about three seconds, and a `TaskChunk`
        says so.

        Args:
            tool_use_id: its tool call; all that run where it is left out.

        Raises:
            ControlError: the turn does not run, or nothing of this call can be moved.
            SessionClosedError: the session is not open.
        """
        fields: dict[str, Any] = {} if tool_use_id is None else {"tool_use_id": tool_use_id}

        async def move() -> None:
            self._check_runs()
            answer = await self._conductor.talk.control("background_tasks", fields, _ANSWER_WITHIN)
            if answer.get("backgrounded") is False:
                raise ControlError(_CANNOT_MOVE)

        await on_loop(self._conductor.loop, move)

    async def _steer(self, text: str) -> Steered:
        self._check_runs()
        talk = self._conductor.talk
        if talk.names_prompts is None:
            await self._read_until_named()
            self._check_runs()
        if not talk.names_prompts:
            raise ControlError(_TOO_OLD)
        state, turn = await talk.steer(cast("Turn", self), text)
        return Steered(state, turn)

    def _check_runs(self) -> None:
        if self.index is None and not self._ended:
            raise ControlError(_NOT_SENT)
        if self._conductor.loop is not None and not self._conductor.talk.is_live:
            raise ControlError(_RECORDED)
        if self._ended or self._conductor.talk.turn != self.index:
            raise ControlError(_OVER)

    async def _read_until_named(self) -> None:
        """Wait for the CLI's first words: they show whether it names prompts."""
        self._holders += 1  # leaving again ends nothing
        try:
            async with aclosing(iterate(cast("Turn", self))) as chunks:
                async for _ in chunks:
                    if self._conductor.talk.names_prompts is not None:
                        return
        finally:
            self._holders -= 1


_ANSWER_WITHIN = 30.0  # seconds for the answer to a control request
