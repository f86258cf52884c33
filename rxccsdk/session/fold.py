"""The one reduction: chunks of a turn to its response."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, cast

from rxccsdk.chunks import (
    Chunk,
    HookChunk,
    LimitChunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TextChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.session.denied import is_unasked, text_of_content
from rxccsdk.session.failure import RETRYABLE, failed_servers, failure
from rxccsdk.session.response import ErrorKind, ResponseMetadata, SessionResponse, ToolUse
from rxccsdk.session.tokens import tokens_of, tokens_of_usage, with_sub_agents
from rxccsdk.text.pieces import Separators, answer_without_text, same_block

_JOIN_AT = 4096  # pieces of a block that wait to be joined: a short piece takes ten times its text


class _TextBlock:
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

    def __init__(self, blocks: list[_TextBlock]) -> None:
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
        backend: for `metadata.backend`.
        stopped: once the turn was stopped, how it ends if no result follows; as `ended` in `response`.
    """

    def __init__(self) -> None:
        self.backend: str | None = None
        self._separators = Separators()
        self._blocks: list[_TextBlock] = []
        self._last: TextChunk | None = None  # the first piece of the last block
        self._pieces: list[str] = []  # of that block
        self._full = _JOIN_AT  # how many of them there may be
        self._tools: dict[str, ToolUse] = {}
        self._called_at: dict[str, float] = {}
        self._usage: dict[str | None, dict[str, Any]] = {}
        self._model: str | None = None
        self._session_id: str | None = None
        self._api_error: str | None = None
        self._limit: str | None = None
        self._timeout: str | None = None
        self._blocked: str | None = None  # why a hook let no prompt through
        self._notes: list[str] = []  # warnings
        self._resets_at: float | None = None
        self.stopped: tuple[str, str] | None = None
        self._result: ResultChunk | None = None

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        if isinstance(chunk, TextChunk):
            if chunk.agent is None:
                if not same_block(self._last, chunk):
                    self._begin_block(chunk)
                pieces = self._pieces
                pieces.append(chunk.text)
                if len(pieces) >= self._full:
                    self._join_pieces()
            return
        self._separators.pass_over(chunk)
        note = _NOTES.get(type(chunk))
        if note is not None:
            note(self, chunk)

    def response(self, *, ended: tuple[str, str] | None = None) -> SessionResponse:
        """Return the response so far.

        Args:
            ended: for a turn that ended without a result: the error kind, and the error in words.
        """
        result = self._result
        kind, error = self._error(result) if result is not None else self._without_result(ended)
        pieces: Iterable[str] = _Content(self._blocks)
        if result is not None and not self._blocks and error is None:
            pieces = (answer_without_text(result),)
        response = SessionResponse.model_construct(
            metadata=self._metadata(result),
            error=error,
            error_kind=cast("ErrorKind | None", kind),
            tool_uses=list(self._tools.values()),
            warnings=self._warnings(result),
            structured=result.structured if result is not None else None,
            retryable=kind in RETRYABLE,
            resets_at=self._resets_at if error is not None else None,
        )
        response._pieces = pieces
        return response

    def _begin_block(self, chunk: TextChunk) -> None:
        if self._blocks and len(self._blocks[-1].pieces) > 1:
            self._blocks[-1].join_pieces()
        block = _TextBlock(chunk.block, self._separators.joins(chunk))
        self._blocks.append(block)
        self._last, self._pieces, self._full = chunk, block.pieces, _JOIN_AT

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
        elif chunk.kind == "timeout":
            self._timeout = chunk.detail
        elif chunk.kind == "ambiguous":
            self._notes.append(chunk.detail)
        if chunk.kind in ("interrupt", "limit", "timeout"):
            self.stopped = ("timeout" if chunk.kind == "timeout" else "interrupted", chunk.detail)

    def _rate(self, chunk: LimitChunk) -> None:
        if chunk.status == "rejected":
            self._resets_at = chunk.resets_at

    def _hook(self, chunk: HookChunk) -> None:
        if chunk.outcome == "error":
            self._notes.append(f"The hook {chunk.name} ({chunk.event}) failed: {chunk.output.strip()}")

    def _system(self, chunk: SystemChunk) -> None:
        if chunk.subtype == "init":
            session_id, model = chunk.data.get("session_id"), chunk.data.get("model")
            self._session_id = session_id if isinstance(session_id, str) else None
            self._model = self._model or (model if isinstance(model, str) else None)
            self._notes += failed_servers(chunk.data.get("mcp_servers"))
        elif chunk.subtype == "informational" and chunk.data.get("prevent_continuation"):
            self._blocked = str(chunk.data.get("content") or "A hook blocked the prompt.")

    def _end(self, chunk: ResultChunk) -> None:
        self._result = chunk

    def _tool_use(self, chunk: ToolUseChunk) -> None:
        tool = ToolUse.model_construct(id=chunk.id, name=chunk.name, input=chunk.input, agent=chunk.agent)
        self._tools[chunk.id], self._called_at[chunk.id] = tool, chunk.at

    def _retract(self, chunk: RetractedChunk) -> None:
        if any(block.number in chunk.blocks for block in self._blocks):
            # A new list: snapshots of the old one keep what they saw.
            self._blocks = [block for block in self._blocks if block.number not in chunk.blocks]
            self._last, self._pieces = None, []

    def _tool_result(self, chunk: ToolResultChunk) -> None:
        tool = self._tools.get(chunk.tool_use_id)
        if tool is not None:
            seconds = chunk.at - self._called_at[chunk.tool_use_id]
            news = {"result": chunk.content, "is_error": chunk.is_error, "finished": True, "seconds": seconds}
            # A new object: earlier snapshots keep what they saw.
            self._tools[chunk.tool_use_id] = tool.model_copy(update=news)

    def _error(self, result: ResultChunk) -> tuple[str | None, str | None]:
        if self._limit is not None:
            return "output_tokens", self._limit
        if self._timeout is not None:
            return "timeout", self._timeout
        if self._blocked is not None:
            return "blocked", self._blocked
        return failure(result, self._api_error)

    def _without_result(self, ended: tuple[str, str] | None) -> tuple[str | None, str | None]:
        """Return why it ended: a limit had it interrupted, also where the CLI did not obey."""
        if ended is None or ended[0] != "interrupted":
            return ended or (None, None)
        if self._limit is not None:
            return "output_tokens", f"{self._limit} {ended[1]}"
        return ("timeout", f"{self._timeout} {ended[1]}") if self._timeout is not None else ended

    def _warnings(self, result: ResultChunk | None) -> list[str]:
        denials = result.permission_denials if result is not None else ()
        return [*self._notes, *(self._denial(denial) for denial in denials)]

    def _denial(self, denial: dict[str, Any]) -> str:
        """Return who denied a tool, in the words of its result, or what would allow it."""
        name = str(denial.get("tool_name") or "a tool")
        use = self._tools.get(str(denial.get("tool_use_id")))
        words = text_of_content(use.result) if use is not None else ""
        if words and not is_unasked(words):
            return f"Permission to use {name} was denied: {words}"
        return f"Permission to use {name} was denied; allowed_tools=[{name!r}] would allow it."

    def _metadata(self, result: ResultChunk | None) -> ResponseMetadata:
        usage = result.usage if result is not None else None
        # After an interrupt the CLI's own count is zero; what the messages said is nearer the truth.
        if usage is None or (result is not None and result.is_error and not usage.get("output_tokens")):
            usage = self._summed_usage() or usage
        models = result.model_usage if result is not None else None
        tokens = tokens_of(models) or tokens_of_usage(usage)
        return ResponseMetadata.model_construct(
            session_id=(result.session_id if result is not None else None) or self._session_id,
            total_cost_usd=result.total_cost_usd if result is not None else None,
            cost_usd=result.cost_usd if result is not None else None,
            duration_ms=result.duration_ms if result is not None else None,
            num_turns=result.num_turns if result is not None else None,
            usage=with_sub_agents(usage, tokens),
            tokens=tokens,
            model_usage=models,
            api_error_status=result.api_error_status if result is not None else None,
            model=self._model,
            backend=self.backend,
            subtype=result.subtype if result is not None else None,
            stop_reason=result.stop_reason if result is not None else None,
            terminal_reason=result.terminal_reason if result is not None else None,
            permission_denials=list(result.permission_denials) if result is not None else [],
        )

    def _summed_usage(self) -> dict[str, Any] | None:
        """Return the usage of the main agent's messages, each as it was last reported."""
        total: dict[str, Any] = {}
        for usage in self._usage.values():
            for name, count in usage.items():
                if isinstance(count, int):
                    total[name] = total.get(name, 0) + count
        return total or None


_NOTES: dict[type[Chunk], Callable[[ResponseFold, Any], None]] = {
    HookChunk: ResponseFold._hook,
    LimitChunk: ResponseFold._rate,
    MessageChunk: ResponseFold._message,
    NoticeChunk: ResponseFold._notice,
    ResultChunk: ResponseFold._end,
    RetractedChunk: ResponseFold._retract,
    SystemChunk: ResponseFold._system,
    ToolResultChunk: ResponseFold._tool_result,
    ToolUseChunk: ResponseFold._tool_use,
}
