"""Turns, sentence by sentence: one prompt, many subscribers, any thread, bounded endings."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import reactivex as rx
from reactivex import operators as ops

from rxccsdk import (
    ClaudeSession,
    NoticeChunk,
    ResultChunk,
    SessionClosedError,
    SessionOptions,
    TextChunk,
    Turn,
    ask,
    run,
)
from rxccsdk import operators as cc
from rxccsdk.testing import init_frame, steps, text_turn
from tests.cli_processes import heed_ctrl_c
from tests.conftest import Scripted
from tests.test_scripted_cli import half_a_message

pytestmark = pytest.mark.usefixtures("no_leftovers")


async def collect(source: Any) -> list[Any]:
    return [item async for item in source.pipe(cc.to_async_iterator())]


def prompts_sent(scripted: Scripted) -> list[Any]:
    return [f["message"]["content"] for f in scripted.cli.received if f.get("type") == "user"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_nothing_is_sent_before_somebody_subscribes(scripted: Scripted) -> None:
    async with scripted(text_turn("one")) as session:
        unused = session.stream("unused")
        assert unused.status == "pending"
        assert (await session.query("used")).content == "one"
        assert unused.status == "pending"
    assert prompts_sent(scripted) == ["used"]


async def test_the_prompt_is_sent_once_however_many_subscribe_fail_or_leave(scripted: Scripted) -> None:
    async with scripted(text_turn("one two three")) as session:
        turn = session.stream("go")

        def refuse(chunk: Any) -> None:
            raise ValueError("no")

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: None)
        turn.subscribe(refuse)
        taken = await turn.pipe(ops.take(2), ops.to_list())
        first, second = await asyncio.gather(collect(turn), collect(turn))
        late = await collect(turn)
        again = await collect(turn.pipe(ops.retry(2)))
    assert len(taken) == 2
    assert first == second == late == again
    assert prompts_sent(scripted) == ["go"]


async def test_a_late_subscriber_sees_every_chunk_and_stops_where_it_wants(scripted: Scripted) -> None:
    async with scripted(steps(*text_turn("word " * 5000, pieces=5000))) as session:
        turn = session.stream("go")
        everything = await collect(turn)
        seen: list[Any] = []
        await turn.pipe(ops.do_action(seen.append), ops.take(3), ops.last())  # type: ignore[misc]
        assert seen == everything[:3]
        assert await collect(turn) == everything


async def test_a_subscriber_that_comes_in_on_next_sees_all_from_the_first(scripted: Scripted) -> None:
    async with scripted(text_turn("one two three four")) as session:
        turn = session.stream("go")
        inner: list[Any] = []
        joined = False

        def on_next(chunk: Any) -> None:
            nonlocal joined
            if isinstance(chunk, TextChunk) and not joined:
                joined = True
                turn.subscribe(inner.append)

        turn.subscribe(on_next)
        everything = await collect(turn)
        await until(lambda: len(inner) == len(everything))
    assert inner == everything


async def test_disposing_in_on_next_ends_delivery_at_once(scripted: Scripted) -> None:
    async with scripted(text_turn("one two three four")) as session:
        turn = session.stream("go", on_dispose="finish")
        seen: list[Any] = []

        def on_next(chunk: Any) -> None:
            seen.append(chunk)
            if isinstance(chunk, TextChunk):
                subscription.dispose()

        subscription = turn.subscribe(on_next)
        everything = await collect(turn)
    assert seen == everything[: len(seen)]
    assert sum(isinstance(chunk, TextChunk) for chunk in seen) == 1


async def test_a_subscriber_that_raises_costs_nobody_anything(scripted: Scripted) -> None:
    async with scripted(text_turn("one two three")) as session:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        turn = session.stream("go")
        seen: list[Any] = []

        def unlucky(chunk: Any) -> None:
            seen.append(chunk)
            raise StopIteration if len(seen) % 2 else ZeroDivisionError

        turn.subscribe(unlucky)
        everything = await collect(turn)
        await until(lambda: len(seen) == len(everything))
    assert seen == everything
    assert len(told) == 1, "once with its traceback, then counted"
    assert told[0]["exception"].__traceback__ is not None


async def test_turns_run_in_the_order_of_their_first_subscription(scripted: Scripted) -> None:
    async with scripted(text_turn("A"), text_turn("B"), text_turn("C")) as session:
        one, two, three = (session.stream(name) for name in ("one", "two", "three"))
        answers = await asyncio.gather(*(turn.pipe(cc.to_response()) for turn in (three, one, two)))
    assert [answer.content for answer in answers] == ["A", "B", "C"]
    assert prompts_sent(scripted) == ["three", "one", "two"]
    assert [turn.index for turn in (three, one, two)] == [0, 1, 2]


async def test_turns_do_not_wait_for_slow_subscribers(scripted: Scripted) -> None:
    async with scripted(text_turn("A"), text_turn("B")) as session:
        slow = session.stream("slow").__aiter__()
        await anext(slow)
        assert (await session.query("next")).content == "B"
        rest = [chunk async for chunk in slow]
    assert isinstance(rest[-1], ResultChunk)


async def test_leaving_early_interrupts_and_drains(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("half ")).silence(), text_turn("second")) as session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        assert (await session.query("again")).content == "second"
        assert turn.status == "interrupted"
        late = await collect(turn)  # the log keeps what was drained
    assert isinstance(late[-1], ResultChunk)
    assert late[-1].terminal_reason == "aborted_streaming"
    assert [c.detail for c in late if isinstance(c, NoticeChunk)] == ["the last subscriber left"]
    assert [c.seq for c in late] == list(range(len(late)))


async def test_one_subscriber_that_stays_keeps_the_turn_running(scripted: Scripted) -> None:
    async with scripted(text_turn("one two")) as session:
        turn = session.stream("go")
        turn.subscribe(lambda chunk: None)
        await turn.pipe(ops.take(1))
        assert (await turn.pipe(cc.to_response())).content == "one two"
        assert turn.status == "completed"


async def test_on_dispose_finish_lets_the_turn_run_on(scripted: Scripted) -> None:
    async with scripted(text_turn("one two")) as session:
        turn = session.stream("go", on_dispose="finish")
        await turn.pipe(ops.take(1))
        await until(lambda: turn.status == "completed")
        assert turn.response.content == "one two"
    assert not [
        f for f in scripted.cli.received if f.get("type") == "control_request" and "interrupt" in str(f)
    ]


async def test_leaving_at_the_result_is_not_early(scripted: Scripted) -> None:
    async with scripted(text_turn("one"), text_turn("two")) as session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, ResultChunk):
                break
        assert turn.status == "completed"
        assert (await session.query("again")).content == "two"
    assert "interrupt" not in str(scripted.cli.received)


async def test_async_with_holds_the_turn_open_and_ends_it(scripted: Scripted) -> None:
    plan = steps(*half_a_message("half ")).silence()
    async with scripted(plan, text_turn("second")) as session:
        async with session.stream("go") as turn:
            for _ in range(3):
                await turn.pipe(ops.take(1))
                assert turn.status == "running"
        assert turn.status == "interrupted"
        assert (await session.query("again")).content == "second"


async def test_interrupting_what_was_never_sent_sends_nothing(scripted: Scripted) -> None:
    async with scripted(text_turn("only")) as session:
        turn = session.stream("go")
        await turn.interrupt()
        assert turn.status == "interrupted"
        assert await collect(turn) == []
        assert turn.response.error_kind == "interrupted"
        assert (await session.query("used")).content == "only"
    assert prompts_sent(scripted) == ["used"]


async def test_breaking_out_of_async_for_disposes_at_once(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("half ")).silence()) as session:
        turn = session.stream("go")
        assert inspect.isasyncgen(turn.__aiter__())
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        await until(lambda: turn.status == "interrupted")


async def test_cancelling_an_await_interrupts_the_turn(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("half ")).silence(), text_turn("second")) as session:
        turn = session.stream("go")

        async def wait() -> None:
            await session.query("unused") if turn is None else await collect(turn)

        task = asyncio.create_task(wait())
        await until(lambda: turn.response.content == "half ")
        task.cancel()
        await asyncio.wait([task])
        assert (await session.query("again")).content == "second"
        assert turn.status == "interrupted"


async def test_cancelling_a_query_interrupts_it(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("half ")).silence(), text_turn("second")) as session:
        seen = asyncio.Event()
        session.chunks.pipe(cc.of_type(TextChunk)).subscribe(lambda chunk: seen.set())
        task = asyncio.create_task(session.query("go"))
        await asyncio.wait_for(seen.wait(), 5)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (await session.query("again")).content == "second"


async def test_without_replay_nothing_is_kept_and_late_ones_see_what_comes(scripted: Scripted) -> None:
    async with scripted(text_turn("one two three")) as session:
        turn = session.stream("go", replay=False)
        everything = await collect(turn)
        assert "".join(c.text for c in everything if isinstance(c, TextChunk)) == "one two three"
        assert turn._log._items == []
        assert await collect(turn) == []
        assert turn.response.content == "one two three"


async def test_subscribing_disposing_and_interrupting_from_other_threads(scripted: Scripted) -> None:
    plan = steps(*half_a_message("half ")).silence()
    async with scripted(plan, text_turn("second")) as session:
        turn = session.stream("go")
        delivered_on: set[int] = set()
        arrived = asyncio.Event()
        loop_thread = threading.get_ident()

        def on_next(chunk: Any) -> None:
            delivered_on.add(threading.get_ident())
            if isinstance(chunk, TextChunk):
                arrived.set()

        subscription = await asyncio.to_thread(turn.subscribe, on_next)
        await asyncio.wait_for(arrived.wait(), 5)
        await asyncio.to_thread(lambda: asyncio.run(turn.interrupt()))
        assert turn.status == "interrupted"
        await asyncio.to_thread(subscription.dispose)
        assert delivered_on == {loop_thread}

        other = session.stream("again")
        last = await asyncio.to_thread(other.run)
        assert isinstance(last, ResultChunk)
        assert other.response.content == "second"


async def test_run_refuses_inside_a_running_loop(scripted: Scripted) -> None:
    async with scripted(text_turn("one")) as session:
        with pytest.raises(RuntimeError, match="await turn"):
            session.stream("go").run()
        with pytest.raises(RuntimeError, match="to_response"):
            run("go")
    assert prompts_sent(scripted) == []


async def test_session_chunks_is_hot_starts_nothing_and_completes_on_close(scripted: Scripted) -> None:
    session = scripted(text_turn("one two"))
    seen: list[Any] = []
    ends: list[str] = []
    async with session:
        session.chunks.subscribe(seen.append, lambda e: ends.append("error"), lambda: ends.append("end"))
        unlucky: list[Any] = []

        def raising(chunk: Any) -> None:
            unlucky.append(chunk)
            raise ValueError

        session.chunks.subscribe(raising)
        turn = session.stream("go")
        await asyncio.sleep(0.02)
        assert prompts_sent(scripted) == []
        everything = await collect(turn)
        late: list[Any] = []
        session.chunks.subscribe(late.append)
        assert late == []
    assert [chunk for chunk in seen if chunk.turn == 0] == everything
    assert unlucky == seen
    assert ends == ["end"]
    done: list[str] = []
    session.chunks.subscribe(on_completed=lambda: done.append("end"))
    assert done == ["end"]


async def test_leaving_at_the_result_is_not_early_whoever_tells_of_it(scripted: Scripted) -> None:
    async with scripted(text_turn("one two"), text_turn("three")) as session:
        turn = session.stream("go")
        subscription = turn.subscribe()
        session.chunks.pipe(cc.of_type(ResultChunk)).subscribe(lambda result: subscription.dispose())
        await turn.wait()
        assert turn.status == "completed"
        assert isinstance((await collect(turn))[-1], ResultChunk)
        assert turn.response.success
        assert (await session.query("again")).content == "three"


async def test_closing_fails_the_queue_interrupts_the_running_and_keeps_the_finished(
    scripted: Scripted,
) -> None:
    plan = steps(*half_a_message("half ")).silence()
    async with scripted(text_turn("one"), plan) as session:
        finished = session.stream("a")
        everything = await collect(finished)
        running, queued = session.stream("b"), session.stream("c")
        failures: list[Exception] = []
        running.subscribe(lambda chunk: None)
        queued.subscribe(on_error=failures.append)
        await until(lambda: running.response.content == "half ")
    assert running.status == "interrupted"
    assert queued.status == "failed"
    assert isinstance(failures[0], SessionClosedError)
    assert await collect(finished) == everything
    assert prompts_sent(scripted) == ["a", "b"]
    with pytest.raises(SessionClosedError):
        await session.stream("d").pipe(cc.to_response())
    with pytest.raises(RuntimeError, match="opened once"):
        await session.open()


async def test_a_session_that_was_not_opened_says_so(backend: str) -> None:
    session = ClaudeSession(SessionOptions(backend=backend))
    with pytest.raises(SessionClosedError, match="async with"):
        await session.stream("go").pipe(cc.to_response())


async def test_an_unread_turn_and_its_session_are_garbage(scripted: Scripted) -> None:
    async with scripted(text_turn("one")) as session:
        await session.query("go")
        turns = [session.stream("never") for _ in range(3)]
        del turns
        gc.collect()
        assert not [o for o in gc.get_objects() if isinstance(o, Turn) and o.prompt == "never"]


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ("", ValueError),
        ("  \n", ValueError),
        ([], ValueError),
        (None, TypeError),
        (42, TypeError),
        (b"bytes", TypeError),
        ({"type": "text", "text": "x"}, TypeError),
        (["text"], TypeError),
        ([{"text": "no type"}], TypeError),
        ([{"type": "text", "text": ""}], ValueError),
        ([{"type": "image"}], ValueError),
    ],
)
def test_a_bad_prompt_is_refused_before_anything_starts(prompt: Any, error: type[Exception]) -> None:
    for start in (ClaudeSession().stream, ask, run):
        with pytest.raises(error):
            start(prompt)


async def test_ask_brings_its_own_session_and_closes_it(scripted: Scripted) -> None:
    session = scripted(text_turn("one two"))
    turn = ask("go", session.options)
    assert turn.status == "pending"
    response = await turn.pipe(cc.to_response())
    assert response.content == "one two"
    assert response.metadata.backend == scripted.backend
    assert turn.status == "completed"  # type: ignore[comparison-overlap]
    assert (await turn.pipe(cc.to_response())).content == "one two"


async def test_ask_can_be_left_early(scripted: Scripted) -> None:
    session = scripted(steps(*half_a_message("half ")).silence())
    async with ask("go", session.options) as turn:
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
    assert turn.status == "interrupted"
    assert turn.response.content == "half "


async def test_ask_tells_when_there_is_no_cli(tmp_path: Any, backend: str) -> None:
    turn = ask("go", SessionOptions(backend=backend, cli_path=tmp_path / "nowhere"))
    with pytest.raises(Exception, match="There is no Claude Code CLI"):
        await turn.pipe(cc.to_response())
    assert turn.status == "failed"


async def test_retrying_is_the_users_act(scripted: Scripted) -> None:
    bad, good = steps(init_frame()).exit(3), text_turn("fine")
    async with scripted(bad, good) as session:
        fresh = rx.defer(lambda _: session.stream("go"))
        with pytest.raises(SessionClosedError):
            await fresh.pipe(ops.retry(2), cc.to_response())
    assert prompts_sent(scripted) == ["go"]


async def test_a_long_replay_does_not_block_the_loop(scripted: Scripted) -> None:
    async with scripted(steps(*text_turn("x" * 30_000, pieces=30_000))) as session:
        turn = session.stream("go")
        await turn.pipe(ops.last())
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await turn.pipe(ops.last())
        ticking.cancel()
        await asyncio.wait([ticking])
    assert ticks > 10


def test_run_without_a_loop(scripted: Scripted) -> None:
    got: list[str] = []
    options = scripted(text_turn("one two")).options
    response = run("go", options.model_copy(update={"progress_callback": got.append}))
    assert response.content == "one two" == "".join(got)


def test_a_turn_can_be_replayed_after_its_loop_is_gone(scripted: Scripted) -> None:
    turns: list[Turn] = []

    async def main() -> list[Any]:
        async with scripted(text_turn("one two")) as session:
            turns.append(session.stream("go"))
            return await collect(turns[0])

    everything = asyncio.run(main())
    seen: list[Any] = []
    turns[0].subscribe(seen.append)
    assert seen == everything
    assert turns[0].response.content == "one two"


def test_a_loop_that_is_torn_down_under_an_open_session_leaves_no_process(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        session = scripted(steps(*half_a_message("x")).spawn_child().silence(), exit_on_eof=False)
        await session.open()
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        return 0

    with caplog.at_level(logging.CRITICAL, logger="asyncio"):
        asyncio.run(main())
    deadline = time.monotonic() + 5
    while any(psutil.pid_exists(pid) for pid in scripted.cli.children) and time.monotonic() < deadline:
        time.sleep(0.02)
    alive = [pid for pid in scripted.cli.children if psutil.pid_exists(pid)]
    assert not [pid for pid in alive if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_ctrl_c_ends_a_program_and_all_it_started(scripted: Scripted, tmp_path: Any) -> None:
    """The CLI is in a group of its own: Ctrl+C reaches the program, which ends the turn and the CLI."""
    options = scripted(steps(*half_a_message("half ")).spawn_child().silence(), exit_on_eof=False).options
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio, sys\n"
        "from rxccsdk import ClaudeSession, SessionOptions\n"
        "async def main():\n"
        f"    options = SessionOptions(stream_output=True, cli_path={str(options.cli_path)!r},"
        f" backend={options.backend!r})\n"
        "    async with ClaudeSession(options) as session:\n"
        "        await session.query('go')\n"
        "asyncio.run(main())\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(
            [sys.executable, program], stdout=pipe, stderr=pipe, env=env, preexec_fn=heed_ctrl_c
        ) as running,
        contextlib.ExitStack() as ending,
    ):
        ending.callback(running.kill)  # else a failure below would wait for it for ever
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.read(5) == b"half "
        deadline = time.monotonic() + 5
        while not scripted.cli.children and time.monotonic() < deadline:
            time.sleep(0.01)
        family = psutil.Process(running.pid).children(recursive=True)
        assert {p.pid for p in family} >= set(scripted.cli.children)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) != 0
        assert b"KeyboardInterrupt" in running.stderr.read()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
