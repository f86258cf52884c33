"""Text that a terminal shows and does not obey."""

from __future__ import annotations

import json
import re

# C0 but tab and newline, DEL, C1, bidirectional overrides and isolates, lone surrogates, invisible tags. What
# joins emoji or chooses their form passes, and so do the marks that right-to-left text needs.
_STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


def harmless(text: str) -> str:
    r"""Return text without what steers a terminal.

    An escape becomes its picture, so that the sequence it began is text; a lone surrogate becomes a question
    mark; other control characters vanish. Piece by piece it gives the same as on the whole.

    Example:
        >>> harmless("a\r\n\x1b[31mb\u202ec")
        'a\n␛[31mbc'
    """
    return text if text.isascii() and text.isprintable() else _STEERS.sub(_visible, text)


def escaped(line: str) -> str:
    r"""Return a line of JSON that a terminal does not obey, of the same value: such characters are escaped.

    Example:
        >>> escaped('{"a":"\u202ec"}')
        '{"a":"\\u202ec"}'
    """
    return _STEERS.sub(lambda found: json.dumps(found[0])[1:-1], line)


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\x1b":
        return "␛"
    return "?" if "\ud800" <= character <= "\udfff" else ""
