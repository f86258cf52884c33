"""What `Connection.receive` returns beside chunks."""

from __future__ import annotations

from dataclasses import dataclass

from rxccsdk.chunks import Chunk, Frame, ResultChunk
from rxccsdk.wire.steering import Message, State


@dataclass(slots=True)
class Mark:
    """Where a turn ended in its conversation: the CLI can go on from there.

    Attributes:
        session_id: the session whose conversation that is; `None` until a message of it has come.
        message: the uuid of the turn's last message; `None` until then.
        is_lost: the conversation was compacted since; the CLI knows a summary in its place.
    """

    session_id: str | None = None
    message: str | None = None
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The CLI has taken up the running turn's prompt."""

    turn: int


@dataclass(frozen=True, slots=True)
class TurnInterrupted:
    """The running turn was interrupted: that is why it ends, even where the CLI does not say so."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The running turn is over; no chunk of it follows.

    Attributes:
        result: its last chunk; `None` where the CLI dropped the prompt, or its result could not be read.
        because: where there is no result, the response's `error_kind` and the error in words.
        mark: where it ended in its conversation.
        next: the message that came too late for it: the connection has begun a turn of its own for it.
    """

    turn: int
    result: ResultChunk | None
    because: tuple[str, str] | None
    mark: Mark
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


_Turn = TurnStarted | TurnInterrupted | TurnEnded
Event = Chunk | _Turn | PromptSettled | ControlAnswer | SdkFrame | NewSessionId | Defect
