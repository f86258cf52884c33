"""Markdown in leaves: paragraphs, headings, code, tables, each with the lists and quotes it stands in.

A leaf stands when the next one has begun: nothing that follows can change it. So what is shown does not
depend on how the text arrived, and references by label, which a definition far below can change, are shown
as they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.text import Text

from rxccsdk.display.code import highlighted
from rxccsdk.display.inline import inline
from rxccsdk.display.tables import table
from rxccsdk.text.harmless import harmless

_BULLETS = "•◦▪"
_HEADINGS = {"h1": "bold underline", "h2": "bold", "h3": "bold italic"}
_NARROWEST = 10
_ENCLOSE = frozenset(
    f"{name}_{end}"
    for name in ("bullet_list", "ordered_list", "list_item", "blockquote")
    for end in ("open", "close")
)


@dataclass(slots=True)
class _Container:
    """A list item or a quote: what stands before the first line in it, and before the others."""

    first: str
    rest: str
    style: str
    token: Token


@dataclass(frozen=True, slots=True)
class Leaf:
    """A block without blocks in it.

    Attributes:
        line: of the source, from 0: where it begins.
        kind: of its first token.
        gap: the blank line before it, if one belongs there.
        in_list: whether it stands in a list.
    """

    tokens: Sequence[Token]
    line: int
    kind: str
    gap: Text | None
    in_list: bool
    first: Text
    rest: Text

    def lines(self, width: int, last: int | None = None) -> list[Text]:
        """Return its lines, without their newlines.

        Args:
            width: cells of the terminal; code, addresses and long words may be longer.
            last: only the last lines are needed, so many of them; code may be coloured as if it began there.
        """
        body = self._body(max(_NARROWEST, width - self.rest.cell_len), last)
        lines = [
            Text.assemble(self.first if not number else self.rest, line) for number, line in enumerate(body)
        ]
        for line in lines:
            if not line.plain.strip():
                line.rstrip()
        return lines

    def _body(self, width: int, last: int | None) -> list[Text]:
        token = self.tokens[0] if self.tokens else None
        if token is None:
            return [Text()]
        if token.type in ("fence", "code_block"):
            code = harmless(token.content).removesuffix("\n")
            if last is not None:
                code = "\n".join(code.split("\n")[-last:])
            words = token.info.split(maxsplit=1)
            return highlighted(code, words[0] if words else "")
        if token.type == "html_block":
            return [Text(line, "dim") for line in harmless(token.content).rstrip("\n").split("\n")]
        if token.type == "hr":
            return [Text("─" * width, "dim")]
        if token.type == "table_open":
            return table(self.tokens, width)
        style = _HEADINGS.get(token.tag, "italic") if token.type == "heading_open" else ""
        return inline(self.tokens[1].children, style).wrap(width)


def leaves(markdown: str, before: Leaf | None = None, *, blank: bool = False) -> list[Leaf]:
    """Return the leaves of a text.

    Args:
        markdown: begins with a block of its own.
        before: the last leaf of the text before it.
        blank: whether that text ended with a blank line.
    """
    return _Reader(markdown, before, blank).read()


class _Reader:
    def __init__(self, markdown: str, before: Leaf | None, blank: bool) -> None:
        self._lines = markdown.split("\n")
        self._tokens = _markdown().parse(markdown)
        self._before = before
        self._blank = blank
        self._containers: list[_Container] = []
        self._is_new = True  # the next leaf begins a block at the top
        self._fresh = False  # the innermost item has no leaf yet

    def read(self) -> list[Leaf]:
        found: list[Leaf] = []
        tokens, index = self._tokens, 0
        while index < len(tokens):
            token, start = tokens[index], index
            index += 1
            self._is_new = self._is_new or (token.level == 0 and token.nesting >= 0)
            if token.type in _ENCLOSE:
                if token.type == "list_item_close" and self._fresh:
                    found.append(self._leaf([], self._containers[-1].token))
                self._enclose(token)
                continue
            if token.nesting == 1:
                while tokens[index - 1].type != token.type.replace("_open", "_close"):
                    index += 1
            found.append(self._leaf(tokens[start:index], token))
        return found

    def _enclose(self, token: Token) -> None:
        """Note that a list, an item or a quote begins or ends."""
        if token.type == "list_item_open":
            self._containers.append(_item(token, self._containers))
        elif token.type == "blockquote_open":
            self._containers.append(_Container("▌ ", "▌ ", "green", token))
        elif token.type in ("list_item_close", "blockquote_close"):
            self._containers.pop()
        self._fresh = token.type == "list_item_open"

    def _leaf(self, tokens: Sequence[Token], token: Token) -> Leaf:
        leaf = _leaf(tokens, token, self._containers, self._gap(_line(token)))
        self._before, self._is_new, self._fresh, self._blank = leaf, False, False, False
        return leaf

    def _gap(self, line: int) -> Text | None:
        """Return the blank line before a leaf: where there is one, and around blocks at the top."""
        before = self._before
        if before is None:
            return None
        blank = self._blank or (line > 0 and not self._lines[line - 1].strip(" \t>"))
        if not self._is_new:
            quotes = [
                container for container in self._containers if container.token.type == "blockquote_open"
            ]
            gap = _prefix(quotes, "rest")
            gap.rstrip()
            return gap if blank else None
        introduced = before.kind == "paragraph_open" and not before.in_list and bool(self._containers)
        return Text() if blank or not introduced else None


def _item(token: Token, containers: Sequence[_Container]) -> _Container:
    depth = sum(container.token.type == "list_item_open" for container in containers)
    ordered = bool(token.info)
    mark = f"{token.info}{token.markup}" if ordered else _BULLETS[min(depth, len(_BULLETS) - 1)]
    return _Container(f"{mark} ", " " * (len(mark) + 1), "cyan", token)


def _leaf(tokens: Sequence[Token], token: Token, containers: Sequence[_Container], gap: Text | None) -> Leaf:
    first, rest = _prefix(containers, "first"), _prefix(containers, "rest")
    for container in containers:
        container.first = container.rest  # its mark has been used
    in_list = any(container.token.type == "list_item_open" for container in containers)
    return Leaf(tokens, _line(token), token.type, gap, in_list, first, rest)


def _prefix(containers: Sequence[_Container], which: Literal["first", "rest"]) -> Text:
    return Text.assemble(*((getattr(container, which), container.style) for container in containers))


def _line(token: Token) -> int:
    return token.map[0] if token.map else 0


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("reference")
