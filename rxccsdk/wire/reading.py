"""Frames out of the CLI's output, as it is read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from rxccsdk.chunks import Frame
from rxccsdk.wire.decoding import decode
from rxccsdk.wire.deltas import DeltaReader, DeltaRun
from rxccsdk.wire.framing import LineFramer

_log = logging.getLogger("rxccsdk")


class FrameReader:
    """Turns reads of any size into frames.

    Args:
        runs: give deltas that repeat each other with other words as one `DeltaRun`. Not for those who want
            each frame as it came.
        heard: gets each line that is a frame, and the frame, before it is given.
    """

    def __init__(self, *, runs: bool = True, heard: Callable[[bytes, Frame], None] | None = None) -> None:
        self._framer = LineFramer()
        self._deltas = DeltaReader() if runs and heard is None else None
        self._heard = heard

    def read(self, data: bytes) -> Iterator[Frame | DeltaRun]:
        """Take one read; give the frames it completed. A line that is none gives a frame that shows it."""
        return self._frames(self._framer.push(data))

    def flush(self) -> Iterator[Frame | DeltaRun]:
        """Give what is left of a last line that had no newline."""
        tail = self._framer.flush()
        return self._frames([tail] if tail else [])

    def _frames(self, lines: list[bytes]) -> Iterator[Frame | DeltaRun]:
        # One by one: a frame that is gone before the next costs the collector nothing.
        deltas, heard = self._deltas, self._heard
        at = 0
        while at < len(lines):
            run = deltas.read(lines, at) if deltas is not None else None
            if run is not None:
                at += len(run.texts)
                yield run
                continue
            line = lines[at]
            at += 1
            frame = decode(line)
            if frame is None:
                if line.strip():
                    text = line[:2000].decode("utf-8", "replace")
                    _log.warning("the CLI wrote a line that is no frame: %s", text)
                    yield {"type": "not_json", "line": text}
                continue
            if heard is not None:
                heard(line, frame)
            if deltas is not None and at < len(lines):  # else there is nothing that could be like it
                deltas.learn(line, frame)
            yield frame
