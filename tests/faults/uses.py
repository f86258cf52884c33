"""How a session is used: each use drives one session into a fault and says what became of the turn."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
from reactivex import operators as ops

from rxccsdk import (
    ClaudeSession,
    SessionCrashedError,
    SessionOptions,
    SessionResponse,
    TextChunk,
    Turn,
    ask_all,
)
from rxccsdk import operators as cc
from tests.faults.faults import Fault

SOON = 0.3  # seconds after which a use that leaves early leaves

Answer = SessionResponse | BaseException | None
"""What the user of a turn gets; `None` where he left."""

Inside = Callable[[ClaudeSession, Fault], Coroutine[Any, Any, Answer]]
Outside = Callable[[SessionOptions, Fault], Answer]


@dataclass(frozen=True, eq=False)
class Use:
    """A use: inside a loop, given an open session; or outside, where it makes loop and session itself.

    Attributes:
        leaves: it leaves early, so that what it gets depends on who was first.
        records: its session may write a cassette.
    """

    name: str
    inside: Inside | None = None
    outside: Outside | None = None
    leaves: bool = False
    records: bool = True


def stream(session: ClaudeSession, fault: Fault) -> Turn:
    """Make the turn, with the fault's callback beside the use; end it where it does not end by itself."""
    turn = session.stream("go")
    if fault.beside is not None:
        turn.pipe(cc.tap_chunks(fault.beside)).subscribe(on_error=lambda error: None)
    if fault.hangs:
        asyncio.get_running_loop().call_later(SOON, lambda: _background(turn.interrupt()))
    return turn


def _background(work: Coroutine[Any, Any, Any]) -> None:
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)


_running: set[asyncio.Future[Any]] = set()


async def _query(session: ClaudeSession, fault: Fault) -> Answer:
    if fault.hangs:
        asyncio.get_running_loop().call_later(SOON, lambda: _background(session.interrupt()))
    return await session.query("go", progress_callback=fault.beside)


async def _await(session: ClaudeSession, fault: Fault) -> Answer:
    return await stream(session, fault).pipe(cc.buffer_text(), cc.to_response())


async def _async_for(session: ClaudeSession, fault: Fault) -> Answer:
    turn = stream(session, fault)
    async for _ in turn:
        pass
    return turn.response


async def _break(session: ClaudeSession, fault: Fault) -> Answer:
    turn = stream(session, fault)
    async for chunk in turn:
        if isinstance(chunk, TextChunk):
            break
    await turn.aclose()
    return None


async def _take(session: ClaudeSession, fault: Fault) -> Answer:
    turn = stream(session, fault)
    await turn.pipe(cc.text(), ops.take(1), ops.default_if_empty(""))
    await turn.aclose()
    return None


async def _three(session: ClaudeSession, fault: Fault) -> Answer:
    turn = stream(session, fault)
    awaiting = (turn.pipe(cc.to_response()), turn.pipe(cc.by_word(), cc.to_response()))
    first, second = await asyncio.gather(*awaiting, return_exceptions=True)
    late: Any = (await asyncio.gather(turn.pipe(cc.to_response()), return_exceptions=True))[0]
    for other in (second, late):
        assert type(other) is type(first)
        if isinstance(first, SessionResponse) and isinstance(other, SessionResponse):
            assert other.content == first.content
    return first


async def _cancelled(session: ClaudeSession, fault: Fault, times: int) -> Answer:
    task = asyncio.ensure_future(session.query("go", progress_callback=fault.beside))
    await asyncio.sleep(SOON)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with suppress(asyncio.CancelledError):
        return await task
    return None


async def _cancelled_once(session: ClaudeSession, fault: Fault) -> Answer:
    return await _cancelled(session, fault, 1)


async def _cancelled_twice(session: ClaudeSession, fault: Fault) -> Answer:
    return await _cancelled(session, fault, 2)


async def _scope(session: ClaudeSession, fault: Fault) -> Answer:
    with anyio.move_on_after(SOON):
        return await stream(session, fault).pipe(cc.to_response())
    return None


async def _timeout(session: ClaudeSession, fault: Fault) -> Answer:
    with suppress(TimeoutError):
        async with asyncio.timeout(SOON):
            return await stream(session, fault).pipe(cc.to_response())
    return None


async def _closed(session: ClaudeSession, fault: Fault) -> Answer:
    answer = asyncio.ensure_future(session.query("go", progress_callback=fault.beside))
    await asyncio.sleep(SOON)
    await session.aclose()
    return await answer


def _thread(options: SessionOptions, fault: Fault) -> Answer:
    """The session lives on a loop of another thread; this one waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def use() -> Answer:
        async with ClaudeSession(options) as session:
            return await _await(session, fault)

    try:
        return asyncio.run_coroutine_threadsafe(use(), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _other_loop(options: SessionOptions, fault: Fault) -> Answer:
    """The session is opened on one loop and asked from another."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def ask(session: ClaudeSession) -> Answer:
        if fault.hangs:
            asyncio.get_running_loop().call_later(SOON, lambda: _background(session.interrupt()))
        return await session.query("go")

    session = ClaudeSession(options)
    try:
        asyncio.run_coroutine_threadsafe(session.open(), loop).result(20)
        return asyncio.run(asyncio.wait_for(ask(session), 20))
    finally:
        asyncio.run_coroutine_threadsafe(session.aclose(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _ask_all(options: SessionOptions, fault: Fault) -> Answer:
    """One of many prompts: what breaks its session is an answer, too."""

    async def use() -> Answer:
        answers = ask_all(["go"], options)

        def begin(turn: Turn) -> None:
            if fault.beside is not None:
                turn.pipe(cc.tap_chunks(fault.beside)).subscribe(on_error=lambda error: None)
            if fault.hangs:
                asyncio.get_running_loop().call_later(SOON, lambda: _background(answers.interrupt()))

        answers.started.subscribe(begin)
        answer = await answers
        if answer.response.error_kind != "crashed":
            return answer.response
        if answer.turn is None:
            return SessionCrashedError(answer.response.error or "")
        return await answer.turn.pipe(cc.to_response())

    return asyncio.run(asyncio.wait_for(use(), 20))


def _loop_shutdown(options: SessionOptions, fault: Fault) -> Answer:
    """The loop ends in mid-turn; nobody closes the session."""

    async def use() -> None:
        session = ClaudeSession(options)
        await session.open()
        asked = asyncio.ensure_future(session.query("go"))
        asked.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        await asyncio.sleep(SOON)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(use())
        gc.collect()
    return None


def _collected(options: SessionOptions, fault: Fault) -> Answer:
    """The session is dropped in mid-turn; its loop runs on."""

    async def use() -> None:
        session = ClaudeSession(options)
        await session.open()
        turn = session.stream("go")
        turn.subscribe(on_error=lambda error: None)
        await asyncio.sleep(SOON)
        del session, turn
        gc.collect()
        await asyncio.sleep(SOON)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(use())
    return None


_PROGRAM = """
import asyncio, sys
from rxccsdk import ClaudeSession, SessionOptions
async def main():
    async with ClaudeSession(SessionOptions.model_validate_json(sys.argv[1])) as session:
        turn = session.stream("go")
        async for chunk in turn:
            print(type(chunk).__name__, flush=True)
asyncio.run(main())
"""


def _program(options: SessionOptions, number: int) -> Answer:
    """A program of its own gets a signal in mid-turn."""
    given = options.model_dump_json(exclude_defaults=True)
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, given], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.send_signal(number)
        program.wait(15)
    return None


USES = [
    Use("query", _query),
    Use("await", _await),
    Use("async for", _async_for),
    Use("async for and break", _break, leaves=True),
    Use("take", _take, leaves=True),
    Use("three subscribers", _three),
    Use("cancelled once", _cancelled_once, leaves=True),
    Use("cancelled twice", _cancelled_twice, leaves=True),
    Use("a cancel scope", _scope, leaves=True),
    Use("a time-out", _timeout, leaves=True),
    Use("closed meanwhile", _closed, leaves=True),
    Use("from a thread", outside=_thread),
    Use("from another loop", outside=_other_loop),
    Use("ask_all", outside=_ask_all, records=False),
    Use("the loop ends", outside=_loop_shutdown, leaves=True),
    Use("collected", outside=_collected, leaves=True),
    Use("Ctrl+C", outside=lambda options, fault: _program(options, signal.SIGINT), leaves=True),
    Use("SIGTERM", outside=lambda options, fault: _program(options, signal.SIGTERM), leaves=True),
    Use("SIGKILL", outside=lambda options, fault: _program(options, signal.SIGKILL), leaves=True),
]
