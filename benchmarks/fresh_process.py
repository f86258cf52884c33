"""One long turn in a process of its own, for figures that whatever ran before would spoil.

`play()` and `play_cli()` start `python -m benchmarks.fresh_process`; there a session is opened on a CLI,
warmed up on a short turn, and its second turn, the long one, is what the figures are of. The CLI is another
process still: its time and memory do not count.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import subprocess
import sys
import time
import tracemalloc
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import psutil

from rxccsdk import Chunk, ClaudeSession, SessionOptions, TextChunk, ThinkingChunk, ToolInputChunk, Turn
from rxccsdk import operators as cc

if TYPE_CHECKING:
    from benchmarks.turns import LongTurn

_CHECKOUT = Path(__file__).parents[1]
_PATIENCE = 600.0  # seconds


@dataclass(frozen=True)
class Task:
    """What to do with the turn.

    Attributes:
        replay: whether the turn keeps its log.
        operators: take it through five operators to the response; without, subscribers just count.
        subscribers: how many count.
        traced: trace every allocation of the turn: exact, and several times slower.
        collector: leave the garbage collector on.
    """

    replay: bool = True
    operators: bool = False
    subscribers: int = 1
    traced: bool = False
    collector: bool = True


@dataclass(frozen=True)
class Figures:
    """What the turn took.

    Attributes:
        seconds: of this process's work, in user and system mode. The clock on the wall would also count what
            else the machine does.
        peak: bytes that Python had allocated for the turn when it had allocated most; 0 where not traced.
        fixed: bytes the system counted for this process alone (USS) before the turn: interpreter, libraries.
        resident: bytes it counted more at the end of the turn, with its log and response still there.
        pieces: deltas that arrived, where subscribers counted; the same for each of them.
        characters: in those.
        answer: the digest of the response's text, where there was one.
    """

    seconds: float
    peak: int
    fixed: int
    resident: int
    pieces: int
    characters: int
    answer: str


def play(turn: LongTurn, task: Task) -> Figures:
    """Play a turn in a fresh process. What arrived is the caller's to check."""
    with turn.cli("fresh", lifecycle=True) as cli:
        return play_cli(cli.path, task)


def play_cli(cli: Path, task: Task) -> Figures:
    """Do the same with the second answer of any CLI."""
    told = json.dumps({"cli": str(cli), **asdict(task)})
    command = [sys.executable, "-m", "benchmarks.fresh_process", told]
    done = subprocess.run(command, cwd=_CHECKOUT, stdout=subprocess.PIPE, check=True, timeout=_PATIENCE)
    return Figures(**json.loads(done.stdout))


def digest(text: str) -> str:
    """A short stand-in for a long text."""
    return hashlib.sha256(text.encode()).hexdigest()


class _Counter:
    """Counts the deltas and keeps none."""

    def __init__(self) -> None:
        self.pieces = self.characters = 0
        self.ended = asyncio.Event()

    def on_next(self, chunk: Chunk) -> None:
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            self.pieces += 1
            self.characters += len(chunk.text)
        elif isinstance(chunk, ToolInputChunk):
            self.pieces += 1
            self.characters += len(chunk.partial_json)

    def on_error(self, error: Exception) -> None:
        self.ended.set()  # what the turn's status says

    def on_completed(self) -> None:
        self.ended.set()


async def _respond(turn: Turn, null: TextIO) -> tuple[int, int, str]:
    response = await (
        turn.pipe(cc.buffer_text())
        .pipe(cc.print_text(file=null))
        .pipe(cc.tap_text(_ignore))
        .pipe(cc.tap_chunks(_ignore), cc.to_response())
    )
    return 0, 0, response.content


async def _count(turn: Turn, subscribers: int) -> tuple[int, int, str]:
    counters = [_Counter() for _ in range(subscribers)]
    for counter in counters:
        turn.subscribe(counter.on_next, counter.on_error, counter.on_completed)
    for counter in counters:
        await counter.ended.wait()
    ((pieces, characters),) = {
        (counter.pieces, counter.characters) for counter in counters
    }  # all got the same
    return pieces, characters, ""


def _ignore(piece: object) -> None:
    return None


async def _figures(cli: str, task: Task, null: TextIO) -> Figures:
    async def consume(turn: Turn) -> tuple[int, int, str]:
        return await (_respond(turn, null) if task.operators else _count(turn, task.subscribers))

    process = psutil.Process()
    async with ClaudeSession(SessionOptions(cli_path=cli)) as session:
        await consume(session.stream("warm up", replay=task.replay))
        turn = session.stream("go", replay=task.replay)
        gc.collect()
        if not task.collector:
            gc.disable()
        fixed = process.memory_full_info().uss
        if task.traced:
            tracemalloc.start()
        started = time.process_time()
        pieces, characters, text = await consume(turn)
        seconds = time.process_time() - started
        peak, resident = tracemalloc.get_traced_memory()[1], process.memory_full_info().uss - fixed
        assert turn.status == "completed", turn.status
        return Figures(seconds, peak, fixed, resident, pieces, characters, digest(text) if text else "")


def main() -> None:
    """Play what the argument says, and print the figures."""
    told = json.loads(sys.argv[1])
    cli = told.pop("cli")
    with open(os.devnull, "w") as null:
        figures = asyncio.run(_figures(cli, Task(**told), null))
    print(json.dumps(asdict(figures)))


if __name__ == "__main__":
    main()
