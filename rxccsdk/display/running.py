"""What runs now, a row each: tools and sub-agents, and the end of what commands write."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from rxccsdk.chunks import (
    Chunk,
    ResultChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolOutputChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.text.harmless import harmless
from rxccsdk.text.wording import call_in_words, duration, one_line

AGENT_TOOLS = ("Agent", "Task")

_KEPT = 4000  # characters of an output
_ENDS = ("completed", "failed", "stopped", "killed")
_MOST_ROWS = 6  # of what runs


@dataclass
class _Call:
    """A call that runs: what it is, since when, and for an agent what it has done and does."""

    words: str
    since: float
    is_agent: bool
    agent: str | None
    tools: int = 0
    doing: str = ""
    is_background: bool = False


class Running:
    """Follows what runs, and shows it in rows."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}
        self._tails: dict[str, str] = {}
        self._cwd = ""

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        agent = self._calls.get(chunk.agent) if chunk.agent is not None else None
        if isinstance(chunk, ToolUseChunk):
            words = f"{chunk.name} {call_in_words(chunk.input, self._cwd)}"
            self._calls[chunk.id] = _Call(words, chunk.at, chunk.name in AGENT_TOOLS, chunk.agent)
            if agent is not None:
                agent.tools += 1
                agent.doing = words
        elif isinstance(chunk, (TextChunk, ThinkingChunk)):
            if agent is not None:
                agent.doing = "writing" if isinstance(chunk, TextChunk) else "thinking"
        elif isinstance(chunk, ToolOutputChunk):
            gap = "\n…\n" if chunk.skipped else ""
            before = self._tails.pop(chunk.tool_use_id, "")  # the newest is the last
            self._tails[chunk.tool_use_id] = (before + gap + chunk.text)[-_KEPT:]
        elif isinstance(chunk, ToolResultChunk):
            self._result(chunk)
        elif isinstance(chunk, TaskChunk):
            self._task(chunk)
        elif isinstance(chunk, ResultChunk):
            self._tails.clear()
            self._calls = {key: call for key, call in self._calls.items() if call.is_background}
        elif isinstance(chunk, SystemChunk) and chunk.subtype == "init":
            self._cwd = str(chunk.data.get("cwd") or "")

    def rows(self, now: float, width: int, output_rows: int) -> list[Text]:
        """Return a row for each agent, and for each tool where several run; then the newest output's end.

        Args:
            now: the time, as chunks count it.
            width: no row is wider.
            output_rows: so many rows of the output.
        """
        main = [call for call in self._calls.values() if call.agent is None]
        several = len(main) > 1 or any(call.is_agent for call in main)
        found = [self._row(call, now, width) for call in main] if several else []
        if len(found) > _MOST_ROWS:
            more = Text(f"  … and {len(found) - _MOST_ROWS + 1} more", "dim")
            found = [*found[: _MOST_ROWS - 1], more]
        return found + self._output(width, output_rows)

    def _result(self, chunk: ToolResultChunk) -> None:
        call = self._calls.get(chunk.tool_use_id)
        if call is not None and isinstance(chunk.structured, dict) and chunk.structured.get("isAsync"):
            call.is_background = True
            return
        self._tails.pop(chunk.tool_use_id, None)
        self._calls.pop(chunk.tool_use_id, None)
        if call is not None and call.agent in self._calls:
            self._calls[call.agent].doing = ""

    def _task(self, chunk: TaskChunk) -> None:
        call = self._calls.get(chunk.tool_use_id or "")
        if chunk.status in _ENDS:
            self._tails.pop(chunk.tool_use_id or "", None)
            if call is not None and call.is_background:
                del self._calls[chunk.tool_use_id or ""]
        elif call is not None and call.is_agent and chunk.status == "progress" and chunk.description:
            call.doing = chunk.description

    def _row(self, call: _Call, now: float, width: int) -> Text:
        took = duration(max(0.0, now - call.since)) if now - call.since >= 1 else ""
        tools = f"{call.tools} tool call{'' if call.tools == 1 else 's'}" if call.tools else ""
        background = "in the background" if call.is_background else ""
        end = " · ".join(filter(None, (tools, one_line(call.doing), background, took)))
        row = Text.assemble(("▸" if call.is_agent else "◦", "cyan"), f" {harmless(call.words)}")
        # Both its name and what it does are seen, however long they are.
        row.truncate(max(8, width - min(len(end) + 3, width // 2)), overflow="ellipsis")
        row.append(f" · {end}" if end else "", "dim")
        row.truncate(width, overflow="ellipsis")
        return row

    def _output(self, width: int, most: int) -> list[Text]:
        """Return the last lines of the command that wrote last, cut at the width.

        What overwrites its own line, as a progress bar does, is shown as it stands.
        """
        if not self._tails or most < 1:
            return []
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in list(self._tails.values())[-1].split("\n")]
        found = []
        for line in [line for line in lines if line.strip()][-most:]:
            row = Text(f"  │ {harmless(line.expandtabs(4))}", "dim")
            row.truncate(width, overflow="ellipsis")
            found.append(row)
        return found
