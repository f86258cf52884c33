"""Data out of text: whatever the pieces, one end, and on the way there only what stands."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from reactivex import operators as ops
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from rxccsdk import (
    Chunk,
    RetractedChunk,
    StructureError,
    ToolInputChunk,
    ToolUseChunk,
)
from rxccsdk import operators as cc
from rxccsdk.operators.growing_json import JsonScan
from rxccsdk.testing import reply
from tests.conftest import Real
from tests.operator_laws import Hot, Strict, result, said, within_subscribe


class Colour(Enum):
    RED = "red"
    UNKNOWN = "?"

    @classmethod
    def _missing_(cls, value: object) -> Colour:
        return cls.UNKNOWN


class Place(BaseModel):
    name: str
    people: int | None = None
    share: float | None = None
    founded: date | None = None
    kind: Literal["city", "city state"] | None = None
    colour: Colour | None = None
    open: bool | None = None
    code: str | None = Field(None, max_length=3)
    sights: list[Place] = []
    notes: dict[str, str] = {}
    anything: Any = None


places = st.deferred(
    lambda: st.builds(
        Place,
        name=st.text(max_size=8)
        | st.sampled_from(['"', "\\", "😀 smile", "\ud7ff\ue0ff", "a\nb", "{[", "]}"]),
        people=st.none() | st.integers(-(10**6), 10**6),
        share=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        founded=st.none() | st.dates(),
        kind=st.sampled_from([None, "city", "city state"]),
        colour=st.none() | st.sampled_from(Colour),
        open=st.none() | st.booleans(),
        code=st.none() | st.text("abc", max_size=3),
        sights=st.lists(places, max_size=2),  # type: ignore[has-type]
        notes=st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=2),
        anything=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces, cut anywhere."""
    places = draw(st.lists(st.integers(0, len(text)), max_size=12))
    ends = [*sorted(places), len(text)]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@st.composite
def written(draw: st.DrawFn, data: Any) -> str:
    """JSON as agents write it: compact or indented, escaped or not, bare, in prose or in a fence."""
    text = json.dumps(
        data, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 0, 2])), allow_nan=False
    )
    return draw(
        st.sampled_from(
            [
                text,
                f"Here you are:\n\n```json\n{text}\n```\nAnything else?",
                f"The result [see (1) and {{below}}] is {text}. It has a ] and a }}.",
                f"- [ ] not yet\n- [x] done\n\n{text}",
            ]
        )
    )


def outcome(items: list[Any], operator: Any) -> tuple[list[Any], Exception | None]:
    observer = Strict()
    within_subscribe(items).pipe(operator).subscribe(observer)
    assert observer.ended
    assert not observer.faults
    return observer.items, observer.error


def grows(before: Any, after: Any) -> bool:
    """Whether what was said stays said: texts and lists go on, keys are added, all else is as it was."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(key in after and grows(value, after[key]) for key, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) <= len(after) and all(map(grows, before, after))
    if isinstance(before, str) and isinstance(after, str):
        return after.startswith(before)
    return type(before) is type(after) and bool(before == after)


def dumped(value: BaseModel) -> Any:
    return value.model_dump(exclude_unset=True)


# -- parse_json -----------------------------------------------------------------------------------------


@given(place=places, data=st.data())
def test_whatever_the_pieces_it_grows_and_ends_whole(place: Place, data: st.DataObject) -> None:
    text = data.draw(written(place.model_dump(mode="json", exclude_unset=True)))
    pieces = data.draw(cut(text))
    seen, error = outcome(pieces, cc.parse_json(Place))
    assert error is None
    assert seen[-1] == place
    for before, after in itertools.pairwise(seen):
        assert before != after
        assert grows(dumped(before), dumped(after))
    one_by_one, error = outcome(list(text), cc.parse_json(Place))
    assert error is None
    assert one_by_one[-1] == place
    assert all(grows(dumped(value), dumped(place)) for value in one_by_one)


@given(found=st.lists(places, max_size=3), data=st.data())
def test_lists(found: list[Place], data: st.DataObject) -> None:
    text = data.draw(written([place.model_dump(mode="json", exclude_unset=True) for place in found]))
    if "[ ]" in text:
        text = text.replace("[ ]", "[-]")  # else that is the list
    seen, error = outcome(data.draw(cut(text)), cc.parse_json(list[Place]))
    assert error is None
    assert seen[-1] == found
    for before, after in itertools.pairwise(seen):
        assert grows([dumped(item) for item in before], [dumped(item) for item in after])


@given(text=st.text('{}[]":,\\ \n1-.eutrfalsn0', max_size=40), data=st.data())
def test_any_text_ends_as_it_does_in_one_piece(text: str, data: st.DataObject) -> None:
    model = dict[str, Any] | list[Any]
    at_once, fault = outcome([text], cc.parse_json(TypeAdapter[Any](model)))
    seen, error = outcome(data.draw(cut(text)), cc.parse_json(TypeAdapter[Any](model)))
    assert str(error) == str(fault)
    if error is None:
        assert seen[-1] == at_once[-1]


def test_it_streams_what_may_grow_and_holds_what_may_change() -> None:
    text = (
        '{"name": "Köln", "people": 1087, "share": 1.5e1, "founded": "0050-01-01", "kind": "city state",'
        ' "colour": "red", "open": true, "code": "CGN", "sights": [{"name": "Dom"}, {"people": 5'
    )
    seen, error = outcome(list(text), cc.parse_json(Place))
    assert isinstance(error, StructureError)
    told = [dumped(value) for value in seen]
    assert [value["name"] for value in told[:5]] == ["", "K", "Kö", "Köl", "Köln"]
    assert {value.get("people") for value in told} == {None, 1087}
    assert {value.get("share") for value in told} == {None, 15.0}
    assert {value.get("founded") for value in told} == {None, date(50, 1, 1)}
    assert {value.get("kind") for value in told} == {None, "city state"}, "not first a city"
    assert {value.get("colour") for value in told} == {None, Colour.RED}, "not first unknown"
    assert {value.get("open") for value in told} == {None, True}
    assert {value.get("code") for value in told} >= {None, "CGN"}
    assert told[-1]["sights"] == [{"name": "Dom"}], "a sight has no name yet, so it is not there"


def test_nothing_before_what_is_required() -> None:
    class Strictly(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid")
        first: date
        second: str

    text = '{"first": "2020-02-02", "second": "x"}'
    for end in range(len(text)):
        seen, error = outcome([text[:end]], cc.parse_json(Strictly))
        assert (seen != []) == (end > text.index('"x'))
        assert isinstance(error, StructureError)
    assert outcome([text], cc.parse_json(Strictly))[0] == [Strictly(first=date(2020, 2, 2), second="x")]


@dataclass
class Point:
    x: int
    label: str = ""


class Shape(TypedDict):
    sides: int
    name: str


def test_models_of_every_kind() -> None:
    assert outcome(['{"x": 1, "label": "a"}'], cc.parse_json(Point))[0] == [Point(1, "a")]
    assert outcome(['{"sides": 3, "name": "a"}'], cc.parse_json(Shape))[0] == [{"sides": 3, "name": "a"}]
    assert outcome(["[1, 2", ", 3]"], cc.parse_json(list[int]))[0] == [[1], [1, 2, 3]]
    assert outcome(['{"a": 1}'], cc.parse_json(TypeAdapter(dict[str, int])))[0] == [{"a": 1}]


def test_the_first_value_that_fits() -> None:
    prose = 'As [1] and {"x": "no"} show, {} is {"x": 7}, not {"x": 8}.'
    assert outcome([prose], cc.parse_json(Point)) == ([Point(7)], None)
    assert outcome(list(prose), cc.parse_json(Point)) == ([Point(7)], None)


def test_what_was_begun_and_does_not_fit_gives_way_to_the_next() -> None:
    for text in ('{"x": 1, "label": "so far" oops} {"x": 2}', '{"x": 1, "label": 2} {"x": 2}'):
        for size in (1, 5, 20, 99):
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            seen, error = outcome(pieces, cc.parse_json(Point))
            assert error is None
            assert seen[-1] == Point(2)


def test_the_error_carries_the_text_and_the_reason() -> None:
    for text, why in [
        ("There is none.", "There is no JSON"),
        ("", "There is no JSON"),
        ('{"x": 1', "not complete"),
        ('{"x": "one"} or [1]', "valid integer"),
    ]:
        _, error = outcome(list(text), cc.parse_json(Point))
        assert isinstance(error, StructureError)
        assert isinstance(error, ValueError)
        assert error.text == text
        assert why in str(error)
        assert error.partial is None
        assert isinstance(error.__cause__, ValidationError) == ("valid" in why)


def test_what_was_put_off_comes_before_the_error() -> None:
    long = json.dumps({"x": 1, "label": "x" * 1000})
    for last in (1, 2, 5):
        source, observer = Hot(), Strict()
        source.pipe(cc.parse_json(Point)).subscribe(observer)
        source.send(long[:-10], long[-10 : -10 + last])
        source.fail(OSError())
        assert isinstance(observer.error, OSError)
        assert observer.items[-1].label == "x" * (992 + last)


class Strictly(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: Literal["alpha", "beta"]
    size: int


class OfThem(BaseModel):
    items: list[Strictly]


@pytest.mark.parametrize("size", [1, 4, 7, 1000])
@pytest.mark.parametrize("in_an_object", [True, False])
def test_every_item_as_it_closes(size: int, in_an_object: bool) -> None:
    items = [{"name": "alpha" if n % 2 else "beta", "size": n} for n in range(50)]
    text = json.dumps({"items": items} if in_an_object else items)
    model: Any = OfThem if in_an_object else TypeAdapter(list[Strictly])
    source, seen = Hot(), list[int]()
    values = source.pipe(cc.parse_json(model))
    values.subscribe(lambda value: seen.append(len(value.items if in_an_object else value)))
    for at in range(0, len(text), size):
        source.send(text[at : at + size])
        closed = text[: at + size].count("}") - (in_an_object and at + size >= len(text))
        assert seen[-1:] in ([closed], [] if closed == 0 else [closed])
    if size < 10:
        assert set(seen) >= set(range(1, 51))


def test_validators_that_cannot_bear_half_of_it() -> None:
    class Sensitive(BaseModel):
        a: str = ""
        b: str = ""

        @model_validator(mode="after")
        def both(self) -> Sensitive:
            if not self.b:
                raise KeyError("b")
            return self

    assert outcome(list('{"a": "x", "b": "y"}'), cc.parse_json(Sensitive))[0] == [Sensitive(a="x", b="y")]
    _, error = outcome(['{"a": "x"}'], cc.parse_json(Sensitive))
    assert isinstance(error, StructureError)
    assert isinstance(error.__cause__, KeyError)


def test_a_retraction_starts_it_over() -> None:
    source, observer = Hot(), Strict()
    source.pipe(cc.parse_json(Place)).subscribe(observer)
    source.send(said("So: ", 0), said('{"name": "Wro', 1, "m"))
    source.send(RetractedChunk((7,), (), True), RetractedChunk((0, 1), (), True, agent="other", turn=5))
    assert dumped(observer.items[-1]) == {"name": "Wro"}
    source.send(RetractedChunk((1,), (), True))
    source.send(said('{"name": "Right", ', 2, "n"), said('"people": 3}', 2, "n"))
    assert [dumped(item) for item in observer.items] == [
        {"name": "Wro"},
        {"name": "Right"},
        {"name": "Right", "people": 3},
    ]
    source.send(RetractedChunk((2,), (), False))
    source.complete()
    assert isinstance(observer.error, StructureError)
    assert observer.error.text == "So: "


def test_a_retraction_after_a_part_that_stands() -> None:
    """As after a cut message that is continued: the whole has one string in two messages."""
    source, observer = Hot(), Strict()
    source.pipe(cc.parse_json(Place)).subscribe(observer)
    source.send(said('{"name": "A", "notes": {"a": "b"', 0, "m"), said(', "c": "d', 1, "m"))
    source.send(RetractedChunk((1,), (), True), said(', "e": "f"}}', 2, "m"))
    source.complete()
    assert [item.notes for item in observer.items] == [
        {"a": "b"},
        {"a": "b", "c": "d"},
        {"a": "b"},
        {"a": "b", "e": "f"},
    ]
    assert observer.completed


def test_the_main_agent_only() -> None:
    theirs = said('{"x": 1}', 0, agent="toolu_1")
    assert outcome([theirs, said('{"x": 2}', 1)], cc.parse_json(Point)) == ([Point(2)], None)
    inputs = [ToolUseChunk("a", "Save", {"x": 1}, agent="toolu_1"), ToolUseChunk("b", "Save", {"x": 2})]
    assert outcome(inputs, cc.parse_json(Point, tool="Save")) == ([Point(2)], None)


def tool_call(text: str, id: str, block: int = 0) -> list[Chunk]:
    return [ToolInputChunk(id, "Save", piece, block) for piece in text]


def test_from_a_tools_input() -> None:
    text = '{"x": 1, "label": "ab"}'
    whole = ToolUseChunk("t", "Save", json.loads(text), 0)
    expected = [Point(1), Point(1, "a"), Point(1, "ab")]
    chunks = [
        said('{"x": 5}', 9),
        ToolInputChunk("o", "Other", text, 8),
        *tool_call(text, "t"),
        whole,
        result(),
    ]
    assert outcome(chunks, cc.parse_json(Point, "Save")) == (expected, None)
    assert outcome([whole], cc.parse_json(Point, "Save")) == ([Point(1, "ab")], None)
    late = [*tool_call(text, "t")[10:], whole]
    assert outcome(late, cc.parse_json(Point, "Save")) == ([Point(1, "ab")], None)
    empty = [ToolUseChunk("t", "Save", {}, 0)]
    assert outcome(empty, cc.parse_json(TypeAdapter(dict[str, int]), "Save")) == ([{}], None)


def test_the_first_call_that_fits() -> None:
    wrong = [*tool_call('{"x": 1, "label": 3}', "t"), ToolUseChunk("t", "Save", {"x": 1, "label": 3}, 0)]
    right = [*tool_call('{"x": 2}', "u", 1), ToolUseChunk("u", "Save", {"x": 2}, 1)]
    third = [ToolUseChunk("v", "Save", {"x": 3}, 2)]
    seen, error = outcome([*wrong, *right, *third], cc.parse_json(Point, "Save"))
    assert error is None
    assert seen == [Point(1), Point(2)]
    seen, error = outcome(wrong, cc.parse_json(Point, "Save"))
    assert isinstance(error, StructureError)
    assert error.text == '{"x": 1, "label": 3}'


def test_a_call_that_is_taken_back() -> None:
    for gone in (RetractedChunk((0,), (), True), RetractedChunk((5,), ("t",), True)):
        chunks = [*tool_call('{"x": 1, "lab', "t"), gone, *tool_call('{"x": 1, "label": "b"}', "u", 1)]
        seen, error = outcome(chunks, cc.parse_json(Point, "Save"))
        assert error is None
        assert seen == [Point(1), Point(1, "b")][-len(seen) :]
    seen, error = outcome([*tool_call('{"x": 1}', "t"), RetractedChunk((0,))], cc.parse_json(Point, "Save"))
    assert isinstance(error, StructureError)


def test_settled_text_can_be_read_too() -> None:
    chunks = [said('{"x": ', 0), said("4}", 0), result()]
    assert outcome(chunks, rx.compose(cc.text(settled=True), cc.parse_json(Point))) == ([Point(4)], None)


def test_an_observer_that_raises_gets_the_next_one() -> None:
    got: list[Any] = []

    def fail(item: Any) -> None:
        got.append(item)
        if len(got) == 1:
            raise RuntimeError("mine")

    source = Hot()
    source.pipe(cc.elements(int)).subscribe(fail)
    with pytest.raises(RuntimeError, match="mine"):
        source.send("[1, 2, 3,")
    source.send("4]")
    assert got == [1, 2, 3, 4]


def seconds_for(operator: Any, pieces: list[str]) -> float:
    started = time.process_time()
    _, error = outcome(pieces, operator)
    assert error is None
    return time.process_time() - started


@pytest.mark.parametrize(
    "operator", [cc.parse_json(list[Point]), cc.elements(Point)], ids=["parse", "elements"]
)
def test_it_is_linear(operator: Any) -> None:
    def pieces(count: int) -> list[str]:
        text = json.dumps([{"x": number, "label": "twenty characters it is"} for number in range(count)])
        return [text[at : at + 6] for at in range(0, len(text), 6)]

    small, large = pieces(400), pieces(8000)  # twenty times; a quadratic reader takes 400 times as long
    least = min(seconds_for(operator, small) for _ in range(3))
    assert min(seconds_for(operator, large) for _ in range(2)) < 100 * least


@pytest.mark.parametrize(
    "text", ["[" * 20_000, '{"' * 20_000, "[x" * 20_000, '["a\n' * 20_000, '"[[1],' * 20_000]
)
@pytest.mark.parametrize("size", [7, 10**9])
def test_prose_with_brackets_is_linear(text: str, size: int) -> None:
    started = time.process_time()
    outcome([text[at : at + size] for at in range(0, len(text), size)], cc.parse_json(Point))
    outcome([text[at : at + size] for at in range(0, len(text), size)], cc.elements(Point))
    assert time.process_time() - started < 10


# -- elements -------------------------------------------------------------------------------------------


@given(found=st.lists(places, min_size=1, max_size=4), data=st.data(), wrapped=st.booleans())
def test_elements_come_whole_whatever_the_pieces(
    found: list[Place], data: st.DataObject, wrapped: bool
) -> None:
    items = [place.model_dump(mode="json", exclude_unset=True) for place in found]
    text = data.draw(written({"title": "[1]", "places": items, "rest": [3]} if wrapped else items))
    seen, error = outcome(data.draw(cut(text)), cc.elements(Place))
    assert error is None
    assert seen == found


@given(text=st.text('[]",\\ \n1-.{:}', max_size=40), data=st.data())
def test_any_text_gives_the_elements_it_has_in_one_piece(text: str, data: st.DataObject) -> None:
    at_once, fault = outcome([text], cc.elements(int))
    seen, error = outcome(data.draw(cut(text)), cc.elements(int))
    assert seen == at_once
    assert str(error) == str(fault)


def test_an_element_comes_as_soon_as_it_closes() -> None:
    source, observer = Hot(), Strict()
    source.pipe(cc.elements(TypeAdapter[Any](Any))).subscribe(observer)
    for piece, count in [
        ("[{", 0),
        ('"a": [1, 2]', 0),
        ("}", 1),
        (", 12", 1),
        ("3 ", 2),
        (', "x', 2),
        ('"', 3),
        ("]", 3),
    ]:
        source.send(piece)
        assert len(observer.items) == count, piece
    assert not observer.ended
    source.complete()
    assert observer.completed
    assert observer.items == [{"a": [1, 2]}, 123, "x"]


def test_the_array_that_is_meant() -> None:
    assert outcome(['As [1] shows: [{"x": 2}] and [{"x": 3}].'], cc.elements(Point)) == ([Point(2)], None)
    assert outcome(['{"points": [{"x": 2}], "more": [{"x": 3}]}'], cc.elements(Point)) == ([Point(2)], None)
    assert outcome(["- [ ] later\n[5]"], cc.elements(int)) == ([5], None)
    assert outcome(["It is [].", " Nothing."], cc.elements(int)) == ([], None)


def test_elements_that_do_not_fit() -> None:
    for text, count, why in [
        ("none here", 0, "no JSON array"),
        ('{"a": 1}', 0, "no JSON array"),
        ("[1, 2", 1, "breaks off after item 1"),
        ("[1, 2 3]", 2, "no JSON after item 2"),
        ('[1, "x", 3]', 1, "Item 2"),
        ('["x", 3]', 0, "Item 1"),
        ("[", 0, "not complete"),
    ]:
        for pieces in ([text], list(text)):
            seen, error = outcome(pieces, cc.elements(int))
            assert len(seen) == count, text
            assert isinstance(error, StructureError)
            assert why in str(error)
            assert error.text == text


def test_elements_after_a_retraction() -> None:
    source, observer = Hot(), Strict()
    source.pipe(cc.elements(int)).subscribe(observer)
    source.send(said("[1, 2, 3", 0), said("4, 5, ", 1), RetractedChunk((1,), (), True))
    assert observer.items == [1, 2, 34, 5]
    source.send(said("6, 7]", 2))
    source.complete()
    assert observer.items == [1, 2, 34, 5, 36, 7]
    assert observer.completed


def test_elements_of_another_array_after_a_retraction() -> None:
    source, observer = Hot(), Strict()
    source.pipe(cc.elements(int)).subscribe(observer)
    source.send(said("[1, 2", 0), RetractedChunk((0,), (), True), said("[3, 4]", 1))
    source.complete()
    assert observer.items == [1, 3, 4]


# -- the scanner ----------------------------------------------------------------------------------------


@given(text=st.text('{}[]":,\\/ \n\t1-.eE+ubtrfalsn0NaIity\x01é', max_size=30).map(lambda text: "[" + text))
def test_the_scanner_reads_as_pydantic_does(text: str) -> None:
    scan = JsonScan()
    end = scan.feed(text)
    adapter = TypeAdapter[Any](Any)

    def is_json(text: str) -> bool:
        try:
            adapter.validate_json(text)
        except ValidationError:
            return False
        return True

    if scan.whole:
        assert is_json(text[:end])
    else:
        assert not is_json(text)
    if not scan.broken:
        assert is_json(text[: scan.safe] + scan.closers)


@given(data=st.data(), value=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_the_scanner_accepts_what_is_json(data: st.DataObject, value: Any) -> None:
    text = json.dumps([value], ensure_ascii=data.draw(st.booleans()))
    scan = JsonScan()
    for piece in data.draw(cut(text)):
        scan.feed(piece)
    assert scan.whole
    assert scan.length == len(text)


# -- with the real CLI ----------------------------------------------------------------------------------


async def test_a_model_out_of_a_real_answer(real: Real) -> None:
    text = 'Here it is:\n```json\n{"name": "Köln", "people": 1087, "sights": [{"name": "Dom"}]}\n```\nEnjoy.'
    async with real([reply(text, pieces=30)]) as session:
        turn = session.stream("go")
        seen = [value async for value in turn.pipe(cc.parse_json(Place), cc.to_async_iterator())]
        sights = [value async for value in turn.pipe(cc.elements(Place), cc.to_async_iterator())]
    assert len(seen) > 3
    assert dumped(seen[-1]) == {"name": "Köln", "people": 1087, "sights": [{"name": "Dom"}]}
    assert sights == [Place(name="Dom")]


async def test_a_real_answer_that_is_cut_and_sent_again(real: Real) -> None:
    script = [
        reply('{"name": "Wrong", "peo', pieces=8).cut(),
        reply('{"name": "Right", "people": 3}', pieces=8),
    ]
    async with real(script) as session:
        turn = session.stream("go")
        seen = [value async for value in turn.pipe(cc.parse_json(Place), cc.to_async_iterator())]
    assert dumped(seen[-1]) == {"name": "Right", "people": 3}
    assert any(value.name.startswith("W") for value in seen)


@pytest.mark.parametrize("partial", [True, False])
async def test_a_model_out_of_a_real_tools_input(real: Real, partial: bool) -> None:
    class Command(BaseModel):
        command: str
        description: str = ""

    script = [
        reply().tool("Bash", {"command": "echo some words", "description": "says them"}, pieces=12),
        reply("Done."),
    ]
    async with real(script, allowed_tools=["Bash"], partial_messages=partial) as session:
        turn = session.stream("go")
        seen = [value async for value in turn.pipe(cc.parse_json(Command, "Bash"), cc.to_async_iterator())]
        assert turn.response.content == "Done."
    assert seen[-1] == Command(command="echo some words", description="says them")
    assert (len(seen) > 3) == partial


async def test_a_real_answer_without_it(real: Real) -> None:
    async with real([reply("I would rather not.")]) as session:
        with pytest.raises(StructureError) as caught:
            await session.stream("go").pipe(cc.parse_json(Place), ops.to_list())
    assert caught.value.text == "I would rather not."
    assert caught.value.partial is not None
    assert caught.value.partial.content == "I would rather not."
