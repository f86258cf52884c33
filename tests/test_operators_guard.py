"""Noticing silence: on virtual time, on a loop whose clock is virtual, and with an API that hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxccsdk import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    RetractedChunk,
    StallError,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing import reply, steps, text_turn
from rxccsdk.testing.marbles import Marbles
from rxccsdk.testing.strategies import turns
from tests.conftest import Real, Scripted
from tests.operator_laws import Clock, Hot, Strict, VirtualLoop, result, run_virtually, said, within_subscribe

INIT = SystemChunk("init", {})
ASKS = SystemChunk("session_state_changed", {"state": "requires_action"})
RUNS = SystemChunk("session_state_changed", {"state": "running"})

VALUES: dict[str, Chunk] = {
    "i": INIT,
    "s": SystemChunk("status", {}),
    "m": MessageChunk("start", message_id="m"),
    "a": said("a"),
    "b": said("b"),
    "h": ThinkingChunk("hm", 3),
    "r": UnknownChunk("redacted_thinking", {}, message_id="m"),
    "u": UnknownChunk("rate_limit_event", {}),
    "T": ToolUseChunk("t", "Bash", {}),
    "V": ToolUseChunk("v", "Read", {}),
    "p": ToolProgressChunk("t", 30.0),
    "R": ToolResultChunk("t", "done"),
    "W": ToolResultChunk("v", "done"),
    "X": RetractedChunk((1,), ("t",), True),
    "?": ASKS,
    "!": RUNS,
    "E": result("end"),
}

# What comes, the limits, what goes. A `$` is the notice, with the error at the same moment.
PLAYED: list[tuple[str, dict[str, float], str]] = [
    ("--a----|", {"first": 5.0}, "--a----|"),
    ("------a|", {"first": 5.0}, "-----$"),
    ("-i-s--m-a|", {"first": 5.0}, "-i-s-$"),
    ("-i-s-m-a|", {"first": 9.0}, "-i-s-m-a|"),
    ("---h--------|", {"first": 5.0}, "---h--------|"),
    ("---r--------|", {"first": 5.0}, "---r--------|"),
    ("---u--------|", {"first": 5.0}, "---u-$"),
    ("-E----------|", {"first": 5.0}, "-E----------|"),
    ("-a---b---a-----b|", {"between": 5.0}, "-a---b---a----$"),
    ("-a---b---a---b|", {"between": 5.0}, "-a---b---a---b|"),
    ("-i------|", {"between": 5.0}, "-i----$"),
    ("--------|", {"between": 5.0}, "--------|"),
    ("-i------a-----|", {"first": 12.0, "between": 5.0}, "-i------a----$"),
    ("-a--T----------p------R-a|", {"between": 5.0}, "-a--T----------p------R-a|"),
    ("-a--T------R------|", {"between": 5.0}, "-a--T------R----$"),
    ("-a--T------R-b|", {"between": 4.0, "tool": 6.0}, "-a--T-----$"),
    ("-aT----p----p---R-b|", {"between": 3.0, "tool": 6.0}, "-aT----p----p---R-b|"),
    ("-aTV--R-------W|", {"between": 2.0, "tool": 6.0}, "-aTV--R-----$"),
    ("-aTV--W-------R|", {"tool": 9.0}, "-aTV--W-------R|"),
    ("-a-------T------|", {"tool": 5.0}, "-a-------T----$"),
    ("-aTX--------|", {"between": 5.0, "tool": 3.0}, "-aTX----$"),
    ("-aT-?------------!---R|", {"between": 3.0, "tool": 5.0}, "-aT-?------------!---R|"),
    ("-aT-?------------!------R|", {"between": 3.0, "tool": 5.0}, "-aT-?------------!----$"),
    ("-a?----------!---|", {"between": 3.0}, "-a?----------!--$"),
    ("-aE---------b----|", {"between": 3.0}, "-aE---------b--$"),
    ("-a--#", {"between": 5.0}, "-a--#"),
    ("-a---", {"between": 5.0}, "-a----$"),
]


def drawing(seen: list[tuple[float, Any]]) -> str:
    """What was seen: a column a second."""
    line = ""
    for tick, item in seen:
        assert tick == int(tick)
        if item.kind == "E" and line.endswith("$"):
            assert isinstance(item.exception, StallError)
            continue
        line += "-" * (int(tick) - len(line))
        if item.kind == "C":
            line += "|"
        elif item.kind == "E":
            line += "#"
        elif isinstance(item.value, NoticeChunk):
            line += "$"
        else:
            line += next(mark for mark, value in VALUES.items() if value is item.value)
    return line


@pytest.mark.parametrize(("line", "limits", "expected"), PLAYED, ids=lambda value: str(value))
def test_stall(line: str, limits: dict[str, float], expected: str) -> None:
    marbles = Marbles(VALUES)
    source = marbles.cold(line, error=OSError())
    seen = marbles.play(source.pipe(cc.stall(**limits, scheduler=marbles.scheduler)))
    assert drawing(seen) == expected
    ((start, end),) = marbles.subscriptions(source)
    assert (start, end) == (0.0, len(expected) - 1), "who fails leaves"


@pytest.mark.parametrize(
    ("line", "limits", "words"),
    [
        ("-----", {"first": 3.0}, "No content came within 3 s; nothing was heard at all."),
        ("-i-----", {"first": 3.5}, "No content came within 3.5 s; last heard: system/init."),
        (
            "-u-----",
            {"first": 3.0},
            "No content came within 3 s; last heard: rate_limit_event.",
        ),
        ("-a------", {"between": 3.0}, "Nothing came for 3 s; last heard: text."),
        (
            "-aTVu----------",
            {"tool": 5.0},
            "Nothing came for 5 s while a tool ran (Bash, Read); last heard: rate_limit_event.",
        ),
        (
            "-aTp-------",
            {"tool": 5.0},
            "Nothing came for 5 s while a tool ran (Bash); last heard: a tool's progress.",
        ),
    ],
)
def test_what_it_says(line: str, limits: dict[str, float], words: str) -> None:
    marbles = Marbles(VALUES)
    *_, (_, notice), (_, error) = marbles.play(marbles.cold(line).pipe(cc.stall(**limits)))  # type: ignore[arg-type]
    assert notice.value.kind == "stall"
    assert notice.value.detail == str(error.exception) == words  # type: ignore[attr-defined]
    assert error.exception.partial is None, "there is no turn to ask"  # type: ignore[attr-defined]


def test_the_notice_is_placed_after_the_last_chunk() -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.stall(between=10.0, scheduler=clock)).subscribe(observer)
    source.send(said("a", turn=2, seq=7, at=1.5))
    clock.advance_by(20.0)
    notice = observer.items[-1]
    assert (notice.turn, notice.seq, notice.at) == (2, 8, 11.5)


def test_a_response_downstream_says_why() -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.stall(between=10.0, scheduler=clock), cc.to_response()).subscribe(observer)
    source.send(said("so far"))
    clock.advance_by(20.0)
    assert isinstance(observer.error, StallError)
    assert observer.error.partial is not None
    assert observer.error.partial.content == "so far"
    assert observer.error.partial.error_kind == "timeout"
    assert source.disposals == 1


def test_one_timer_however_many_chunks_come() -> None:
    clock, source = Clock(), Hot()
    source.pipe(cc.stall(first=5.0, between=10.0, tool=50.0, scheduler=clock)).subscribe()
    for _ in range(1000):
        source.send(*[said("x")] * 10)
        clock.advance_by(0.1)
    assert clock.most_waiting == 1
    assert clock.started <= 25
    source.complete()
    assert not clock.timers


@given(
    chunks=turns(),
    waits=st.lists(st.sampled_from([0.0, 0.5, 3.0, 10.0]), min_size=1, max_size=9),
    limits=st.tuples(*[st.none() | st.sampled_from([1.0, 4.0, 60.0])] * 3).filter(any),
)
def test_it_passes_all_and_fails_only_after_silence(
    chunks: list[Chunk], waits: list[float], limits: tuple[float | None, ...]
) -> None:
    first, between, tool = limits
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.stall(first, between, tool, scheduler=clock)).subscribe(observer)
    sent, heard_at = 0, [0.0]
    for place, chunk in enumerate(chunks):
        if observer.ended:
            break
        source.send(chunk)
        sent += 1
        heard_at.append(clock.clock)
        clock.advance_by(waits[place % len(waits)])
    if not observer.ended:
        source.complete()
        assert observer.items == chunks
        return
    assert not clock.timers
    *passed, notice = observer.items
    assert passed == chunks[:sent]
    assert isinstance(notice, NoticeChunk)
    assert isinstance(observer.error, StallError)
    if "No content" in str(observer.error):
        assert not any(isinstance(chunk, (TextChunk, ToolUseChunk)) for chunk in passed)
    else:
        assert min(limit for limit in (between, tool) if limit is not None) <= waits[(sent - 1) % len(waits)]


@pytest.mark.parametrize("limits", [{}, {"first": 0}, {"between": -1}, {"tool": float("nan"), "first": 1}])
def test_limits_must_be_limits(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needs a limit in seconds"):
        cc.stall(**limits)  # type: ignore[arg-type]


def test_an_observer_that_raises_at_the_notice_is_told_of_the_error() -> None:
    clock, source = Clock(), Hot()

    def fail(item: Any) -> None:
        if isinstance(item, NoticeChunk):
            raise OSError

    observer = Strict(fail)
    source.pipe(cc.stall(between=5.0, scheduler=clock)).subscribe(observer)
    source.send(said("a"))
    with pytest.raises(OSError):  # noqa: PT011
        clock.advance_by(10.0)
    assert isinstance(observer.error, StallError)
    source.send(said("late"))
    source.complete()
    assert not observer.faults


def test_dispose_at_the_notice() -> None:
    clock, source = Clock(), Hot()
    observer = Strict()
    subscription = source.pipe(cc.stall(between=5.0, scheduler=clock)).subscribe(
        lambda item: subscription.dispose() if isinstance(item, NoticeChunk) else observer.on_next(item),
        observer.on_error,
    )
    source.send(said("a"))
    clock.advance_by(10.0)
    assert observer.error is None
    assert source.disposals == 1


def test_strings_too() -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.stall(between=5.0, scheduler=clock)).subscribe(observer)
    source.send("a")
    clock.advance_by(10.0)
    assert isinstance(observer.items[-1], NoticeChunk)
    assert isinstance(observer.error, StallError)


def test_without_a_clock_it_only_passes() -> None:
    chunks = [said("a"), result()]
    observer = Strict()
    within_subscribe(chunks).pipe(cc.stall(1, 1, 1)).subscribe(observer)
    assert observer.items == chunks
    assert observer.completed


# -- on an event loop -----------------------------------------------------------------------------------


@pytest.mark.parametrize("given_scheduler", [True, False])
def test_on_the_running_loop(given_scheduler: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        scheduler = AsyncIOScheduler(loop) if given_scheduler else None
        source, observer = Hot(), Strict()
        source.pipe(cc.stall(first=5.0, between=2.0, scheduler=scheduler)).subscribe(observer)
        await asyncio.sleep(4.5)
        for _ in range(10):
            source.send(said("a"))
            assert loop.timers == 1
            await asyncio.sleep(1.9)
        assert not observer.ended
        await asyncio.sleep(0.2)
        assert isinstance(observer.error, StallError)
        assert loop.timers == 0

    run_virtually(main())


def be_busy(loop: VirtualLoop, seconds: float) -> None:
    loop._now += seconds


def test_a_loop_that_was_busy_is_no_silence() -> None:
    async def main() -> None:
        source, observer = Hot(), Strict()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        source.pipe(cc.stall(between=0.2)).subscribe(observer)
        source.send(said("a"))
        loop.call_later(0.1, be_busy, loop, 0.9)  # what arrives meanwhile is read only after that
        await asyncio.sleep(0.15)
        loop.call_soon(lambda: loop.call_soon(lambda: source.send(said("b"))))
        await asyncio.sleep(0.1)
        assert not observer.ended
        await asyncio.sleep(0.5)
        assert isinstance(observer.error, StallError), "that was silence"

    run_virtually(main())


# -- turns ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_leftovers")
async def test_an_api_that_hangs(real: Real) -> None:
    async with real([reply("half of a ", pieces=1).hang(), reply("fine")]) as session:
        turn = session.stream("go")
        seen: list[Chunk] = []
        with pytest.raises(StallError) as caught:
            await turn.pipe(cc.stall(first=20, between=1.0), cc.tap_chunks(seen.append), cc.to_response())
        assert isinstance(seen[-1], NoticeChunk)
        assert "Nothing came for 1 s; last heard: text." in str(caught.value)
        assert caught.value.partial is not None
        assert caught.value.partial.content == "half of a "
        assert caught.value.partial.error_kind == "timeout"
        await asyncio.wait_for(turn.wait(), 10)
        assert turn.status == "interrupted", "nobody else watched it"
        assert (await session.query("again")).content == "fine"


@pytest.mark.usefixtures("no_leftovers")
async def test_an_api_that_never_answers(real: Real) -> None:
    async with real([reply().hang(), reply("fine")]) as session:
        turn = session.stream("go")
        with pytest.raises(StallError, match="No content came within 2 s; "):
            await turn.pipe(cc.stall(first=2.0), cc.to_response())
        await asyncio.wait_for(turn.wait(), 10)
        assert (await session.query("again")).content == "fine"


async def test_a_tool_that_takes_its_time(real: Real) -> None:
    wait = {"command": "sleep 3; echo rested", "description": "x"}
    script = [reply("I wait. ").tool("Bash", wait), reply("Done.")]
    async with real(script, allowed_tools=["Bash"]) as session:
        response = await session.stream("go").pipe(cc.stall(first=20, between=2.5), cc.to_response())
        assert response.content == "I wait. \n\nDone."
        assert [use.result for use in response.tool_uses] == ["rested"], "it has not waited"


async def test_waiting_for_the_turns_before_it_is_no_silence(scripted: Scripted) -> None:
    slow = steps(*text_turn("slow")[:-1]).pause(1.5).frame(text_turn("slow")[-1])
    async with scripted(slow, text_turn("quick")) as session:
        first, second = session.stream("one"), session.stream("two")
        one, two = await asyncio.gather(
            *(turn_response(turn, limit) for turn, limit in ((first, 30.0), (second, 0.8)))
        )
    assert (one, two) == ("slow", "quick")


async def turn_response(turn: Any, limit: float) -> str:
    response = await turn.pipe(cc.stall(first=limit), cc.to_response())
    return str(response.content)


async def test_another_subscriber_keeps_the_turn(scripted: Scripted) -> None:
    slow = steps(*text_turn("slow")[:-1]).pause(1.0).frame(text_turn("slow")[-1])
    async with scripted(slow) as session:
        turn = session.stream("one")
        whole = asyncio.ensure_future(turn.pipe(cc.to_response()))
        with pytest.raises(StallError):
            await turn.pipe(cc.stall(between=0.3), cc.to_response())
        assert (await whole).content == "slow"
        assert turn.status == "completed"


async def test_from_another_thread_it_counts_from_the_first_chunk(scripted: Scripted) -> None:
    silent = steps(*text_turn("slow")[:2]).silence()
    async with scripted(silent) as session:
        turn = session.stream("one")
        with pytest.raises(StallError):
            await asyncio.to_thread(lambda: turn.pipe(cc.stall(first=0.5), cc.to_response()).run())
        await asyncio.wait_for(turn.wait(), 10)


def test_asking_again_is_a_matter_of_defer_and_retry() -> None:
    attempts: list[int] = []

    def attempt(scheduler: Any) -> rx.Observable[Chunk]:
        attempts.append(1)
        return rx.never() if len(attempts) == 1 else rx.of(said("fine"))

    clock, observer = Clock(), Strict()
    rx.defer(attempt).pipe(cc.stall(first=5.0, scheduler=clock), rx.operators.retry(2), cc.text()).subscribe(
        observer, scheduler=clock
    )
    clock.advance_by(6.0)
    assert observer.items == ["fine"]
