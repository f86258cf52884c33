"""Values in a few words: a tool call, a duration, a text on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxccsdk.text.harmless import harmless

# The inputs that show most about a call, best first; whatever the tool.
_TELLING_INPUTS = (
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


def one_line(text: str, most: int = 300) -> str:
    r"""Return text on one line, of at most so many characters.

    Example:
        >>> one_line("for a in b:\n    print(a)", 14)
        'for a in b: p…'
    """
    words = " ".join(harmless(text[: 4 * most]).split())
    return words if len(words) <= most else words[: most - 1] + "…"


def call_in_words(input: Mapping[str, Any], cwd: str = "") -> str:
    """Return what a tool call does, from its input; paths below `cwd` are shown relative to it.

    Example:
        >>> call_in_words({"file_path": "/home/me/project/a.py", "limit": 10}, cwd="/home/me/project")
        'a.py'
    """
    texts = {name: value for name, value in input.items() if isinstance(value, str) and value.strip()}
    name = next((name for name in _TELLING_INPUTS if name in texts), next(iter(texts), None))
    return one_line(texts[name].replace(f"{cwd}/", "") if cwd else texts[name]) if name else ""


def duration(seconds: float) -> str:
    """Return a duration in words.

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
