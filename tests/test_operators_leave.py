"""Leaving Rx: `async for` over a stream, and out of it again."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk import operators as cc
from tests.operator_laws import Hot, within_subscribe


class Broken(Exception):
    """What sources fail with."""


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def gather(source: Hot, seen: list[Any]) -> None:
    async for item in source.pipe(cc.to_async_iterator()):
        seen.append(item)


@given(items=st.lists(st.integers()), fails=st.booleans())
def test_everything_comes_in_order_then_the_error(items: list[int], fails: bool) -> None:
    async def main() -> tuple[list[int], bool]:
        seen: list[Any] = []
        try:
            async for item in within_subscribe(items, Broken() if fails else None).pipe(
                cc.to_async_iterator()
            ):
                seen.append(item)
        except Broken:
            return seen, True
        return seen, False

    assert asyncio.run(main()) == (items, fails)


async def test_it_subscribes_at_the_first_step_only() -> None:
    source = Hot()
    iterator = source.pipe(cc.to_async_iterator())
    assert source.subscriptions == 0
    step = asyncio.ensure_future(anext(iterator))
    await settle()
    assert source.subscriptions == 1
    source.send("a", "b")
    assert await step == "a"
    assert await anext(iterator) == "b"
    source.complete()
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)
    assert source.disposals == 1


async def test_the_error_comes_after_the_items_before_it_and_disposes() -> None:
    source, error = Hot(), Broken("no")
    seen: list[Any] = []
    asyncio.get_running_loop().call_soon(lambda: (source.send("a", "b"), source.fail(error)))  # type: ignore[func-returns-value]
    with pytest.raises(Broken) as raised:
        await gather(source, seen)
    assert seen == ["a", "b"]
    assert raised.value is error
    assert source.disposals == 1


async def test_an_early_break_disposes_without_the_collector() -> None:
    source = Hot()
    asyncio.get_running_loop().call_soon(lambda: source.send("a", "b", "c"))
    gc.disable()
    try:
        async for _ in source.pipe(cc.buffer_text(chars=1), cc.to_async_iterator()):
            break
        await settle()
        assert source.disposals == 1
        assert source.observers == []
    finally:
        gc.enable()


async def test_an_exception_in_the_body_disposes() -> None:
    source = Hot()
    asyncio.get_running_loop().call_soon(source.send, "a")

    async def consume() -> None:
        async for _ in source.pipe(cc.to_async_iterator()):
            raise Broken

    with pytest.raises(Broken):
        await consume()
    await settle()
    assert source.disposals == 1


@pytest.mark.parametrize("waiting", [True, False], ids=["for an item", "in the body"])
async def test_cancelling_the_loop_disposes(waiting: bool) -> None:
    source = Hot()

    async def consume() -> None:
        async for _ in source.pipe(cc.to_async_iterator()):
            await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await settle()
    if not waiting:
        source.send("a", "b")
        await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert source.disposals == 1


async def test_aclose_disposes_at_once() -> None:
    source = Hot()
    asyncio.get_running_loop().call_soon(source.send, "a")
    iterator = source.pipe(cc.to_async_iterator())
    assert await anext(iterator) == "a"
    await iterator.aclose()
    assert source.disposals == 1


async def test_items_from_another_thread() -> None:
    source, count = Hot(), 5000

    def produce() -> None:
        for number in range(count):
            source.send(number)
        source.complete()

    thread = threading.Thread(target=produce)
    asyncio.get_running_loop().call_soon(thread.start)
    seen = [item async for item in source.pipe(cc.to_async_iterator())]
    thread.join()
    assert seen == list(range(count))


async def test_one_item_at_a_time_from_another_thread() -> None:
    """Each wakes a loop that waits: none may be missed."""
    source, turn = Hot(), threading.Semaphore(0)

    def produce() -> None:
        for number in range(200):
            turn.acquire()
            source.send(number)
        source.complete()

    thread = threading.Thread(target=produce)
    asyncio.get_running_loop().call_soon(thread.start)
    seen: list[Any] = []
    turn.release()
    async for item in source.pipe(cc.to_async_iterator()):
        seen.append(item)
        turn.release()
    thread.join()
    assert seen == list(range(200))


async def test_an_error_from_another_thread() -> None:
    source = Hot()
    thread = threading.Thread(target=lambda: (source.send("a"), source.fail(Broken())))  # type: ignore[func-returns-value]
    asyncio.get_running_loop().call_soon(thread.start)
    seen: list[Any] = []
    with pytest.raises(Broken):
        await gather(source, seen)
    thread.join()
    assert seen == ["a"]


async def test_what_comes_after_the_end_is_not_seen() -> None:
    source: rx.Subject[str] = rx.Subject()
    asyncio.get_running_loop().call_soon(
        lambda: (source.on_next("a"), source.on_completed(), source.on_next("b"))  # type: ignore[func-returns-value]
    )
    assert [item async for item in source.pipe(cc.to_async_iterator())] == ["a"]


async def test_two_loops_over_one_pipe_share_nothing() -> None:
    pipe = rx.of("a", "b")
    first, second = pipe.pipe(cc.to_async_iterator()), pipe.pipe(cc.to_async_iterator())
    assert await anext(first) == "a"
    assert [item async for item in second] == ["a", "b"]
    assert [item async for item in first] == ["b"]


async def test_nothing_at_all() -> None:
    assert [item async for item in rx.empty().pipe(cc.to_async_iterator())] == []


async def test_a_producer_that_outlives_the_loop_is_not_hurt() -> None:
    """A thread that still sends while the loop is left."""
    source, sent = Hot(), threading.Event()

    def produce() -> None:
        for number in range(20_000):
            source.send(number)
        sent.set()

    thread = threading.Thread(target=produce)
    asyncio.get_running_loop().call_soon(thread.start)
    async for item in source.pipe(cc.to_async_iterator()):
        if item == 3:
            break
    await settle()
    thread.join()
    assert sent.is_set()
    assert source.disposals == 1
