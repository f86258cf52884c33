"""What to send so that one row becomes another: as little as is safe."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rxccsdk.display.ansi import encode


def changed(console: Console, before: Text, after: Text) -> str:
    """Return what makes one row of the other, with the cursor at its beginning.

    What both begin with stays, as far as every terminal agrees on its width: plain ASCII.
    """
    same = _same(before, after)
    move = f"\x1b[{same}C" if same else ""
    shorter = "\x1b[K" if after.cell_len < before.cell_len or not after.plain.isascii() else ""
    return f"{move}{encode(console, after[same:])}{shorter}"


def _same(before: Text, after: Text) -> int:
    if before.style != after.style:
        return 0
    same = 0
    for one, other in zip(before.plain, after.plain, strict=False):
        if one != other or not " " <= one <= "~":
            break
        same += 1
    if before.spans != after.spans:
        for span in {*before.spans} ^ {*after.spans}:
            ends = [s.end for s in (*before.spans, *after.spans) if s[0] == span[0] and s[2] == span[2]]
            same = min(same, *ends) if len(ends) == 2 else min(same, span.start)  # it grew, or is new
    return same
