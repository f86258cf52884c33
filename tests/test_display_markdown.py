"""Rendered Markdown: the same lines however it arrives, and what they look like."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from rxccsdk.display.blocks import leaves
from rxccsdk.display.writers import MarkdownWriter
from tests.markdown_strategies import chunkings, documents

ROOT = Path(__file__).parents[1]
REAL = [
    path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md") if path.is_file()
]


def one_shot(markdown: str, width: int) -> list[Text]:
    """The lines of a whole text, read at once."""
    lines: list[Text] = []
    for leaf in leaves(markdown):
        lines += [] if leaf.gap is None else [leaf.gap]
        lines += leaf.lines(width)
    return lines


def same(one: list[Text], other: list[Text]) -> None:
    """They have the same words and styles."""
    assert [line.plain for line in one] == [line.plain for line in other]
    assert [line.spans for line in one] == [line.spans for line in other]


def plain(markdown: str, width: int = 40) -> str:
    """The rendered text."""
    return "\n".join(line.plain for line in one_shot(markdown, width))


@given(documents, st.integers(1, 120), st.data())
def test_what_stands_is_the_one_shot_render_of_the_whole(
    markdown: str, width: int, data: st.DataObject
) -> None:
    writer, lines = MarkdownWriter(), []
    for piece in data.draw(chunkings(markdown)):
        lines += writer.add(piece, width)
        if data.draw(st.booleans()):  # a painting
            lines += writer.settle(width)
            assert len(writer.tail(width, 5)) <= 5
    lines += writer.end(width)
    same(lines, one_shot(markdown, width))


def test_what_is_open_may_turn_out_to_be_several_blocks() -> None:
    markdown = "- ***\n- ---\n  one\n\n"
    writer = MarkdownWriter()
    lines = writer.add(markdown, 40) + writer.settle(40) + writer.end(40)
    same(lines, one_shot(markdown, 40))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
@pytest.mark.parametrize("width", [39, 79, 119, 199])
def test_real_documents_stand_as_rendered_at_once(path: Path, width: int) -> None:
    markdown = path.read_text(encoding="utf-8")
    writer, lines = MarkdownWriter(), []
    for start in range(0, len(markdown), 11):
        lines += writer.add(markdown[start : start + 11], width)
        if start % 55 == 0:
            lines += writer.settle(width)
    lines += writer.end(width)
    same(lines, one_shot(markdown, width))
    assert len(lines) > 20
