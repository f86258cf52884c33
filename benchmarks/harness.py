"""Runs contenders side by side: alternately, some rounds, and their figures compared round by round.

A module of this package that measures something has a `MEASURE`, and `benchmarks/__main__.py` lists it.
Nothing here asserts a time: a figure is printed beside its aim, and people judge it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Aim:
    """What the baseline is to reach against a contender. Made with `times_less` or `at_most`."""

    words: str
    smallest: float  # that the contender's figure may be, in figures of the baseline

    def reached(self, ratio: float) -> bool:
        """Whether it is reached where the contender's figure is so many times the baseline's."""
        return ratio >= self.smallest


def times_less(times: float) -> Aim:
    """The baseline is to cost so many times less than the contender."""
    return Aim(f"{times:g} times less", times)


def at_most(times: float) -> Aim:
    """The baseline is to cost at most so many times what the contender costs."""
    return Aim(f"at most {times:g} times it", 1 / times)


class CannotDo(Exception):
    """A contender is not able to do this work; the message says why, and stands in the table."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: what the table calls it.
        run: does the work once, on its own, and gives the figure in the case's unit. Raises `CannotDo`.
        aim: what the baseline is to reach against it; `None` where nothing is aimed at.
    """

    name: str
    run: Callable[[], float]
    aim: Aim | None = None


@dataclass(frozen=True)
class Case:
    """The same work for all contenders.

    Attributes:
        name: what is special about it.
        contenders: who does it, in the order of the table.
        baseline: names the one the others are compared with: ours.
        unit: of the figures, where it is not the measure's.
        most_rounds: for what takes long: it is not run more often than this.
        fewest_rounds: it is not run less often than this.
        least: compare the least figures, not the medians: where what disturbs the machine can only add.
    """

    name: str
    contenders: Sequence[Contender]
    baseline: str
    unit: str | None = None
    most_rounds: int | None = None
    fewest_rounds: int = 0
    least: bool = False


T = TypeVar("T")


@dataclass(frozen=True)
class Figure(Generic[T]):
    """What a case tells of runs that have more than one figure.

    Attributes:
        case: its name.
        unit: of the figure.
        of: gives the figure of a run.
        aims: what the baseline is to reach against each row in this case, by the rows' names.
    """

    case: str
    unit: str
    of: Callable[[T], float]
    aims: Mapping[str, Aim] = field(default_factory=dict)


def cases_of_runs(
    runs: Mapping[str, Callable[[], T]],
    figures: Sequence[Figure[T]],
    baseline: str,
    most_rounds: int | None = None,
) -> Iterator[Case]:
    """Yield a case for each figure of the same runs: the first case runs, the others tell what it kept.

    Args:
        runs: does the work of each row, by the rows' names.
        figures: of each run.
        baseline: names the row the others are compared with.
        most_rounds: how often it is run at the most.
    """
    kept: dict[str, list[T]] = {name: [] for name in runs}

    def contender(name: str, figure: Figure[T]) -> Contender:
        rounds = count()

        def run() -> float:
            if (number := next(rounds)) == len(kept[name]):
                kept[name].append(runs[name]())
            return figure.of(kept[name][number])

        return Contender(name, run, figure.aims.get(name))

    for figure in figures:
        rows = [contender(name, figure) for name in runs]
        yield Case(figure.case, rows, baseline, unit=figure.unit, most_rounds=most_rounds)


@dataclass(frozen=True)
class Measure:
    """A question, and how to answer it.

    Attributes:
        name: for `--only` and for the files with the results.
        title: the question, for people.
        unit: of the figures; the smaller the better.
        cases: yields the cases one by one; what a case needs lives until the next one is asked for. Told
            whether to be quick: small sizes, for a run that only shows that everything still works.
        packages: the distributions whose versions belong to the results.
    """

    name: str
    title: str
    unit: str
    cases: Callable[[bool], Iterator[Case]]
    packages: Sequence[str] = ()


@dataclass
class Row:
    """The figures of a contender, one a round, and their ratios to the baseline's of the same round."""

    name: str
    aim: Aim | None = None
    figures: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    figure: float = 0.0  # the one that counts: their median, or the least
    ratio: float = 0.0  # of that to the baseline's
    failure: str | None = None  # why there are no figures


@dataclass
class Table:
    """A case, run."""

    case: str
    baseline: str
    unit: str
    rows: list[Row]
    rounds: int
    least: bool

    @property
    def statistic(self) -> str:
        """Which figure of all rounds counts, in words."""
        return f"{'least' if self.least else 'median'} of {self.rounds} rounds"


def _ignore(words: str) -> None:
    return None


def run_case(measure: Measure, case: Case, rounds: int, told: Callable[[str], None] = _ignore) -> Table:
    """Run all contenders of a case, alternately: A B C A B C ...

    What disturbs the machine for a while so disturbs all of them, and the ratio within a round stays true.

    Args:
        measure: what the case is of.
        case: what to run.
        rounds: how many times.
        told: gets the name of the case and of each contender before it runs.
    """
    rows = [Row(contender.name, contender.aim) for contender in case.contenders]
    rounds = max(min(rounds, case.most_rounds or rounds), case.fewest_rounds)
    for _ in range(rounds):
        for row, contender in zip(rows, case.contenders, strict=True):
            told(f"{case.name}: {contender.name}")
            try:
                row.figures.append(contender.run())
            except CannotDo as failure:
                row.failure = str(failure)
    base = next(row for row in rows if row.name == case.baseline)
    ran = [row for row in rows if row.failure is None]
    for row in ran:
        row.figure = min(row.figures) if case.least else median(row.figures)
    for row in ran:
        row.ratio = row.figure / base.figure
        row.ratios = [own / other for own, other in zip(row.figures, base.figures, strict=True)]
    return Table(case.name, case.baseline, case.unit or measure.unit, rows, rounds, case.least)


class Stopwatch:
    """Measures the `with` block only, so that what leads up to it and what cleans up behind it is free.

    The garbage collector stays on, other than in `timeit`: a turn's log keeps its chunks, and the collector's
    walks over what is kept are a cost that users pay, and that differs between contenders. What the one
    before left is collected first, so that nobody pays for another's garbage.

    Example:
        >>> watch = Stopwatch()
        >>> with watch:
        ...     _ = sum(range(1000))
        >>> 0 < watch.seconds < 60
        True
    """

    seconds = 0.0

    def __enter__(self) -> Stopwatch:
        gc.collect()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = time.perf_counter() - self._started
