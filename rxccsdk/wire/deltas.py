"""Deltas by the thousand: what is the same in each of them is read once.

While a block streams, its lines differ in two places only, the words and the frame's id. So the first of them
is decoded as JSON, and lines that equal it byte for byte around those two places need no decoding and, being
the same frame with other words, no routing of their own: they go on as one run. Every other line goes the
general way.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from rxccsdk.chunks import Frame

DELTA_FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""The kinds of deltas that carry words, and the field they are in."""

_INSIDE_A_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*(?=")')
_PATIENCE = 100  # deltas in a row that no other line was like, before it is given up to look for more


@dataclass(slots=True)  # not frozen, which would take longer to make than a short run to read
class DeltaRun:
    """Delta frames of the main agent that differ in nothing but their words and their ids.

    Attributes:
        index: of the content block.
        kind: the delta's type: `text_delta`, `thinking_delta` or `input_json_delta`.
        message_id: the message, where the frames name it.
        texts: the words of each frame; no lone surrogates among them.
    """

    index: int
    kind: str
    message_id: str | None
    texts: Sequence[str]


class DeltaReader:
    """Recognises the lines that repeat the last delta with other words."""

    def __init__(self) -> None:
        self._shape: _Shape | None = None
        self._fruitless = 0

    def learn(self, line: bytes, frame: Frame) -> None:
        """Take a line that had to be decoded; where it is a delta, look out for more like it."""
        if not _is_delta(frame) or self._fruitless >= _PATIENCE:
            return
        self._fruitless += 1
        with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):  # not of the shape we know
            self._shape = _shape(line, frame)

    def read(self, lines: Sequence[bytes], start: int) -> DeltaRun | None:
        """Read as many lines as repeat the last delta.

        Args:
            lines: the lines at hand.
            start: where to begin.

        Returns:
            The run, or `None` where not even the first line repeats it.
        """
        shape = self._shape
        if shape is None or not lines[start].startswith(shape.before):
            return None
        texts = shape.read(lines, start)
        if not texts:
            return None
        self._fruitless = 0
        return DeltaRun(shape.index, shape.kind, shape.message_id, texts)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A delta's line without its words and its id."""

    before: bytes  # up to the words, with their opening quote
    between: bytes  # from their closing quote to the id
    after: bytes  # from the id's closing quote
    id_size: int
    quotes: int  # in all of it
    index: int
    kind: str
    message_id: str | None

    def read(self, lines: Sequence[bytes], start: int) -> list[str]:
        """Give the words of the lines that have this shape, up to the first that has not."""
        before, between, after = self.before, self.between, self.after
        id_size, quotes = self.id_size, self.quotes
        head, tail = len(before), len(after)
        behind = len(between) + id_size + tail  # what follows the words
        texts: list[str] = []
        for at in range(start, len(lines)):
            line = lines[at]
            end = len(line) - behind
            if end < head or not (
                line.startswith(before) and line.startswith(between, end) and line.endswith(after)
            ):
                break
            words = line[head:end]
            try:
                if line.count(b'"') == quotes and b"\\" not in line:
                    texts.append(words.decode())
                    continue
                frame_id = line[-tail - id_size : -tail]
                text = from_json(b'"%b"' % words, cache_strings="none")
            except ValueError:  # no UTF-8, or no JSON string: the general way decides what becomes of it
                break
            if b'"' in frame_id or b"\\" in frame_id or not isinstance(text, str):
                break
            texts.append(text)
        return texts


def _is_delta(frame: Frame) -> bool:
    if frame.get("type") != "stream_event" or frame.get("parent_tool_use_id") is not None:
        return False
    event = frame.get("event")
    return isinstance(event, dict) and event.get("type") == "content_block_delta"


def _shape(line: bytes, frame: Frame) -> _Shape | None:
    """The shape of a delta's line, if its words and its id can be told from the rest."""
    event, frame_id = frame["event"], frame["uuid"]
    delta = event["delta"]
    kind = delta["type"]
    field = DELTA_FIELDS[kind]
    before, opening, rest = line.partition(b'"%b":"' % field.encode())
    words = _INSIDE_A_STRING.match(rest)
    if words is None:
        return None
    before += opening
    between, _, after = rest[words.end() :].partition(frame_id.encode())
    # The proof that these are the two places: with others put there, it is the same frame with others.
    other = "x" * len(frame_id)
    probe = from_json(b"".join((before, b"words", between, other.encode(), after)))
    wanted = {**frame, "uuid": other, "event": {**event, "delta": {**delta, field: "words"}}}
    if probe != wanted or not isinstance(event["index"], int):
        return None
    message_id = frame.get("api_message_id")
    quotes = (before + between + after).count(b'"')
    return _Shape(before, between, after, len(frame_id), quotes, event["index"], kind, message_id)
