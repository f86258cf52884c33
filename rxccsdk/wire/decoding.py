"""A line of the CLI's output as a frame."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from rxccsdk.chunks import Frame

_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(line: bytes) -> Frame | None:
    """Read one line as a frame.

    The fast decoder refuses some things that real output has: invalid UTF-8, deep nesting, and the lone
    surrogate escapes that JavaScript writes when it cuts a string inside an emoji. Those lines are read
    again, patiently: what is no character becomes U+FFFD. A surrogate that may be half of a pair across two
    deltas is left in place for the parser to join.

    Args:
        line: a line without its newline.

    Returns:
        The frame, or `None` for a line that is no JSON object (debug output, a truncated line).
    """
    try:
        frame = from_json(line, cache_strings="keys")
    except ValueError:
        try:
            frame = json.loads(line.decode("utf-8-sig", "replace"), strict=False)
            if not _is_piece(frame):
                frame = _without_surrogates(frame)
        except (ValueError, RecursionError):
            return None
    return frame if isinstance(frame, dict) else None


def _is_piece(frame: Any) -> bool:
    """Whether this is a delta of what the parser joins, as the CLI writes it or inside a cassette's entry."""
    try:
        told = frame.get("in", frame)
        return told["event"]["delta"]["type"] in ("text_delta", "thinking_delta", "input_json_delta")
    except (AttributeError, KeyError, TypeError):
        return False


def _without_surrogates(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)  # not by walking it: the nesting may be deep
    return json.loads(_SURROGATE.sub("\ufffd", text)) if _SURROGATE.search(text) else value


def join_surrogates(text: str) -> tuple[str, str]:
    """Join surrogate pairs in text that was cut between their halves.

    Returns:
        The text with pairs joined and lone halves replaced, and a last high half that still waits for its
        other one (or `""`).
    """
    try:
        text.encode()
    except UnicodeEncodeError:  # only a surrogate has no UTF-8
        pass
    else:
        return text, ""
    held = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    body = text[: len(text) - len(held)]
    joined = body.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined, held
