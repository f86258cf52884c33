"""Uses sessions for long, and prints what the process holds early on and after all of the work."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import tempfile
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
from reactivex import operators as ops

from rxccsdk import ClaudeSession, RxccError, SessionOptions
from rxccsdk import operators as cc
from rxccsdk.testing import (
    LoopbackApi,
    Plan,
    ScriptedCli,
    bundled_cli,
    clean_environment,
    environment,
    reply,
    steps,
    text_turn,
)

Held = dict[str, float]

_WAVES = 5  # of real CLIs


async def held() -> Held:
    """Return what this process holds, once what is ending has ended."""
    me = psutil.Process()
    for _ in range(400):
        gc.collect()
        if not me.children() and len(asyncio.all_tasks()) == 1:
            break
        await asyncio.sleep(0.02)
    return {
        "processes": 1 + len(me.children(recursive=True)),
        "descriptors": me.num_fds(),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "megabytes": me.memory_full_info().uss / 1e6,
    }


async def turns(count: int, folder: Path) -> list[Held]:
    """Turns of one session, asked for in every way."""
    with ScriptedCli(folder, [text_turn("an answer in a few words")] * count, lifetime=3600) as cli:
        async with ClaudeSession(SessionOptions(cli_path=cli.path)) as session:

            async def one(index: int) -> None:
                if index % 3 == 0:
                    await session.query("go")
                elif index % 3 == 1:
                    await session.stream("go").pipe(cc.by_word(), cc.to_response())
                else:
                    async for _ in session.stream("go"):
                        pass

            return await _sampled(one, count, settle=_without_session)


async def _without_session() -> Held:
    me = psutil.Process()
    gc.collect()
    await asyncio.sleep(0.1)
    return {
        "processes": 1 + len(me.children(recursive=True)),
        "descriptors": me.num_fds(),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "megabytes": me.memory_full_info().uss / 1e6,
    }


async def leaves(count: int, folder: Path) -> list[Held]:
    """Sessions opened and left in every way."""
    half = steps(*text_turn("half")[:-1])
    plans: list[Plan] = [
        half.silence(),
        half.exit(3),
        half.kill_self(),
        half.close_stdout().silence(),
        text_turn("whole"),
    ]
    clis = [ScriptedCli(folder / str(index), [plan], lifetime=60) for index, plan in enumerate(plans)]
    ways: list[Callable[[ClaudeSession], Awaitable[Any]]] = [_close, _cancel, _drop, _take, _time_out]

    async def one(index: int) -> None:
        session = ClaudeSession(SessionOptions(cli_path=clis[index % len(clis)].path, interrupt_timeout=0.5))
        with suppress(RxccError, TimeoutError, asyncio.CancelledError):
            await ways[index // len(clis) % len(ways)](session)

    try:
        return await _sampled(one, count, settle=held)
    finally:
        for cli in clis:
            cli.close()


async def _close(session: ClaudeSession) -> None:
    await session.open()
    session.stream("go").subscribe(on_error=lambda error: None)
    await asyncio.sleep(0.05)
    await session.aclose()


async def _cancel(session: ClaudeSession) -> None:
    async with session:
        task = asyncio.ensure_future(session.query("go"))
        await asyncio.sleep(0.05)
        task.cancel()
        await task


async def _drop(session: ClaudeSession) -> None:
    await session.open()
    await session.stream("go").pipe(ops.take(1))  # and the turn still drains


async def _take(session: ClaudeSession) -> None:
    async with session:
        await session.stream("go").pipe(ops.take(1))


async def _time_out(session: ClaudeSession) -> None:
    async with session, asyncio.timeout(0.1):
        await session.query("go")


async def real(count: int, folder: Path) -> list[Held]:
    """Waves of real CLIs, all of a wave at once."""
    cli = bundled_cli()
    assert cli is not None, "claude-agent-sdk brings the CLI that this runs"
    options = SessionOptions(cli_path=cli, cwd=folder)

    async def ask() -> None:
        async with ClaudeSession(options) as session:
            assert (await session.query("go")).content == "an answer in a few words"

    async def wave(index: int) -> None:
        # An API of its own: it keeps what it was asked.
        with ExitStack() as stack:
            api = stack.enter_context(LoopbackApi(lambda request: reply("an answer in a few words")))
            stack.enter_context(environment(clean_environment(api.url, folder / "home")))
            await asyncio.gather(*(ask() for _ in range(count)))

    return await _sampled(wave, _WAVES, settle=held)


async def _sampled(
    one: Callable[[int], Awaitable[None]], count: int, *, settle: Callable[[], Awaitable[Held]]
) -> list[Held]:
    first = max(2, count // 10)
    samples = []
    for index in range(count):
        await one(index)
        if index + 1 in (first, count):
            samples.append(await settle())
    return samples


def main() -> None:
    """Run what the arguments name: a kind of work, and how much of it."""
    kind, count = sys.argv[1:]
    logging.disable()
    warnings.simplefilter("ignore", ResourceWarning)  # dropped sessions say so
    work = {"turns": turns, "leaves": leaves, "real": real}[kind]
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(work(int(count), Path(folder)))))


if __name__ == "__main__":
    main()
