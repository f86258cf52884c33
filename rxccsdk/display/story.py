"""What is said of one session, line by line: text, tool calls, sub-agents, what went wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from rich.text import Text

from rxccsdk.chunks import (
    AskChunk,
    Chunk,
    DecisionChunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolResultChunk,
    ToolUseChunk,
    UserChunk,
)
from rxccsdk.display.denials import Denials, is_refusal
from rxccsdk.display.page import Page, Speaker
from rxccsdk.display.results import changes_in_words, diff, output
from rxccsdk.display.running import AGENT_TOOLS
from rxccsdk.display.wording import call_in_words, content_in_words, duration, one_line, retry_in_words
from rxccsdk.text.harmless import harmless
from rxccsdk.text.pieces import Separators, answer_without_text

_FINISHED = ("end_turn", "tool_use", "stop_sequence")  # a message that was cut short may be continued
_NOISE = "[ede_diagnostic]"  # the CLI's own bookkeeping, after an interrupt

_REASON_ROWS = 3
_SHORT = 70  # characters of a thought that fit into its line
_RESULT_ROWS = 20  # of a diff, or of an output, where results are shown in full

Detail = Literal["all", "activity", "trouble"]
Tools = Literal["brief", "full"]
Thinking = Literal["line", "full", "off"]


class Story:
    """Tells on a page what the chunks of one session say.

    Args:
        page: where to.
        label: stands before its lines, where several sessions are shown.
        detail: how much, see `LiveDisplay`.
        permit: returns what to set to allow something, given an option's name and its value.
        tools: how much of their results, see `LiveDisplay`.
        thinking: how much of it, see `LiveDisplay`.
    """

    def __init__(
        self,
        page: Page,
        label: str,
        detail: Detail,
        permit: Callable[[str, str], str] | None,
        tools: Tools = "brief",
        thinking: Thinking = "line",
    ) -> None:
        self.detail = detail
        self._tools = tools
        self._shown_thinking = thinking
        self._page = page
        self._label = label
        self._cwd = ""
        self._denials = Denials(permit)
        self._asked: dict[str, str] = {}  # the tool call that a question is about
        self._refused: set[str] = set()  # the calls that a person, or a program, refused
        self._separators: dict[str | None, Separators] = defaultdict(Separators)
        self._thinking: dict[str | None, list[str]] = {}
        self._calls: dict[str, ToolUseChunk] = {}
        self._agents: dict[str | None, tuple[str, int]] = {None: ("", 0)}  # name and depth
        self._background: set[str | None] = set()  # agents that outlive their turn
        self._here: str | None = None  # whose lines the page ends with
        self._last_kind = ""
        self._has_answer = False  # the main agent wrote text in this turn
        self._shown_error = ""
        self._shown_interrupt = False

    def finish(self) -> None:
        """End what is open."""
        self._end_thinking()

    def show(self, chunk: Chunk) -> None:
        """Tell of a chunk."""
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            if self.detail == "all":
                self._text(chunk) if isinstance(chunk, TextChunk) else self._think(chunk)
            return
        if not isinstance(chunk, (SystemChunk, TaskChunk)):
            self._separators[chunk.agent].pass_over(chunk)
        if isinstance(chunk, ToolUseChunk):
            self._call(chunk)
        elif isinstance(chunk, ToolResultChunk):
            self._result(chunk)
        elif isinstance(chunk, AskChunk):
            self._asked[chunk.id] = chunk.tool_use_id or ""
        elif isinstance(chunk, DecisionChunk):
            call = self._asked.pop(chunk.ask_id, "")
            if chunk.decision == "deny":
                self._refused.add(call)
        elif isinstance(chunk, RetractedChunk):
            self._retract(chunk)
        elif isinstance(chunk, NoticeChunk):
            self._shown_error = chunk.detail if chunk.kind == "api_error" else self._shown_error
            self._shown_interrupt = self._shown_interrupt or chunk.kind in ("interrupt", "limit", "timeout")
            self.note(chunk.agent, f"! {chunk.detail}", "red" if chunk.kind == "api_error" else "yellow")
        elif isinstance(chunk, SystemChunk):
            self._system(chunk)
        elif isinstance(chunk, TaskChunk):
            self._task(chunk)
        elif isinstance(chunk, UserChunk):
            # Where it was interrupted from here, a notice has been shown.
            note = chunk.synthetic and chunk.agent is None and chunk.text.startswith("[Request interrupted")
            if note and not self._shown_interrupt:
                self.note(None, chunk.text, "yellow")
        elif isinstance(chunk, MessageChunk):
            if chunk.stop_reason in _FINISHED:
                self._page.close(self._as(chunk.agent))
        elif isinstance(chunk, ResultChunk):
            self._end(chunk)

    def _text(self, chunk: TextChunk) -> None:
        agent, depth = chunk.agent, self._depth(chunk.agent)
        self._has_answer = self._has_answer or agent is None
        self._end_thinking(agent)
        if not self._separators[agent].joins(chunk):
            self._page.close(self._as(agent))
            if self._last_kind == "text" and agent is None:
                self._page.gap()
        self._leave(agent)
        self._kind("text", agent)
        self._enter(agent)
        self._page.write(self._as(agent), harmless(chunk.text), depth)

    def _think(self, chunk: ThinkingChunk) -> None:
        self._separators[chunk.agent].pass_over(chunk)
        if self._shown_thinking == "off":
            return
        pieces = self._thinking.setdefault(chunk.agent, [])
        pieces.append(chunk.text)
        self._page.peek(self._as(chunk.agent), one_line("".join(pieces[-40:])), self._depth(chunk.agent))

    def _end_thinking(self, *agents: str | None) -> None:
        """Leave one line of the thinking of these agents (all, if none is named)."""
        for agent in agents or tuple(self._thinking):
            thought = "".join(self._thinking.pop(agent, ()))
            if thought.strip():
                self._page.peek(self._as(agent), "", 0)
                self._line("thinking", agent, Text(f"∴ {one_line(thought)}", "dim italic"))
                lines = [line for line in thought.splitlines() if line.strip()]
                if self._shown_thinking == "full" and (len(lines) > 1 or len(thought) > _SHORT):
                    for line in lines:
                        self._below(agent, Text(harmless(line), "dim italic"), len(line))

    def _call(self, chunk: ToolUseChunk) -> None:
        self._end_thinking(chunk.agent)
        self._page.close(self._as(chunk.agent))
        self._calls[chunk.id] = chunk
        if chunk.name in AGENT_TOOLS:
            name = f"{chunk.name} {call_in_words(chunk.input, self._cwd)}"
            self._agents[chunk.id] = (name, self._depth(chunk.agent) + 1)
            if chunk.agent in self._background:
                self._background.add(chunk.id)
            self._tool_line(chunk, "▸", "cyan", "")
            self._here = chunk.id

    def _result(self, chunk: ToolResultChunk) -> None:
        call = self._calls.pop(chunk.tool_use_id, None)
        if call is None:
            return
        self._end_thinking(call.id)
        self._page.close(self._as(call.id))
        if self._here == call.id:
            self._here = call.agent
        if call.id in self._refused:
            self._tool_line(call, "✗", "yellow", "  refused", matters=True)
            self._reason(call, content_in_words(chunk.content), "yellow")
            return
        denied = call.id in self._denials or (chunk.is_error and is_refusal(chunk.content))
        if denied:
            self._deny(call, chunk)
            return
        if isinstance(chunk.structured, dict) and chunk.structured.get("isAsync"):
            self._background.add(call.id)
            self._tool_line(call, "→", "cyan", "  goes on in the background")
            return
        mark, style = ("✗", "red") if chunk.is_error else ("✓", "green")
        changes = changes_in_words(chunk.structured)
        end = "  ".join(filter(None, (changes, duration(chunk.at - call.at))))
        self._tool_line(call, mark, style, f"  {end}")
        if self._tools == "full" and self.detail == "all" and not chunk.is_error:
            lines = diff(chunk.structured, _RESULT_ROWS) if changes else output(chunk.content, _RESULT_ROWS)
            for line in lines if call.name not in AGENT_TOOLS else ():
                self._below(call.agent, line, 1)
        if chunk.is_error and self.detail != "trouble":
            words = content_in_words(chunk.content) or "it failed without a message"
            self._reason(call, words, "red")

    def _deny(self, call: ToolUseChunk, chunk: ToolResultChunk) -> None:
        remedy = self._denials.remedy(call.id, call.name)
        self._tool_line(call, "✗", "yellow", "  denied", matters=True)
        self._reason(call, content_in_words(chunk.content), "yellow")
        if remedy:
            self._reason(call, f"to allow it: {remedy}", "bold yellow")

    def _reason(self, call: ToolUseChunk, words: str, style: str) -> None:
        """Write below a call why it failed: in a few rows, for the end of it may be what matters."""
        self._below(call.agent, Text(words, style), _REASON_ROWS)

    def _below(self, agent: str | None, text: Text, most: int) -> None:
        self._page.lines(self._as(agent), text, self._depth(agent), 2, most)

    def _tool_line(self, call: ToolUseChunk, mark: str, style: str, end: str, matters: bool = False) -> None:
        if self.detail == "trouble" and not matters:
            return
        words = call_in_words(call.input, self._cwd)
        text = Text.assemble((mark, style), " ", (one_line(call.name, 60), "bold"), " ", (words, "dim"))
        self._line("tool", call.agent, text, end)

    def _retract(self, chunk: RetractedChunk) -> None:
        self._end_thinking(chunk.agent)
        for call in chunk.tool_ids:
            self._calls.pop(call, None)
        if self._separators[chunk.agent].retracts(chunk) and self.detail == "all":
            follows = "; what replaces it follows" if chunk.replaced else ""
            words = f"✗ the text above was cut off and does not stand{follows}"
            self.note(chunk.agent, words, "yellow")

    def _system(self, chunk: SystemChunk) -> None:
        data = chunk.data
        if chunk.subtype == "init":
            self._cwd = str(data.get("cwd") or "")
            self._denials.mode = str(data.get("permissionMode") or "")
        elif chunk.subtype == "permission_denied":
            self._denials.note(data)
        elif chunk.subtype == "api_retry":
            self.note(None, f"! {retry_in_words(data)}", "yellow")

    def _task(self, chunk: TaskChunk) -> None:
        # What runs in the foreground ends with its tool call's result.
        if chunk.tool_use_id is None or chunk.tool_use_id in self._calls:
            return
        if chunk.status not in ("started", "progress", "updated") and self.detail != "trouble":
            name, _ = self._agents.get(chunk.tool_use_id, ("a command", 0))
            self.note(None, f"{name}: {chunk.status} in the background", "dim")

    def _end(self, chunk: ResultChunk) -> None:
        self._end_thinking()
        for agent in self._agents:
            self._page.close(self._as(agent))
        for call in tuple(self._calls.values()):
            if call.agent not in self._background:
                del self._calls[call.id]
                self._tool_line(call, "?", "yellow", "  no result")
        # The CLI's own commands answer in their result only.
        if not self._has_answer and self.detail == "all" and (answer := answer_without_text(chunk)):
            self._kind("text", None)
            self._page.write(self._as(None), harmless(answer), 0)
            self._page.close(self._as(None))
        for denial in chunk.permission_denials:
            if (call_id := str(denial.get("tool_use_id"))) in self._denials or call_id in self._refused:
                continue  # it was shown when it happened
            remedy = self._denials.note(denial)
            words = f"! {denial.get('tool_name') or 'a tool'} was denied"
            self.note(None, f"{words}; to allow it: {remedy}" if remedy else words, "yellow")
        if chunk.is_error:
            words = "; ".join(error for error in chunk.errors if not error.startswith(_NOISE))
            aborted = (chunk.terminal_reason or "").startswith("aborted")
            words = words or chunk.result or ("the turn was interrupted" if aborted else chunk.subtype)
            if words != self._shown_error:
                self.note(None, f"✗ {words}", "red")
        self._last_kind, self._shown_error, self._has_answer = "result", "", False
        self._shown_interrupt = False
        self._denials.clear()
        self._refused.clear()
        self._separators.clear()

    # -- lines --------------------------------------------------------------------------------------------

    def note(self, agent: str | None, words: str, style: str) -> None:
        """Tell something else on a line."""
        self._end_thinking(agent)
        self._line("note", agent, Text(one_line(words), style))

    def _line(self, kind: str, agent: str | None, text: Text, end: str = "") -> None:
        self._page.close(self._as(agent))
        self._leave(agent)
        self._kind(kind, agent)
        self._enter(agent)
        self._page.line(self._as(agent), text, self._depth(agent), end)

    def _leave(self, agent: str | None) -> None:
        """End the row of the sub-agent whose lines the page ends with, if it is another one."""
        if self._here is not None and self._here != agent:
            self._page.close(self._as(self._here))

    def _enter(self, agent: str | None) -> None:
        """Write whose lines follow, where a sub-agent goes on after others."""
        here, self._here = self._here, agent
        if agent is not None and here != agent:
            name, depth = self._agents.get(agent, ("a sub-agent", 1))
            self._page.line(
                self._as(agent), Text.assemble(("▸", "cyan"), " ", (f"{name} …", "dim")), depth - 1
            )

    def _kind(self, kind: str, agent: str | None) -> None:
        """Leave a blank line between text and tools, and before a thought, of the main agent."""
        if agent is not None:
            if self._page.is_open(self._as(None)):
                return
            kind = "tool"
        last, self._last_kind = self._last_kind, kind
        if kind != last and last not in ("", "thinking"):
            self._page.gap()

    def _depth(self, agent: str | None) -> int:
        return self._agents.get(agent, ("", 1))[1]

    def _as(self, agent: str | None) -> Speaker:
        return Speaker(self._label, agent)
