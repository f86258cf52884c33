"""Rechunk: `by_word()`, `by_line()`, `by_sentence()`, `by_block()`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from markdown_it import MarkdownIt

from benchmarks.harness import Case
from benchmarks.operators.pieces import MAY_OVERTAKE, goes_on, like, lossless
from benchmarks.operators.ways import Emit, compare, hand_way, our_ways
from rxccsdk import Chunk, TextChunk
from rxccsdk import operators as cc


def cases(prose: list[Chunk]) -> Iterator[Case]:
    check = lossless(prose)
    for name, operator, ends in (
        ("by_word()", cc.by_word(), r"\s(?=\S)"),
        ("by_line()", cc.by_line(), r"\n"),
        ("by_sentence()", cc.by_sentence(), r"(?:[.!?][\"')\]*_]*\s+|\n+)(?=[^\sa-z])"),
    ):
        pattern = re.compile(ends)
        ways = [
            *our_ways(operator),
            hand_way(partial(_cut_by_hand, pattern, like), "a regex over what is held; graphemes are cut"),
            hand_way(partial(_cut_by_hand, pattern, _bare), "the same, bare text without a place", aim=None),
        ]
        yield compare(name, prose, ways, check)
    markdown = MarkdownIt("commonmark").enable("table")
    markdown.core.ruler.enableOnly(["normalize", "block"])
    ways = [
        *our_ways(cc.by_block()),
        hand_way(partial(_parse_by_hand, markdown), "markdown-it over what is held, at each line"),
        hand_way(_split_by_hand, "at blank lines outside of fences; loose lists fall apart", aim=None),
    ]
    yield compare("by_block()", prose, ways, check)


def _bare(chunk: Any, text: str) -> str:
    return text


def _cut_by_hand(
    ends: re.Pattern[str], make: Callable[[Any, str], Any], chunks: list[Chunk], emit: Emit
) -> None:
    held, first = "", None  # `first` is the chunk that what is held began in
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            if first is None or not goes_on(first, chunk):
                if held:
                    emit(make(first, held))
                held, first = "", chunk
            held += chunk.text
            start = 0
            for end in ends.finditer(held):
                emit(make(first, held[start : end.end()]))
                start, first = end.end(), chunk
            if start:
                held = held[start:]
        else:
            if held and not isinstance(chunk, MAY_OVERTAKE):
                emit(make(first, held))
                held, first = "", None
            if make is not _bare:
                emit(chunk)
    if held:
        emit(make(first, held))


def _parse_by_hand(markdown: MarkdownIt, chunks: list[Chunk], emit: Emit) -> None:
    def blocks() -> list[str]:
        top = [token for token in markdown.parse(held) if token.level == 0 and token.nesting >= 0]
        lines = held.splitlines(keepends=True)
        ends = [*(token.map[0] for token in top[1:] if token.map), len(lines)]
        return ["".join(lines[start:end]) for start, end in zip([0, *ends], ends, strict=False)]

    held, first = "", None
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            first = first or chunk
            held += chunk.text
            if "\n" in chunk.text:
                *complete, held = blocks()
                for block in complete:
                    emit(like(first, block))
                    first = chunk
        else:
            if held and not isinstance(chunk, MAY_OVERTAKE):
                for block in blocks():
                    emit(like(first, block))
                held, first = "", None
            emit(chunk)


def _split_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    held, first = "", None
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            first = first or chunk
            held += chunk.text
            end = held.rfind("\n\n", 0, -1)
            if end >= 0 and held.count("```", 0, end) % 2 == 0:
                emit(like(first, held[: end + 2]))
                held, first = held[end + 2 :], chunk
        else:
            if held and not isinstance(chunk, MAY_OVERTAKE):
                emit(like(first, held))
                held, first = "", None
            emit(chunk)
