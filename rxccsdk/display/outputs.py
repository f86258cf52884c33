"""The end of what running commands write, in a few rows."""

from __future__ import annotations

from rich.text import Text

from rxccsdk.chunks import Chunk, ResultChunk, TaskChunk, ToolOutputChunk, ToolResultChunk
from rxccsdk.text.harmless import harmless

_KEPT = 4000  # characters
_ENDS = ("completed", "failed", "stopped", "killed")


class Outputs:
    """Keeps the last words of each command that runs."""

    def __init__(self) -> None:
        self._tails: dict[str, str] = {}

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        if isinstance(chunk, ToolOutputChunk):
            gap = "\n…\n" if chunk.skipped else ""
            before = self._tails.pop(chunk.tool_use_id, "")  # the newest is the last
            self._tails[chunk.tool_use_id] = (before + gap + chunk.text)[-_KEPT:]
        elif isinstance(chunk, ToolResultChunk) or (isinstance(chunk, TaskChunk) and chunk.status in _ENDS):
            self._tails.pop(chunk.tool_use_id or "", None)
        elif isinstance(chunk, ResultChunk):
            self._tails.clear()

    def rows(self, width: int, most: int) -> list[Text]:
        """Return the last lines of the command that wrote last, cut at the width.

        What overwrites its own line, as a progress bar does, is shown as it stands.
        """
        if not self._tails or most < 1:
            return []
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in list(self._tails.values())[-1].split("\n")]
        shown = [line for line in lines if line.strip()][-most:]
        found = []
        for line in shown:
            row = Text(f"  │ {harmless(line.expandtabs(4))}", "dim")
            row.truncate(width, overflow="ellipsis")
            found.append(row)
        return found
