"""Code in its language's colours. Its characters stay what they are, and its lines as long."""

from __future__ import annotations

from functools import cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from rich.style import Style
from rich.syntax import ANSI_DARK, ANSISyntaxTheme, Syntax
from rich.text import Text

from rxccsdk.display.inline import CODE

# Bright colours cannot be read on a light background, nor blue on a dark one. Of rich's own themes each has
# some of them; what the terminal itself makes of the others can be read on both.
_READABLE = {"blue": "magenta", "black": "default", "white": "default"}


def _on_any_background(style: Style) -> Style:
    if style.color is None:
        return style
    name = style.color.name.removeprefix("bright_")
    return style + Style(color=_READABLE.get(name, name))


THEME = ANSISyntaxTheme({token: _on_any_background(style) for token, style in ANSI_DARK.items()})
"""Colours of code, for terminals with a dark background and for those with a light one."""


def highlighted(code: str, language: str) -> list[Text]:
    """Return the lines of code."""
    lexer = _lexer(language.lower())
    if lexer is not None:
        text = Syntax("", lexer, theme=THEME).highlight(code)
        if text.plain == code:
            text.style = ""
            return list(text.split("\n", allow_blank=True))
    return [Text(line, CODE) for line in code.split("\n")]


@cache
def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
