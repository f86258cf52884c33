"""What a tool call did, beyond that it is over: the lines that an edit changed, the end of an output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from rxccsdk.session.denied import text_of_content
from rxccsdk.text.harmless import harmless

_STYLES = {"+": "green", "-": "red"}


def changes_in_words(structured: Any) -> str:
    """Return how many lines an edit has added and removed, "" where it was none.

    Example:
        >>> changes_in_words({"structuredPatch": [{"lines": [" a", "-b", "+c", "+d"]}]})
        '+2 -1'
    """
    lines = list(_changed(structured))
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"+{added} -{removed}" if added or removed else ""


def diff(structured: Any, most: int) -> list[Text]:
    """Return the changed lines of an edit with those around them, at most so many."""
    lines = list(_changed(structured))
    shown = [Text(harmless(line), _STYLES.get(line[:1], "dim")) for line in lines[:most]]
    return [*shown, *_rest(len(lines) - most)]


def output(content: Any, most: int) -> list[Text]:
    """Return the last lines of what a tool gave back, at most so many."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text_of_content(content).split("\n")]
    lines = [line for line in lines if line.strip()]
    return [*_rest(len(lines) - most), *(Text(harmless(line), "dim") for line in lines[-most:])]


def _changed(structured: Any) -> Iterator[str]:
    if not isinstance(structured, dict):
        return
    patch = structured.get("structuredPatch")
    hunks = [hunk for hunk in patch if isinstance(hunk, dict)] if isinstance(patch, list) else []
    for hunk in hunks:
        lines = hunk.get("lines")
        yield from (line for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()
    if not hunks and structured.get("type") == "create" and isinstance(structured.get("content"), str):
        yield from (f"+{line}" for line in structured["content"].splitlines())


def _rest(number: int) -> list[Text]:
    return [Text(f"… {number} more line{'' if number == 1 else 's'}", "dim")] if number > 0 else []
