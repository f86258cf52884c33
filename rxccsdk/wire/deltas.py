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
from itertools import takewhile
from operator import itemgetter

from pydantic_core import from_json

from rxccsdk.chunks import Frame

DELTA_FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""The kinds of deltas that carry words, and the field they are in."""

_INSIDE_A_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*(?=")')
_LEAST = 4  # lines
_FASTER = 4  # times as many, where all of them were of the run
_PATIENCE = 100  # deltas in a row that no other line was like, before it is given up to look for more
_RELUCTANT = 100  # lines at most that are passed over before the next try


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
    """Recognises the lines that repeat the last delta with other words.

    One line alone is decoded sooner than recognised. So after each that was alone, as the deltas of thinking
    are between the counts of its tokens, twice as many are passed over before the next try.
    """

    def __init__(self) -> None:
        self._shape: _Shape | None = None
        self._fruitless = 0
        self._reluctant = self._passed_over = 0  # lines to pass over, and that were
        self._window = _LEAST  # how many lines are looked at in one go: what is not of the run costs, too

    def learn(self, line: bytes, frame: Frame) -> None:
        """Take a line that had to be decoded; where it is a delta, look out for more like it."""
        if not _is_delta(frame) or self._fruitless >= _PATIENCE:
            return
        if self._shape is None or not line.startswith(self._shape.before):
            self._reluctant = self._passed_over = 0  # another block, which may not come line by line
        elif self._passed_over:
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
            The run, or `None` where not even the first line repeats it, or it is the only one at hand.
        """
        shape = self._shape
        if shape is None or start + 1 == len(lines) or not lines[start].startswith(shape.before):
            return None
        if self._passed_over < self._reluctant:
            self._passed_over += 1
            return None
        texts: list[str] = []
        wanted = 0
        while len(texts) == wanted and start + wanted < len(lines):
            window = lines[start + wanted : start + wanted + self._window]
            texts += shape.read(window)
            wanted += len(window)
            self._window *= _FASTER
        self._window = max(len(texts), _LEAST)
        self._passed_over = 0
        self._reluctant = 0 if len(texts) > 1 else min(2 * self._reluctant + 1, _RELUCTANT)
        if not texts:
            return None
        self._fruitless = 0
        return DeltaRun(shape.index, shape.kind, shape.message_id, texts)


class _Shape:
    """A delta's line without its words and its id.

    What is asked of each line is asked of many in one go, by functions that are not Python's own.

    Args:
        before: the line up to the words, with their opening quote.
        between: from their closing quote to the id.
        after: from the id's closing quote.
        id_size: how long the id is.
    """

    def __init__(
        self,
        before: bytes,
        between: bytes,
        after: bytes,
        id_size: int,
        index: int,
        kind: str,
        message_id: str | None,
    ) -> None:
        self.before = before
        self.index, self.kind, self.message_id = index, kind, message_id
        head, tail = len(before), len(after)
        behind = len(between) + id_size + tail  # what follows the words
        self._shortest = head + behind
        self._same = (
            (before, itemgetter(slice(None, head))),
            (between, itemgetter(slice(-behind, -id_size - tail))),
            (after, itemgetter(slice(-tail, None))),
        )
        self._words = itemgetter(slice(head, -behind))
        self._id = itemgetter(slice(-id_size - tail, -tail))

    def read(self, lines: Sequence[bytes]) -> list[str]:
        """Give the words of the lines that have this shape, up to the first that has not."""
        lines = self._fitting(lines)
        texts = self._texts(lines)
        if texts is None:  # one of them is no UTF-8, or no JSON string: the general way decides what it is
            texts = []
            for line in lines:
                text = self._texts([line])
                if text is None:
                    break
                texts += text
        return texts

    def _fitting(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """The lines up to the first that is not the same around its words and its id."""
        if min(map(len, lines)) < self._shortest:
            lines = [*takewhile(lambda line: len(line) >= self._shortest, lines)]
        for wanted, part_of in self._same:
            parts = [*map(part_of, lines)]
            if parts.count(wanted) < len(parts):
                lines = lines[: next(at for at, part in enumerate(parts) if part != wanted)]
        return lines

    def _texts(self, lines: Sequence[bytes]) -> list[str] | None:
        """The words of lines that fit; `None` where those of any cannot be read so."""
        ids, words = b"\n".join(map(self._id, lines)), b"\n".join(map(self._words, lines))
        if b'"' in ids or b"\\" in ids or not lines:
            return None if lines else []
        try:
            if b"\\" not in words:
                return None if b'"' in words else words.decode().split("\n")
            ends = words.replace(rb"\\", b"").replace(rb"\"", b"")  # without what a backslash escapes
            if b'"' in ends or b"\\\n" in ends or ends.endswith(b"\\"):
                return None
            texts: list[str] = from_json(b'["%b"]' % words.replace(b"\n", b'","'), cache_strings="none")
            return texts
        except ValueError:
            return None


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
    return _Shape(before, between, after, len(frame_id), event["index"], kind, message_id)
