"""An even pace: when each character goes out, on virtual time."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk import RetractedChunk, SystemChunk, ToolUseChunk
from rxccsdk import operators as cc
from rxccsdk.operators.smooth import _MOMENTS, _Pace
from rxccsdk.testing.marbles import Marbles
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

Timed = list[tuple[float, str]]


def play(arrivals: Timed, max_lag: float, end: float = 1000.0) -> Timed:
    """What comes out, and when; what the end releases, too."""
    clock, source, seen = Clock(), Hot(), list[tuple[float, str]]()
    source.pipe(cc.smooth(max_lag, scheduler=clock)).subscribe(
        lambda text: seen.append((clock.clock, text)) if text else None
    )
    for at, text in arrivals:
        clock.advance_to(at)
        source.send(text)
    clock.advance_to(end)
    assert not clock.timers
    assert clock.most_waiting <= 1
    source.complete()
    return seen


def when(pieces: Timed) -> list[float]:
    """For each character, its moment."""
    return [at for at, text in pieces for _ in text]


# -- marbles --------------------------------------------------------------------------------------------

BURSTS = {"x": "abcde", "y": "fghijklm", "z": "de"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # A burst is spread over 20 ticks. Its last letter waits for what may join it, until its deadline.
        ("x------------------------", "a---b---c---d-------e"),
        # More comes before the burst is through: the pace doubles, so that all of it is in time.
        ("x---------y--------------", "a---b---c-d-e-f-g-h-i-j-k-l---m"),
        # The end waits for nothing.
        ("x---------|", "a---b---c-(z,|)"),
        ("x---------#", "a---b---c-(z,#)"),
        ("|", "|"),
        ("#", "#"),
        ("-----", ""),
    ],
)
def test_marbles(line: str, expected: str) -> None:
    marbles = Marbles(BURSTS, tick=0.5)
    marbles.check(marbles.cold(line).pipe(cc.smooth(max_lag=10.0)), expected)


def test_leaving() -> None:
    marbles = Marbles(BURSTS, tick=1.0)
    marbles.check(marbles.cold("x----------").pipe(cc.smooth(max_lag=10.0)), "a-b", leave_at=3)


# -- laws -----------------------------------------------------------------------------------------------

_FRAGMENTS = (
    "a",
    "word ",
    "e",
    "\u0301",
    "👩",
    "\u200d",
    "👧",
    "🇩",
    "🇪",
    "\r",
    "\n",
    "`",
    "```",
    "\ud83d",
    "\ude00",
    "日本",
    "x" * 90,
)

arrivals_of = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.001, 0.02, 0.1, 0.35, 1.0]),
        st.lists(st.sampled_from(_FRAGMENTS), min_size=1, max_size=6).map("".join),
    ),
    min_size=1,
    max_size=25,
)


def at_times(gaps: list[tuple[float, str]]) -> Timed:
    now, arrivals = 1.0, []
    for gap, text in gaps:
        now += gap
        arrivals.append((now, text))
    return arrivals


@given(gaps=arrivals_of, max_lag=st.sampled_from([0.01, 0.05, 0.3, 2.0]))
def test_nothing_is_lost_and_nothing_is_late(gaps: list[tuple[float, str]], max_lag: float) -> None:
    arrivals = at_times(gaps)
    seen = play(arrivals, max_lag)
    assert "".join(text for _, text in seen) == "".join(text for _, text in arrivals)
    lags = [out - come for come, out in zip(when(arrivals), when(seen), strict=True)]
    assert min(lags) > -1e-9
    assert max(lags) <= max_lag + 0.002


@given(gaps=arrivals_of, max_lag=st.sampled_from([0.05, 0.3]))
def test_nothing_is_cut_but_by_its_deadline(gaps: list[tuple[float, str]], max_lag: float) -> None:
    arrivals = at_times(gaps)
    seen = play(arrivals, max_lag)
    text, out, come = "".join(text for _, text in arrivals), when(seen), when(arrivals)
    unit, place = regex.compile(r"[\ud800-\udbff][\udc00-\udfff]|`+|~+|\X"), 0
    while place < len(text):
        matched = unit.match(text[place:])
        assert matched is not None
        end = place + matched.end()  # a cut is forgotten: what follows stands alone
        cuts = [at for at in range(place + 1, end) if out[at] != out[place]]
        if cuts:
            # What came after the cut came when its first character could wait no longer; text that came
            # within a 16th of max_lag has one deadline.
            assert out[place] >= come[place] + max_lag * (1 - 1 / _MOMENTS) - 0.002
            end = cuts[0]
        place = end


@given(gaps=arrivals_of)
def test_timers_are_few(gaps: list[tuple[float, str]]) -> None:
    """At most one for each piece that goes out or comes in, and never two at a time."""
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.smooth(0.3, scheduler=clock)).subscribe(observer)
    for at, text in at_times(gaps):
        clock.advance_to(at)
        source.send(text)
    clock.advance_by(10.0)
    assert clock.most_waiting <= 1
    assert clock.started <= 2 * (len(observer.items) + len(gaps)) + 2


@pytest.mark.parametrize("rate", [20, 200, 2_000])
@pytest.mark.parametrize("every", [0.02, 0.1, 0.2])
def test_bursts_become_even(rate: int, every: float) -> None:
    """Text in bursts goes out as if it came at their mean rate, whatever that is."""
    burst = "x" * int(rate * every)
    arrivals = [(1.0 + every * number, burst) for number in range(int(6 / every))] if burst else []
    if not arrivals:
        return
    seen = play(arrivals, 0.3)
    out = [at for at in when(seen) if 2.0 <= at < 6.0]
    window = max(0.1, 4 / rate)
    counts = [
        sum(start <= at < start + window for at in out) for start in (2.0 + window * n for n in range(20))
    ]
    mean = rate * window
    assert max(counts) <= 1.35 * mean + 1
    assert min(counts) >= 0.65 * mean - 1


def test_the_pace_follows_the_rate_of_arrival() -> None:
    slow = [(1.0 + 0.1 * number, "x" * 5) for number in range(30)]
    fast = [(4.0 + 0.1 * number, "x" * 50) for number in range(30)]
    out = when(play([*slow, *fast], 0.3))
    for start, rate in [(2.0, 50), (3.0, 50), (5.0, 500), (6.0, 500)]:
        assert sum(start <= at < start + 1.0 for at in out) == pytest.approx(rate, rel=0.1)


# -- what is never delayed ------------------------------------------------------------------------------


def test_a_tool_call_a_retraction_and_the_end_wait_for_nothing() -> None:
    for last in (
        ToolUseChunk("t", "Bash", {}, 1, message_id="m"),
        RetractedChunk((0,), message_id="m"),
        result(),
    ):
        clock, source, observer = Clock(), Hot(), Strict()
        source.pipe(cc.smooth(5.0, scheduler=clock)).subscribe(observer)
        source.send(said("a long text"), last)
        assert observer.items == [said("a"), said(" long text"), last]
        assert not clock.timers
        source.complete()
        assert observer.completed


def test_what_may_overtake_and_agents_apart() -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.smooth(1.0, scheduler=clock)).subscribe(observer)
    main, sub = said("main text"), said("sub text", 1, "s", agent="a")
    status, call = SystemChunk("status", {}), ToolUseChunk("t", "Bash", {}, 2, agent="a", message_id="s")
    source.send(main, sub, status, call)
    assert [item.text for item in observer.items if item.agent == "a" and item is not call] == [
        "s",
        "ub text",
    ]
    assert observer.items[2] is status
    assert observer.items[-1] is call
    assert clock.most_waiting == 1
    clock.advance_by(2.0)
    assert "".join(item.text for item in observer.items if hasattr(item, "text") and item.agent is None) == (
        "main text"
    )


def test_pieces_keep_the_place_of_their_first_character() -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(cc.smooth(1.0, scheduler=clock)).subscribe(observer)
    source.send(said("ab", seq=3, at=0.1), said("cd", seq=5, at=0.2))
    clock.advance_by(5.0)
    places = [(item.seq, item.at) for item in observer.items for _ in item.text]
    assert places == [(3, 0.1), (3, 0.1), (5, 0.2), (5, 0.2)]


def test_without_a_clock_everything_passes() -> None:
    chunks = [said("some"), said(" text"), result()]
    source, observer = Hot(), Strict()
    source.pipe(cc.smooth()).subscribe(observer)
    for chunk in chunks:
        source.send(chunk)
        assert observer.items[-1] is chunk


@pytest.mark.parametrize("max_lag", [0, -1.0, float("nan"), float("inf")])
def test_impossible_lags_are_refused(max_lag: float) -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        cc.smooth(max_lag)


# -- on an event loop, and at any amount ----------------------------------------------------------------


def test_on_the_running_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        source, seen = Hot(), list[tuple[float, str]]()
        subscription = source.pipe(cc.smooth(0.5)).subscribe(
            lambda text: seen.append((round(loop.time(), 2), text))
        )
        source.send("abcde")
        assert loop.timers == 1
        await asyncio.sleep(1.0)
        assert seen == [(0.0, "a"), (0.1, "b"), (0.2, "c"), (0.3, "d"), (0.5, "e")]
        assert loop.timers == 0
        source.send("fgh")
        assert loop.timers == 1
        subscription.dispose()
        assert loop.timers == 0
        await asyncio.sleep(1.0)
        assert seen[5:] == [(1.0, "f")]

    run_virtually(main())


async def test_on_a_real_loop() -> None:
    source, seen = Hot(), list[str]()
    source.pipe(cc.smooth(0.05)).subscribe(seen.append)
    source.send("some", " text")
    while "".join(seen) != "some text":
        await asyncio.sleep(0.005)
    assert seen != ["some", " text"], "cut anew, however few pieces a loaded machine leaves"


def test_a_flood_costs_no_more_than_it_has_characters() -> None:
    """All at one moment, as from a recording: deadlines stay few, and what waits is joined once."""
    now = 0.0
    pace = _Pace(0.3, lambda: now)
    out = sum(map(len, (piece for _ in range(20_000) for piece in pace.add("word "))))
    assert isinstance(pace._deadlines, deque)
    assert len(pace._deadlines) == 1
    joins = 0
    while pace.due < float("inf"):
        now = pace.due
        out += sum(map(len, pace.ready()))
        joins += 1
        assert joins < 50
    assert out == 100_000
    for step in range(10_000):
        now = 1.0 + step / 10_000
        pace.add("x")
        assert len(pace._deadlines) <= _MOMENTS + 2


def test_a_whole_turn_at_once() -> None:
    words = [said("word ") for _ in range(1000)]
    seen = gathered(within_subscribe([*words, result()]).pipe(cc.smooth(scheduler=Clock())))
    assert "".join(item.text for item in seen[:-1]) == "word " * 1000
    assert len(seen) < 10
