"""Code in its language's colours. Its characters stay what they are, and its lines as long."""

from __future__ import annotations

from functools import cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from rich.syntax import Syntax
from rich.text import Text

from rxccsdk.display.inline import CODE


def highlighted(code: str, language: str) -> list[Text]:
    """Return the lines of code."""
    lexer = _lexer(language.lower())
    if lexer is not None:
        text = Syntax("", lexer, theme="ansi_dark").highlight(code)
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
