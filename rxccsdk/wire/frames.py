"""Frames out of bytes: lines out of reads, and the JSON in them."""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec import Struct, field
from msgspec.json import Decoder

from rxccsdk.chunks import Frame

_SURROGATE = re.compile("[\ud800-\udfff]")
_DELTA = b'"content_block_delta"'

_decode_any = Decoder().decode


class LineFramer:
    r"""Cuts a stream of bytes into its lines, wherever the reads happen to be cut.

    Time and memory are linear in the bytes, also for one line that arrives in ten thousand reads.

    Example:
        >>> framer = LineFramer()
        >>> framer.push(b'{"a"'), framer.push(b': 1}\n{"b": 2}\n{'), framer.flush()
        ([], [b'{"a": 1}', b'{"b": 2}'], b'{')
    """

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def push(self, data: bytes) -> list[bytes]:
        """Take one read; return the lines it completes, without their newlines."""
        if b"\n" not in data:
            self._pending.append(data)
            return []
        lines = data.split(b"\n")
        tail = lines.pop()
        if self._pending:
            self._pending.append(lines[0])  # and not the whole read, which would be copied
            lines[0] = b"".join(self._pending)
            self._pending.clear()
        if tail:
            self._pending.append(tail)
        return lines

    def flush(self) -> bytes:
        """Return what is left: a last line that had no newline."""
        tail = b"".join(self._pending)
        self._pending = []
        return tail


class TextDelta(Struct, gc=False, tag_field="type", tag="text_delta"):
    """A piece of a text block."""

    text: str


class ThinkingDelta(Struct, gc=False, tag_field="type", tag="thinking_delta"):
    """A piece of a thinking block."""

    text: str = field(name="thinking")


class InputDelta(Struct, gc=False, tag_field="type", tag="input_json_delta"):
    """A piece of a tool call's input, as JSON text."""

    text: str = field(name="partial_json")


Delta = TextDelta | ThinkingDelta | InputDelta


class _DeltaEvent(Struct, gc=False, tag_field="type", tag="content_block_delta"):
    index: int
    delta: Delta


class DeltaFrame(Struct, gc=False, tag_field="type", tag="stream_event"):
    """The frame that comes by the ten thousand: a piece of a block that streams."""

    event: _DeltaEvent
    parent_tool_use_id: str | None = None
    api_message_id: str | None = None


_decode_delta = Decoder(DeltaFrame).decode


def decode_delta(line: bytes) -> DeltaFrame | None:
    """Decode one line if it is a delta frame, at half the cost of `decode`.

    Args:
        line: a line without its newline.

    Returns:
        The frame, or `None` where the line is anything else, or is to be read patiently by `decode`.
    """
    if _DELTA not in line:  # inside a JSON string its quotes would be escaped
        return None
    try:
        return _decode_delta(line)
    except ValueError:
        return None


def decode(line: bytes) -> Frame | None:
    """Decode one line.

    The fast decoder refuses some of what real output has: invalid UTF-8, deep nesting, and the lone surrogate
    escapes that JavaScript writes when it cuts a string inside an emoji. Those lines are decoded again,
    leniently: what is no character becomes U+FFFD. A surrogate that may be half of a pair across two deltas
    stays, for the parser to join.

    Args:
        line: a line without its newline.

    Returns:
        The frame, or `None` for a line that is no JSON object (debug output, a truncated line).
    """
    try:
        frame = _decode_any(line)
    except (ValueError, RecursionError):
        try:
            frame = json.loads(line.decode("utf-8-sig", "replace"), strict=False)
            if not _is_delta(frame):
                frame = _without_surrogates(frame)
        except (ValueError, RecursionError):
            return None
    return frame if isinstance(frame, dict) else None


def _is_delta(frame: Any) -> bool:
    """Whether this is a delta whose text the parser joins with its neighbours'."""
    try:
        return frame["event"]["delta"]["type"] in ("text_delta", "thinking_delta", "input_json_delta")
    except (KeyError, TypeError):
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


_encode = json.JSONEncoder(separators=(",", ":")).encode


def to_line(frame: Frame) -> bytes:
    """Return a frame as the line to write."""
    return _encode(frame).encode() + b"\n"


def new_session_id(frame: Frame) -> str | None:
    """Return the id that a frame gives the session, or `None`."""
    if frame.get("type") == "conversation_reset":
        session_id = frame.get("new_session_id") or frame.get("session_id")
    elif frame.get("type") == "system" and frame.get("subtype") == "init":
        session_id = frame.get("session_id")
    else:
        return None
    return session_id if isinstance(session_id, str) else None
