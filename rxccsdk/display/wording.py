"""Chunks in a few words: what a tool call does, how long it took, what went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# The inputs that tell most about a call, best first; whatever the tool.
_TELLING = (
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "query",
    "url",
    "description",
    "subject",
    "skill",
    "path",
    "prompt",
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKUP = re.compile(r"</?tool_use_error>")


def harmless(text: str) -> str:
    r"""Text that cannot steer a terminal: control characters become visible or vanish, lone surrogates "?".

    Example:
        >>> harmless("a\r\n\x1b[31mb")
        'a\n␛[31mb'
    """
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(_visible, text)


def one_line(text: str, most: int = 300) -> str:
    r"""Text on one line, of at most so many characters.

    Example:
        >>> one_line("for a in b:\n    print(a)", 14)
        'for a in b: p…'
    """
    words = " ".join(harmless(text[: 4 * most]).split())
    return words if len(words) <= most else words[: most - 1] + "…"


def call_in_words(input: Mapping[str, Any], cwd: str = "") -> str:
    """What a tool call does, from its input; paths below `cwd` are shown relative to it.

    Example:
        >>> call_in_words({"file_path": "/home/me/project/a.py", "limit": 10}, cwd="/home/me/project")
        'a.py'
    """
    texts = {name: value for name, value in input.items() if isinstance(value, str) and value.strip()}
    name = next((name for name in _TELLING if name in texts), next(iter(texts), None))
    return one_line(texts[name].replace(f"{cwd}/", "") if cwd else texts[name]) if name else ""


def content_in_words(content: Any) -> str:
    """The text of a tool result, whose content is text or a list of content blocks, on one line."""
    if isinstance(content, list):
        content = " ".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return one_line(_MARKUP.sub("", content)) if isinstance(content, str) else ""


def duration(seconds: float) -> str:
    """A duration as people say it.

    Example:
        >>> duration(0.0421), duration(12.34), duration(200)
        ('42 ms', '12.3 s', '3:20 min')
    """
    if seconds < 0.0995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\x1b":
        return "␛"
    return "?" if character >= "\ud800" else ""
