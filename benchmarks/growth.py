"""Whether a turn a hundred times as long costs a hundred times as much, and no more.

Each figure is of a turn in a fresh process, from the pipe through the parser, the turn's log and five
operators to the response, and is told per delta: what grows in proportion stays the same. The longest turn
is the baseline, so that growing out of proportion shows as a ratio below 1. What any turn costs however short
it is, a millisecond or two, is in all figures and raises those of short turns a little.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.fresh_process import Figures, Task, digest, play
from benchmarks.harness import Aim, Case, Contender, Measure, at_most
from benchmarks.turns import TEXT, LongTurn

_DELTAS = 1_000_000
_SIZE = 5
_PLAYS = 5  # of the shortest turn, which is over in milliseconds: the middle one counts
_LINEAR = at_most(1.1)
_FREE = ", collector off"
_COUNTED = ", as the system counts (USS)"


def _time(turn: LongTurn, *, plays: int = 1, collector: bool = True) -> float:
    """Microseconds of work per delta.

    Full collections walk all that the log keeps. They come each time it has grown by a quarter, so that their
    sum is in proportion to the log; but a short turn is over before the first one.
    """
    task = Task(operators=True, collector=collector)
    return median(_play(turn, task).seconds for _ in range(plays)) / turn.deltas * 1e6


def _peak(turn: LongTurn) -> float:
    """Bytes per delta that Python had allocated for the turn when it had allocated most."""
    return _play(turn, Task(operators=True, traced=True)).peak / turn.deltas


def _resident(turn: LongTurn) -> float:
    """Bytes per delta by which the process had grown."""
    return _play(turn, Task(operators=True)).resident / turn.deltas


def _whole(turn: LongTurn) -> float:
    """Megabytes: what the process held before the turn, and the turn's peak on top of it."""
    figures = _play(turn, Task(operators=True, traced=True, replay=False))
    return (figures.fixed + figures.peak) / 1e6


def _play(turn: LongTurn, task: Task) -> Figures:
    figures = play(turn, task)
    assert figures.answer == digest(turn.content), "the answer is not what the CLI sent"
    return figures


def _contender(
    turn: LongTurn, measure: Callable[[LongTurn], float], aim: Aim | None = None, *, words: str = ""
) -> Contender:
    return Contender(_name(turn) + words, lambda: measure(turn), aim)


def _name(turn: LongTurn) -> str:
    return f"{turn.deltas:,} deltas"


def cases(quick: bool) -> Iterator[Case]:
    """Time, memory with the log and without; a quick run has a hundredth of the deltas, fewer rows."""
    count = _DELTAS // 100 if quick else _DELTAS
    with ExitStack() as folders:

        def long_turn(deltas: int) -> LongTurn:
            folder = folders.enter_context(tempfile.TemporaryDirectory())
            return LongTurn(Path(folder), TEXT, deltas, _SIZE)

        large, middle, small = (long_turn(count // part) for part in (1, 10, 100))
        rows = [
            _contender(large, _time),
            _contender(small, lambda turn: _time(turn, plays=1 if quick else _PLAYS), _LINEAR),
        ]
        if not quick:
            rows += [
                _contender(middle, _time),
                _contender(large, lambda turn: _time(turn, collector=False), words=_FREE),
                _contender(middle, lambda turn: _time(turn, collector=False), words=_FREE),
            ]
        yield Case("time", rows, _name(large), "microseconds of the process's work per delta")

        rows = [_contender(large, _peak), _contender(small, _peak, _LINEAR)]
        if not quick:
            rows += [
                _contender(middle, _peak),
                _contender(large, _resident, words=_COUNTED),
                _contender(middle, _resident, words=_COUNTED),
            ]
        yield Case("memory with the log", rows, _name(large), "bytes per delta", most_rounds=1)

        if quick:
            return  # each row starts a process, and `log_memory` has one like these
        rows = [_contender(large, _whole), _contender(small, _whole, _LINEAR)]
        name = "memory with replay=False, of the whole process"
        yield Case(name, rows, _name(large), "megabytes", most_rounds=1)


MEASURE = Measure(
    name="growth",
    title="A turn a hundred times as long",
    unit="per delta",
    cases=cases,
    packages=("pydantic-core", "reactivex"),
)
