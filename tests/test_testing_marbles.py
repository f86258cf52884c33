"""Marbles: drawings, and the report of a difference."""

from __future__ import annotations

import pytest
import reactivex
from reactivex import operators as ops

from rxccsdk import TextChunk, ToolUseChunk
from rxccsdk import operators as cc
from rxccsdk.testing import Marbles

VALUES = {
    "a": TextChunk("Hel"),
    "b": TextChunk("lo"),
    "c": TextChunk("Hello"),
    "t": ToolUseChunk("toolu_1", "Bash", {"command": "ls"}),
}


@pytest.mark.parametrize("tick", [0.001, 0.01, 0.3, 1.0, 60.0])
def test_a_stream_of_chunks_through_an_operator(tick: float) -> None:
    marbles = Marbles(VALUES, tick=tick)
    source = marbles.cold("-a-b---t--|")
    marbles.check(source.pipe(cc.buffer_text(seconds=5 * tick)), "------ct--|")
    assert marbles.subscriptions(source) == [(0, 10)]


def test_marks_without_a_value_are_text() -> None:
    marbles = Marbles()
    marbles.check(marbles.cold("-a-b-1-|").pipe(cc.buffer_text(seconds=None)), "-------(ab1,|)")


def test_neighbouring_marks() -> None:
    marbles = Marbles({"a": 1, "b": 2, "ab": 3})
    marbles.check(marbles.cold("-ba-ab|"), "-b a-ab|")
    with pytest.raises(ValueError, match=r"commas between them: \(b,a\)"):
        Marbles({"a": 1, "b": 2}).cold("-(ba)")


def test_a_hot_stream_runs_without_listeners() -> None:
    marbles = Marbles()
    source = marbles.hot("-a-b-c-|")
    late = reactivex.timer(2.0).pipe(ops.flat_map(lambda _: source))
    marbles.check(late, "---b-c-|")
    assert marbles.subscriptions(source) == [(2, 7)]


def test_a_cold_stream_begins_anew() -> None:
    marbles = Marbles()
    source = marbles.cold("-a-|")
    marbles.check(reactivex.concat(source, source), "-a--a-|")
    assert marbles.subscriptions(source) == [(0, 3), (3, 6)]


def test_leaving_early() -> None:
    marbles = Marbles()
    source = marbles.cold("-a-b-c-|")
    marbles.check(source, "-a-b", leave_at=4)
    assert marbles.subscriptions(source) == [(0, 4)]


def test_who_stays_is_seen_to_stay() -> None:
    marbles = Marbles()
    source = marbles.hot("-a-")
    source.subscribe()
    marbles.check(source, "-a")
    assert marbles.subscriptions(source)[0] == (-200, float("inf"))


def test_errors() -> None:
    marbles = Marbles()
    marbles.check(marbles.cold("-a-#", error=ValueError("no")), "-a-#", error=ValueError("no"))
    marbles = Marbles()
    marbles.check(marbles.cold("-a-#", error=ValueError("no")), "-a-#")
    marbles = Marbles()
    with pytest.raises(AssertionError, match=r"# ValueError\('yes'\)  # ValueError\('no'\)"):
        marbles.check(marbles.cold("-#", error=ValueError("no")), "-#", error=ValueError("yes"))


def test_a_difference_is_shown_side_by_side() -> None:
    marbles = Marbles(VALUES, tick=0.01)
    with pytest.raises(AssertionError) as failure:
        marbles.check(marbles.cold("-a-b---t--|"), "------c---|")
    assert (
        str(failure.value)
        == """\
the stream is not as drawn (a tick is 0.01 s)
  drawn: ------c---|
  seen:  -a-b---t--|

      tick  drawn                        seen
   >     1                               a = TextChunk(text='Hel')
   >     3                               b = TextChunk(text='lo')
   >     6  c = TextChunk(text='Hello')
   >     7                               t = ToolUseChunk(id='toolu_1', name='Bash', input={'command': 'ls'})
        10  |                            |"""
    )


def test_values_differ_in_any_field() -> None:
    marbles = Marbles({"a": TextChunk("x"), "b": TextChunk("x", seq=3)})
    with pytest.raises(AssertionError) as failure:
        marbles.check(marbles.cold("-a"), "-b")
    assert "b = TextChunk(text='x', seq=3)  a = TextChunk(text='x')" in str(failure.value)


def test_what_cannot_be_drawn_is_listed_all_the_same() -> None:
    marbles = Marbles()
    with pytest.raises(AssertionError) as failure:
        marbles.check(reactivex.timer(1.5), "-x")
    assert "seen:" not in str(failure.value)
    assert ">   1.5" in str(failure.value)


@pytest.mark.parametrize("value", ["It is - (so)", "|", "a b", "", 1, None])
def test_values_that_are_no_marks_are_listed(value: object) -> None:
    with pytest.raises(AssertionError) as failure:
        Marbles().check(reactivex.of(value), "-x")
    assert "seen:" not in str(failure.value)
    assert f"{value!r}" in str(failure.value)


def test_marbles_play_once() -> None:
    marbles = Marbles()
    source = marbles.cold("-|")
    marbles.check(source, "-|")
    with pytest.raises(RuntimeError, match="make new ones"):
        marbles.play(source)


def test_nothing_can_follow_the_end() -> None:
    with pytest.raises(ValueError, match="after a # or"):
        Marbles().cold("-|-a")
