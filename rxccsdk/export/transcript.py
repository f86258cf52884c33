"""A recording as a Markdown document."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rxccsdk.export.timeline import Row
from rxccsdk.text.harmless import harmless
from rxccsdk.text.wording import duration, one_line


def transcript(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown: prompts as headings, the agent's text as it is, tools and their output."""
    parts = [_part(row) for row in rows]
    return "\n\n".join(part for part in parts if part) + "\n"


def _part(row: Row) -> str:
    text = row.text.strip("\n")
    if row.kind == "prompt":
        first, _, rest = text.partition("\n")
        return f"## {one_line(first)}" + (f"\n\n{_quoted(rest.strip())}" if rest.strip() else "")
    if row.kind == "text":
        if row.retracted is not None:
            return f"*taken back:*\n\n{_quoted(text)}"
        return _quoted(text) if row.depth else text
    if row.kind == "thinking":
        return _quoted(f"*thinks:* {text}") if text.strip() else ""
    if row.kind == "tool":
        return _tool(row)
    return f"*{one_line(harmless(text))}*" if text else ""


def _tool(row: Row) -> str:
    mark = "✗" if row.failed else "✓" if row.end is not None else "…"
    took = f" ({duration(row.end - row.start)})" if row.end is not None else ""
    lines = [f"{mark} **{one_line(row.title)}** {_code(row.about)}{took}".replace("  ", " ")]
    if row.output.strip():
        fence = "`" * max(3, _longest_run(row.output) + 1)
        lines.append(f"{fence}\n{row.output.rstrip()}\n{fence}")
    part = "\n\n".join(lines)
    return _quoted(part) if row.depth else part


def _code(words: str) -> str:
    if not words:
        return ""
    ticks = "`" * (_longest_run(words) + 1)
    pad = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{ticks}{pad}{words}{pad}{ticks}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
