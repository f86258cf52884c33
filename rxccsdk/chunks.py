"""The value types of the stream: what a Claude Code session says, piece by piece.

Every chunk is immutable and knows where it stands: in which turn, at which place, when, from which agent
and in which message. Nothing here imports anything else of rxccsdk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, Literal, TypeVar

Frame = dict[str, Any]
"""One JSON object of the CLI's output, as it came."""

_C = TypeVar("_C", bound="Chunk")
_P = TypeVar("_P", "TextChunk", "ThinkingChunk")


def _nothing() -> Any:
    return None


def _zero() -> Any:
    return 0


# Defaults come from factories because a plain default would become a class attribute, which cannot share
# its name with a slot; and the base has no slots of its own so that each class is one flat object.
@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What every chunk carries.

    Attributes:
        turn: the turn's number in its session, from 0; `None` outside any turn.
        seq: the place in its turn, from 0; outside any turn the place among those of the session.
        at: seconds since the turn's prompt was written (outside any turn: since the session opened).
        agent: `None` for the main agent, else the id of the tool call that started the sub-agent.
        message_id: the API message this belongs to, where there is one.
        raw: the frame it was made from, with `SessionOptions(keep_raw=True)`; else `None`.
    """

    __slots__ = ()

    turn: int | None = field(default_factory=_nothing)
    seq: int = field(default_factory=_zero)
    at: float = field(default_factory=_zero)
    agent: str | None = field(default_factory=_nothing)
    message_id: str | None = field(default_factory=_nothing)
    raw: Frame | None = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class TextChunk(Chunk):
    """A piece of assistant text. `block` numbers the turn's content blocks, across kinds and agents."""

    text: str
    block: int = 0


@dataclass(frozen=True, slots=True)
class ThinkingChunk(Chunk):
    """A piece of thinking."""

    text: str
    block: int = 0


@dataclass(frozen=True, slots=True)
class ToolInputChunk(Chunk):
    """A piece of a tool call's input, as JSON text. The pieces of one call join to the whole input."""

    id: str
    name: str
    partial_json: str
    block: int = 0


@dataclass(frozen=True, slots=True)
class ToolUseChunk(Chunk):
    """A tool call, complete. Comes once for each call."""

    id: str
    name: str
    input: dict[str, Any]
    block: int = 0


@dataclass(frozen=True, slots=True)
class ToolProgressChunk(Chunk):
    """A tool still runs. `elapsed` is in seconds."""

    tool_use_id: str
    elapsed: float


@dataclass(frozen=True, slots=True)
class ToolResultChunk(Chunk):
    """What a tool gave back. `content` is as the API spells it: text or a list of content blocks;
    `structured` is the CLI's own `tool_use_result`, where it gave one."""

    tool_use_id: str
    content: Any
    is_error: bool = False
    structured: Any = None


@dataclass(frozen=True, slots=True)
class TaskChunk(Chunk):
    """A background agent or command: `status` is "started", "progress", or how it ended."""

    task_id: str
    tool_use_id: str | None
    status: str
    usage: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MessageChunk(Chunk):
    """The frame around the blocks of a streamed message: it starts, its usage is told, it stops."""

    event: Literal["start", "delta", "stop"]
    model: str | None = None
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class UserChunk(Chunk):
    """A user message the CLI shows. `synthetic` is true where the CLI wrote it, not a person."""

    text: str
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class SystemChunk(Chunk):
    """What the CLI says about itself: `init`, `status`, `api_retry`, ... `data` is the frame."""

    subtype: str
    data: Frame


@dataclass(frozen=True, slots=True)
class RetractedChunk(Chunk):
    """These blocks do not stand: the API's stream broke off before the CLI had them whole.

    Attributes:
        blocks: the numbers of the abandoned blocks.
        tool_ids: the tool calls among them, whose input never completes.
        replaced: whether a new version follows.
    """

    blocks: tuple[int, ...]
    tool_ids: tuple[str, ...] = ()
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class NoticeChunk(Chunk):
    """Not the agent's words: `api_error` (an API error the CLI dresses as an assistant message), `stall`,
    `interrupt` or `limit`. `detail` says it in words."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class ResultChunk(Chunk):
    """How the turn ended; the last chunk of every turn whose result arrived.

    `total_cost_usd` counts over the session, `cost_usd` is this turn's share (`None` where its base is not
    known). What the CLI did not say is `None`.
    """

    subtype: str
    is_error: bool
    result: str | None = None
    errors: tuple[str, ...] = ()
    terminal_reason: str | None = None
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None
    model_usage: dict[str, Any] | None = None
    total_cost_usd: float | None = None
    cost_usd: float | None = None
    duration_ms: int | None = None
    num_turns: int | None = None
    session_id: str | None = None
    permission_denials: tuple[dict[str, Any], ...] = ()
    origin: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class UnknownChunk(Chunk):
    """A frame or content block this version does not model: never dropped, never fatal."""

    type: str
    frame: Frame


class Stretch(list[Any]):
    """Pieces of one block that follow each other: they differ in their words, `seq` and `at` only.

    What is asked of one of them holds for all. Where chunks arrive, fewer than `LEAST` are not worth being
    told apart.
    """

    LEAST = 16


def quick_constructor(cls: type[_C]) -> Callable[..., _C]:
    """Make a constructor for a chunk class that costs a third of the class's own.

    A frozen dataclass pays `object.__setattr__` for every field: 1.2 microseconds a chunk, as much as
    decoding its JSON. The constructor fills an unfrozen twin with the same slots, then hands it to the
    frozen class. For the classes that come by the ten thousand.

    Args:
        cls: a chunk class.

    Returns:
        A function of all the class's fields, by position, in the order of `dataclasses.fields`.
    """
    names = [f.name for f in fields(cls)]
    twin = _unfrozen(cls, vars(make_dataclass(cls.__name__, names))["__init__"])

    def construct(*values: Any) -> _C:
        chunk = twin(*values)
        chunk.__class__ = cls
        return chunk  # type: ignore[no-any-return]

    return construct


def run_constructor(cls: type[_P]) -> Callable[..., list[_P]]:
    """Make a constructor for a run of text or thinking chunks that differ in nothing but text and place.

    What `quick_constructor` does, with the fields filled in the loop: a third less for each chunk.

    Args:
        cls: `TextChunk` or `ThinkingChunk`.

    Returns:
        A function of the texts and of the first chunk's other fields, in their order. `seq` counts up.
    """
    twin = _unfrozen(cls, object.__init__)

    def construct(
        texts: Iterable[str],
        turn: int | None,
        seq: int,
        at: float,
        agent: str | None,
        message_id: str | None,
        raw: Frame | None,
        block: int,
    ) -> list[_P]:
        chunks = []
        for place, text in enumerate(texts, seq):
            chunk = twin()
            chunk.turn = turn
            chunk.seq = place
            chunk.at = at
            chunk.agent = agent
            chunk.message_id = message_id
            chunk.raw = raw
            chunk.text = text
            chunk.block = block
            chunk.__class__ = cls
            chunks.append(chunk)
        return chunks

    return construct


def _unfrozen(cls: type[Chunk], init: Callable[..., None]) -> Any:
    """A class with the same slots whose instances can be filled, and then made instances of `cls`."""
    return type(
        cls.__name__,
        (Chunk,),
        {
            "__slots__": [f.name for f in fields(cls)],
            "__init__": init,
            "__setattr__": object.__setattr__,
            "__delattr__": object.__delattr__,  # both, or CPython takes the slow way for either
        },
    )
