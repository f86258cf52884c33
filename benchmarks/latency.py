"""Microseconds from the CLI writing a delta to our callback having it.

The CLI puts into each delta when it writes it, on a clock that all processes of the machine share; the
callback looks at the same clock. Half of the figures are of a CLI that writes as a model speaks, with its
reader asleep in between, and half of one that writes 5,000 evenly paced deltas a second, more than any model
and less than any reader can take: nobody has a backlog.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import orjson

from benchmarks.harness import Aim, Case, Contender, Measure, Stopwatch, at_most
from benchmarks.paced_cli import STAMP, WARM_UP, PacedCli, PacedTurn
from benchmarks.sdk_loops import AGENT_SDK, CODE_SDK, Sdk
from rxccsdk import Chunk, ClaudeSession, SessionOptions, TextChunk
from rxccsdk import operators as cc
from rxccsdk.testing import environment

OURS = "rxccsdk, tap_chunks"

_ATTEMPTS = 3
_LONG = 1 << 24  # bytes: the whole block comes in one line, after its deltas


@dataclass(frozen=True)
class Pace:
    """How fast the CLI writes, and for how long."""

    name: str
    per_second: int
    seconds: float


_PACES = (Pace("idle, 100 deltas a second", 100, 3.0), Pace("busy, 5,000 deltas a second", 5000, 2.0))

OnText = Callable[[str], object]
Player = Callable[[Path, OnText, Stopwatch, TextIO], Coroutine[Any, Any, None]]
"""Starts the CLI, asks it twice, and calls back with each piece of both answers."""


async def ours(cli: Path, on_text: OnText, watch: Stopwatch, null: TextIO) -> None:
    """The Observable, and one tap."""

    def on_chunk(chunk: Chunk) -> None:
        if isinstance(chunk, TextChunk):
            on_text(chunk.text)

    async with ClaudeSession(SessionOptions(cli_path=cli)) as session:
        await session.stream("warm up").pipe(cc.tap_chunks(on_chunk))
        with watch:
            await session.stream("go").pipe(cc.tap_chunks(on_chunk))


async def five_operators(cli: Path, on_text: OnText, watch: Stopwatch, null: TextIO) -> None:
    """A pipe that watches, prints and reduces beside it. None of it holds text back, for that is a delay."""

    def on_chunk(chunk: Chunk) -> None:
        if isinstance(chunk, TextChunk):
            on_text(chunk.text)

    async def ask(prompt: str) -> None:
        turn = session.stream(prompt)
        printed = turn.pipe(cc.stall(between=60), cc.print_text(file=null), cc.tap_text(lambda piece: None))
        await printed.pipe(cc.tap_chunks(on_chunk), cc.to_response())

    async with ClaudeSession(SessionOptions(cli_path=cli)) as session:
        await ask("warm up")
        with watch:
            await ask("go")


def bare_loop(sdk: Sdk) -> Player:
    """The least one can do with an SDK."""

    async def play(cli: Path, on_text: OnText, watch: Stopwatch, null: TextIO) -> None:
        async with sdk.connect(cli) as client:
            await sdk.ask(client, on_text)
            with watch:
                await sdk.ask(client, on_text)

    return play


async def bare_pipe(cli: Path, on_text: OnText, watch: Stopwatch, null: TextIO) -> None:
    """No SDK and no session: each line of asyncio's own pipe, decoded. What asyncio costs by itself."""

    async def ask() -> None:
        process.stdin.write(b'{"type":"user"}\n')
        while (frame := orjson.loads(await process.stdout.readline()))["type"] != "result":
            if frame["type"] == "stream_event" and frame["event"]["type"] == "content_block_delta":
                on_text(frame["event"]["delta"]["text"])

    pipe = asyncio.subprocess.PIPE
    process: Any = await asyncio.create_subprocess_exec(str(cli), stdin=pipe, stdout=pipe, limit=_LONG)
    await ask()
    with watch:
        await ask()
    process.stdin.close()
    await process.wait()


def delays(play: Player, cli: PacedCli, pace: Pace) -> list[float]:
    """Play a turn, and give the delay of each of its deltas in microseconds, the smallest first.

    A run in which the CLI did not keep its pace is done again: what it says is of another pace.
    """
    for _ in range(_ATTEMPTS):
        got: list[tuple[int, str]] = []

        def on_text(text: str, got: list[tuple[int, str]] = got) -> None:
            got.append((time.monotonic_ns(), text))

        with environment(os.environ), open(os.devnull, "w") as null:
            asyncio.run(play(cli.path, on_text, Stopwatch(), null))
        arrived = got[len(WARM_UP.pieces) :]
        written = [int(text.rstrip(";")) for _, text in arrived]
        assert len(written) == round(pace.per_second * pace.seconds), "deltas are missing, or came in one"
        assert written == sorted(written), "deltas came in another order"
        achieved = (len(written) - 1) / (written[-1] - written[0]) * 1e9
        if abs(achieved / pace.per_second - 1) < 0.1:
            break
    else:
        warnings.warn(f"the CLI wrote {achieved:,.0f} deltas a second, not {pace.per_second:,}", stacklevel=2)
    return sorted((at - sent) / 1000 for (at, _), sent in zip(arrived, written, strict=True))


class Percentiles:
    """The median and the 99th percentile of the same runs, for a case each: the second one runs nothing."""

    def __init__(self, play: Player, cli: PacedCli, pace: Pace) -> None:
        self._run = partial(delays, play, cli, pace)
        self._kept: deque[list[float]] = deque()

    def p50(self) -> float:
        """Run, and keep the delays for `p99`."""
        self._kept.append(self._run())
        return _percentile(self._kept[-1], 50)

    def p99(self) -> float:
        """Of the first run not yet told of."""
        return _percentile(self._kept.popleft() if self._kept else self._run(), 99)


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[(len(ordered) - 1) * percent // 100]


def cases(quick: bool) -> Iterator[Case]:
    """Both paces; a quick run is a tenth as long."""
    players: list[tuple[str, Player, Aim | None]] = [
        (OURS, ours, None),
        ("rxccsdk, five operators", five_operators, None),
        ("claude-code-sdk, bare loop", bare_loop(CODE_SDK), at_most(1)),
        ("claude-agent-sdk, bare loop", bare_loop(AGENT_SDK), at_most(1)),
        ("bare pipe and orjson", bare_pipe, None),
    ]
    for normal in _PACES:
        pace = replace(normal, seconds=normal.seconds / 10) if quick else normal
        with tempfile.TemporaryDirectory() as folder:
            stamps = [STAMP] * round(pace.per_second * pace.seconds)
            cli = PacedCli(Path(folder) / "cli", [WARM_UP, PacedTurn(stamps, pace.per_second)])
            ready = [(name, Percentiles(play, cli, pace), aim) for name, play, aim in players]
            yield Case(f"{pace.name}, p50", [Contender(name, of.p50, aim) for name, of, aim in ready], OURS)
            yield Case(f"{pace.name}, p99", [Contender(name, of.p99, aim) for name, of, aim in ready], OURS)


MEASURE = Measure(
    name="latency",
    title="From the CLI writing a delta to the callback",
    unit="microseconds",
    cases=cases,
    packages=("claude-code-sdk", "claude-agent-sdk", "orjson", "pydantic-core", "reactivex"),
)
