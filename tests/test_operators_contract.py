"""The Rx contract, for every operator there is: a new one cannot skip it."""

from __future__ import annotations

import contextlib
import inspect
import io
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given, note
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest

from rxccsdk import (
    AgentStream,
    Chunk,
    CodeBlock,
    MessageChunk,
    Progress,
    RetractedChunk,
    SessionResponse,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolOutputChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing.strategies import turns
from tests.operator_laws import (
    CASES,
    EVERY,
    LEAVES,
    RETRACTED_TURN,
    Case,
    Clock,
    Hot,
    Strict,
    Subscribed,
    gathered,
    result,
    said,
    within_subscribe,
)

every = pytest.mark.parametrize("case", EVERY, ids=str)

TURN: list[Chunk] = [
    MessageChunk("start", message_id="m"),
    said("one "),
    said("sub one ", 1, "s", agent="a"),
    said("sub two ", 2, "t", agent="b"),
    said("two"),
    said("three", 3),
    MessageChunk("stop", message_id="m"),
    said("four", 4, "n"),
    result("four"),
]

FOUND: list[Chunk] = [
    ThinkingChunk("hm", 10),
    said('See:\n```json\n[{"a": 1}, ', 11),
    said('{"b": 2}, ', 11),
    ToolInputChunk("t", "Bash", '{"command": "l', 12),
    ToolInputChunk("t", "Bash", 's", "x": "y"}', 12),
    ToolUseChunk("t", "Bash", {"command": "ls", "x": "y"}, 12),
    said("sub one ", 13, "s", agent="a"),
    said('{"c": 3}]\n```\n```py\nx', 11),
    ThinkingChunk("so", 14),
    ToolOutputChunk("t", "task", "out "),
    ToolOutputChunk("t", "task", "put", 4),
    ToolResultChunk("t", "x"),
    said("sub two ", 15, "t", agent="b"),
    result(),
]
"""A turn that has something for the operators that look for something."""

FOUND_AGAIN: list[Chunk] = [
    ThinkingChunk("hm", 0),
    said('```json\n[{"a": 1', 1),
    ToolInputChunk("t", "Bash", '{"command": "gone', 2),
    RetractedChunk((0, 1, 2), ("t",), True),
    *FOUND,
]
"""The same, where a first version was taken back."""


def told(case: Case) -> list[Chunk]:
    return FOUND if case.picks else TURN


class Broken(Exception):
    """What sources fail with."""


def readable(items: list[Any]) -> list[Any]:
    """Items that can be compared: a response becomes its content, a stream its name."""
    readers: dict[type, Any] = {
        SessionResponse: lambda response: response.content,
        AgentStream: lambda stream: stream.id,
        CodeBlock: lambda block: block.info,
        Progress: lambda progress: (progress.activity, progress.tokens, progress.ended),
    }
    return [readers.get(type(item), lambda item: item)(item) for item in items]


def text_of(items: list[Any]) -> list[str]:
    return [item.text for item in items if isinstance(item, TextChunk)]


def test_every_operator_is_in_the_table() -> None:
    assert set(CASES) | LEAVES == set(cc.__all__)


@pytest.mark.parametrize("name", cc.__all__)
def test_its_page_has_a_drawing_an_example_and_a_word_on_retractions(name: str) -> None:
    page = inspect.getdoc(getattr(cc, name)) or ""
    assert "At a `RetractedChunk`:" in page
    assert "Example:" in page
    assert ">>> " in page
    if name not in LEAVES:
        drawing = [line for line in page.splitlines() if line.startswith("    ") and ">>>" not in line]
        assert any(line.split("     ")[0].rstrip().endswith("|") for line in drawing), "no marbles"
    assert inspect.signature(getattr(cc, name)).return_annotation


@given(
    turn=turns(),
    ending=st.sampled_from(["complete", "fail", "never"]),
    dispose_at=st.none() | st.integers(0, 30),
    waits=st.lists(st.sampled_from([0.0, 0.5, 3.0, 10.0]), min_size=1, max_size=9),
)
def test_grammar(turn: list[Chunk], ending: str, dispose_at: int | None, waits: list[float]) -> None:
    for case in EVERY:
        note(str(case))
        check_grammar(case, turn, ending, dispose_at, waits)


def check_grammar(
    case: Case, turn: list[Chunk], ending: str, dispose_at: int | None, waits: list[float]
) -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    subscription = Subscribed(source.pipe(case.make(clock)), observer)
    for place, chunk in enumerate(turn):
        if place == dispose_at:
            subscription.dispose()
            assert source.disposals == 1
            assert not clock.timers, "a timer outlives its subscription"
        source.send(chunk)
        clock.advance_by(waits[place % len(waits)])
    if ending == "complete":
        source.complete()
    elif ending == "fail":
        source.fail(Broken())
    for observer_of_source in source.observers:
        observer_of_source.on_next(turn[0])
        observer_of_source.on_completed()
    if ending != "never" or subscription.is_disposed:
        assert not clock.timers, "a timer outlives the end"
        assert source.disposals == 1
    clock.advance_by(100.0)
    assert not observer.faults
    assert source.subscriptions == 1
    assert clock.most_waiting <= 1


@every
@pytest.mark.parametrize("at", range(len(TURN)))
def test_dispose_inside_on_next_is_the_last_that_happens(case: Case, at: int) -> None:
    """A stage downstream in the same pipe, which is subscribed in one go, hears nothing more either."""
    clock, source = Clock(), Hot()
    heard: list[Any] = []

    def leave(item: Any) -> None:
        if len(observer.items) == at + 1:
            subscription.dispose()
            heard.clear()

    observer = Strict(leave)
    pipe = source.pipe(case.make(clock), cc.tap_chunks(heard.append))
    subscription = Subscribed(pipe, observer)
    source.send(*told(case))
    source.complete()
    clock.advance_by(100.0)
    assert not observer.faults
    if len(observer.items) > at:
        assert heard == []
    assert not clock.timers


@every
def test_dispose_when_time_releases(case: Case) -> None:
    clock, source = Clock(), Hot()
    heard: list[Any] = []

    def leave(item: Any) -> None:
        subscription.dispose()
        heard.clear()

    observer = Strict(leave)
    subscription = Subscribed(source.pipe(case.make(clock), cc.tap_chunks(heard.append)), observer)
    for chunk in told(case)[:3]:
        source.send(chunk)
    clock.advance_by(100.0)
    assert not observer.faults
    assert len(observer.items) <= 1
    assert heard == []
    assert not clock.timers


@every
def test_disposing_twice_and_after_the_end(case: Case) -> None:
    source, observer = Hot(), Strict()
    subscription = source.pipe(case.make(Clock())).subscribe(observer)
    source.send(*told(case))
    source.complete()
    subscription.dispose()
    subscription.dispose()
    assert source.disposals == 1
    assert observer.completed
    assert not observer.faults


@every
def test_two_subscriptions_share_nothing(case: Case) -> None:
    clock, source = Clock(), Hot()
    pipe = source.pipe(case.make(clock))
    first, second, alone = Strict(), Strict(), Strict()
    pipe.subscribe(first)
    source.send(*told(case)[:2])
    pipe.subscribe(second)
    source.send(*told(case)[2:])
    source.complete()
    again = Hot()
    again.pipe(case.make(Clock())).subscribe(alone)
    again.send(*told(case))
    again.complete()
    assert readable(first.items) == readable(alone.items)
    late = Strict()
    again = Hot()
    again.pipe(case.make(Clock())).subscribe(late)
    again.send(*told(case)[2:])
    again.complete()
    assert readable(second.items) == readable(late.items)


@every
def test_subscribing_again_from_inside_on_next(case: Case) -> None:
    pipe = rx.from_(told(case)).pipe(case.make(Clock()))
    inner = Strict()

    def again(item: Any) -> None:
        if len(outer.items) == 1:
            pipe.subscribe(inner)

    outer = Strict(again)
    pipe.subscribe(outer)
    assert outer.completed
    assert inner.completed
    assert readable(inner.items) == readable(outer.items) == readable(gathered(pipe))
    assert not outer.faults
    assert not inner.faults


@every
@pytest.mark.parametrize("items", [[], TURN[:1], TURN], ids=["none", "one", "turn"])
def test_a_source_that_gives_all_within_subscribe(case: Case, items: list[Chunk]) -> None:
    assert readable(gathered(within_subscribe(items).pipe(case.make(Clock())))) == readable(
        gathered(rx.from_(items).pipe(case.make(Clock())))
    )


@every
def test_leaving_a_source_that_gives_all_within_subscribe(case: Case) -> None:
    clock = Clock()
    seen = gathered(within_subscribe(told(case)).pipe(case.make(clock), ops.take(1)))
    assert len(seen) == 1
    assert not clock.timers


@every
def test_empty(case: Case) -> None:
    seen = gathered(rx.empty().pipe(case.make(Clock())))
    if case.name.startswith(("to_response", "scan_response")):
        assert [response.content for response in seen] == [""]
    else:
        assert seen == []


@every
def test_never(case: Case) -> None:
    clock, observer = Clock(), Strict()
    rx.never().pipe(case.make(clock)).subscribe(observer)
    clock.advance_by(1000.0)
    assert observer.items == []
    assert not observer.ended
    assert clock.started == 0 or case.waits


@every
def test_throw(case: Case) -> None:
    error, observer = Broken("no"), Strict()
    rx.throw(error).pipe(case.make(Clock())).subscribe(observer)
    assert observer.error is error
    assert observer.items == []


@every
def test_what_is_held_comes_before_the_error(case: Case) -> None:
    clock, source, observer = Clock(), Hot(), Strict()
    source.pipe(case.make(clock)).subscribe(observer)
    source.send(*told(case)[:6])
    error = Broken()
    source.fail(error)
    assert observer.error is error
    assert not observer.faults
    if case.passes:
        assert sorted("".join(text_of(observer.items))) == sorted("".join(text_of(told(case)[:6])))
    elif not case.once:
        complete = gathered(rx.from_(told(case)[:6]).pipe(case.make(None)))
        assert readable(observer.items)[-1:] == readable(complete)[-1:]


@every
def test_an_observer_that_raises(case: Case) -> None:
    """It raises into the source, as in stock reactivex; the operator goes on with the next item, whole."""
    clock, source = Clock(), Hot()

    def fail(item: Any) -> None:
        if len(observer.items) == 1:
            raise Broken

    observer = Strict(fail)
    source.pipe(case.make(clock)).subscribe(observer)
    raised = 0
    for chunk in [*told(case), None]:
        try:
            if chunk is None:
                source.complete()
            else:
                source.send(chunk)
        except Broken:
            raised += 1
    assert raised == 1
    assert not observer.faults
    assert not clock.timers
    if case.passes:
        seen = "".join(text_of(observer.items))
        assert sorted(seen) == sorted("".join(text_of(told(case))))


@every
def test_an_observer_that_raises_within_subscribe(case: Case) -> None:
    clock = Clock()

    def fail(item: Any) -> None:
        raise Broken

    observer = Strict(fail)
    with contextlib.suppress(Broken):  # raised again at what is held, which comes before the error
        within_subscribe(told(case)).pipe(case.make(clock)).subscribe(observer)
    assert isinstance(observer.error, Broken)  # as in stock reactivex
    assert len(observer.items) <= 3, "more than one item of the source released"
    assert not clock.timers


@given(turn=turns())
def test_what_passes_is_what_came(turn: list[Chunk]) -> None:
    """Operators that pass the stream on lose no chunk, and change none; recutters have own laws."""
    for case in EVERY:
        if case.passes and not case.recuts:
            assert gathered(within_subscribe(turn).pipe(case.make(Clock()))) == turn


@given(words=st.lists(st.text()))
def test_strings_stay_strings(words: list[str]) -> None:
    for case in EVERY:
        if case.strings:
            seen = gathered(within_subscribe(words).pipe(case.make(Clock())))
            assert all(isinstance(piece, str) for piece in seen)
            assert "".join(seen) == "".join(words)


@given(turn=turns())
def test_stock_operators_between_ours_change_nothing(turn: list[Chunk]) -> None:
    source = within_subscribe(turn)
    nothing: Any = [ops.map(lambda item: item), ops.filter(lambda item: True), ops.take(10_000)]
    for case in EVERY:
        ours = gathered(source.pipe(cc.tap_chunks(id), case.make(Clock()), cc.tap_chunks(id)))
        mixed = gathered(
            source.pipe(cc.tap_chunks(id), *nothing, case.make(Clock()), *nothing, cc.tap_chunks(id))  # type: ignore[call-overload]
        )
        assert readable(mixed) == readable(ours)


@every
def test_stock_merge_take_and_share(case: Case) -> None:
    clock, source, other = Clock(), Hot(), Subject[Any]()
    observer = Strict()
    pipe = source.pipe(ops.merge(other), case.make(clock), ops.take(2), ops.share())
    pipe.subscribe(observer)
    for chunk in told(case):
        source.send(chunk)
        other.on_next(chunk)
    source.complete()
    other.on_completed()
    clock.advance_by(100.0)
    assert observer.completed
    assert not observer.faults
    if not case.picks:  # nothing can be found in what is said twice
        assert len(observer.items) == (1 if case.once else 2) or case.name == "buffer_text(neither)"
    assert source.disposals == 1
    assert not clock.timers


@every
def test_take_until_flushes_nothing_twice(case: Case) -> None:
    clock, source, enough = Clock(), Hot(), Subject[Any]()
    observer = Strict()
    source.pipe(case.make(clock), ops.take_until(enough)).subscribe(observer)
    source.send(*told(case)[:2])
    enough.on_next(None)
    assert observer.completed
    assert source.disposals == 1
    assert not clock.timers
    assert not observer.faults


@every
def test_subscriptions_on_virtual_time(case: Case) -> None:
    clock = Clock()
    messages = [ReactiveTest.on_next(210 + 10 * at, chunk) for at, chunk in enumerate(told(case))]
    whole = clock.create_hot_observable(*messages, ReactiveTest.on_completed(400))
    clock.start(lambda: whole.pipe(case.make(clock)))
    assert whole.subscriptions == [ReactiveTest.subscribe(200, 400)]
    clock = Clock()
    left = clock.create_cold_observable(*messages)
    seen = clock.start(lambda: left.pipe(case.make(clock)), disposed=425)
    assert left.subscriptions == [ReactiveTest.subscribe(200, 425)]
    assert all(message.time <= 425 for message in seen.messages)


@every
def test_the_scheduler_given_to_subscribe_is_the_second_choice(case: Case) -> None:
    own, given_one, source = Clock(), Clock(), Hot()
    source.pipe(case.make(own)).subscribe(scheduler=given_one)
    source.send(*told(case)[:5])
    assert given_one.started == 0
    if own.started:
        source.pipe(case.make(None)).subscribe(scheduler=given_one)
        source.send(*told(case)[:5])
        assert given_one.started


# What is given before a retraction (and would not be without it), and after it.
AFTER_ALL: dict[str, tuple[list[Any], list[Any]]] = {
    "by_agent()": ([], ["a", "b"]),
    "code_blocks()": (["json"], ["json", "py"]),
    "elements()": ([], [{"a": 1}, {"b": 2}, {"c": 3}]),
    "parse_json()": ([[{}]], [[{"a": 1}], [{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}, {"c": 3}]]),
    "parse_json(tool=)": ([{"command": "gone"}], [{"command": "l"}, {"command": "ls", "x": "y"}]),
    "thinking()": (["hm"], ["\n\nhm", "\n\nso"]),
    "thinking(agents='all')": (["hm"], ["|hm", "|so"]),
    "tool_output()": ([], ["out ", "put"]),
    "tools()": ([], [FOUND[5], FOUND[11]]),
}


def after_a_retraction(case: Case) -> list[Any]:
    return gathered(rx.from_(RETRACTED_TURN).pipe(case.make(Clock())))


@pytest.mark.parametrize("name", sorted(set(CASES)))
def test_at_a_retracted_chunk(name: str) -> None:
    for case in CASES[name]:
        seen = after_a_retraction(case)
        places = [at for at, item in enumerate(seen) if isinstance(item, RetractedChunk)]
        if case.passes or name == "of_type":
            (place,) = places
            assert "".join(text_of(seen[:place])) == "gone for good"
            assert "".join(text_of(seen[place:])) == "stands"
        elif name == "text":
            settled = "settled" in case.name
            assert "".join(seen).split() == (
                ["stands"] if settled else ["gone", "for", "good", "stands"]
            ) or ("".join(seen) == "gone for good|stands")
        elif name == "progress":
            assert [progress.activity for progress in seen] == ["waiting for the model", "done"]
        elif name == "pages":
            assert "".join(seen) == "gone for good\n\nstands"
        elif case.picks:
            again, found = AFTER_ALL[case.name]
            assert readable(gathered(rx.from_(FOUND_AGAIN).pipe(case.make(Clock())))) == again + found
        else:
            assert seen[-1].content == "stands"
        if case.name == "scan_response(every=0)":
            assert [response.content for response in seen[3:5]] == ["gone for good", ""]
    if name == "print_text":
        file = io.StringIO()
        gathered(rx.from_(RETRACTED_TURN).pipe(cc.print_text(0, file)))
        printed = file.getvalue()
        assert printed.startswith("gone for good\n[the text above was cut off")
        assert printed.endswith("stands")


@pytest.mark.parametrize("ending", ["complete", "fail"])
@pytest.mark.parametrize("operator", [cc.buffer_text(None), cc.text(settled=True)], ids=["buffer", "settled"])
def test_leaving_while_the_end_releases_what_is_held(operator: Any, ending: str) -> None:
    """No stage downstream may take the end for its cue to say something."""
    source, heard = Hot(), list[Any]()
    held = MessageChunk("start", message_id="m")
    pipe = source.pipe(
        operator, cc.tap_chunks(lambda item: leave()), cc.buffer_text(None), cc.tap_chunks(heard.append)
    )
    subscription = Subscribed(pipe, Strict())

    def leave() -> None:
        if at_end:
            subscription.dispose()

    at_end = False
    source.send(held, said("a"), said("b", 1, "s", agent="t"))
    at_end = True
    heard.clear()
    if ending == "complete":
        source.complete()
    else:
        source.fail(Broken())
    assert heard == []


@pytest.mark.parametrize("ending", ["complete", "fail"])
def test_the_end_does_not_reach_who_left_while_it_came(ending: str) -> None:
    source, answers = Hot(), list[Any]()
    pipe = source.pipe(
        cc.buffer_text(None),
        cc.tap_chunks(lambda item: subscription.dispose()),  # type: ignore[has-type]
        cc.scan_response(1000),
        cc.tap_chunks(answers.append),
    )
    subscription = Subscribed(pipe, Strict())
    source.send(said("a"))
    if ending == "complete":
        source.complete()
    else:
        source.fail(Broken())
    assert len(answers) <= 1, "the chunk on its way, but no last word"


def test_the_source_is_left_before_the_stages_clean_up() -> None:
    """What a stage does on dispose, such as writing, may make the source speak again: nobody listens."""
    clock, source = Clock(), Hot()

    class Echo(io.StringIO):
        def flush(self) -> None:
            if subscription.is_disposed:
                source.send("echo")

    file, heard = Echo(), list[Any]()
    pipe = source.pipe(cc.tap_chunks(heard.append), cc.print_text(5.0, file, scheduler=clock))
    subscription = Subscribed(pipe, Strict())
    source.send("a", "b")
    subscription.dispose()
    assert file.getvalue() == "ab"
    assert heard == ["a", "b"]
    assert not clock.timers
