"""What printing a live answer does to its file: writes, flushes, and when the first character comes.

The file counts and keeps what it gets. A write of nothing is no write: `print(text, end="")` makes one after
each text, and no file passes it on.

How much there is to save is the pace's doing: an interval holds what arrives in it. So a long answer comes as
fast as it can be read and at 10,000 deltas a second, and a shorter one as fast as a model speaks.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Aim, Case, Contender, Measure, at_most, times_less
from benchmarks.paced_cli import WARM_UP, PacedCli, PacedTurn
from benchmarks.sdk_loops import AGENT_SDK, CODE_SDK, Sdk
from benchmarks.turns import TEXT, LongTurn
from rxccsdk import ClaudeSession, SessionOptions
from rxccsdk import operators as cc
from rxccsdk.testing import environment

OURS = "rxccsdk, print_text(every=0.05)"

_DELTAS = 50_000
_ANSWERS = 50
_BURST = 1e9  # deltas a second: all at once


class CountingFile:
    """A text file that counts.

    Attributes:
        writes: of something.
        flushes: all of them.
        asked_at: when the prompt was sent, for whoever sends it to note.
        first_at: when the first character came, on the same clock.
    """

    def __init__(self) -> None:
        self.writes = self.flushes = 0
        self.asked_at = self.first_at = 0.0
        self._texts: list[str] = []

    def write(self, text: str) -> int:
        """Take a text."""
        if text:
            self.first_at = self.first_at or time.perf_counter()
            self.writes += 1
            self._texts.append(text)
        return len(text)

    def flush(self) -> None:
        """Count a flush."""
        self.flushes += 1

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self._texts)


Player = Callable[[Path, Sequence[CountingFile]], Coroutine[Any, Any, None]]
"""Starts a CLI and prints an answer of it to each of the files, one after the other."""


async def ours(cli: Path, files: Sequence[CountingFile]) -> None:
    """The operator, and the response behind it."""
    async with ClaudeSession(SessionOptions(cli_path=cli)) as session:
        for file in files:
            file.asked_at = time.perf_counter()
            turn = session.stream("go")
            response = await turn.pipe(cc.print_text(every=0.05, file=file), cc.to_response())
            assert response.content == file.text, "what was printed is not the answer"


def toolkit_loop(sdk: Sdk) -> Player:
    """What a `query()` with live output does, by hand: print each delta as it comes, and keep it."""

    async def play(cli: Path, files: Sequence[CountingFile]) -> None:
        async def ask(file: CountingFile) -> None:
            pieces: list[str] = []

            def on_text(text: str) -> None:
                print(text, end="", flush=True, file=file)
                pieces.append(text)

            file.asked_at = time.perf_counter()
            await sdk.ask(client, on_text)
            assert "".join(pieces) == file.text, "what was printed is not the answer"

        async with sdk.connect(cli) as client:
            for file in files:
                await ask(file)

    return play


_PLAYERS: tuple[tuple[str, Player], ...] = (
    (OURS, ours),
    ("claude-code-sdk, print() per delta", toolkit_loop(CODE_SDK)),
    ("claude-agent-sdk, print() per delta", toolkit_loop(AGENT_SDK)),
)


@dataclass(frozen=True)
class Work:
    """Answers to print.

    Attributes:
        name: what is special about them.
        text: of each of them, but for blank lines between blocks.
        cli: gives what answers so, after a first answer to warm up; told whether its reader sends a uuid
            with each prompt.
    """

    name: str
    text: str
    cli: Callable[[bool], Path]


def print_answers(play: Player, work: Work, answers: int = 1) -> list[CountingFile]:
    """Print some answers, each to a file of its own, and see that they are all there."""
    files = [CountingFile() for _ in range(1 + answers)]
    gc.collect()  # nobody pays for another's garbage
    with environment(os.environ):
        asyncio.run(play(work.cli(play is ours), files))
    for file in files[1:]:
        printed, sent = file.text.replace("\n", ""), work.text.replace("\n", "")
        if play is ours:
            assert printed == sent, "what was printed is not what the CLI sent"
        else:  # one of the SDKs loses a space now and then
            assert len(printed) >= 0.99 * len(sent), "most of the text is missing"
    return files[1:]


class Counts:
    """The counts of the same runs, for a case each: the second one runs nothing."""

    def __init__(self, play: Player, work: Work) -> None:
        self._print = partial(print_answers, play, work)
        self._kept: deque[int] = deque()

    def writes(self) -> float:
        """Run, and keep the figure for `flushes`."""
        (file,) = self._print()
        self._kept.append(file.flushes)
        return file.writes

    def flushes(self) -> float:
        """Of the first run not yet told of."""
        return self._kept.popleft() if self._kept else self._print()[0].flushes


def _first_character(play: Player, work: Work, answers: int) -> float:
    """Give the milliseconds from sending a prompt to the first character: one alone says little."""
    files = print_answers(play, work, answers)
    return median(file.first_at - file.asked_at for file in files) * 1e3


def _long_turn(folder: Path, deltas: int) -> Work:
    turn = LongTurn(folder, TEXT, deltas, 5)

    def cli(sends_uuid: bool) -> Path:
        return turn.cli("named" if sends_uuid else "nameless", lifecycle=sends_uuid).path

    return Work(f"{deltas:,} deltas at full speed", turn.content, cli)


def _paced_turns(folder: Path, deltas: int, per_second: float, answers: int = 1) -> Work:
    pieces = [f"{number % 10_000:04};" for number in range(deltas)]
    turn = PacedTurn(pieces, per_second)
    cli = PacedCli(folder / f"{deltas} at {per_second:g}", [WARM_UP] + [turn] * answers)
    pace = "at once" if per_second == _BURST else f"{per_second:,g} a second"
    return Work(f"{deltas:,} deltas, {pace}", "".join(pieces), lambda sends_uuid: cli.path)


def _counting(folder: Path, quick: bool) -> Iterator[tuple[Work, Aim | None]]:
    deltas = _DELTAS // 100 if quick else _DELTAS
    yield _long_turn(folder, deltas), times_less(50)
    yield _paced_turns(folder, deltas, 10_000), times_less(50)
    yield _paced_turns(folder, 30 if quick else 300, 100), None


def cases(quick: bool) -> Iterator[Case]:
    """Writes and flushes of three turns, and first characters of many; a quick run has fewer deltas."""
    with tempfile.TemporaryDirectory() as folder:
        for work, aim in _counting(Path(folder), quick):
            runs = [(name, Counts(play, work), None if name == OURS else aim) for name, play in _PLAYERS]
            writes = [Contender(name, of.writes, aim) for name, of, aim in runs]
            yield Case(f"{work.name}: writes", writes, OURS, most_rounds=3)
            flushes = [Contender(name, of.flushes, aim) for name, of, aim in runs]
            yield Case(f"{work.name}: flushes", flushes, OURS, unit="flushes", most_rounds=3)
        answers = _ANSWERS // 10 if quick else _ANSWERS
        for deltas, per_second in ((20, 1000), (200, _BURST)):
            work = _paced_turns(Path(folder), deltas, per_second, answers)
            first = [
                Contender(name, partial(_first_character, play, work, answers), _no_later(name))
                for name, play in _PLAYERS
            ]
            unit = f"milliseconds from the prompt, the median of {answers} answers"
            yield Case(f"{work.name}: the first character", first, OURS, unit=unit)


def _no_later(name: str) -> Aim | None:
    return None if name == OURS else at_most(1)


MEASURE = Measure(
    name="printing",
    title="Printing a live answer",
    unit="writes",
    cases=cases,
    packages=("claude-code-sdk", "claude-agent-sdk", "reactivex"),
)
