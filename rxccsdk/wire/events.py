"""What `Connection.receive` returns beside chunks."""

from __future__ import annotations

from dataclasses import dataclass

from rxccsdk.chunks import Chunk, Frame, ResultChunk
from rxccsdk.wire.steering import Message, State


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The CLI has taken up the running turn's prompt."""

    turn: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The running turn is over; no chunk of it follows.

    Attributes:
        result: its last chunk; `None` where the CLI dropped the prompt, or its result could not be read.
        because: where there is no result, the response's `error_kind` and the error in words.
        last_message: the uuid of the last message of its conversation, by which the CLI can go on from there.
        next: the message that came too late for it: the connection has begun a turn of its own for it.
    """

    turn: int
    result: ResultChunk | None
    because: tuple[str, str] | None = None
    last_message: str | None = None
    next: Message | None = None


@dataclass(frozen=True, slots=True)
class PromptSettled:
    """The agent has a message that was sent into a turn, with this uuid, or never will."""

    uuid: str
    state: State


@dataclass(frozen=True, slots=True)
class ControlAnswer:
    """The answer to a control request of ours.

    Attributes:
        request_id: the id the request was written with.
        response: what the CLI answers; empty where it refuses.
        error: why it refuses, in its words; `None` where it does not.
    """

    request_id: str
    response: Frame
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SdkFrame:
    """A control frame for the SDK: a hook, a permission, an MCP message, an answer to its own request."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class NewSessionId:
    """The session's id, at its start and after `/clear`."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Defect:
    """A line could not be read, by a defect of rxccsdk; nothing after it was."""

    error: Exception


Event = Chunk | TurnStarted | TurnEnded | PromptSettled | ControlAnswer | SdkFrame | NewSessionId | Defect
