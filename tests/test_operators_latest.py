"""`tap_latest`: the newest text, one call at a time, the last text always."""

from __future__ import annotations

import asyncio
import contextvars
import itertools

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import TestScheduler

from rxccsdk import Chunk, RetractedChunk, TextChunk
from rxccsdk import operators as cc
from rxccsdk.testing import reply
from rxccsdk.testing.strategies import turns
from tests.conftest import Real
from tests.operator_laws import (
    Clock,
    Hot,
    Strict,
    Subscribed,
    gathered,
    run_virtually,
    said,
    within_subscribe,
)
from tests.test_operators_tap import Broken, settle


def test_at_most_one_call_per_interval_the_first_at_once() -> None:
    clock, source, calls = TestScheduler(), Hot(), list[tuple[float, str]]()
    source.pipe(
        cc.tap_latest(lambda text: calls.append((clock.clock, text)), 2.0, scheduler=clock)
    ).subscribe()
    for moment, word in [(0, "a"), (1, "b"), (1.5, "c"), (7, "d"), (8, "e")]:
        clock.advance_to(moment)
        source.send(word)
    clock.advance_to(20)
    source.complete()
    assert calls == [(0, "a"), (2, "abc"), (7, "abcd"), (9, "abcde")]


def test_the_text_is_the_main_agents_and_only_what_stands() -> None:
    calls: list[str] = []
    items: list[Chunk] = [
        said("a"),
        said("of a sub-agent", 7, "s", agent="t"),
        TextChunk("b", 1, message_id="n"),
        RetractedChunk((1,), (), False, message_id="n"),
    ]
    assert gathered(within_subscribe(items).pipe(cc.tap_latest(calls.append, 0))) == items
    assert calls == ["a", "a\n\nb", "a"]


@given(turn=turns(), every=st.sampled_from([0.0, 0.5, 5.0]), ending=st.sampled_from(["complete", "fail"]))
def test_the_last_text_is_the_whole_and_each_call_has_news(
    turn: list[Chunk], every: float, ending: str
) -> None:
    clock, source, calls, observer = Clock(), Hot(), list[str](), Strict()
    source.pipe(cc.tap_latest(calls.append, every, scheduler=clock)).subscribe(observer)
    for chunk in turn:
        source.send(chunk)
        clock.advance_by(0.4)
    if ending == "complete":
        source.complete()
    else:
        source.fail(Broken())
    assert observer.ended
    assert observer.items == turn
    content = rx.from_(turn).pipe(cc.to_response()).run().content
    assert (["", *calls])[-1] == content
    assert all(one != other for one, other in zip(["", *calls], calls, strict=False))


@given(
    words=st.lists(st.tuples(st.sampled_from([0.0, 0.1, 1.0, 3.0]), st.text("abc", min_size=1)), min_size=1),
    takes=st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=1),
    every=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_async_calls_never_overlap_and_completion_waits(
    words: list[tuple[float, str]], takes: list[float], every: float
) -> None:
    began: list[tuple[float, str]] = []
    running = 0

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def show(text: str) -> None:
            nonlocal running
            running += 1
            assert running == 1
            began.append((loop.time(), text))
            await asyncio.sleep(takes[len(began) % len(takes)])
            running -= 1

        source, observer = Hot(), Strict()
        source.pipe(cc.tap_latest(show, every)).subscribe(observer)
        for wait, word in words:
            await asyncio.sleep(wait)
            source.send(word)
        source.complete()
        for _ in range(9):
            if not observer.completed:
                await asyncio.sleep(1.0)
        assert observer.completed
        assert not running

    run_virtually(main())
    texts = [text for _, text in began]
    assert texts[-1] == "".join(word for _, word in words)
    times = [moment for moment, _ in began[:-1]]  # the last one is not kept waiting by the interval
    assert all(later - sooner >= every - 0.001 for sooner, later in itertools.pairwise(times))
    assert all(longer.startswith(text) and longer != text for text, longer in itertools.pairwise(texts))


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_what_it_raises_costs_nothing(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def sync(text: str) -> None:
        calls.append(text)
        raise Broken(text)

    async def later(text: str) -> None:
        calls.append(text)
        await asyncio.sleep(0)
        raise Broken(text)

    source, observer = Hot(), Strict()
    source.pipe(cc.tap_latest(later if is_async else sync, 0)).subscribe(observer)
    for word in "abc":
        source.send(word)
        await settle()
    source.complete()
    await settle()
    assert calls == ["a", "ab", "abc"]
    assert observer.items == ["a", "b", "c"]
    assert observer.completed
    first, count = caplog.records
    assert first.exc_info is not None
    assert "2 more" in count.getMessage()


async def test_on_error_gets_it_instead() -> None:
    errors: list[Exception] = []

    async def later(text: str) -> None:
        raise Broken(text)

    await rx.of("a", "b").pipe(cc.tap_latest(later, 0, on_error=errors.append))
    assert [str(error) for error in errors] == ["a", "ab"]


async def test_dispose_cancels_the_call_and_makes_no_other() -> None:
    log: list[str] = []

    async def show(text: str) -> None:
        log.append(text)
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cancelled")

    source, observer = Hot(), Strict()
    subscription = Subscribed(source.pipe(cc.tap_latest(show, 0)), observer)
    source.send("a", "b")
    await settle()
    subscription.dispose()
    await settle()
    assert log == ["a", "cancelled"]
    assert not observer.faults


async def test_it_runs_in_the_context_of_whoever_subscribed(real: Real) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    seen: list[tuple[str, str]] = []

    async def show(text: str) -> None:
        seen.append((who.get(), text))

    async with real([reply("Hello there, this is the answer.")]) as session:
        who.set("me")
        await session.stream("go").pipe(cc.tap_latest(show, every=0.01))
    assert {name for name, _ in seen} == {"me"}
    assert seen[-1][1] == "Hello there, this is the answer."


def test_a_negative_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        cc.tap_latest(print, -1)
    with pytest.raises(ValueError, match="positive"):
        cc.pages(0)
