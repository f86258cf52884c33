"""Every wait ends: leaving in mid-turn, prompts that cannot be sent, other loops and threads.

Each test fails by its own deadline, not by hanging.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import itertools
import logging
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import psutil
import pytest
import reactivex as rx
from claude_agent_sdk import ClaudeAgentOptions
from reactivex import operators as ops

import rxccsdk
from rxccsdk import CassetteError, ClaudeSession, ResultChunk, RxccError, SessionOptions, TextChunk
from rxccsdk import operators as cc
from rxccsdk.testing import ScriptedCli, init_frame, reply, steps, text_turn
from tests.conftest import Real, Scripted
from tests.test_scripted_cli import half_a_message

pytestmark = pytest.mark.usefixtures("no_leftovers")


def endless() -> Any:
    return steps(*half_a_message("half ")).silence()


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


async def gone() -> None:
    async with asyncio.timeout(8):
        while children():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("when", ["at once", "in the same breath", "while the CLI starts"])
async def test_a_turn_of_its_own_is_taken_back_though_its_cli_never_gets_ready(
    backend: Any, tmp_path: Path, when: str
) -> None:
    with ScriptedCli(tmp_path / "cli", answer_initialize=False) as cli:
        turn = rxccsdk.ask("go", SessionOptions(backend=backend, cli_path=cli.path))
        async with asyncio.timeout(20):
            if when != "at once":
                turn.subscribe(None, lambda error: None)
            while when == "while the CLI starts" and not cli.starts:
                await asyncio.sleep(0.01)
            await turn.interrupt()
        assert (turn.status, turn.response.error_kind) == ("interrupted", "interrupted")
        await gone()


# -- leaving in mid-turn ------------------------------------------------------------------------------------


async def test_a_cancel_scope_around_a_session_leaves_nothing(scripted: Scripted) -> None:
    async with asyncio.timeout(10):
        with anyio.move_on_after(0.5) as scope:
            async with scripted(endless()) as session:
                await session.query("go", stream=False)
    assert scope.cancelled_caught
    await gone()


async def test_a_cancel_scope_around_the_real_cli_leaves_nothing(real: Real) -> None:
    async with asyncio.timeout(15):
        with anyio.move_on_after(2.5) as scope:
            async with real([reply("half an ans").hang()]) as session:
                await session.query("go", stream=False)
    assert scope.cancelled_caught
    await gone()


@pytest.mark.parametrize(("seconds", "is_deaf"), [(0.0, False), (0.01, False), (0.05, True)])
async def test_a_close_that_is_cancelled_goes_on(scripted: Scripted, seconds: float, is_deaf: bool) -> None:
    deaf: dict[str, Any] = {
        "exit_on_eof": False,
        "ignore_signals": ("SIGINT", "SIGTERM"),
        "answer_interrupt": False,
    }
    session = scripted(endless(), session={"interrupt_timeout": 0.2}, **(deaf if is_deaf else {}))
    await session.open()
    session.stream("go").subscribe(on_error=lambda error: None)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await session.aclose()
    await gone()
    await session.aclose()


async def test_a_close_that_was_cancelled_can_be_waited_for(scripted: Scripted) -> None:
    session = scripted(endless())
    await session.open()
    session.stream("go").subscribe(on_error=lambda error: None)
    closing = asyncio.create_task(session.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await closing
    await session.aclose()
    assert not children()


@pytest.mark.parametrize("is_deaf", [False, True], ids=["answers", "deaf"])
@pytest.mark.parametrize("steps_between", range(5))
def test_a_loop_that_shuts_down_waits_for_the_end(
    scripted: Scripted, caplog: pytest.LogCaptureFixture, is_deaf: bool, steps_between: int
) -> None:
    """Where Ctrl+C ends `asyncio.run(wait_for(...))`, what it waits for is cancelled twice."""

    async def use() -> None:
        options: dict[str, Any] = {"exit_on_eof": False, "answer_interrupt": False} if is_deaf else {}
        async with scripted(endless(), **options) as session:
            await session.query("go", stream=False)

    async def take_steps(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    user = loop.create_task(use())
    loop.run_until_complete(asyncio.sleep(0.4))
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(take_steps(steps_between))
    user.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert not asyncio.all_tasks(loop)
    loop.close()
    assert not children()
    assert not caplog.records


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.2])
async def test_an_open_that_is_cancelled_leaves_nothing(scripted: Scripted, seconds: float) -> None:
    session = scripted(answer_initialize=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await session.open()
    await gone()


async def test_a_query_that_is_cancelled_ends_its_turn(scripted: Scripted) -> None:
    async with scripted(endless(), text_turn("second")) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await session.query("first", stream=False)
        async with asyncio.timeout(10):
            assert (await session.query("second", stream=False)).content == "second"


async def test_a_dropped_session_is_ended(scripted: Scripted) -> None:
    session = scripted(text_turn("fine"))
    await session.open()
    assert (await session.query("go", stream=False)).content == "fine"
    assert children()
    held = [session]
    del session
    with pytest.warns(ResourceWarning, match="aclose"):
        held.clear()
    await gone()


async def test_a_turn_keeps_its_session(scripted: Scripted) -> None:
    session = scripted(text_turn("fine"))
    await session.open()
    turn = session.stream("go")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="A ClaudeSession")
        del session
        gc.collect()
        assert (await turn.pipe(cc.to_response())).content == "fine"
    held = [turn]
    del turn
    with pytest.warns(ResourceWarning, match="aclose"):
        held.clear()
    await gone()


# -- prompts that cannot be sent ----------------------------------------------------------------------------


def image(data: Any) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ([image(b"...")], TypeError),
        ([image(bytearray(b"..."))], TypeError),
        ([image(Path("x.png"))], TypeError),
        ([{"type": "text", "text": 5}], TypeError),
        ([{"type": "text", "text": b"x"}], TypeError),
        ([{"type": "text", "text": "x", "cache_control": {1, 2}}], TypeError),
        ([{"type": "text", "text": "x", "score": float("nan")}], ValueError),
        ([{"type": "text", "text": "x", "score": float("inf")}], ValueError),
        ([{"type": "text", "text": "x"}, 5], TypeError),
        ([{"text": "x"}], TypeError),
        (b"bytes", TypeError),
        (5, TypeError),
        (None, TypeError),
        ([], ValueError),
        ("  ", ValueError),
    ],
)
async def test_what_cannot_be_sent_is_said_at_once(prompt: Any, error: type[Exception]) -> None:
    session = ClaudeSession(SessionOptions())
    with pytest.raises(error):
        session.stream(prompt)
    with pytest.raises(error):
        async with asyncio.timeout(1):
            await session.query(prompt)


async def test_a_refused_prompt_costs_nothing(scripted: Scripted) -> None:
    async with scripted(text_turn("fine")) as session:
        with pytest.raises(TypeError):
            session.stream([image(b"...")])
        assert (await session.query("go", stream=False)).content == "fine"


# -- subscribers --------------------------------------------------------------------------------------------


def cancelled_result(_: str) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    future.result()


def exit_generator(_: str) -> None:
    raise GeneratorExit


@pytest.mark.parametrize("fault", [cancelled_result, exit_generator], ids=["cancelled", "generator-exit"])
@pytest.mark.parametrize("place", ["tap", "observer"])
async def test_a_callback_that_raises_no_exception_ends_only_itself(
    scripted: Scripted, fault: Callable[[str], None], place: str
) -> None:
    async with scripted(text_turn("one two")) as session:
        turn = session.stream("go")
        if place == "tap":
            turn.pipe(cc.tap_text(fault)).subscribe(on_error=lambda error: None)
        else:
            turn.pipe(cc.text()).subscribe(fault, on_error=lambda error: None)
        async with asyncio.timeout(5):
            assert (await turn.pipe(cc.to_response())).content == "one two"
            await turn
            assert turn.response.content == "one two"


async def test_one_error_where_it_is_awaited(scripted: Scripted, capfd: pytest.CaptureFixture[str]) -> None:
    async with scripted(steps(init_frame(), *half_a_message("half")).exit(3)) as session:
        turn = session.stream("go")
        seen: list[Any] = []
        turn.pipe(cc.text()).subscribe(seen.append)
        turn.pipe(cc.tools()).subscribe(seen.append)
        with pytest.raises(RxccError):
            await turn.pipe(cc.to_response())
    assert "Traceback" not in capfd.readouterr().err


async def test_a_slow_subscriber_does_not_delay_a_fast_one(scripted: Scripted) -> None:
    async with scripted(text_turn("x" * 200, pieces=["x"] * 200)) as session:
        turn = session.stream("go")
        slow: list[int] = []
        fast: list[int] = []

        def slowly(chunk: Any) -> None:
            time.sleep(0.005)
            slow.append(len(fast))

        turn.subscribe(slowly)
        turn.subscribe(lambda chunk: fast.append(len(slow)))
        await turn
    assert len(slow) == len(fast)
    assert fast[0] <= 40, "the fast one waits for a slice of the slow one's, not for its burst"


# -- loops and threads --------------------------------------------------------------------------------------


@contextlib.contextmanager
def background_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def there(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


async def test_a_session_of_another_loop(scripted: Scripted) -> None:
    session = scripted(text_turn("one"), text_turn("two"), text_turn("three"), text_turn("four"))
    with background_loop() as loop:
        async with asyncio.timeout(15):
            await there(loop, session.open())
            assert (await session.query("1", stream=False)).content == "one"
            last = await session.stream("2")
            assert isinstance(last, ResultChunk)
            assert last.result == "two"
            assert (await session.stream("3").pipe(cc.to_response())).content == "three"
            texts = [c.text async for c in session.stream("4") if isinstance(c, TextChunk)]
            assert "".join(texts) == "four"
            await session.aclose()


async def test_an_interrupt_from_another_loop(scripted: Scripted) -> None:
    session = scripted(endless())
    with background_loop() as loop:
        async with asyncio.timeout(15):
            await there(loop, session.open())
            turn = session.stream("go")
            async for chunk in turn:
                if isinstance(chunk, TextChunk):
                    await turn.interrupt()
            assert turn.status == "interrupted"
            await session.aclose()


async def test_a_session_whose_loop_has_ended_says_so() -> None:
    session = ClaudeSession(SessionOptions())
    with background_loop() as loop:
        session._exchange.loop = loop
        session._exchange._transport = SimpleNamespace(warnings=[])
    with pytest.raises(RxccError, match="loop"):
        async with asyncio.timeout(5):
            await session.query("go", stream=False)
    session._exchange.loop = None  # nothing is open that could be dropped


@pytest.mark.parametrize("leave", ["to_response", "to_async_iterator", "await"])
async def test_what_comes_from_another_thread_wakes_the_loop(scripted: Scripted, leave: str) -> None:
    async with scripted(text_turn("late")) as session:
        delayed = session.stream("go").pipe(ops.delay(0.3))
        began = time.monotonic()
        async with asyncio.timeout(5):
            if leave == "to_response":
                assert (await delayed.pipe(cc.to_response())).content == "late"
            elif leave == "to_async_iterator":
                texts = [c async for c in delayed.pipe(cc.to_async_iterator()) if isinstance(c, TextChunk)]
                assert "".join(chunk.text for chunk in texts) == "late"
            else:
                assert isinstance(await delayed, ResultChunk)
        assert time.monotonic() - began < 3


async def test_run_in_a_running_loop_is_refused(scripted: Scripted) -> None:
    async with scripted(text_turn("x")) as session:
        turn = session.stream("go")
        with pytest.raises(RuntimeError, match="await"):
            turn.run()
        with pytest.raises(RuntimeError, match="await"):
            turn.pipe(cc.to_response()).run()
        assert (await turn.pipe(cc.to_response())).content == "x"


def test_a_turn_is_no_plain_iterable() -> None:
    turn = ClaudeSession(SessionOptions()).stream("go")
    with pytest.raises(TypeError, match="async for"):
        for _ in turn:
            pass
    with pytest.raises(TypeError, match="async for"):
        list(turn)


async def test_schedulers_that_are_no_clock(scripted: Scripted) -> None:
    """`on_error_resume_next` hands down one that sleeps in the loop and calls in any order."""
    async with scripted(
        text_turn("one two three four", pieces=["one ", "two ", "three ", "four"])
    ) as session:
        turn = session.stream("go")
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(time.monotonic())
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        smoothed = rx.on_error_resume_next(turn.pipe(cc.smooth(0.4)), rx.empty())
        async with asyncio.timeout(10):
            items = [item async for item in smoothed.pipe(cc.to_async_iterator())]
        ticking.cancel()
        ended = time.monotonic()
    assert "".join(item.text for item in items if isinstance(item, TextChunk)) == "one two three four"
    assert max(b - a for a, b in itertools.pairwise([*ticks, ended])) < 0.3, "the loop was blocked"


WHOSE: contextvars.ContextVar[str] = contextvars.ContextVar("WHOSE", default="nobody")


async def test_a_callback_sees_its_subscribers_context(scripted: Scripted) -> None:
    seen: dict[str, set[str]] = {"tap": set(), "observer": set(), "query": set(), "async": set()}

    async def tapped(_: str) -> None:
        seen["async"].add(WHOSE.get())

    WHOSE.set("opener")
    async with scripted(text_turn("one"), text_turn("two")) as session:
        turn = session.stream("go")
        WHOSE.set("tap")
        turn.pipe(cc.tap_text(lambda _: seen["tap"].add(WHOSE.get()))).subscribe()
        WHOSE.set("async")
        turn.pipe(cc.tap_text(tapped)).subscribe()
        WHOSE.set("observer")
        turn.subscribe(lambda _: seen["observer"].add(WHOSE.get()))
        WHOSE.set("awaiter")
        await turn
        WHOSE.set("query")
        await session.query("again", progress_callback=lambda _: seen["query"].add(WHOSE.get()))
    assert seen == {name: {name} for name in seen}


# -- recordings ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
async def test_a_recording_that_fails_costs_no_answer(scripted: Scripted) -> None:
    turns = (text_turn("one"), text_turn("two"))
    async with asyncio.timeout(15):
        async with scripted(*turns, session={"record": "/dev/full"}) as session:
            turn = session.stream("go")
            assert (await turn.pipe(cc.to_response())).content == "one"
            assert (await session.query("x" * 200_000, stream=False)).content == "two"
            warned = [c async for c in session.chunks.pipe(ops.take(0), cc.to_async_iterator())]
    assert not warned


@pytest.mark.parametrize("when", ["NaN", "Infinity", "-Infinity", '"soon"', "null", "[]", "true", "1e999"])
def test_a_cassette_with_no_time_is_refused(tmp_path: Path, when: str) -> None:
    cassette = tmp_path / "x.jsonl"
    prompt = '{"t": 0.0, "out": {"type": "user", "uuid": "p", "message": {"role": "user", "content": "go"}}}'
    cassette.write_text(
        f'{{"rxccsdk_cassette": 1}}\n{prompt}\n{{"t": {when}, "in": {{"type": "result"}}}}\n{prompt}\n'
    )
    with pytest.raises(CassetteError, match="line 3"):
        asyncio.run(replayed(cassette))


@pytest.mark.parametrize("ended", ['"3"', "5", '{"reason": "exit", "code": "3"}', '{"code": 1}', "[]"])
def test_a_cassette_with_no_exit_is_refused(tmp_path: Path, ended: str) -> None:
    cassette = tmp_path / "x.jsonl"
    cassette.write_text(f'{{"rxccsdk_cassette": 1}}\n{{"t": 0.5, "exit": {ended}}}\n')
    with pytest.raises(CassetteError, match="line 2"):
        asyncio.run(replayed(cassette))


async def replayed(cassette: Path) -> str:
    async with asyncio.timeout(5), ClaudeSession.replay(cassette, speed=1.0) as session:
        return (await session.query("go", stream=False)).content


async def test_an_stderr_callback_that_raises(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    called = 0

    def fail(line: str) -> None:
        nonlocal called
        called += 1
        raise ValueError(line)

    plan = steps(*text_turn("fine")).stderr("whole\nunfinished")
    with ScriptedCli(tmp_path / "cli", [plan]) as cli, caplog.at_level(logging.ERROR):
        options = SessionOptions(
            backend="claude-agent-sdk", cli_path=cli.path, sdk_options=ClaudeAgentOptions(stderr=fail)
        )
        async with asyncio.timeout(10):
            async with ClaudeSession(options) as session:
                assert (await session.query("go", stream=False)).content == "fine"
    assert called == 1, "then it is called no more"
