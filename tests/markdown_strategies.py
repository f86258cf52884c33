"""Markdown as Hypothesis makes it: documents that a model could write, and what only a test writes."""

from __future__ import annotations

from hypothesis import strategies as st

_WORDS = st.sampled_from(
    [
        *(
            "one",
            "two",
            "three",
            "a",
            "日本語",
            "naïve",
            "👩‍👧",
            "**bold**",
            "*it*",
            "`code here`",
            "~~gone~~",
        ),
        *("[link](https://example.org/a_b)", "<https://example.org>", "https://example.org/" + "x" * 60),
        *("**open", "`open", "\\*", "&amp;", "&#27;[2J", "<b>", "![pic](p.png)", "1.", "-", "#", "|", ":-"),
    ]
)
_lines = st.lists(_WORDS, min_size=1, max_size=12).map(" ".join)
_paragraphs = st.lists(_lines, min_size=1, max_size=3).map("\n".join)
_headings = st.builds(lambda level, words: f"{'#' * level} {words}", st.integers(1, 6), _lines)
_code = st.lists(
    st.sampled_from(["x = 1", "", '    """doc', "if a:  # no", "\tb", "+new", "-old", "```", "~~~"]),
    max_size=6,
)
_fences = st.builds(
    lambda mark, language, lines, end: "\n".join([mark + language, *lines, *([mark] if end else [])]),
    st.sampled_from(["```", "````", "~~~"]),
    st.sampled_from(["", "python", "diff", "nonsense"]),
    _code,
    st.sampled_from([True, True, True, False]),
)
_cells = st.lists(_WORDS.filter(lambda word: "|" not in word), max_size=6).map(" ".join)


@st.composite
def _tables(draw: st.DrawFn) -> str:
    columns = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(_cells, min_size=columns, max_size=columns), min_size=1, max_size=4))
    sides = draw(st.lists(st.sampled_from(["---", ":--", "--:", ":-:"]), min_size=columns, max_size=columns))
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], sides, *rows[1:]])


def _within(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    blocks = st.lists(inner, min_size=1, max_size=2).flatmap(
        lambda found: st.sampled_from(["\n", "\n\n"]).map(lambda between: between.join(found))
    )

    def item(mark: str, text: str) -> str:
        return mark + text.replace("\n", "\n" + " " * len(mark))

    items = st.lists(blocks, min_size=1, max_size=4)
    marks = st.sampled_from(["- ", "* ", "1. ", "10) ", "- [ ] "])
    lists = st.builds(
        lambda mark, texts, between: between.join(item(mark, text) for text in texts),
        marks, items, st.sampled_from(["\n", "\n\n"]),
    )  # fmt: skip
    quotes = blocks.map(lambda text: "> " + text.replace("\n", "\n> "))
    return lists | quotes


_leaves = st.one_of(
    _paragraphs, _headings, _fences, _tables(), st.sampled_from(["---", "***", "Head\n====", "Head\n---"]),
    st.sampled_from(["<div>\nx\n</div>", "    indented\n\n    code", "[a]: https://example.org"]),
)  # fmt: skip
_blocks = st.recursive(_leaves, _within, max_leaves=6)
_written = st.lists(st.tuples(_blocks, st.sampled_from(["\n\n", "\n\n", "\n", "\n\n\n"])), max_size=8).map(
    lambda found: "".join(block + after for block, after in found)
)
_soup = st.text(st.sampled_from("##**__``~~--=>||::1.)[]()!<\n\n\n   \tab日"), max_size=60)

documents = _written | _soup
"""Whole documents."""


def chunkings(text: str) -> st.SearchStrategy[list[str]]:
    """The same text in pieces."""
    if len(text) < 2:
        return st.just([text])
    cuts = st.lists(st.integers(1, len(text) - 1), max_size=30, unique=True).map(sorted)
    return cuts.map(lambda at: [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)])
