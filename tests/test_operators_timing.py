"""When things happen: marbles on virtual time, and the same on an event loop whose clock is virtual."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.testing import ReactiveTest

from rxccsdk import Chunk, MessageChunk, RetractedChunk, SystemChunk, ToolUseChunk
from rxccsdk import operators as cc
from tests.operator_laws import (
    Clock,
    Hot,
    Strict,
    VirtualLoop,
    gathered,
    result,
    run_virtually,
    said,
    within_subscribe,
)


class Broken(Exception):
    """What sources fail with."""


def marbles(
    line: str, operator: Any, *, disposed: float = 10_000.0, error: Exception | None = None
) -> tuple[str, list[tuple[float, float]], Clock]:
    """Play a line, one character a second, through an operator of strings.

    A letter is an item, `-` nothing, `|` completion, `#` an error. The drawing that comes back has a column
    for each second; what came together in one second stands in brackets.
    """
    clock = Clock()
    messages = []
    for second, mark in enumerate(line):
        at = 1000.0 + second
        if mark == "|":
            messages.append(ReactiveTest.on_completed(at))  # type: ignore[arg-type]
        elif mark == "#":
            messages.append(ReactiveTest.on_error(at, error or Broken()))  # type: ignore[arg-type]
        elif mark != "-":
            messages.append(ReactiveTest.on_next(at, mark))  # type: ignore[arg-type]
    source = clock.create_hot_observable(*messages)
    seen = clock.start(
        lambda: source.pipe(operator(clock)), created=900.0, subscribed=999.0, disposed=1000.0 + disposed
    )
    columns: dict[int, str] = {}
    for message in seen.messages:
        kind = message.value.kind  # type: ignore[union-attr]
        mark = str(message.value.value) if kind == "N" else "|" if kind == "C" else "#"  # type: ignore[union-attr]
        second = int(message.time - 1000.0)
        columns[second] = columns.get(second, "") + mark
    drawing = ""
    for second in range(max(columns, default=-1) + 1):
        cell = columns.get(second, "-")
        drawing += cell if len(cell) == 1 else f"({cell})"
    assert not clock.timers
    assert clock.most_waiting <= 1
    return drawing, [(s.subscribe - 1000.0, s.unsubscribe - 1000.0) for s in source.subscriptions], clock


BUFFERED: list[tuple[str, dict[str, Any], str, int]] = [
    # what comes, how it is buffered, what goes, and how many timers that took
    ("a-b-------c-|", {"seconds": 5.0}, "-----(ab)------(c|)", 2),
    ("a----b-------|", {"seconds": 5.0}, "-----(ab)-------|", 1),
    ("abcdefgh|", {"seconds": 3.0}, "---(abcd)---(efgh)|", 2),
    ("ab------|", {"seconds": None}, "--------(ab|)", 0),
    ("abcdefgh-|", {"seconds": None, "chars": 3}, "--(abc)--(def)---(gh|)", 0),
    ("abc-d------|", {"seconds": 4.0, "chars": 3}, "--(abc)-----d--|", 2),
    ("ab#", {"seconds": 5.0}, "--(ab#)", 1),
    ("|", {"seconds": 5.0}, "|", 0),
    ("#", {"seconds": 5.0}, "#", 0),
    ("----", {"seconds": 5.0}, "", 0),
]


@pytest.mark.parametrize(("line", "arguments", "expected", "timers"), BUFFERED, ids=lambda v: str(v))
def test_buffer_text(line: str, arguments: dict[str, Any], expected: str, timers: int) -> None:
    drawing, subscriptions, clock = marbles(line, lambda clock: cc.buffer_text(**arguments, scheduler=clock))
    assert drawing == expected
    assert clock.started == timers
    end = len(line) - 1 if line[-1] in "|#" else 10_000
    assert subscriptions == [(-1, end)]


def test_buffer_text_disposed_while_it_holds() -> None:
    drawing, subscriptions, clock = marbles(
        "ab-----c|", lambda clock: cc.buffer_text(5.0, scheduler=clock), disposed=3.0
    )
    assert drawing == ""
    assert subscriptions == [(-1, 3)]
    assert clock.started == 1


def test_one_timer_for_a_thousand_items() -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.buffer_text(1.0, scheduler=clock)).subscribe(observer)
    source.send(*"x" * 1000)
    assert clock.started == 1
    clock.advance_by(2.0)
    assert observer.items == ["x" * 1000]
    clock.advance_by(100.0)
    assert clock.started == 1, "nothing held, nothing to wait for"


def test_releases_by_size_leave_the_timer_alone() -> None:
    """It finds out when it goes off that what is held came later, and waits on."""
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.buffer_text(4.0, chars=3, scheduler=clock)).subscribe(observer)
    source.send(*"x" * 1000)
    assert observer.items == ["xxx"] * 333
    assert clock.started == 1
    clock.advance_by(3.0)
    source.send("y", "z", "!")
    clock.advance_by(3.0)
    assert observer.items == ["xxx"] * 333 + ["xyz"]
    clock.advance_by(0.9)
    assert observer.items[-1] == "xyz"
    clock.advance_by(0.1)
    assert observer.items[-1] == "!"
    assert clock.started == 2
    assert not clock.timers


def test_nothing_is_held_longer_than_seconds() -> None:
    clock, source = Clock(), Hot()
    waits: list[float] = []
    source.pipe(cc.buffer_text(5.0, scheduler=clock)).subscribe(
        lambda chunk: waits.append(clock.clock - chunk.at) if chunk.text else None
    )
    for second in range(200):
        clock.advance_to(float(second))
        source.send(said("x", second // 7, f"m{second // 7}", at=float(second)))
    clock.advance_by(10.0)
    assert max(waits) <= 5.0


def test_what_may_overtake_held_text_and_what_releases_it() -> None:
    source, observer = Hot(), Strict()
    source.pipe(cc.buffer_text(None)).subscribe(observer)
    main, sub = said("main"), said("sub", 1, "s", agent="a")
    status, call = SystemChunk("status", {}), ToolUseChunk("t", "Bash", {}, 2, agent="a", message_id="s")
    source.send(main, sub, status)
    assert observer.items == [status]
    source.send(call)
    assert observer.items == [status, sub, call]
    retracted = RetractedChunk((0,), message_id="m")
    source.send(retracted)
    assert observer.items == [status, sub, call, main, retracted]
    more, other, end = said("more", 3, "n"), said("other", 4, "s", agent="b"), result()
    source.send(more, other, end)
    assert observer.items[5:] == [more, other, end]


def test_a_merged_chunk_keeps_the_place_of_its_first() -> None:
    pieces = [
        said("a", seq=3, at=0.5, turn=1),
        said("b", seq=4, at=0.6, turn=1),
        said("c", seq=7, at=0.9, turn=1),
    ]
    (merged,) = gathered(within_subscribe(pieces).pipe(cc.buffer_text()))
    assert merged == said("abc", seq=3, at=0.5, turn=1)
    assert gathered(within_subscribe(pieces[:1]).pipe(cc.buffer_text()))[0] is pieces[0]


def test_scan_response() -> None:
    #        0 1 2 ... 10       25     27|
    # chunks a b c              d      e
    # given  a          abc     d      (e,e)
    clock, source = Clock(), Hot()
    seen: list[tuple[float, str]] = []
    source.pipe(cc.scan_response(10.0, scheduler=clock)).subscribe(
        lambda response: seen.append((clock.clock, response.content))
    )
    for at, text in [(0.0, "a"), (1.0, "b"), (2.0, "c"), (25.0, "d"), (27.0, "e")]:
        clock.advance_to(at)
        source.send(said(text))
    source.complete()
    assert seen == [(0.0, "a"), (10.0, "abc"), (25.0, "abcd"), (27.0, "abcde")]
    assert not clock.timers
    assert clock.most_waiting == 1


def test_scan_response_before_an_error_and_on_dispose() -> None:
    for ending in ("fail", "dispose"):
        clock, source, observer = Clock(), Hot(), Strict()
        subscription = source.pipe(cc.scan_response(10.0, scheduler=clock)).subscribe(observer)
        source.send(said("a"), said("b"))
        if ending == "fail":
            source.fail(Broken())
            assert [response.content for response in observer.items] == ["a", "ab"]
        else:
            subscription.dispose()
            assert [response.content for response in observer.items] == ["a"]
        assert not clock.timers


def test_every_zero_gives_one_for_each_chunk() -> None:
    seen = gathered(within_subscribe([said("a"), said("b")]).pipe(cc.scan_response(0)))
    assert [response.content for response in seen] == ["a", "ab", "ab"]
    with pytest.raises(ValueError, match="must not be negative"):
        cc.scan_response(-0.1)


# -- on an event loop ---------------------------------------------------------------------------------


def test_buffer_text_on_the_running_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        source, seen = Hot(), list[tuple[float, str]]()
        subscription = source.pipe(cc.buffer_text(0.05)).subscribe(
            lambda text: seen.append((round(loop.time(), 6), text))
        )
        source.send("a", "b")
        assert loop.timers == 1
        await asyncio.sleep(0.03)
        source.send("c")
        await asyncio.sleep(1.0)
        assert seen == [(0.05, "abc")]
        assert loop.timers == 0
        source.send("d")
        subscription.dispose()
        assert loop.timers == 0
        await asyncio.sleep(1.0)
        assert seen == [(0.05, "abc")]

    run_virtually(main())


def test_scan_response_on_the_running_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        source, seen = Hot(), list[tuple[float, str]]()
        source.pipe(cc.scan_response(0.1)).subscribe(
            lambda response: seen.append((round(loop.time(), 6), response.content))
        )
        for text in "abc":
            source.send(said(text))
            await asyncio.sleep(0.06)
        source.complete()
        assert seen == [(0.0, "a"), (0.1, "ab"), (0.18, "abc")]
        assert loop.timers == 0

    run_virtually(main())


def test_a_whole_pipe_on_the_running_loop() -> None:
    """What `await` gives to subscribe is an AsyncIOScheduler: the same loop, the same times."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source, written = Hot(), list[str]()
        whole: list[Chunk] = [
            MessageChunk("start", message_id="m"),
            *(said(letter, seq=number) for number, letter in enumerate("abcdefghij")),
            MessageChunk("stop", message_id="m"),
            result(),
        ]

        def play(place: int = 0) -> None:
            if place == len(whole):
                source.complete()
            else:
                source.send(whole[place])
                loop.call_later(0.02, play, place + 1)

        loop.call_soon(play)
        response = await source.pipe(
            cc.buffer_text(0.05), cc.print_text(0.1), cc.tap_text(written.append), cc.to_response()
        )
        assert response.content == "".join(written) == "abcdefghij"
        assert 1 < len(written) < 10
        assert isinstance(loop, VirtualLoop)
        assert loop.timers == 0

    run_virtually(main())


def test_the_two_ways_to_wait_on_a_loop_are_alike() -> None:
    async def main() -> list[list[str]]:
        loop = asyncio.get_running_loop()
        outcomes = []
        for scheduler in (None, AsyncIOScheduler(loop)):
            source, seen = Hot(), list[str]()
            source.pipe(cc.buffer_text(0.05, scheduler=scheduler)).subscribe(seen.append)
            for letter in "abcdefgh":
                source.send(letter)
                await asyncio.sleep(0.02)
            source.complete()
            outcomes.append(seen)
        return outcomes

    first, second = run_virtually(main())
    assert first == second
    assert "".join(first) == "abcdefgh"


async def test_a_real_loop() -> None:
    source, seen = Hot(), list[str]()
    source.pipe(cc.buffer_text(0.005)).subscribe(seen.append)
    source.send("a", "b")
    assert seen == []
    while not seen:
        await asyncio.sleep(0.005)
    assert seen == ["ab"]


def test_no_thread_is_ever_started() -> None:
    before = threading.active_count()
    source = Hot()
    source.pipe(cc.buffer_text(), cc.print_text(file=None, agents="nobody"), ops.map(lambda c: c)).subscribe()
    source.send(said("a"))
    assert threading.active_count() == before
