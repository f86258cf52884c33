"""Bytes that a turn's log takes at its peak, beside the bytes that the CLI wrote.

Each turn is played in a fresh process, as the CLI writes it, in a flood or a delta at a time: through the
framer, the decoder and the parser into the log, with somebody subscribed who keeps nothing. The peak is of
all that Python allocated for the turn: the read and the frame at hand are in it, and the block that the
parser waits to see confirmed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.fresh_process import Figures, Task, play, play_cli
from benchmarks.harness import Aim, Case, Contender, Measure, at_most
from benchmarks.paced_cli import WARM_UP, PacedCli, PacedTurn, answer_frames, lines_of
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
_LIVE_DELTAS = 10_000
_LIVE_PER_SECOND = 1000
_FLAT_CASES: tuple[tuple[str, Kind], ...] = (
    ("replay=False, thinking", THINKING),
    ("replay=False, text, without the answer's own", TEXT),
)
_FLAT_DELTAS = 50_000
_FLAT_SIZE = 5


@dataclass(frozen=True)
class _Played:
    """A turn on disk, to be played in fresh processes and checked each time.

    Attributes:
        play: plays it.
        deltas: how many it has.
        characters: in all of them.
        on_the_wire: bytes.
        answer: bytes of the answer's text.
    """

    play: Callable[[Task], Figures]
    deltas: int
    characters: int
    on_the_wire: int
    answer: int

    def figures(self, task: Task) -> Figures:
        figures = self.play(task)
        assert figures.pieces == self.deltas, "deltas are missing, or came twice"
        assert figures.characters == self.characters, "deltas were cut"
        return figures

    def contender(self, name: str, figure: Callable[[], float], aim: Aim | None = None) -> Contender:
        """A row, per delta."""
        return Contender(name, lambda: figure() / self.deltas, aim)


def _flood(folder: str, kind: Kind, deltas: int, size: int) -> _Played:
    """As fast as the CLI can write: many deltas a read."""
    turn = LongTurn(Path(folder), kind, deltas, size)
    on_the_wire = sum(file.stat().st_size for file in Path(folder).iterdir())
    return _Played(partial(play, turn), deltas, deltas * size, on_the_wire, len(turn.content.encode()))


def _live(folder: str, deltas: int) -> _Played:
    """As a model speaks: one delta a read."""
    turn = PacedTurn(["piece"] * deltas, _LIVE_PER_SECOND)
    cli = PacedCli(Path(folder) / "cli", [WARM_UP, turn])
    text = len("".join(turn.pieces))
    return _Played(partial(play_cli, cli.path), deltas, text, len(lines_of(answer_frames(turn.pieces))), text)


def cases(quick: bool) -> Iterator[Case]:
    """With the log, then without; a quick run has a hundredth of the deltas, and less of each sort."""
    part = 100 if quick else 1
    for name, kind, deltas, size, subscribers in _CASES:
        if quick and (size, subscribers) != (5, 1):
            continue
        with tempfile.TemporaryDirectory() as folder:
            played = _flood(folder, kind, deltas // part, size)
            yield _case(name, played, subscribers, quick)
    with tempfile.TemporaryDirectory() as folder:
        live = _live(folder, _LIVE_DELTAS // part)
        yield _case(f"text, one a read, {_LIVE_PER_SECOND:,} a second", live, 1, quick)
    for name, kind in _FLAT_CASES[: 1 if quick else None]:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
            short = _flood(folder, kind, _FLAT_DELTAS // part, _FLAT_SIZE)
            long = _flood(other, kind, _FLAT_DELTAS // part * 10, _FLAT_SIZE)
            yield Case(name, _flat_rows(short, long), _deltas(long), "kilobytes", most_rounds=1)


def _case(name: str, played: _Played, subscribers: int, quick: bool) -> Case:
    def peak() -> float:
        return played.figures(Task(subscribers=subscribers, traced=True)).peak

    def resident() -> float:
        return played.figures(Task(subscribers=subscribers)).resident

    rows = [
        played.contender(OURS, peak),
        played.contender("bytes on the wire", lambda: played.on_the_wire, at_most(1.1)),
    ]
    if not quick:
        rows.append(played.contender(f"{OURS}, as the system counts (USS)", resident))
    return Case(f"{name}, {played.deltas:,} of them", rows, OURS, most_rounds=2)


def _flat_rows(short: _Played, long: _Played) -> list[Contender]:
    """The response has the answer's text, log or no log: `turn.response` promises it. It is taken off."""

    def row(played: _Played, aim: Aim | None = None) -> Contender:
        def kilobytes() -> float:
            peak = played.figures(Task(replay=False, traced=True)).peak
            return (peak - played.answer) / 1e3

        return Contender(_deltas(played), kilobytes, aim)

    return [row(long), row(short, at_most(1.1))]


def _deltas(played: _Played) -> str:
    return f"{played.deltas:,} deltas"


MEASURE = Measure(
    name="log_memory",
    title="The memory of a turn's log",
    unit="bytes per delta",
    cases=cases,
    packages=("pydantic-core", "reactivex"),
)
