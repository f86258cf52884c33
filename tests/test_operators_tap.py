"""Callbacks: in order, one at a time, at no risk to the stream, gone on dispose."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex.testing import TestScheduler

from rxccsdk import operators as cc
from rxccsdk.text.callbacks import CallbackRunner
from tests.operator_laws import Hot, Strict, gathered, said, within_subscribe


class Broken(Exception):
    """What callbacks raise."""


async def settle() -> None:
    """Let everything that can run now run."""
    for _ in range(10):
        await asyncio.sleep(0)


def other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


taps: Any = pytest.mark.parametrize("tap", [cc.tap_chunks, cc.tap_text], ids=["tap_chunks", "tap_text"])


# -- sync ---------------------------------------------------------------------------------------------


def test_the_callback_comes_before_the_item_passes() -> None:
    order: list[Any] = []
    source = rx.of("a", "b")
    source.pipe(cc.tap_chunks(lambda item: order.append(("tap", item)))).subscribe(order.append)
    assert order == [("tap", "a"), "a", ("tap", "b"), "b"]


def test_tap_text_gets_text_only_and_passes_everything() -> None:
    got: list[str] = []
    items = [said("a"), 1, said("b", 1, "n"), None]
    assert gathered(within_subscribe(items).pipe(cc.tap_text(got.append))) == items
    assert got == ["a", "\n\nb"]


@taps  # type: ignore[untyped-decorator]
def test_a_callback_that_raises_is_called_again_and_logged(
    tap: Any, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def callback(item: str) -> None:
        calls.append(item)
        raise Broken(item)

    assert gathered(rx.of("a", "b").pipe(tap(callback))) == ["a", "b"]
    assert calls == ["a", "b"]
    first, count = caplog.records
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert first.exc_info is not None
    assert first.exc_info[2] is not None, "without its traceback"
    assert "in callback" in caplog.text
    assert "1 more" in count.getMessage()


@taps  # type: ignore[untyped-decorator]
def test_on_error_gets_it_instead(tap: Any, caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Exception] = []

    def callback(item: str) -> None:
        raise Broken(item)

    assert gathered(rx.of("a", "b").pipe(tap(callback, on_error=errors.append))) == ["a", "b"]
    assert [str(error) for error in errors] == ["a", "b"]
    assert not caplog.records


@taps  # type: ignore[untyped-decorator]
def test_an_on_error_that_raises_is_logged(tap: Any, caplog: pytest.LogCaptureFixture) -> None:
    def callback(item: str) -> None:
        raise Broken("first")

    def on_error(error: Exception) -> None:
        raise Broken("second")

    assert gathered(rx.of("a").pipe(tap(callback, on_error=on_error))) == ["a"]
    assert "second" in caplog.text
    assert "first" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_only_exceptions_are_isolated(error: type[BaseException]) -> None:
    def callback(item: str) -> None:
        raise error

    source = Hot()
    source.pipe(cc.tap_chunks(callback)).subscribe()
    with pytest.raises(error):
        source.send("a")


def test_a_stop_iteration_is_an_error_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    def callback(item: str) -> None:
        next(iter(()))

    assert gathered(rx.of("a", "b").pipe(cc.tap_chunks(callback))) == ["a", "b"]
    assert len(caplog.records) == 2


# -- async --------------------------------------------------------------------------------------------


@taps  # type: ignore[untyped-decorator]
async def test_in_order_one_at_a_time_without_holding_the_stream(tap: Any) -> None:
    log: list[str] = []
    running = 0

    async def callback(item: str) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0 if item == "b" else 0.001)
        log.append(item)
        running -= 1

    source, observer = Hot(), Strict()
    source.pipe(tap(callback)).subscribe(observer)
    source.send("a", "b", "c")
    assert observer.items == ["a", "b", "c"]
    assert log == []
    source.complete()
    assert not observer.completed, "completion waits for the callbacks"
    while not observer.completed:
        await asyncio.sleep(0.001)
    assert log == ["a", "b", "c"]
    assert not observer.faults
    await settle()
    assert other_tasks() == set()


@taps  # type: ignore[untyped-decorator]
async def test_an_error_waits_for_the_callbacks_too(tap: Any) -> None:
    log: list[str] = []

    async def callback(item: str) -> None:
        await asyncio.sleep(0)
        log.append(item)

    with pytest.raises(Broken):
        await rx.concat(rx.of("a", "b"), rx.throw(Broken())).pipe(tap(callback))
    assert log == ["a", "b"]


async def test_a_callback_that_is_async_only_sometimes_keeps_the_order() -> None:
    log: list[int] = []

    async def later(item: int) -> None:
        await asyncio.sleep(0)
        log.append(item)

    def callback(item: int) -> Any:
        if item % 2:
            return later(item)
        log.append(item)
        return None

    await rx.of(*range(6)).pipe(cc.tap_chunks(callback))
    assert log == list(range(6))


async def test_any_awaitable_will_do() -> None:
    loop = asyncio.get_running_loop()
    futures = [loop.create_future(), loop.create_future()]
    waiting = iter(futures)
    observer = Strict()
    rx.of(1, 2).pipe(cc.tap_chunks(lambda item: next(waiting))).subscribe(observer)
    futures[0].set_result(None)
    await settle()
    assert not observer.completed
    futures[1].set_result(None)
    await settle()
    assert observer.completed


@taps  # type: ignore[untyped-decorator]
async def test_an_async_callback_that_raises_is_called_again(
    tap: Any, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    async def callback(item: str) -> None:
        calls.append(item)
        await asyncio.sleep(0)
        raise Broken(item)

    assert await rx.of("a", "b").pipe(tap(callback)) == "b"
    assert calls == ["a", "b"]
    assert len(caplog.records) == 2
    errors: list[Exception] = []
    await rx.of("a", "b").pipe(tap(callback, on_error=errors.append))
    assert [str(error) for error in errors] == ["a", "b"]


async def test_a_subscriber_that_raises_at_an_end_which_waited_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bare `subscribe()` raises at an error; in a task that nobody awaits it would be lost."""

    async def callback(item: str) -> None:
        await asyncio.sleep(0)

    source, lost = Hot(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    source.pipe(cc.tap_chunks(callback)).subscribe()
    source.send("a")
    source.fail(Broken("the end"))
    await settle()
    gc.collect()
    assert lost == []
    assert [record.exc_info[1].args for record in caplog.records if record.exc_info] == [("the end",)]  # type: ignore[union-attr]
    assert other_tasks() == set()


@taps  # type: ignore[untyped-decorator]
@pytest.mark.parametrize("after", [0, 1, 5])
async def test_dispose_cancels_and_leaves_no_task(tap: Any, after: int) -> None:
    log: list[str] = []

    async def callback(item: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append(f"{item} ended")

    source, observer = Hot(), Strict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        subscription = source.pipe(tap(callback)).subscribe(observer)
        source.send("a", "b")
        for _ in range(after):
            await asyncio.sleep(0)
        subscription.dispose()
        await settle()
        gc.collect()
    assert other_tasks() == set()
    assert log == (["a ended"] if after else [])
    assert not observer.ended


async def test_dispose_from_inside_the_callback() -> None:
    """It is not cancelled by itself: it runs to its end, and nothing follows."""
    log: list[str] = []

    async def callback(item: str) -> None:
        subscription.dispose()
        await asyncio.sleep(0)
        log.append(item)

    source, observer = Hot(), Strict()
    subscription = source.pipe(cc.tap_chunks(callback)).subscribe(observer)
    source.send("a", "b")
    source.complete()
    await settle()
    assert log == ["a"]
    assert not observer.ended
    assert other_tasks() == set()


async def test_dispose_from_another_thread() -> None:
    stopped = asyncio.Event()

    async def callback(item: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    source = Hot()
    subscription = source.pipe(cc.tap_chunks(callback)).subscribe()
    source.send("a")
    await asyncio.sleep(0)
    thread = threading.Thread(target=subscription.dispose)
    thread.start()
    await asyncio.wait_for(stopped.wait(), 5)
    thread.join()


async def test_a_callback_whose_own_wait_was_cancelled_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody cancelled what it waited for: that is its failure, and completion must still come."""
    calls: list[str] = []

    async def callback(item: str) -> None:
        calls.append(item)
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    assert await asyncio.wait_for(rx.of("a", "b").pipe(cc.tap_chunks(callback)), 5) == "b"
    assert calls == ["a", "b"]
    assert "CancelledError" in caplog.text
    assert other_tasks() == set()


def test_the_loop_ends_before_the_callback() -> None:
    """As under Ctrl+C: dispose after that must not fail."""
    source = Hot()

    async def callback(item: str) -> None:
        await asyncio.Event().wait()

    async def main() -> Any:
        subscription = source.pipe(cc.tap_chunks(callback)).subscribe()
        source.send("a")
        await asyncio.sleep(0)
        return subscription

    asyncio.run(main()).dispose()


def test_an_async_callback_without_a_loop_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def callback(item: str) -> None:
        raise AssertionError("never runs")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gathered(rx.of("a").pipe(cc.tap_chunks(callback))) == ["a"]
    assert "no running event loop" in caplog.text


async def test_a_slow_callback_holds_up_nobody_else() -> None:
    fast: list[str] = []

    async def slow(item: str) -> None:
        await asyncio.Event().wait()

    source = Hot()
    both = source.pipe(cc.tap_chunks(slow), cc.tap_chunks(fast.append)).subscribe()
    source.send("a", "b")
    assert fast == ["a", "b"]
    both.dispose()
    await settle()
    assert other_tasks() == set()


async def test_two_slow_taps_in_a_row_both_end_before_completion() -> None:
    log: list[str] = []

    def slow(name: str) -> Callable[[str], Any]:
        async def callback(item: str) -> None:
            await asyncio.sleep(0.001)
            log.append(f"{name}{item}")

        return callback

    await rx.of("1", "2").pipe(cc.tap_chunks(slow("a")), cc.tap_text(slow("b")))
    assert sorted(log) == ["a1", "a2", "b1", "b2"]


def test_taps_use_no_scheduler() -> None:
    class Forbidden(TestScheduler):
        def schedule_relative(self, *args: Any) -> Any:
            raise AssertionError

    within_subscribe(["a"]).pipe(cc.tap_chunks(id), cc.tap_text(id)).subscribe(scheduler=Forbidden())


async def test_drained() -> None:
    log: list[int] = []

    async def callback(item: int) -> None:
        await asyncio.sleep(0)
        log.append(item)

    runner = CallbackRunner(callback)
    for item in (1, 2):
        runner.call(item)
    await drained(runner)
    assert log == [1, 2]
    runner.call(3)
    await drained(runner)
    assert log == [1, 2, 3]


async def drained(runner: CallbackRunner[Any]) -> None:
    done = asyncio.Event()
    runner.when_done(done.set)
    await done.wait()


async def test_a_callback_that_leaves_and_gives_a_coroutine() -> None:
    """What it gave is neither awaited after the dispose nor left unawaited with a warning."""
    ran: list[int] = []

    async def late() -> None:
        ran.append(1)

    def callback(item: Any) -> Any:
        subscription.dispose()
        return late()

    source = Hot()
    subscription = source.pipe(cc.tap_chunks(callback)).subscribe()
    before = asyncio.all_tasks()
    source.send("a", "b")
    await asyncio.sleep(0)
    assert not ran
    assert asyncio.all_tasks() == before
