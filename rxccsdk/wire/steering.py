"""Messages sent into a running turn: which wait, which the agent has, which become turns of their own.

The CLI says by `command_lifecycle` when it takes a message up, and its result names all that it answers. What
still waits when the result comes begins a turn of its own, right behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rxccsdk.chunks import Frame

OWN_STEER = "rxccsdk_steer"
"""The type of a line of ours that says what was sent: a recording has it among the CLI's."""

State = Literal["delivered", "cancelled"]
# A turn of the CLI's own that takes a message up says only that it is completed.
_STATES: dict[str, State] = {"started": "delivered", "completed": "delivered", "cancelled": "cancelled"}


def named_prompts(frame: Frame) -> list[Any]:
    """Return the uuids of the prompts that a frame names, whichever way it names them."""
    return frame.get("user_message_uuids") or list(filter(None, [frame.get("user_message_uuid")]))


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its uuid, and its text."""

    uuid: str
    text: str


class Steers:
    """The messages that the CLI has not taken up, in their order."""

    def __init__(self) -> None:
        self._waiting: dict[str, Message] = {}
        self._own_turn: Message | None = None  # the one that has become the running turn

    @property
    def waiting(self) -> list[str]:
        """The uuids of those that wait."""
        return list(self._waiting)

    def put(self, message: Message) -> None:
        """Note that a message is sent into the running turn."""
        self._waiting[message.uuid] = message

    def settle(self, frame: Frame) -> list[tuple[Message, State]]:
        """Return the messages whose fate a frame tells."""
        if not self._waiting:
            return []
        if frame.get("type") == "result":
            named = named_prompts(frame)
            told = {str(uuid): "started" for uuid in named} if isinstance(named, list) else {}
        elif frame.get("type") == "command_lifecycle":
            told = {str(frame.get("command_uuid")): str(frame.get("state"))}
        else:
            return []
        return [
            (self._waiting.pop(uuid), _STATES[state])
            for uuid, state in told.items()
            if state in _STATES and uuid in self._waiting
        ]

    def begin_next(self) -> Message | None:
        """Take the first that waits: the turn is over, and the message becomes the next."""
        self._own_turn = self._waiting.pop(next(iter(self._waiting))) if self._waiting else None
        return self._own_turn

    def settle_own(self, state: State) -> list[tuple[Message, State]]:
        """Return the message that has become the running turn, if that is not said yet."""
        own, self._own_turn = self._own_turn, None
        return [(own, state)] if own is not None else []

    def drop(self) -> list[tuple[Message, State]]:
        """Return all that nobody will take up any more."""
        dropped: list[tuple[Message, State]] = [(message, "cancelled") for message in self._waiting.values()]
        self._waiting.clear()
        return self.settle_own("cancelled") + dropped
