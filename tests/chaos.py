"""`python -m tests.chaos --lives 40 --seed 1`: lives of sessions of the real CLI, and what happens.

A life is a session and a few turns. Into each turn comes, at a random moment, a message, an interrupt, a
control, a cancellation, a kill -9, ... . Whatever comes: every await ends in time, what has arrived obeys the
laws of a turn, and no process, task, thread or file descriptor is left.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from reactivex import operators as ops
from rich.console import Console
from rich.progress import track

from rxccsdk import (
    Allow,
    AskChunk,
    Chunk,
    ClaudeSession,
    Deny,
    RetractedChunk,
    RxccError,
    SessionOptions,
    SessionResponse,
    TextChunk,
    Turn,
)
from rxccsdk import operators as cc
from rxccsdk.testing import (
    LoopbackApi,
    Reply,
    Request,
    assert_clean,
    bundled_cli,
    clean_environment,
    environment,
    reply,
)

BACKENDS = ("claude-code-sdk", "claude-agent-sdk")
BOUND = 60.0  # seconds an await may take on a loaded machine
GONE = 15.0  # seconds after which nothing may be left
_LATEST = 1.2  # seconds into a turn after which nothing is done to it
_LAST = ("kill", "close")  # acts after which there is no session

_T = TypeVar("_T")


class Model:
    """Says some words at some speed; calls a tool now and then, for which the person is asked."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def __call__(self, request: Request) -> Reply:
        """Answer a request."""
        chance = self._chance
        answer = reply()
        if chance.random() < 0.3:
            answer = answer.thinking("hm, " * chance.randint(1, 5))
        words = "".join(chance.choice(["one ", "zwei ", "三", "\n\n", "🧪 "]) for _ in range(30))
        answer = answer.text(
            f"I say {words}.", pieces=chance.randint(1, 12), delay=chance.choice([0.0, 0.05])
        )
        if chance.random() < 0.4:
            command = f"touch seen; sleep {chance.choice([0, 0.2, 20])}"
            answer = answer.tool("Bash", {"command": command, "description": "wait"})
        return answer


class Life:
    """One session, from its opening to its end."""

    def __init__(self, session: ClaudeSession, chance: random.Random, done: Counter[str]) -> None:
        self._session = session
        self._chance = chance
        self._done = done
        self._turns: list[Turn] = []
        self._is_over = False
        self._acts: dict[str, Callable[[Turn], Coroutine[Any, Any, object]]] = {
            "nothing": self._nothing,
            "steer": lambda turn: turn.steer("And this, too."),
            "interrupt": lambda turn: turn.interrupt(),
            "interrupt twice": lambda turn: _both(turn.interrupt(), self._session.interrupt()),
            "leave": self._leave,
            "cancel": lambda turn: self._cancel(turn, 1),
            "cancel twice": lambda turn: self._cancel(turn, 2),
            "control": self._control,
            "kill": self._kill,
            "close": self._close,
        }

    async def live(self) -> None:
        """Open the session, have its turns, close it."""
        await in_time(self._session.open())
        try:
            asked = self._session.chunks.pipe(cc.answer_asks(self._decide))
            asked.subscribe(on_error=lambda error: None)
            for number in range(self._chance.randint(1, 4)):
                await self._turn(number)
                if self._is_over:
                    break
            if not self._is_over and self._chance.random() < 0.4:
                await self._fork()
        finally:
            await in_time(self._session.aclose())
        for turn in self._turns:
            await check(turn)

    async def _turn(self, number: int) -> None:
        turn = self._session.stream(f"Number {number}, please.")
        self._turns.append(turn)
        holder = turn.subscribe(on_error=lambda error: None)
        ends_all = self._chance.random() < 0.15
        name = self._chance.choice([name for name in self._acts if (name in _LAST) == ends_all])
        self._done[name] += 1
        await asyncio.sleep(self._chance.uniform(0.0, _LATEST))
        with suppress(RxccError):  # the turn, or the session, has ended meanwhile
            await in_time(self._acts[name](turn))
        if name == "leave":
            holder.dispose()
        else:
            stop = asyncio.get_running_loop().call_later(5.0, lambda: _background(turn.interrupt()))
            with suppress(RxccError):
                await in_time(turn.pipe(cc.to_response()))
            stop.cancel()
        await in_time(turn.aclose())
        if turn._follower is not None:
            self._turns.append(turn._follower)
            await in_time(turn._follower.aclose())

    def _decide(self, ask: AskChunk) -> Allow | Deny:
        self._done["question"] += 1
        answers = (Allow(), Allow(), Deny("no"), Deny("no, stop", interrupt=True))
        return self._chance.choice(answers)

    # -- what is done to a turn ---------------------------------------------------------------------------

    async def _nothing(self, turn: Turn) -> None:
        pass

    async def _leave(self, turn: Turn) -> None:
        await turn.pipe(cc.text(), ops.take(1), ops.default_if_empty(""))

    async def _cancel(self, turn: Turn, times: int) -> None:
        task = asyncio.ensure_future(self._session.query("Another one."))
        await asyncio.sleep(self._chance.uniform(0.0, 0.3))
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with suppress(asyncio.CancelledError):
            await task

    async def _control(self, turn: Turn) -> None:
        session = self._session
        controls: list[Callable[[], Coroutine[Any, Any, object]]] = [
            session.context_usage,
            session.models,
            lambda: session.set_model("haiku"),
            lambda: session.set_permission_mode("default"),
            lambda: session.control("no_such_thing"),
        ]
        await self._chance.choice(controls)()

    async def _kill(self, turn: Turn) -> None:
        self._is_over = True
        if self._session.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._session.pid, signal.SIGKILL)

    async def _close(self, turn: Turn) -> None:
        self._is_over = True
        await self._session.aclose()

    async def _fork(self) -> None:
        over = [turn for turn in self._turns if turn.status == "completed"]
        if over and self._session.status == "open":
            self._done["fork"] += 1
            with suppress(RxccError):
                async with (
                    asyncio.timeout(BOUND),
                    self._session.at(self._chance.choice(over)).fork() as branch,
                ):
                    branch.chunks.pipe(cc.answer_asks(self._decide)).subscribe(on_error=lambda error: None)
                    turn = branch.stream("And if not?", timeout=3.0)
                    self._turns.append(turn)
                    await turn.pipe(cc.to_response())


async def check(turn: Turn) -> None:
    """Check the laws of a turn that is over: what it keeps is whole, in order, and the same for everybody."""
    assert turn.status in ("completed", "interrupted", "failed"), turn.status
    first, again, texts = [await _all(source) for source in (turn, turn, turn.pipe(cc.text()))]
    chunks: list[Chunk] = first
    assert chunks == again
    assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
    assert {chunk.turn for chunk in chunks} <= {turn.index}
    response: SessionResponse = turn.response
    has_text = any(isinstance(chunk, TextChunk) and chunk.agent is None for chunk in chunks)
    if has_text and not any(isinstance(chunk, RetractedChunk) for chunk in chunks):
        assert "".join(texts) == response.content
    if turn.status == "completed" and response.success:
        assert response.metadata.session_id


async def _all(source: Any) -> list[Any]:
    found: list[Any] = []
    with suppress(RxccError):
        async for item in source.pipe(cc.to_async_iterator()):
            found.append(item)
    return found


async def in_time(work: Awaitable[_T]) -> _T:
    """Await, and fail where it takes too long."""
    async with asyncio.timeout(BOUND):
        return await work


async def _both(*works: Awaitable[object]) -> None:
    await asyncio.gather(*works)


_running: set[asyncio.Future[Any]] = set()


def _background(work: Coroutine[Any, Any, Any]) -> None:
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)


async def run(folder: Path, backend: str, seed: int, done: Counter[str]) -> None:
    """Live one life, and check that nothing is left and nothing was reported."""
    chance = random.Random(f"{seed}/{backend}")
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    (folder / "project").mkdir(parents=True)
    async with assert_clean(timeout=GONE):
        with (
            LoopbackApi(Model(random.Random(seed))) as api,
            environment(clean_environment(api.url, folder / "home")),
        ):
            options = SessionOptions(
                backend=backend, cli_path=bundled_cli(), cwd=folder / "project", ask="stream", max_turns=8
            )
            await Life(ClaudeSession(options), chance, done).live()
    assert not complaints, complaints


def main() -> int:
    """Live with both SDKs, in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--lives", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20), help="of the first life")
    given = parser.parse_args()
    logging.disable()
    console, done, wrong = Console(), Counter[str](), 0
    lives = range(given.seed, given.seed + given.lives)
    for number, seed in enumerate(track(lives, f"from seed {given.seed}", console=console)):
        backend = BACKENDS[number % 2]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                asyncio.run(run(Path(folder), backend, seed, done))
            except Exception as error:
                wrong += 1
                console.print(f"seed {seed}, {backend}: {error!r}", markup=False)
    console.print(f"{given.lives - wrong} of {given.lives} lives ended as they should; {dict(done)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
