"""The value types of the stream: what comes out of a Claude Code session, piece by piece.

Every chunk is immutable and knows where it stands: in which turn, at which place, when, from which agent
and in which message. Nothing here imports anything else of rxccsdk.
"""

from __future__ import annotations

from dataclasses import Field, field, make_dataclass
from functools import cache
from typing import Any, ClassVar, Literal

from msgspec import NODEFAULT, Struct, structs

Frame = dict[str, Any]
"""One JSON object of the CLI's output, as it came."""


class _DataclassFields:
    """Lets `dataclasses.replace`, `fields` and `asdict` work on chunks, which were dataclasses in 0.1.0."""

    def __get__(self, chunk: object, kind: type[Chunk]) -> dict[str, Field[Any]]:
        return _dataclass_fields(kind)


def _dataclass_field(info: structs.FieldInfo) -> Any:
    return field(kw_only=True) if info.default is NODEFAULT else field(kw_only=True, default=info.default)


@cache
def _dataclass_fields(kind: type[Chunk]) -> dict[str, Field[Any]]:
    shared = set(Chunk.__struct_fields__)
    infos = sorted(structs.fields(kind), key=lambda info: info.name not in shared)
    twin = make_dataclass(kind.__name__, [(info.name, Any, _dataclass_field(info)) for info in infos])
    fields: dict[str, Field[Any]] = vars(twin)["__dataclass_fields__"]
    return fields


# A chunk never refers to another chunk, so the garbage collector need not walk over those that are kept.
class Chunk(Struct, frozen=True, kw_only=True, gc=False):
    """What every chunk carries.

    Attributes:
        turn: the turn's number in its session, from 0; `None` outside any turn.
        seq: the place in its turn, from 0; outside any turn the place among those of the session.
        at: seconds since the turn's prompt was written (outside any turn: since the session opened).
        agent: `None` for the main agent, else the id of the tool call that started the sub-agent.
        message_id: the API message this belongs to, where there is one.
        raw: the frame it was made from, with `SessionOptions(keep_raw=True)`; else `None`.
    """

    turn: int | None = None
    seq: int = 0
    at: float = 0.0
    agent: str | None = None
    message_id: str | None = None
    raw: Frame | None = None

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]] = _DataclassFields()  # type: ignore[assignment]


class TextChunk(Chunk, frozen=True, gc=False):
    """A piece of assistant text. `block` numbers the turn's content blocks, across kinds and agents."""

    text: str
    block: int = 0


class ThinkingChunk(Chunk, frozen=True, gc=False):
    """A piece of thinking."""

    text: str
    block: int = 0


class ToolInputChunk(Chunk, frozen=True, gc=False):
    """A piece of a tool call's input, as JSON text. The pieces of one call join to the whole input."""

    id: str
    name: str
    partial_json: str
    block: int = 0


class ToolUseChunk(Chunk, frozen=True, gc=False):
    """A tool call, complete. Comes once for each call."""

    id: str
    name: str
    input: dict[str, Any]
    block: int = 0


class ToolProgressChunk(Chunk, frozen=True, gc=False):
    """A tool still runs. `elapsed` is in seconds; `tool_name` is there where the CLI says it."""

    tool_use_id: str
    elapsed: float
    tool_name: str | None = None


class ToolOutputChunk(Chunk, frozen=True, gc=False):
    """What a running command wrote, with `SessionOptions(tool_output=...)`.

    Attributes:
        tool_use_id: the call that started the command.
        task_id: the task the CLI runs it as.
        text: what it wrote.
        offset: where the text begins in the command's output, in bytes.
        skipped: bytes before it that the CLI no longer had.
    """

    tool_use_id: str
    task_id: str
    text: str
    offset: int = 0
    skipped: int = 0


class ToolResultChunk(Chunk, frozen=True, gc=False):
    """What a tool gave back. `content` is as the API spells it: text or a list of content blocks;
    `structured` is the CLI's own `tool_use_result`, where it gave one."""

    tool_use_id: str
    content: Any
    is_error: bool = False
    structured: Any = None


# What this library does not know is no end: a task that goes on must not be taken for gone.
TASK_ENDS = frozenset(
    ("completed", "failed", "killed", "stopped", "cancelled", "canceled", "error", "timeout", "timed_out")
)
"""How a task can have ended."""


class TaskChunk(Chunk, frozen=True, gc=False):
    """An agent or a command as a task.

    Attributes:
        task_id: the task.
        tool_use_id: the call that started it.
        status: "started", "progress", "updated", "paused", or how it ended.
        usage: what it has used so far.
        description: what it is to do; in progress, what it does now.
        summary: what came of it, in words.
        last_tool: the tool it used last.
        kind: what sort of task it is, as the CLI names it ("local_agent", "local_bash", ...).
        background: whether it runs in the background; `None` where the frame does not say.
        output_file: the file its output goes to.
    """

    task_id: str
    tool_use_id: str | None
    status: str
    usage: dict[str, Any] | None = None
    description: str | None = None
    summary: str | None = None
    last_tool: str | None = None
    kind: str | None = None
    background: bool | None = None
    output_file: str | None = None


class AskChunk(Chunk, frozen=True, gc=False):
    """The agent asks its user, with `SessionOptions(ask="stream")`, and waits for `session.answer`.

    Attributes:
        id: names the question in its `DecisionChunk`.
        kind: "permission" to use a tool, "question" (`AskUserQuestion`) or "plan" (`ExitPlanMode`).
        tool_name: the tool that waits.
        tool_use_id: its call.
        input: the call's input; of a question its `questions`, of a plan its `plan`.
        suggestions: rules the CLI suggests to remember, for `Allow(remember=...)`.
    """

    id: str
    kind: Literal["permission", "question", "plan"]
    tool_name: str
    tool_use_id: str | None
    input: dict[str, Any]
    suggestions: tuple[dict[str, Any], ...] = ()


class DecisionChunk(Chunk, frozen=True, gc=False):
    """What became of an `AskChunk`: one follows each. `detail` says it in words, or has the answers."""

    ask_id: str
    decision: Literal["allow", "deny", "withdrawn"]
    detail: str | None = None


class PromptChunk(Chunk, frozen=True, gc=False):
    """What becomes of a message that was sent into a running turn with `turn.steer`."""

    uuid: str
    text: str
    state: Literal["queued", "delivered", "cancelled"]


class LimitChunk(Chunk, frozen=True, gc=False):
    """Where the account's rate limits stand.

    Attributes:
        kind: which limit ("five_hour", "seven_day", ...).
        status: "allowed", "allowed_warning" or "rejected".
        resets_at: when it is lifted, in seconds since the epoch.
        utilization: how much of it is used, from 0 to 1.
    """

    kind: str
    status: str
    resets_at: float | None = None
    utilization: float | None = None


class HookChunk(Chunk, frozen=True, gc=False):
    """A hook ran, where the SDK's options ask for hook events.

    Attributes:
        event: what it is a hook of ("PreToolUse", ...).
        name: the hook's name.
        phase: "started", "progress" or "finished".
        outcome: "success", "error" or "cancelled"; `None` before it finished.
        output: what it wrote.
    """

    event: str
    name: str
    phase: str
    outcome: str | None = None
    output: str = ""


class CompactChunk(Chunk, frozen=True, gc=False):
    """The conversation was compacted. `trigger` is "manual" or "auto"; `tokens_before` its size before."""

    trigger: str
    tokens_before: int | None = None


class MessageChunk(Chunk, frozen=True, gc=False):
    """The frame around the blocks of a streamed message: it starts, its usage is reported, it stops."""

    event: Literal["start", "delta", "stop"]
    model: str | None = None
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None


class UserChunk(Chunk, frozen=True, gc=False):
    """A user message the CLI shows. `synthetic` is true where the CLI wrote it, not a person."""

    text: str
    synthetic: bool = False
    uuid: str | None = None


class SystemChunk(Chunk, frozen=True, gc=False):
    """What the CLI reports of itself: `init`, `status`, `api_retry`, ... `data` is the frame."""

    subtype: str
    data: Frame


class RetractedChunk(Chunk, frozen=True, gc=False):
    """These blocks do not stand: the API's stream broke off before the CLI had them whole.

    Attributes:
        blocks: the numbers of the abandoned blocks.
        tool_ids: the tool calls among them, whose input never completes.
        replaced: whether a new version follows.
    """

    blocks: tuple[int, ...]
    tool_ids: tuple[str, ...] = ()
    replaced: bool = False


class NoticeChunk(Chunk, frozen=True, gc=False):
    """Not the agent's words: `api_error` (an API error the CLI dresses as an assistant message), `stall`,
    `interrupt` or `limit`. `detail` says it in words."""

    kind: str
    detail: str


class ResultChunk(Chunk, frozen=True, gc=False):
    """How the turn ended; the last chunk of every turn whose result arrived.

    `total_cost_usd` counts over the session, `cost_usd` is this turn's share (`None` where its base is not
    known), and so is `model_usage`, with sub-agents. `is_error` is true where any field says so. What the CLI
    did not say is `None`.
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
    structured: Any = None
    api_error_status: int | None = None
    ttft_ms: int | None = None
    uuid: str | None = None


class UnknownChunk(Chunk, frozen=True, gc=False):
    """A frame or content block this version does not model: never dropped, never fatal."""

    type: str
    frame: Frame
