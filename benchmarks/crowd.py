"""Many sessions at once in a process of its own, which has imported nothing but what they need.

What else a process has imported the collector walks over with all the rest, and everybody waits for it.
`gather()` starts `python -m benchmarks.crowd`; scripted CLIs are processes of their own and do not count.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.child import done_by
from benchmarks.sdk_loops import AGENT_SDK, CODE_SDK, Sdk
from rxccsdk import Chunk, ClaudeSession, SessionOptions, TextChunk, Turn


@dataclass(frozen=True)
class Task:
    """What to do.

    Attributes:
        who: "replay", "rxccsdk", "claude-code-sdk" or "claude-agent-sdk"; all but the first read a CLI.
        source: the cassette, or the CLI.
        sessions: how many at once.
        turns: how many each session plays of its cassette, one after the other.
        speed: how many times faster than recorded.
        spread: seconds between the start of the first session that replays and that of the last.
    """

    who: str
    source: str
    sessions: int
    turns: int = 1
    speed: float = 1.0
    spread: float = 0.0


@dataclass(frozen=True)
class Played:
    """What arrived.

    Attributes:
        deltas: all of them, of all sessions.
        characters: in those.
        cpu: seconds of the process, in user and system mode, while they played; they were open before.
        lateness: seconds behind the cassette, which is counted from the subscription: the 99th percentile of
            all deltas; 0 where none was replayed.
    """

    deltas: int
    characters: int
    cpu: float
    lateness: float


def gather(task: Task) -> Played:
    """Do it in a fresh process. What arrived is the caller's to check."""
    return Played(**done_by("benchmarks.crowd", task))


class _Reader:
    """Counts the text that comes to one session."""

    def __init__(self) -> None:
        self.deltas = self.characters = 0
        self.lateness: list[float] = []

    def on_text(self, text: str) -> None:
        self.deltas += 1
        self.characters += len(text)

    async def read(self, turn: Turn) -> None:
        def on_next(chunk: Chunk) -> None:
            if isinstance(chunk, TextChunk):
                self.on_text(chunk.text)

        await _end_of(turn, on_next)

    async def read_on_time(self, turn: Turn, speed: float) -> None:
        clock, note = asyncio.get_running_loop().time, self.lateness.append
        began = clock()

        def on_next(chunk: Chunk) -> None:
            if isinstance(chunk, TextChunk):
                note(clock() - began - chunk.at / speed)
                self.on_text(chunk.text)

        await _end_of(turn, on_next)


async def _end_of(turn: Turn, on_next: Callable[[Chunk], None]) -> None:
    ended = asyncio.Event()
    turn.subscribe(on_next, on_completed=ended.set)
    await ended.wait()


Ask = Callable[[_Reader], Coroutine[Any, Any, None]]
Connect = Callable[[AsyncExitStack], Coroutine[Any, Any, Ask]]
"""Opens a session that lives as long as the stack, and gives what asks it."""


def _replay(task: Task) -> Connect:
    numbers = iter(range(task.sessions))

    async def connect(stack: AsyncExitStack) -> Ask:
        session = await stack.enter_async_context(ClaudeSession.replay(task.source, speed=task.speed))
        start = next(numbers) * task.spread / task.sessions

        async def ask(reader: _Reader) -> None:
            await asyncio.sleep(start)
            for _ in range(task.turns):
                await reader.read_on_time(session.stream("go"), task.speed)

        return ask

    return connect


def _read(task: Task) -> Connect:
    async def connect(stack: AsyncExitStack) -> Ask:
        session = await stack.enter_async_context(ClaudeSession(SessionOptions(cli_path=task.source)))
        return await _warmed_up(lambda reader: reader.read(session.stream("go")))

    return connect


def _loop(sdk: Sdk) -> Callable[[Task], Connect]:
    def read(task: Task) -> Connect:
        async def connect(stack: AsyncExitStack) -> Ask:
            client = await stack.enter_async_context(sdk.connect(Path(task.source)))
            return await _warmed_up(lambda reader: sdk.ask(client, reader.on_text))

        return connect

    return read


async def _warmed_up(ask: Ask) -> Ask:
    await ask(_Reader())
    return ask


_WHO: dict[str, Callable[[Task], Connect]] = {
    "replay": _replay,
    "rxccsdk": _read,
    CODE_SDK.name: _loop(CODE_SDK),
    AGENT_SDK.name: _loop(AGENT_SDK),
}


async def _played(task: Task) -> Played:
    connect = _WHO[task.who](task)
    async with AsyncExitStack() as stack:
        asks = [await connect(stack) for _ in range(task.sessions)]
        readers = [_Reader() for _ in asks]
        gc.collect()
        began = time.process_time()
        await asyncio.gather(*(ask(reader) for ask, reader in zip(asks, readers, strict=True)))
        cpu = time.process_time() - began
    late = sorted(seconds for reader in readers for seconds in reader.lateness) or [0.0]
    deltas, characters = sum(one.deltas for one in readers), sum(one.characters for one in readers)
    return Played(deltas, characters, cpu, late[(len(late) - 1) * 99 // 100])


def main() -> None:
    """Do what the argument says, and print what arrived."""
    print(json.dumps(asdict(asyncio.run(_played(Task(**json.loads(sys.argv[1])))))))


if __name__ == "__main__":
    main()
