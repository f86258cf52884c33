"""Bytes that a turn's log takes at its peak, beside the bytes that the CLI wrote.

Each turn is played in a fresh process, as the CLI writes it: through the framer, the decoder and the parser
into the log, with somebody subscribed who keeps nothing. The peak is of all that Python allocated for the
turn: the read and the frame at hand are in it, and the block that the parser waits to see confirmed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.fresh_process import Figures, Task, play
from benchmarks.harness import Aim, Case, Contender, Measure, at_most
from benchmarks.turns import TEXT, THINKING, TOOL_INPUT, Kind, LongTurn

OURS = "rxccsdk, a turn's log"

_CASES: tuple[tuple[str, Kind, int, int, int], ...] = (
    ("text, 5 byte deltas", TEXT, 50_000, 5, 1),
    ("text, 200 byte deltas", TEXT, 50_000, 200, 1),
    ("text, 4 KB deltas", TEXT, 5_000, 4096, 1),
    ("text, 5 byte deltas, ten subscribers", TEXT, 50_000, 5, 10),
    ("thinking, 5 byte deltas", THINKING, 50_000, 5, 1),
    ("tool input, 5 byte deltas", TOOL_INPUT, 50_000, 5, 1),
)
_FLAT_CASES: tuple[tuple[str, Kind], ...] = (
    ("replay=False, thinking", THINKING),
    ("replay=False, text, without the answer's own", TEXT),
)
_FLAT_DELTAS = 50_000
_FLAT_SIZE = 5


class _Played:
    """A turn on disk, to be played in fresh processes and checked each time."""

    def __init__(self, folder: str, kind: Kind, deltas: int, size: int) -> None:
        self.turn = LongTurn(Path(folder), kind, deltas, size)
        self.on_the_wire = sum(file.stat().st_size for file in Path(folder).iterdir())
        self._characters = deltas * size

    def figures(self, task: Task) -> Figures:
        figures = play(self.turn, task)
        assert figures.pieces == self.turn.deltas, "deltas are missing, or came twice"
        assert figures.characters == self._characters, "deltas were cut"
        return figures

    def contender(self, name: str, figure: Callable[[], float], aim: Aim | None = None) -> Contender:
        """A row, told per delta."""
        return Contender(name, lambda: figure() / self.turn.deltas, aim)


def cases(quick: bool) -> Iterator[Case]:
    """With the log, then without; a quick run has a hundredth of the deltas, and less of each sort."""
    part = 100 if quick else 1
    for name, kind, deltas, size, subscribers in _CASES:
        if quick and (size, subscribers) != (5, 1):
            continue
        with tempfile.TemporaryDirectory() as folder:
            played = _Played(folder, kind, deltas // part, size)
            yield Case(
                f"{name}, {deltas // part:,} of them", _rows(played, subscribers, quick), OURS, most_rounds=2
            )
    for name, kind in _FLAT_CASES[: 1 if quick else None]:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
            short = _Played(folder, kind, _FLAT_DELTAS // part, _FLAT_SIZE)
            long = _Played(other, kind, _FLAT_DELTAS // part * 10, _FLAT_SIZE)
            yield Case(name, _flat_rows(short, long), _deltas(long), "kilobytes", most_rounds=1)


def _rows(played: _Played, subscribers: int, quick: bool) -> list[Contender]:
    def peak() -> float:
        return played.figures(Task(subscribers=subscribers, traced=True)).peak

    def resident() -> float:
        return played.figures(Task(subscribers=subscribers)).resident

    rows = [
        played.contender(OURS, peak),
        played.contender("bytes on the wire", lambda: played.on_the_wire, at_most(1.1)),
    ]
    return rows if quick else [*rows, played.contender(f"{OURS}, as the system counts (USS)", resident)]


def _flat_rows(short: _Played, long: _Played) -> list[Contender]:
    """The response has the answer's text, log or no log: `turn.response` promises it. It is taken off."""

    def row(played: _Played, aim: Aim | None = None) -> Contender:
        def kilobytes() -> float:
            peak = played.figures(Task(replay=False, traced=True)).peak
            return (peak - len(played.turn.content.encode())) / 1e3

        return Contender(_deltas(played), kilobytes, aim)

    return [row(long), row(short, at_most(1.1))]


def _deltas(played: _Played) -> str:
    return f"{played.turn.deltas:,} deltas"


MEASURE = Measure(
    name="log_memory",
    title="The memory of a turn's log",
    unit="bytes per delta",
    cases=cases,
    packages=("pydantic-core", "reactivex"),
)
