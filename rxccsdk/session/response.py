"""What a turn came to: its text, its tools and its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, computed_field, model_validator

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TextChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.session.prose import Prose
from rxccsdk.session.stretch import Alike, text_of

# The fold makes them without validating, so their validators are built only where somebody validates:
# building them was most of what importing this package cost.
_ON_USE = ConfigDict(defer_build=True)


class ResponseMetadata(BaseModel):
    """The figures of a turn. What the CLI did not say is `None`.

    Readable as attributes, as `metadata["name"]` and as `metadata.get("name")`.
    """

    model_config = ConfigDict(defer_build=True, protected_namespaces=())

    session_id: str | None = None
    total_cost_usd: float | None = None
    cost_usd: float | None = None
    duration_ms: int | None = None
    num_turns: int | None = None
    usage: dict[str, Any] | None = None
    model_usage: dict[str, Any] | None = None
    model: str | None = None
    backend: str | None = None
    subtype: str | None = None
    stop_reason: str | None = None
    terminal_reason: str | None = None
    permission_denials: list[dict[str, Any]] = Field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Give a figure, or `default` where there is no such figure or the CLI did not tell it."""
        value = getattr(self, name) if name in type(self).model_fields else None
        return default if value is None else value


class ToolUse(BaseModel):
    """A tool call and what came of it. `seconds` is from the call to its result."""

    model_config = _ON_USE

    id: str
    name: str
    input: dict[str, Any]
    agent: str | None = None
    result: Any = None
    is_error: bool = False
    finished: bool = False
    seconds: float | None = None


class SessionResponse(BaseModel):
    """A turn, reduced.

    Attributes:
        content: the main agent's text, a blank line between blocks; only what stood.
        metadata: the figures.
        error: `None`, or in words why the turn did not succeed.
        error_kind: `None`, "interrupted", "max_turns", "budget", "max_output_tokens", "api", "crashed",
            "closed", "stall" or "execution".
        tool_uses: the tool calls in order, sub-agents' ones too, with their results.
        warnings: what went wrong beside the answer, denied tools among it.
    """

    model_config = _ON_USE

    metadata: ResponseMetadata = Field(default_factory=ResponseMetadata)
    error: str | None = None
    error_kind: str | None = None
    tool_uses: list[ToolUse] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    _pieces: Iterable[str] = ()

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def content(self) -> str:
        """The main agent's text, joined when it is first read."""
        return "".join(self._pieces)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def success(self) -> bool:
        """Whether the turn ended well."""
        return self.error is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SessionResponse):
            return NotImplemented
        return self.model_dump() == other.model_dump()  # however the content is held

    @model_validator(mode="wrap")
    @classmethod
    def _accept_content(
        cls, data: Any, handler: ModelWrapValidatorHandler[SessionResponse]
    ) -> SessionResponse:
        """Let a dumped response be read again: `content` is computed, so it is no field of its own."""
        response = handler(data)
        if isinstance(data, dict) and isinstance(data.get("content"), str):
            response._pieces = (data["content"],)
        return response


_JOIN_AT = 4096  # pieces of a block that wait to be joined: a short piece takes ten times its text


class _Block:
    """The text of a content block. `joins`: no blank line before it."""

    __slots__ = ("joins", "number", "pieces", "wait_from")

    def __init__(self, number: int, joins: bool) -> None:
        self.number = number
        self.joins = joins
        self.pieces: list[str] = []
        self.wait_from = 0  # the pieces before it are joined ones

    def join_pieces(self) -> None:
        # A new list: snapshots of the old one keep what they saw.
        self.pieces = [*self.pieces[: self.wait_from], "".join(self.pieces[self.wait_from :])]
        self.wait_from = len(self.pieces)


class _Content:
    """The text of some blocks, the last of which may still grow: a snapshot that copies nothing."""

    def __init__(self, blocks: list[_Block]) -> None:
        self._blocks = blocks
        self._count = len(blocks)
        self._last = blocks[-1].pieces if blocks else []
        self._last_count = len(self._last)

    def __iter__(self) -> Iterator[str]:
        for place, block in enumerate(islice(self._blocks, self._count)):
            if place and not block.joins:
                yield "\n\n"
            if place == self._count - 1:
                yield from islice(self._last, self._last_count)
            else:
                yield from block.pieces


class ResponseFold:
    """Reduces the chunks of a turn, one by one, to a response. Linear in the chunks.

    Attributes:
        backend: what `metadata.backend` is to say.
        stopped: once the turn was told to stop, how it ends if no result follows; as `ended` in `response`.
    """

    def __init__(self) -> None:
        self.backend: str | None = None
        self._prose = Prose()
        self._blocks: list[_Block] = []
        self._block = -1  # the last one's number, where it goes on
        self._pieces: list[str] = []  # the last one's
        self._full = _JOIN_AT  # how many of them there may be
        self._tools: dict[str, ToolUse] = {}
        self._called_at: dict[str, float] = {}
        self._usage: dict[str | None, dict[str, Any]] = {}
        self._model: str | None = None
        self._session_id: str | None = None
        self._api_error: str | None = None
        self._limit: str | None = None
        self.stopped: tuple[str, str] | None = None
        self._result: ResultChunk | None = None

    def flow(self, chunks: Iterable[Chunk]) -> tuple[()]:
        """Take the chunks of a burst; nothing is given on."""
        coming = iter(chunks)
        if isinstance(chunks, Alike) and isinstance(chunks.first, TextChunk) and chunks.first.agent is None:
            for chunk in islice(coming, 1):
                self.add(chunk)
                self._pieces.extend(map(text_of, coming))
        block, pieces = self._block, self._pieces
        for chunk in coming:
            if type(chunk) is TextChunk and chunk.agent is None and chunk.block == block:
                pieces.append(chunk.text)
            else:
                self.add(chunk)
                block, pieces = self._block, self._pieces
        if len(pieces) >= self._full:
            self._join_pieces()
        return ()

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        if isinstance(chunk, TextChunk):
            if chunk.agent is None:
                if chunk.block != self._block:
                    self._begin_block(chunk)
                self._pieces.append(chunk.text)
                if len(self._pieces) == self._full:
                    self._join_pieces()
            return
        self._prose.pass_over(chunk)
        note = _NOTES.get(type(chunk))
        if note is not None:
            note(self, chunk)

    def response(self, *, ended: tuple[str, str] | None = None) -> SessionResponse:
        """Give the response so far.

        Args:
            ended: for a turn that ended without a result: the error kind, and the error in words.
        """
        result = self._result
        kind, error = self._error(result) if result is not None else ended or (None, None)
        pieces: Iterable[str] = _Content(self._blocks)
        if result is not None and not result.is_error and not self._blocks and result.result:
            pieces = (result.result,)
        response = SessionResponse.model_construct(
            metadata=self._metadata(result),
            error=error,
            error_kind=kind,
            tool_uses=list(self._tools.values()),
            warnings=[_denial(denial) for denial in (result.permission_denials if result else ())],
        )
        response._pieces = pieces
        return response

    def _begin_block(self, chunk: TextChunk) -> None:
        if self._blocks and len(self._blocks[-1].pieces) > 1:
            self._blocks[-1].join_pieces()
        block = _Block(chunk.block, self._prose.joins(chunk))
        self._blocks.append(block)
        self._block, self._pieces, self._full = block.number, block.pieces, _JOIN_AT

    def _join_pieces(self) -> None:
        block = self._blocks[-1]
        block.join_pieces()
        self._pieces, self._full = block.pieces, block.wait_from + _JOIN_AT

    def _message(self, chunk: MessageChunk) -> None:
        if chunk.agent is None:
            self._model = chunk.model or self._model
            self._usage.setdefault(chunk.message_id, {}).update(chunk.usage or {})

    def _notice(self, chunk: NoticeChunk) -> None:
        if chunk.kind == "api_error":
            self._api_error = chunk.detail
        elif chunk.kind == "limit":
            self._limit = chunk.detail
        if chunk.kind in ("interrupt", "limit"):
            self.stopped = ("interrupted", chunk.detail)

    def _system(self, chunk: SystemChunk) -> None:
        if chunk.subtype == "init":
            self._session_id = chunk.data.get("session_id")
            self._model = self._model or chunk.data.get("model")

    def _end(self, chunk: ResultChunk) -> None:
        self._result = chunk

    def _tool_use(self, chunk: ToolUseChunk) -> None:
        tool = ToolUse.model_construct(id=chunk.id, name=chunk.name, input=chunk.input, agent=chunk.agent)
        self._tools[chunk.id], self._called_at[chunk.id] = tool, chunk.at

    def _retract(self, chunk: RetractedChunk) -> None:
        if any(block.number in chunk.blocks for block in self._blocks):
            # A new list: snapshots of the old one keep what they saw.
            self._blocks = [block for block in self._blocks if block.number not in chunk.blocks]
            self._block, self._pieces = -1, []

    def _tool_result(self, chunk: ToolResultChunk) -> None:
        tool = self._tools.get(chunk.tool_use_id)
        if tool is not None:
            seconds = chunk.at - self._called_at[chunk.tool_use_id]
            news = {"result": chunk.content, "is_error": chunk.is_error, "finished": True, "seconds": seconds}
            # A new object: earlier snapshots keep what they saw.
            self._tools[chunk.tool_use_id] = tool.model_copy(update=news)

    def _error(self, result: ResultChunk) -> tuple[str | None, str | None]:
        if self._limit is not None:
            return "max_output_tokens", self._limit
        if not result.is_error:
            return None, None
        if (result.terminal_reason or "").startswith("aborted"):
            return "interrupted", "The turn was interrupted."
        words = "; ".join(result.errors) or result.result or self._api_error or result.subtype
        if result.subtype == "error_max_turns":
            return "max_turns", words
        if result.subtype.startswith("error_max_budget"):
            return "budget", words
        if result.terminal_reason == "api_error" or result.subtype == "success" or self._api_error:
            return "api", words
        return "execution", words

    def _metadata(self, result: ResultChunk | None) -> ResponseMetadata:
        usage = result.usage if result is not None else None
        # After an interrupt the CLI's own count is zero; what the messages said is nearer the truth.
        if usage is None or (result is not None and result.is_error and not usage.get("output_tokens")):
            usage = self._summed_usage() or usage
        return ResponseMetadata.model_construct(
            session_id=(result.session_id if result is not None else None) or self._session_id,
            total_cost_usd=result.total_cost_usd if result is not None else None,
            cost_usd=result.cost_usd if result is not None else None,
            duration_ms=result.duration_ms if result is not None else None,
            num_turns=result.num_turns if result is not None else None,
            usage=usage,
            model_usage=result.model_usage if result is not None else None,
            model=self._model,
            backend=self.backend,
            subtype=result.subtype if result is not None else None,
            stop_reason=result.stop_reason if result is not None else None,
            terminal_reason=result.terminal_reason if result is not None else None,
            permission_denials=list(result.permission_denials) if result is not None else [],
        )

    def _summed_usage(self) -> dict[str, Any] | None:
        """The usage of the main agent's messages, each as it was last told."""
        total: dict[str, Any] = {}
        for usage in self._usage.values():
            for name, count in usage.items():
                if isinstance(count, int):
                    total[name] = total.get(name, 0) + count
        return total or None


_NOTES: dict[type[Chunk], Callable[[ResponseFold, Any], None]] = {
    MessageChunk: ResponseFold._message,
    NoticeChunk: ResponseFold._notice,
    ResultChunk: ResponseFold._end,
    RetractedChunk: ResponseFold._retract,
    SystemChunk: ResponseFold._system,
    ToolResultChunk: ResponseFold._tool_result,
    ToolUseChunk: ResponseFold._tool_use,
}


def _denial(denial: dict[str, Any]) -> str:
    tool = denial.get("tool_name") or "a tool"
    return f"Permission to use {tool} was denied; allowed_tools=[{str(tool)!r}] would allow it."
