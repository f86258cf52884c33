"""Pages: none too long, nothing lost, no grapheme cut, each with whole fences."""

from __future__ import annotations

import itertools

import reactivex as rx
import regex
from hypothesis import assume, example, given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxccsdk import operators as cc
from rxccsdk.operators.fences import Fences
from tests.operator_laws import RETRACTED_TURN, gathered, within_subscribe


def pages(text: str, limit: int) -> list[str]:
    return gathered(rx.of(text).pipe(cc.pages(limit)))


def code(text: str) -> str:
    """The code in a text, without its line ends: a cut within a line puts one there."""
    fences = Fences()
    events = fences.feed(text) + fences.end()
    return "".join(code for kind, code in events if kind == "code").translate({10: None, 13: None})


def is_open(text: str) -> bool:
    fences = Fences()
    fences.feed(text + "\n")
    return fences.is_open


def squeezed(text: str) -> str:
    return "".join(text.split())


texts = st.text() | st.text("ab \n`~>-1.é\u0301👩\u200d👧\r")
limits = st.integers(1, 40)

LINES = [
    "",
    "words and more words",
    "- item",
    "1. item",
    "> quoted",
    "  indented",
    "x = 1",
    "    deep",
    "```",
    "~~~",
]
CODE = [
    "",
    "x = 1",
    "    y = 2",
    "> z",
    "print('a long line of code that is longer than a page')",
    "- no item",
]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Markdown with fenced code, also in lists and quotes, some of it not closed."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        lines += draw(st.lists(st.sampled_from(LINES[:-2]), max_size=3))
        first, rest = draw(
            st.sampled_from(
                [("", ""), ("> ", "> "), ("- ", "  "), ("1. ", "   "), ("- - ", "    "), ("> - ", ">   ")]
            )
        )
        fence = draw(st.sampled_from(["```", "~~~~", "`````"]))
        lines += ["", f"{first}{fence}{draw(st.sampled_from(['', 'py', ' sh -x']))}"]
        lines += [rest + line for line in draw(st.lists(st.sampled_from(CODE), max_size=9))]
        if "-" in first or "1" in first or draw(st.integers(0, 5)):
            lines.append(rest + fence)
    return "\n".join(lines)


@given(text=texts, limit=limits)
def test_none_is_too_long(text: str, limit: int) -> None:
    assert all(0 < len(page) <= limit for page in pages(text, limit))


@given(text=texts, limit=limits)
def test_without_fences_nothing_is_added_and_only_blank_pages_are_missing(text: str, limit: int) -> None:
    text = text.replace("`", "'").replace("~", "-")
    given_pages = pages(text, limit)
    assert squeezed("".join(given_pages)) == squeezed(text)
    if len(given_pages) * limit >= len(text) and all(map(str.strip, text.splitlines())):
        assert all(page in text for page in given_pages)


@given(text=texts, limit=st.integers(12, 40))
def test_no_grapheme_is_cut(text: str, limit: int) -> None:
    text = text.replace("`", "'").replace("~", "-")
    graphemes = regex.findall(r"\X", text)
    assume(all(len(grapheme) <= limit for grapheme in graphemes))
    found = [grapheme for page in pages(text, limit) for grapheme in regex.findall(r"\X", page)]
    assert [grapheme for grapheme in found if grapheme.strip()] == [g for g in graphemes if g.strip()]


@given(text=documents(), limit=st.integers(100, 200))
@example(text="- - ```py\n" + "    x = 1\n" * 30 + "    ```\nend", limit=100)
@example(text="> ```py\n> " + "x = 1 " * 60 + "\n> ```\nend", limit=100)
def test_each_page_has_whole_fences_and_all_have_the_code(text: str, limit: int) -> None:
    given_pages = pages(text, limit)
    assert all(len(page) <= limit for page in given_pages)
    assert not any(map(is_open, given_pages))
    assert "".join(map(code, given_pages)) == code(text)


@given(text=documents() | texts, cuts=st.lists(st.integers(0, 300)), limit=st.integers(1, 200))
def test_they_are_the_same_however_the_text_arrives(text: str, cuts: list[int], limit: int) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[start:end] for start, end in itertools.pairwise(ends)]
    assert gathered(within_subscribe(pieces).pipe(cc.pages(limit))) == pages(text, limit)


def test_a_block_that_ends_where_a_page_does_is_not_opened_again() -> None:
    text = "```\n" + "x = 1\n" * 5 + "```\nDone, at last.\n"
    assert pages(text, 37) == ["```\n" + "x = 1\n" * 5 + "```", "Done, at last.\n"]


def test_a_page_comes_when_it_is_full() -> None:
    seen: list[str] = []
    words = rx.of("one\ntw", "o\nthr", "ee").pipe(ops.do_action(lambda word: seen.append(f"<{word}>")))
    words.pipe(cc.pages(8)).subscribe(seen.append)
    assert seen == ["<one\ntw>", "<o\nthr>", "one\ntwo\n", "<ee>", "three"]


def test_settled_text_before_it_leaves_out_what_was_taken_back() -> None:
    source = rx.from_(RETRACTED_TURN)
    assert gathered(source.pipe(cc.text(settled=True), cc.pages())) == ["stands"]
