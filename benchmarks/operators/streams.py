"""Streams inside the stream, by hand: a sub-agent's, a code block's."""

from __future__ import annotations

from typing import Any

from benchmarks.operators.ways import Emit, Got
from benchmarks.sources import report_error


def subscriber(got: Got) -> Emit:
    return lambda stream: stream.subscribe(got.append)


class Replayed:
    """A sub-agent's or code block's stream by hand: a log, and who is told of what comes."""

    def __init__(self) -> None:
        self._log: list[Any] = []
        self._subscribers: list[Emit] = []

    def subscribe(self, on_next: Emit) -> None:
        for item in self._log:
            on_next(item)
        self._subscribers.append(on_next)

    def push(self, item: Any) -> None:
        self._log.append(item)
        for on_next in self._subscribers:
            try:
                on_next(item)
            except Exception as error:
                report_error(error)
