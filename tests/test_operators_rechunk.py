"""Words, lines, sentences and blocks: the same pieces however the text arrives, and nothing cut in two."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rxccsdk import (
    Chunk,
    RetractedChunk,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolUseChunk,
    UnknownChunk,
)
from rxccsdk import operators as cc
from rxccsdk.operators import graphemes, markdown, rechunk
from rxccsdk.testing.strategies import texts, turns
from tests.operator_laws import Clock, Hot, Strict, gathered, result, said, within_subscribe
from tests.test_operators_laws import Broken, delays, flow, joined, response, timed

Operator = Callable[..., Any]

OPERATORS: list[Operator] = [cc.by_word, cc.by_line, cc.by_sentence, cc.by_block]
every = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)

_SYLLABLES = (
    *("a", "Word", "two words", "He said. ", "3.14", "Mr. ", '"', "(", ")", "*", "**", "`", "```", "~~~~"),
    *("\n", "\n\n", "\r\n", "\r", " ", "  ", "    ", "\t", "- ", "- x\n", "1. ", "2", "# ", "> ", "|a|b|\n"),
    *("|-|-|\n", "---\n", "===\n", "```py\n", "```\n", "<div>\n", "<!--", "-->\n", "[f]: /u\n", "\\", "\x00"),
    *(
        "e\u0301",
        "\u0301",
        "日本",
        "語。",
        "「",
        "」",
        "！",
        "カタカナ",
        "한국",
        "\u1112\u1161\u11ab",
        "ภาษา",
        "क्षि",
    ),
    *(
        "👍🏽",
        "👩\u200d👩\u200d👧",
        "🇩🇪",
        "🇫",
        "\u200d",
        "\ufe0f",
        "\ud83d",
        "\ude00",
        "\u0600",
        "\x0c",
        "\u2028",
    ),
)
"""What is hard to cut, lone surrogates among it."""

hard_texts = st.lists(st.sampled_from(_SYLLABLES) | st.text(max_size=3), max_size=25).map("".join) | texts()


@st.composite
def split(draw: st.DrawFn, text: str) -> list[str]:
    """Cut a text anywhere, between any two characters."""
    if draw(st.booleans()):
        return list(text)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def cut(operator: Any, *words: str) -> list[str]:
    return [piece for piece in gathered(within_subscribe(words).pipe(operator)) if piece]


def units(text: str) -> list[str]:
    """What must not be cut, worked out with the whole text before us."""
    return regex.findall(r"[\ud800-\udbff][\udc00-\udfff]|`+|~+|\X", text)


def ends(pieces: list[str]) -> set[int]:
    """Where pieces end, but for the last."""
    places, place = set(), 0
    for piece in pieces[:-1]:
        place += len(piece)
        places.add(place)
    return places


# -- laws -----------------------------------------------------------------------------------------------


@given(text=hard_texts, data=st.data())
def test_the_pieces_are_the_same_however_the_text_arrives(text: str, data: st.DataObject) -> None:
    words = data.draw(split(text))
    for operator in OPERATORS:
        pieces = cut(operator(), *words)
        assert "".join(pieces) == text
        assert pieces == cut(operator(), text)
        assert ends(pieces) <= ends(units(text)), "a unit is cut"


@given(text=hard_texts, data=st.data(), hold=st.integers(1, 12))
def test_a_hold_limit_bounds_what_waits(text: str, data: st.DataObject, hold: int) -> None:
    """What does not fit is cut, between units where they fit; the rest is cut as ever."""
    words = data.draw(split(text))
    too_long, place = set(), 0
    for unit in units(text):
        too_long |= set(range(place + 1, place + len(unit))) if len(unit) > hold else set()
        place += len(unit)
    for operator in OPERATORS:
        source, observer = Hot(), Strict()
        source.pipe(operator(hold=hold)).subscribe(observer)
        come = 0
        for word in words:
            source.send(word)
            come += len(word)
            assert come - sum(map(len, observer.items)) <= hold
        source.complete()
        assert "".join(observer.items) == text
        assert ends(observer.items) <= ends(units(text)) | too_long
        if operator is not cc.by_block:  # which knows the end of what it may still look at
            assert all(len(piece) <= hold for piece in observer.items)


@given(
    chunks=turns(),
    waits=delays,
    hold=st.none() | st.integers(1, 30),
    operator=st.sampled_from([*OPERATORS, cc.smooth]),
    fails=st.booleans(),
)
def test_nothing_is_lost_or_reordered_and_each_piece_keeps_its_place(
    chunks: list[Chunk], waits: list[float], hold: int | None, operator: Operator, fails: bool
) -> None:
    error = Broken() if fails else None

    def make(clock: Clock) -> Any:
        if operator is cc.smooth:
            return cc.smooth(0.3, scheduler=clock)
        return operator() if hold is None else operator(hold=hold)

    seen, ended = timed(chunks, waits, make, error)
    assert ended is error
    for agent in {chunk.agent for chunk in chunks}:
        assert flow(seen, agent) == flow(chunks, agent)
    whole = [chunk for chunk in chunks if not isinstance(chunk, (TextChunk, ThinkingChunk))]
    passed = [chunk for chunk in seen if not isinstance(chunk, (TextChunk, ThinkingChunk))]
    assert Counter(map(id, passed)) == Counter(map(id, whole))
    # Each piece has the place of the chunk its first character came in, and nothing else of it is changed.
    sources: dict[int, list[Any]] = {}
    for chunk in chunks:
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            sources.setdefault(chunk.block, []).extend([chunk] * len(chunk.text))
    for chunk in seen:
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            first = sources[chunk.block][0]
            del sources[chunk.block][: len(chunk.text)]
            assert (type(chunk), chunk.turn, chunk.seq, chunk.at, chunk.agent, chunk.message_id) == (
                *(type(first), first.turn, first.seq, first.at, first.agent, first.message_id),
            )
    assert not any(sources.values())
    # And so every reading of it is the same.
    assert response(seen).content == response(chunks).content
    assert joined(seen) == joined(chunks)
    assert joined(seen, settled=True) == joined(chunks, settled=True)
    if isinstance(chunks[-1], type(result())):
        assert seen[-1] is chunks[-1]


@given(text=hard_texts)
def test_cutting_again_changes_nothing(text: str) -> None:
    for operator in OPERATORS:
        pieces = cut(operator(), text)
        assert cut(operator(), *pieces) == pieces


@every
def test_what_releases_and_what_may_overtake(operator: Operator) -> None:
    source, observer = Hot(), Strict()
    source.pipe(operator()).subscribe(observer)
    main, sub = said("main"), said("sub", 1, "s", agent="a")
    status, unknown = SystemChunk("status", {}), UnknownChunk("new_frame", {})
    source.send(main, sub, status, unknown)
    assert observer.items == [status, unknown]
    call = ToolUseChunk("t", "Bash", {}, 2, agent="a", message_id="s")
    source.send(call)
    assert observer.items[2:] == [sub, call]
    retracted = RetractedChunk((0,), message_id="m")
    source.send(retracted)
    assert observer.items[4:] == [main, retracted]
    more, other, end = said("more", 3, "n"), ThinkingChunk("Hm", 3, message_id="n"), result()
    source.send(more, other, end)
    assert observer.items[6:] == [more, other, end], "text and thinking of one number are two things"
    early, late = said("a", 0, "m", turn=0), said("b", 0, "m", turn=1)
    assert gathered(within_subscribe([early, late]).pipe(operator())) == [early, late]
    nothing = said("")
    assert gathered(within_subscribe([nothing]).pipe(operator())) == [nothing]


@every
def test_leaving_between_two_pieces_of_one_chunk(operator: Operator) -> None:
    text = "One. \n\nTwo. \n\nThree. \n\nFour"
    source = Hot()
    got: list[str] = []

    def leave(piece: str) -> None:
        got.append(piece)
        if len(got) == 2:
            subscription.dispose()

    subscription = source.pipe(operator()).subscribe(leave)
    source.send(text)
    assert got == cut(operator(), text)[:2]


@every
@pytest.mark.parametrize("hold", [0, -1])
def test_impossible_holds_are_refused(operator: Operator, hold: int) -> None:
    with pytest.raises(ValueError, match="hold must be positive"):
        operator(hold=hold)


def test_a_split_chunk_and_a_merged_one_keep_the_place_of_their_first_character() -> None:
    pieces = [said("one t", seq=3, at=0.1), said("w", seq=4, at=0.2), said("o three", seq=7, at=0.3)]
    assert gathered(within_subscribe(pieces).pipe(cc.by_word())) == [
        said("one ", seq=3, at=0.1),
        said("two ", seq=3, at=0.1),
        said("three", seq=7, at=0.3),
    ]
    whole = said("a line\n", seq=9)
    assert gathered(within_subscribe([whole]).pipe(cc.by_line()))[0] is whole


# -- what is a piece ------------------------------------------------------------------------------------

WORDS = {
    "plain": ["Hello, ", "world  ", "and\n\n    ", "more"],
    "leading space": ["  ", "word"],
    "path": ["see ", "/usr/local/bin/a-b_c.txt?x=1&y=2 ", "now"],
    "chinese": ["你", "好，", "世", "界。", "Python ", "3"],
    "japanese": ["Python", "言", "語、", "「引", "用」", "の", "コンピュータ", "で", "す。"],
    "korean": ["한국어 ", "문장입니다."],
    "thai": ["ภ", "า", "ษ", "า", "ไ", "ท", "ย ", "ok"],
    "thai am": ["น้ำ ", "ok"],
    "combining": ["cafe\u0301 ", "e\u0301te\u0301(x) ", "a \u0301b"],
    "hangul jamo": ["\u1112\u1161\u11ab\u1100\u116e\u11a8 ", "x"],
    "emoji": ["👩\u200d👩\u200d👧\u200d👦👍🏽 ", "🇩🇪🇫🇷 ", "☁\ufe0f ", "x"],
    "decomposed kana": ["か\u3099", "き"],
    "indic": ["क्षत्रिय ", "हिन्दी"],
    "hebrew": ["שלום ", "עולם"],
    "fence": ["```python\n", "x ", "= ", "1\n", "```\n", "ok"],
    "crlf": ["a\r\n", "b\r\n\r\n", "c"],
}

LINES = {
    "lf": ["one\n", "two\n", "\n", "three"],
    "crlf": ["one\r\n", "\r\n", "two\r\n"],
    "cr": ["one\r", "\r", "two\r"],
    "mixed": ["a\r\n", "b\n", "\r\n", "\r", "c\n", "\r", "\r\n"],
    "no other line ends": ["a\x0bb\x0cc\x85d\u2028e\u2029f\n", "g"],
    "combining mark after a break": ["a\n", "\u0301b"],
    "fence": ["```py\n", "x\n", "```\n"],
}

SENTENCES = {
    "plain": ["It is. ", "Is it?  ", "Yes! ", "So... ", "Done"],
    "decimals and versions": ["Pi is 3.14, v2.0.1 is out. ", "See x.yz. ", "End."],
    "abbreviations": ["Dr. Ng met Mrs. Lee, e.g. there, vs. Bob. ", "See Fig. 3 and no. 4. ", "No. ", "Yes."],
    "initials": ["J. R. R. Tolkien and J.-P. Sartre wrote. ", "In the U.S. Army."],
    "lower case goes on": ["He went to Acme Inc. and left. ", "Wait... what? ", "ok"],
    "quotes": ['"Why?" she asked. ', "He said “No.” ", "(Yes.) ", "Er rief „Halt!“ ", "Dann ging er."],
    "markdown": ["**Bold.** ", "_So._ ", "`x.` ", "Next."],
    "chinese": ["你好。", "“好吗？”", "他问！", "是"],
    "japanese": ["これは文です。", "「そう。」", "３．１４だ！？ ", "次。"],
    "hindi and arabic": ["क्या? ", "हाँ। ", "هل؟ ", "نعم."],
    "headings and lists": [
        "# Title\n\n",
        "1. One item. ",
        "Two.\n",
        "2. Item\n",
        "- x\n  ",
        "- y\n\n",
        "Done.",
    ],
    "hard-wrapped": ["This goes\non and on\r\nand on. ", "New\n", "Line"],
    "blank line in lower case": ["one\n\n", "two"],
    "fence": ["So:\n", "```python\nprint(1)\n", "```\n", "Ok."],
    "no end": ["a" * 50],
}

BLOCKS = {
    "paragraphs": ["One\ntwo\n\n\n", "Three\n \t\n", "Four"],
    "headings": ["# One\n", "## Two\n\n", "Text\n", "# Three\n", "Set\n===\n", "Sub\n---\n", "x"],
    "list": ["Text:\n", "- a\n- b\n\n  more of b\n\n  - nested\n    - deep\n\n- c\n\n", "End"],
    "lists of two kinds": ["- a\n- b\n", "* c\n\n", "1. d\n2. e\n\n", "1) f\n\n", "12 months"],
    "code in a list": ["1. Do:\n\n   ```sh\n   ls\n\n   pwd\n   ```\n\n2. Done\n\n", "**End**"],
    "lazy": ["- a\nlazy\n\n", "> q\nlazy\n\n", "> r\n\n", "x"],
    "table": ["Text\n", "|a|b|\n|-|-|\n|1|2|\n\n", "x"],
    "fence": ["```py\nx\n\n# y\n\n```\n", "Text\n", "~~~\n```\n\n~~~\n\n", "x"],
    "fence longer than three": ["`````md\n```py\nx\n```\n\n````\n`````\n", "x"],
    "open fence": ["```\nx\n\n# not a heading\n\n- not a list\n"],
    "no fence": ["``` a`b\n\n", "x"],
    "indented code": ["x\n\n", "    code\n\n    more\n\n", "y"],
    "html": ["<div>\nx\n\n", "y\n\n", "<!-- a\n\nb -->\n", "z"],
    "breaks": ["a\n\n", "---\n", "***\n\n", "b"],
    "definitions": ["[a]: /x\n\n", "[b]: /y\n", "# c"],
    "crlf": ["# One\r\n", "Text\r\nmore\r\n\r\n", "- a\r\n- b\r\n\r\n", "```\r\nx\r\n\r\n```\r\n", "End\r\n"],
    "a table with a heading for its head": ["# a | b\n--|--\n1 | 2\n"],
    "a heading with a bar": ["# a | b\n", "c"],
    "leading blank lines": ["\n\nOne\n\n", "Two"],
    "only blank lines": ["\n \n"],
}


def cases(table: dict[str, list[str]], operator: Operator) -> list[Any]:
    return [
        pytest.param(operator, pieces, id=f"{operator.__name__} {name}") for name, pieces in table.items()
    ]


@pytest.mark.parametrize(
    ("operator", "pieces"),
    [
        *cases(WORDS, cc.by_word),
        *cases(LINES, cc.by_line),
        *cases(SENTENCES, cc.by_sentence),
        *cases(BLOCKS, cc.by_block),
    ],
)
def test_pieces(operator: Operator, pieces: list[str]) -> None:
    text = "".join(pieces)
    assert cut(operator(), text) == pieces
    assert cut(operator(), *text) == pieces
    for place in range(len(text)):
        assert cut(operator(), text[:place], text[place:]) == pieces


@given(text=st.text(st.sampled_from("ab \t\n.,(")))
def test_words_of_plain_text(text: str) -> None:
    assert cut(cc.by_word(), text) == re.findall(r"^\s+|\S+\s*", text)


@given(text=hard_texts)
def test_a_word_has_white_space_at_its_end_only(text: str) -> None:
    for word in cut(cc.by_word(), text):
        # A mark on a space is one grapheme with it: no word begins there.
        assert regex.fullmatch(
            r"\S*\s*(?:\s[\p{M}\p{Cf}\p{Grapheme_Cluster_Break=SpacingMark}]\S*\s*)*", word
        )


@given(text=hard_texts)
def test_lines_by_definition(text: str) -> None:
    assert cut(cc.by_line(), text) == re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


# A line with a bar is the head of a table where the next one is its rule, whatever else it looks like.
HEADS = [
    "# a | b\n",
    "--|--\n",
    "1 | 2\n",
    "- a | b\n",
    "> a | b\n",
    "a | b\n",
    "``` | x\n",
    "2. x | y\n",
    "<b> | c\n",
]
OTHERS = [
    "|---|\n",
    ":-:\n",
    "---\n",
    "===\n",
    "```\n",
    "~~~\n",
    "# h\n",
    "text\n",
    "\n",
    "\r\n",
    "|",
    " ",
    "> ",
    "- ",
]


@given(text=st.lists(st.sampled_from(HEADS + OTHERS), max_size=7).map("".join), data=st.data())
def test_blocks_with_bars_are_the_same_however_they_arrive(text: str, data: st.DataObject) -> None:
    assert cut(cc.by_block(), *data.draw(split(text))) == cut(cc.by_block(), text)


@given(text=hard_texts)
def test_blocks_are_those_of_the_whole_document(text: str) -> None:
    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    places = [0, *(end.end() for end in re.finditer(r"\r\n|\r|\n", text))]
    starts = [token.map[0] for token in parser.parse(text) if token.level == 0 and token.map]
    cuts = [0, *(places[start] for start in starts[1:]), len(text)]
    want = [text[start:end] for start, end in pairwise(cuts)] if text else []
    assert cut(cc.by_block(), text) == want


# -- how soon -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "before", "last"),
    [
        (cc.by_line, "a line", "\n"),
        (cc.by_line, "a line\r", "x"),
        (cc.by_word, "word ", "n"),
        (cc.by_word, "世", "界"),
        (cc.by_sentence, "It is. ", "T"),
        (cc.by_sentence, "文。", "次"),
        (cc.by_block, "A paragraph\n\n", "N"),
        (cc.by_block, "A paragraph\n\n", "#"),
        (cc.by_block, "A paragraph\n", "# Heading\n"),
        (cc.by_block, "# Heading\n", "t"),
        (cc.by_block, "# a | b\n", "text\nt"),
        (cc.by_block, "```\nx\n```\n", "t"),
        (cc.by_block, "```\nx\n```\n\n", "`"),
        (cc.by_block, "- a\n- b\n\n", "*b"),
        (cc.by_block, "1. a\n2. b\n\n", "19t"),
        (cc.by_block, "|a|\n|-|\n|1|\n\n", "x"),
        (cc.by_block, "- x\n" * 300 + "\n", "t"),
        (cc.by_block, "```\n" + "x = 1\n\n# y\n" * 300 + "```\n", "t"),
    ],
)
def test_a_piece_is_given_as_soon_as_its_end_is_known(operator: Operator, before: str, last: str) -> None:
    """And no sooner: what comes next could still have been part of it."""
    source, observer = Hot(), Strict()
    source.pipe(operator()).subscribe(observer)
    source.send(*before)
    assert observer.items == []
    source.send(*last)
    assert observer.items == [before + (last if last == "\n" else "")]


# -- hold limits ----------------------------------------------------------------------------------------


def test_text_without_any_boundary_flows_at_the_limit() -> None:
    assert cut(cc.by_word(hold=4), *"abcdefghij") == ["abcd", "efgh", "ij"]
    assert cut(cc.by_line(hold=8), *"one two three four") == ["one two ", "three ", "four"]
    assert cut(cc.by_sentence(hold=20), *"first words go on and on and on") == [
        *("first words go on ", "and on and on"),
    ]
    family = "👩\u200d👩\u200d👧\u200d👦"
    assert cut(cc.by_word(hold=10), *(family * 3)) == [family] * 3
    assert "".join(cut(cc.by_word(hold=3), *family)) == family


def test_the_default_limits() -> None:
    for operator, hold in [(cc.by_word, 200), (cc.by_line, 4096), (cc.by_sentence, 2000)]:
        assert [len(piece) for piece in cut(operator(), "x" * (2 * hold + 1))] == [hold, hold, 1]
    assert [len(piece) for piece in cut(cc.by_block(), *["x" * 50_000] * 5)] == [100_000, 100_000, 50_000]


@pytest.mark.parametrize(
    ("opening", "indent"),
    [("```py\n", ""), ("- a\n  - b\n    ```py\n", "    "), ("> ```\n", "> "), ("~~~~\n", "")],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_code_that_is_too_long_stays_code(opening: str, indent: str, step: int) -> None:
    """After a cut inside a fence, its end is an end and not a beginning."""
    fence = "~~~~" if "~" in opening else "```"
    code = opening + f"{indent}# code\n{indent}\n" * 40 + f"{indent}{fence}\n"
    text = code + "\n\n# Title\n\nEnd\n\n"
    pieces = cut(cc.by_block(hold=90), *(text[at : at + step] for at in range(0, len(text), step)))
    assert "".join(pieces) == text
    assert pieces[-2:] == ["# Title\n\n", "End\n\n"]
    body = pieces[:-2]
    assert all(piece.endswith("\n") for piece in body)
    assert len(body) < 2 * len(code) / 45 + 2, "cut where it had to be, not at blank lines or headings"


# -- linear ---------------------------------------------------------------------------------------------

LONG = {
    "no boundary": "x" * 20_000,
    "words": "word " * 4_000,
    "spaces": "x" + " " * 20_000,
    "stops": "." * 20_000,
    "lines": "some words\n" * 2_000,
    "marks": "e" + "\u0301" * 20_000,
    "chinese": "文" * 20_000,
}


@pytest.mark.parametrize("name", LONG)
def test_each_character_is_looked_at_a_few_times(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    class Counting:
        def __init__(self, pattern: Any) -> None:
            self.pattern = pattern

        def finditer(self, text: str, start: int) -> Any:
            nonlocal looked
            looked += len(text) - start
            return self.pattern.finditer(text, start)

    def forced_cut(text: str, hold: int) -> int:
        nonlocal looked
        looked += 2 * hold
        return graphemes.forced_cut(text, hold)

    for make in ("_word_ends", "_sentence_may_end"):
        pattern = getattr(rechunk, make)()
        monkeypatch.setattr(rechunk, make, lambda pattern=pattern: Counting(pattern))
    for name_of in ("_LINE_ENDS", "_PLAIN_SPACE_ENDS"):
        monkeypatch.setattr(rechunk, name_of, Counting(getattr(rechunk, name_of)))
    monkeypatch.setattr(rechunk, "forced_cut", forced_cut)
    text = LONG[name]
    for operator in (cc.by_word, cc.by_line, cc.by_sentence):
        for step in (1, 5):
            looked = 0
            assert "".join(cut(operator(), *re.findall(f"(?s).{{1,{step}}}", text))) == text
            assert looked < 7 * len(text)


DOCUMENTS = {
    **LONG,
    "paragraphs": "Some words.\n\n" * 1_500,
    "a hard-wrapped paragraph": "some words and more\n" * 1_000,
    "a loose list": "- item\n\n" * 2_500,
    "a list of paragraphs": "- item\n\n  words\n\n" * 1_000,
    "a numbered list": "".join(f"{number}. item\n" for number in range(1_500)),
    "code": "```py\n" + "x = 1\n\n# y\n" * 1_500 + "```\n",
    "code in a list": "- a\n\n  ```py\n" + "  x = 1\n\n# y\n  # z\n" * 800,
    "a comment": "<!--\n" + "words\n\n" * 2_500,
    "indented code": "    x = 1\n\n" * 1_500,
    "quotes": "> words\n" * 2_000 + "> - a\n" * 100,
    "a table": "|a|b|\n|-|-|\n" + "|1|2|\n" * 2_000,
    "rules in a list": "- a\n  ***\n" * 1_500,
    "lazy hashes": "- a\n#b\n" * 2_000,
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("hold", [3_000, 100_000])
def test_each_character_is_parsed_a_few_times(name: str, hold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = times = 0
    parser = markdown._markdown()

    class Counting:
        def parse(self, text: str) -> Any:
            nonlocal parsed, times
            parsed += len(text)
            times += 1
            return parser.parse(text)

    monkeypatch.setattr(markdown, "_markdown", Counting)
    text = DOCUMENTS[name]
    assert "".join(cut(cc.by_block(hold=hold), *re.findall("(?s).{1,5}", text))) == text
    assert parsed < 9 * len(text)
    assert times < len(text) / 5 + 10
