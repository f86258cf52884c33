"""What must not be cut: graphemes, surrogate pairs, CRLF and the marks of a code fence.

A boundary between two characters is known only when both are; the `regex` library knows Unicode's rules and
is imported when the first text needs them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regex import Pattern

_FIRST_THAT_JOINS = "\u0300"
"""No character before this one continues a grapheme, nor asks the next one to, but LF after CR."""

_ASKS_FURTHER_BACK = r"[\p{M}\p{Grapheme_Cluster_Break=Regional_Indicator}\u200c\u200d]"


@cache
def pattern(expression: str) -> Pattern[str]:
    """Compile an expression of the `regex` library."""
    import regex

    return regex.compile(expression, regex.V1 | regex.WORD)


def units(text: str, start: int = 0, end: int | None = None) -> Any:
    """Match, one after the other, what must not be cut. The last one may go on in text to come."""
    return pattern(r"[\ud800-\udbff][\udc00-\udfff]|`++|~++|\X").finditer(
        text, start, len(text) if end is None else end
    )


def is_boundary(text: str, start: int, place: int) -> bool:
    """Whether a grapheme begins at `place`, given that one begins at `start`."""
    if text[place] < _FIRST_THAT_JOINS and text[place - 1] < _FIRST_THAT_JOINS:
        return text[place] != "\n" or text[place - 1] != "\r"
    if not pattern(_ASKS_FURTHER_BACK).match(text, place - 1):
        start = place - 1
    size = place - start
    for grapheme in pattern(r"\X").finditer(text[start : place + 1]):  # which sees nothing before the piece
        if grapheme.end() >= size:
            return bool(grapheme.end() == size)
    return False


def forced_cut(text: str, hold: int) -> int:
    """Choose where to cut text that has become too long: after at most `hold` characters.

    After a line, else after white space, else between two graphemes. The second half is searched, so that
    each cut lets go of as much as it looked at. One character more than `hold` must be there.
    """
    half = (hold + 1) // 2
    for expression in (r"(?r)\n|\r(?!\n)", r"(?r)\s(?=\S)"):
        for match in pattern(expression).finditer(text, half, hold + 1):
            if match.end() <= hold and is_boundary(text, 0, match.end()):
                return int(match.end())
    cut = 0
    for unit in units(text, 0, hold + 1):
        if unit.end() > hold:
            break
        cut = unit.end()
    return cut or hold
