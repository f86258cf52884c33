"""What the result of a denied tool call says."""

from __future__ import annotations

import re
from typing import Any

_MARKUP = re.compile(r"</?tool_use_error>")
_UNASKED = ("haven't granted it yet", "requires approval", "require approval", "needs approval")


def text_of_content(content: Any) -> str:
    """Return the text of a tool result, whose content is text or a list of content blocks."""
    if isinstance(content, list):
        content = " ".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return _MARKUP.sub("", content).strip() if isinstance(content, str) else ""


def is_unasked(words: str) -> bool:
    """Whether a call was denied only because nobody had allowed it, from the words of its result."""
    return any(part in words for part in _UNASKED)
