"""Milliseconds from one answer to the first text of the next, where each prompt has a session of its own.

The real CLI asks a scripted API, which answers at once and takes its time to end. `ask_all` starts the next
session while a prompt is answered; the others start one when they need it. One prompt at a time, so that
nothing but the start is waited for. A figure is the median over the prompts of a run.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.harness import Case, Contender, Measure, times_less
from rxccsdk import Chunk, ClaudeSession, ResultChunk, SessionOptions, TextChunk, Turn, ask, ask_all
from rxccsdk import operators as cc
from rxccsdk.testing import LoopbackApi, bundled_cli, clean_environment, environment, reply

_OURS = "ask_all"


class Gaps:
    """Notes when a turn's first text comes, and when its result."""

    def __init__(self) -> None:
        self._ended: float | None = None
        self._waits = True
        self.seconds: list[float] = []

    def see(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        now = time.perf_counter()
        if isinstance(chunk, TextChunk) and self._waits:
            self._waits = False
            if self._ended is not None:
                self.seconds.append(now - self._ended)
        elif isinstance(chunk, ResultChunk):
            self._ended, self._waits = now, True


async def _ask_all(options: SessionOptions, prompts: list[str], gaps: Gaps) -> None:
    answers = ask_all(prompts, options, at_once=1)

    def watch(turn: Turn) -> None:
        turn.subscribe(gaps.see)

    answers.started.subscribe(watch)
    async for answer in answers:
        assert answer.response.success


async def _ask(options: SessionOptions, prompts: list[str], gaps: Gaps) -> None:
    for prompt in prompts:
        await ask(prompt, options).pipe(cc.tap_chunks(gaps.see))


async def _sessions(options: SessionOptions, prompts: list[str], gaps: Gaps) -> None:
    for prompt in prompts:
        session = ClaudeSession(options)
        await session.open()
        await session.stream(prompt).pipe(cc.tap_chunks(gaps.see))
        asyncio.get_running_loop().create_task(session.aclose())


Way = Callable[[SessionOptions, list[str], Gaps], Coroutine[None, None, None]]


def _milliseconds(way: Way, prompts: int, seconds: float) -> float:
    gaps, cli = Gaps(), bundled_cli()
    assert cli is not None
    with (
        tempfile.TemporaryDirectory() as folder,
        LoopbackApi(lambda request: reply("It is ").wait(seconds).text("so.")) as api,
        environment(clean_environment(api.url, Path(folder) / "home")),
    ):
        options = SessionOptions(cli_path=cli, cwd=folder)
        asyncio.run(way(options, [f"prompt {number}" for number in range(prompts)], gaps))
    return median(gaps.seconds) * 1e3


def cases(quick: bool) -> Iterator[Case]:
    """One prompt after the other."""
    prompts, seconds = (2, 0.2) if quick else (6, 2.0)
    ways: dict[str, Way] = {
        _OURS: _ask_all,
        "a session for each, started when the one before has answered": _sessions,
        "rxccsdk.ask for each, which closes its session first": _ask,
    }
    contenders = [
        Contender(
            name, partial(_milliseconds, way, prompts, seconds), None if name == _OURS else times_less(2)
        )
        for name, way in ways.items()
    ]
    yield Case("from an answer to the first text of the next", contenders, _OURS)


MEASURE = Measure(
    name="warm",
    title="The next prompt's first text",
    unit="milliseconds",
    cases=cases,
    packages=("claude-agent-sdk", "reactivex"),
)
