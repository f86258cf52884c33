"""Emphasis, code and links within a paragraph: styled, their marks left out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it.token import Token
from rich.style import Style
from rich.text import Text

from rxccsdk.display.rows import rows
from rxccsdk.text.harmless import harmless

CODE = "cyan"
_LINK = "underline"
_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}
_ADDRESS = re.compile(r"[!-~]+")  # what may stand in an escape sequence of ours
_BREAKS = re.compile(r"[\n\t]")


class Words:
    """Text with styles, and where it may not be broken although it has a space there."""

    def __init__(self) -> None:
        self._text = Text()
        self._solid: list[str] = []

    def add(self, words: str, style: Style, *, solid: bool = False) -> None:
        """Append words. Solid ones are not broken."""
        words = harmless(words)
        self._text.append(words, style)
        self._solid.append(words.replace(" ", "x") if solid else words)

    def wrap(self, width: int) -> list[Text]:
        """Return the lines, broken where they are longer than `width` cells; what is longer alone is not."""
        lines: list[Text] = []
        start = 0
        for line in "".join(self._solid).split("\n"):
            for row in rows(line, width, whole_words=True):
                end = start + len(row)
                found = self._text[start:end]
                found.rstrip()
                lines.append(found)
                start = end
            start += 1  # the newline
        return lines

    @property
    def longest(self) -> int:
        """How many cells the longest word takes."""
        words = "".join(self._solid).split()
        return max((Text(word).cell_len for word in words), default=0)

    @property
    def width(self) -> int:
        """How many cells the longest line takes."""
        return max((line.cell_len for line in self._text.split("\n", allow_blank=True)), default=0)


def inline(tokens: Sequence[Token] | None, base: str = "") -> Words:
    """Return what markdown-it found in a paragraph, a heading or a cell."""
    words = Words()
    styles = [Style.parse(base)]
    links: list[tuple[str, str]] = []  # where each leads, and its words so far
    for token in tokens or ():
        kind = token.type
        if kind == "link_open":
            links.append((str(token.attrGet("href") or ""), ""))
            styles.append(styles[-1] + _link(links[-1][0]))
        elif kind == "link_close":
            styles.pop()
            address, shown = links.pop()
            if harmless(address) not in (shown, f"mailto:{shown}"):
                words.add(" ", styles[-1])
                words.add(f"({address})", styles[-1] + Style.parse("dim") + _link(address), solid=True)
        elif kind.endswith("_open"):
            styles.append(styles[-1] + Style.parse(_STYLES.get(token.tag, "")))
        elif kind.endswith("_close"):
            styles.pop()
        elif kind in ("softbreak", "hardbreak"):
            words.add("\n", styles[-1])
        elif kind == "image":
            address = str(token.attrGet("src") or "")
            words.add(f"{_one_line(token.content) or 'image'} ", styles[-1])
            words.add(f"({address})", styles[-1] + Style.parse("dim") + _link(address), solid=True)
        else:
            content = _one_line(token.content)
            style = styles[-1] + Style.parse(CODE) if kind == "code_inline" else styles[-1]
            words.add(content, style, solid=kind == "code_inline")
            if links:
                links[-1] = (links[-1][0], links[-1][1] + content)
    return words


def _one_line(text: str) -> str:
    """Character references can name a newline."""
    return _BREAKS.sub(" ", harmless(text))


def _link(address: str) -> Style:
    return Style.parse(_LINK) + Style(link=address) if _ADDRESS.fullmatch(address) else Style.parse(_LINK)
