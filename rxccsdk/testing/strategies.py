"""Hypothesis strategies for whole turns, as the chunks a subscriber receives, including rare kinds of turns.

It needs `hypothesis`, so no other module of rxccsdk imports it.

    from rxccsdk.testing import strategies as chunk_strategies

    @given(chunk_strategies.turns())
    def test_my_operator(chunks): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from rxccsdk.chunks import (
    AskChunk,
    Chunk,
    CompactChunk,
    DecisionChunk,
    HookChunk,
    LimitChunk,
    MessageChunk,
    NoticeChunk,
    PromptChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolOutputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)

RESUME_NOTE = (
    "Your response above was cut off mid-stream. Resume directly from where it stops — no apology, no recap. "
    "If none of it survived, answer the request from the start."
)
"""The user message the CLI adds after a message that broke off and was kept in part."""

INTERRUPTION_NOTE = "[Request interrupted by user]"
"""The user message the CLI adds after an interrupt."""

_FRAGMENTS = (
    *("a", "word", "two words", "Sentence one. ", "x = 1", "# Title", "- item", "```python\n", "```"),
    *("\n", "\n\n", "\r\n", "\r", " ", "\t", "e\u0301", "o\u0302\u0323", "日本語", "한국어", "ไทย", "שלום"),
    *(
        "\u202e",
        "\u200b",
        "👍🏽",
        "👩\u200d👩\u200d👧\u200d👦",
        "🇩🇪",
        "𝒳",
        "\x00",
        "\x1b[1m",
        "<b>",
        "[red]",
        "{}",
    ),
)


@dataclass(slots=True)
class _Draft:
    """A chunk without its position. `block` is the name of its block: blocks are numbered at the end."""

    kind: type[Chunk]
    fields: tuple[Any, ...]
    agent: str | None = None
    message_id: str | None = None
    block: str | None = None
    retracts: tuple[str, ...] = ()


def texts(*, max_fragments: int = 12) -> st.SearchStrategy[str]:
    """Texts that are hard to split: combining marks, emoji, CRLF, code fences. None is only whitespace."""
    fragments = st.one_of(st.sampled_from(_FRAGMENTS), st.text(st.characters(codec="utf-8"), max_size=5))
    joined = st.lists(fragments, min_size=1, max_size=max_fragments).map("".join)
    return joined.map(lambda text: text if text.strip() else text + ".")


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """Splits of a text between any two code points. As from the parser, the first piece is not blank."""
    visible = len(text) - len(text.lstrip()) + 1
    cuts = draw(st.lists(st.integers(visible, max(visible, len(text) - 1)), unique=True, max_size=8))
    ends = [*sorted(cut for cut in cuts if cut < len(text)), len(text)]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@st.composite
def turns(
    draw: st.DrawFn, *, retractions: bool = True, sub_agents: int = 2, max_messages: int = 4
) -> list[Chunk]:
    """Whole turns: lists of chunks that end with a `ResultChunk`, numbered and timed as in a session.

    Args:
        retractions: Whether the stream of the API breaks off in some turns.
        sub_agents: The most sub-agents that work beside the main agent.
        max_messages: The most messages of the main agent, besides those that follow a cut.
    """
    return draw(_TurnBuilder(draw, retractions, sub_agents).chunks(max_messages))


@dataclass
class _TurnBuilder:
    """Draws the chunks of one turn."""

    draw: st.DrawFn
    retractions: bool
    sub_agents: int
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))
    _main: list[_Draft] = field(default_factory=list)
    _sub_agents: list[tuple[int, list[_Draft]]] = field(default_factory=list)  # and their first position
    _last_text: str = ""  # of the last text block
    _interrupted: bool = False

    def chunks(self, max_messages: int) -> st.SearchStrategy[list[Chunk]]:
        """Return the strategy for the chunks of the turn."""
        draw = self.draw
        self._add(SystemChunk, "init", {"session_id": "session", "model": "model-of-init"})
        silent = draw(st.integers(0, 9)) == 0  # like a command of the CLI, which answers only in the result
        for _ in range(0 if silent else draw(st.integers(1, max_messages))):
            self._interlude()
            self._message()
            if self._interrupted:
                break
        self._result(silent)
        return _positioned(self._merged())

    def _one_in(self, count: int) -> bool:
        return self.draw(st.integers(1, count)) == count

    def _new_name(self, prefix: str) -> str:
        return f"{prefix}{next(self._names)}"

    def _add(self, kind: type[Chunk], *fields: Any, **position: Any) -> None:
        self._main.append(_Draft(kind, fields, **position))

    def _interlude(self) -> None:
        """Add, in some turns, a chunk that is no content of a message."""
        kind = self.draw(st.integers(0, 15))
        if kind == 0:
            self._add(SystemChunk, "status", {"status": "requesting"})
        elif kind == 1:
            self._add(UnknownChunk, "rate_limit_event", {"type": "rate_limit_event"})
        elif kind == 2:
            self._add(TaskChunk, "task", None, "progress", {"tokens": 3})
        elif kind == 3:
            self._add(NoticeChunk, "api_error", "API Error: the stream broke off")
        elif kind == 4:
            self._add(LimitChunk, "five_hour", "allowed_warning", 1_800_000_000.0, 0.8)
        elif kind == 5:
            self._add(HookChunk, "PreToolUse", "check", "finished", "success", "fine")
        elif kind == 6:
            self._add(CompactChunk, "auto", 150_000)
        elif kind == 7:
            name = self._new_name("prompt")
            for state in ("queued", "delivered"):
                self._add(PromptChunk, name, "Also this, please.", state)

    def _message(self, *, continues: bool = False) -> None:
        """Add a message of the main agent and what follows it: tool results, or the rest after a cut."""
        streams, message_id = self.draw(st.booleans()), self._new_name("msg_")
        first = len(self._main)
        if streams:
            usage = {"input_tokens": 10, "output_tokens": 1}
            self._add(MessageChunk, "start", "model-of-message", None, usage, message_id=message_id)
        tools: list[str] = []
        kinds = self.draw(
            st.lists(st.sampled_from(["text", "text", "thinking", "redacted", "tool"]), max_size=4)
        )
        for kind in [*kinds, "text"] if continues else kinds:
            self._block(kind, message_id, streams, tools)
        ending = self.draw(st.integers(0, 11)) if streams and not continues else 11
        if ending < 5 and self.retractions and not tools:
            self._break_off(first, message_id, interrupt=ending == 4)
            return
        cut = ending in (5, 6) and not tools
        if streams:
            reason = "max_tokens" if cut else "tool_use" if tools else "end_turn"
            usage = {"output_tokens": self.draw(st.integers(1, 500))}
            self._add(MessageChunk, "delta", None, reason, usage, message_id=message_id)
            self._add(MessageChunk, "stop", message_id=message_id)
        if cut:
            note = self.draw(st.sampled_from([RESUME_NOTE, "Output token limit hit. Go on."]))
            self._add(UserChunk, note, True)
            self._message(continues=True)
        for tool in self.draw(st.permutations(tools)):
            self._run_tool(tool)

    def _block(self, kind: str, message_id: str, streams: bool, tools: list[str]) -> None:
        draw, name, position = self.draw, self._new_name("block"), {"message_id": message_id}
        if kind in ("text", "thinking"):
            text = draw(texts())
            chunk = TextChunk if kind == "text" else ThinkingChunk
            self._last_text = text if kind == "text" else self._last_text
            for piece in draw(pieces(text)) if streams else [text]:
                self._add(chunk, piece, block=name, **position)
                if self._one_in(12):
                    self._interlude()
        elif kind == "redacted":
            self._add(UnknownChunk, "redacted_thinking", {"data": "secret"}, **position)
        else:
            tool = self._new_name("toolu_")
            tools.append(tool)
            if streams:
                for piece in ('{"comm', 'and": "ls"}'):
                    self._add(ToolInputChunk, tool, "Bash", piece, block=name, **position)
            self._add(ToolUseChunk, tool, "Bash", {"command": "ls"}, block=name, **position)

    def _break_off(self, first: int, message_id: str, *, interrupt: bool) -> None:
        """Retract the blocks of the message from some block on; then repeat them, or continue."""
        names: dict[str, None] = {draft.block: None for draft in self._main[first:] if draft.block}
        if self.draw(st.booleans()):  # a tool call whose input never completes or even begins
            self._tool_cut_off(message_id, names)
        keep = self.draw(st.integers(0, len(names))) if self.draw(st.booleans()) else len(names) // 2
        retracted = tuple(names)[keep:]
        tool_ids = tuple(name for name in retracted if name.startswith("toolu_"))
        if retracted:
            self._add(RetractedChunk, tool_ids, not interrupt, message_id=message_id, retracts=retracted)
        self._add(MessageChunk, "stop", message_id=message_id)
        if interrupt:
            self._add(UserChunk, INTERRUPTION_NOTE, True)
            self._interrupted = True
        elif keep and retracted:
            self._add(UserChunk, RESUME_NOTE, True)
            self._message(continues=True)
        else:
            self._add(SystemChunk, "api_retry", {"attempt": 1})
            self._message()

    def _tool_cut_off(self, message_id: str, names: dict[str, None]) -> None:
        tool = self._new_name("toolu_")
        names[tool] = None
        if self.draw(st.booleans()):
            self._add(ToolInputChunk, tool, "Bash", '{"comm', block=tool, message_id=message_id)

    def _run_tool(self, tool: str) -> None:
        if len(self._sub_agents) < self.sub_agents and self._one_in(2):
            self._sub_agents.append((len(self._main), self._sub_agent(tool)))
        if self._one_in(4):
            question = self._new_name("ask")
            self._add(AskChunk, question, "permission", "Bash", tool, {"command": "ls"})
            self._add(DecisionChunk, question, self.draw(st.sampled_from(["allow", "deny"])))
        if self._one_in(4):
            self._add(ToolProgressChunk, tool, 30.0)
        if self._one_in(4):
            self._add(ToolOutputChunk, tool, "task", "a line\n", 0, 0)
        self._add(ToolResultChunk, tool, "a file", self.draw(st.booleans()))

    def _sub_agent(self, agent: str) -> list[_Draft]:
        """Return the chunks of a sub-agent: whole blocks, never pieces."""
        work = [_Draft(UserChunk, ("Look around.",), agent)]
        for _ in range(self.draw(st.integers(1, 3))):
            message_id = self._new_name("msg_")
            for kind in self.draw(st.lists(st.sampled_from(["text", "thinking", "tool"]), max_size=3)):
                name = self._new_name("block")
                if kind == "tool":
                    tool = self._new_name("toolu_")
                    work.append(_Draft(ToolUseChunk, (tool, "Read", {}), agent, message_id, name))
                    work.append(_Draft(ToolResultChunk, (tool, "lines"), agent))
                else:
                    chunk = TextChunk if kind == "text" else ThinkingChunk
                    work.append(_Draft(chunk, (self.draw(texts()),), agent, message_id, name))
        return work

    def _result(self, silent: bool) -> None:
        usage = {"input_tokens": 10, "output_tokens": 20}
        fields: tuple[Any, ...]
        if self._interrupted:
            errors, reason = ("Request was aborted.",), "aborted_streaming"
            fields = ("error_during_execution", True, None, errors, reason, None, {"output_tokens": 0})
        elif self._one_in(4):
            fields = ("error_max_turns", True, None, ("Reached 1 turns",), "max_turns", None, usage)
        else:
            text = self.draw(texts()) if silent else self._last_text
            fields = ("success", False, text, (), "completed", "end_turn", usage)
        cost = self.draw(st.none() | st.floats(0, 9))
        self._add(ResultChunk, *fields, {}, cost, cost, 1234, 2, "session")

    def _merged(self) -> list[_Draft]:
        """Interleave the chunks of all agents, each in its order, none after the result."""
        positions: list[tuple[int, _Draft]] = list(enumerate(self._main))
        for start, work in self._sub_agents:
            at = start
            for draft in work:
                at = self.draw(st.integers(at, min(at + 4, len(self._main) - 1)))
                positions.append((at, draft))
        # Stable: at the same position the order of insertion stays, with sub-agents before the main agent.
        positions.sort(key=lambda position: (position[0], position[1].agent is None))
        return [draft for _, draft in positions]


@st.composite
def _positioned(draw: st.DrawFn, drafts: list[_Draft]) -> list[Chunk]:
    """Number and time the chunks as the parser does: a block gets its number at its first piece."""
    numbers: dict[str, int] = {}
    chunks: list[Chunk] = []
    at = 0.0
    for seq, draft in enumerate(drafts):
        fields = draft.fields
        if draft.block is not None:
            fields = (*fields, numbers.setdefault(draft.block, len(numbers)))
        if draft.kind is RetractedChunk:
            fields = (tuple(numbers.get(name, -1) for name in draft.retracts), *fields)
        at += draw(st.sampled_from([0.0, 0.001, 0.02, 0.3]))
        position: dict[str, Any] = {"turn": 0, "seq": seq, "at": at}
        chunks.append(draft.kind(*fields, **position, agent=draft.agent, message_id=draft.message_id))
    return chunks
