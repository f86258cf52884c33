"""Markdown while it is written: every character stays where it is, some get a colour."""

from __future__ import annotations

import re
from copy import deepcopy

from rich.text import Text

from rxccsdk.operators.fences import Fences

_HEADING = re.compile(r"\s{0,3}#{1,6} ")
_BOLD = re.compile(r"\*\*(?=\S)[^*`]+(?:\*\*|$)")
_CODE = re.compile(r"`[^`]+(?:`|$)")
_DIFF = {"+": "green", "-": "red", "@": "cyan"}


class MarkdownRows:
    """Styles the rows of a text, one after the other. What a row leaves open, code or a fence, goes on in the
    next one.
    """

    def __init__(self) -> None:
        self._fences = Fences()
        self._language = ""  # of the newest fence
        self._within_line = False
        self._line_style: str | None = None  # of the line that goes on, where it has one as a whole
        self._open = ""  # the mark that the line left open

    def is_code(self, line: str) -> bool:
        """Whether this line is code, or a fence."""
        return self._whole(line) not in (None, "bold")

    def style(self, row: str) -> Text:
        """Return a row, styled. The same row may be asked for again while it grows."""
        whole = self._whole(row)
        if whole is not None:
            return Text(row, whole)
        text = Text(self._open + row)
        text.highlight_regex(_BOLD, "bold")
        text.highlight_regex(_CODE, "cyan")
        return text[len(self._open) :]

    def done(self, row: str, *, ends_line: bool) -> Text:
        """Return a row that is complete, styled: the next one is asked for from now on."""
        text, whole = self.style(row), self._whole(row)
        for event, info in self._fences.feed(row + "\n" if ends_line else row):
            if event == "open":
                self._language = info.split(maxsplit=1)[0] if info.strip() else ""
        marks = self._open + row
        self._open = "" if ends_line else "`" * (marks.count("`") % 2) or "**" * (marks.count("**") % 2)
        self._within_line, self._line_style = not ends_line, whole
        return text

    def _whole(self, row: str) -> str | None:
        """Return the style of a row that has one style, or `None`."""
        if self._within_line:
            return self._line_style
        trial = deepcopy(self._fences)
        events = [event for event, _ in trial.feed(row + "\n")]
        # A fence also closes where its list ends: then the row is none.
        if "open" in events or ("close" in events and not row.strip(" \t>`~")):
            return "dim"
        if trial.is_open:
            return _DIFF.get(row[:1], "") if self._language == "diff" else "cyan"
        return "bold" if _HEADING.match(row) else None
