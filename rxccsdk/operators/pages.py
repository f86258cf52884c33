"""Text in pages, for what takes messages of a limited size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk
from rxccsdk.operators.fences import Fences, Seam
from rxccsdk.operators.graphemes import forced_cut
from rxccsdk.text.flow import Handlers, Stage
from rxccsdk.text.pieces import Pieces
from rxccsdk.text.sink import Sink


class Paging(Protocol):
    """An operator that reads chunks or text. A protocol, because mypy infers no alias inside a pipe."""

    def __call__(self, source: Observable[Chunk] | Observable[str], /) -> Observable[str]: ...


def pages(limit: int = 2000) -> Paging:
    r"""Emit the main agent's text in pages of at most so many characters, each as soon as it is full.

        T"one\ntw"  T"o\nthr"  T"ee"  |
                    "one\ntwo\n"      "three"|     pages(limit=8)

    A page ends after a line where there is an end of one in its second half, else after a word, else between
    two graphemes. Fenced code that goes on over the end of a page is closed there and opened again on the
    next one, with its language, in lists and quotes too; code that is open at the end is closed. Where the
    limit leaves no room for that, and where one grapheme is longer than it, code or grapheme are cut. A page
    with nothing but white space is left out. All else is as it was written. Works on `str` streams too.

    Args:
        limit: how many characters a page may have.

    Raises:
        ValueError: `limit` is not positive.

    At a `RetractedChunk`: nothing; the text is that of `text()`. With `text(settled=True)` before it, no page
    has what was taken back.

    Example:
        >>> import reactivex as rx
        >>> text = rx.of("See:\n```py\nx = 1\ny = 2\nz = 3\n```\n")
        >>> text.pipe(pages(limit=27)).subscribe(lambda page: print(repr(page))).dispose()
        'See:\n```py\nx = 1\ny = 2\n```'
        '```py\nz = 3\n```\n'
    """
    if limit < 1:
        raise ValueError(f"limit must be positive, not {limit!r}.")

    def operator(source: Observable[Chunk] | Observable[str]) -> Observable[str]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            piece_of, book = Pieces().of, _Book(limit)

            def on_next(item: Any) -> None:
                if piece := piece_of(item):
                    downstream.emit(book.add(piece))

            return Handlers(on_next, book.rest)

        return Stage(source, attach)

    return operator


class _Book:
    """Cuts text into pages.

    Args:
        limit: how many characters a page may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._fences = Fences()  # how it stands where the page begins
        self._opening = ""  # what the page begins with, before its text
        self._parts: list[str] = []  # its text so far
        self._size = 0

    def add(self, text: str) -> list[str]:
        """Take more text; return the pages that are full."""
        full: list[str] = []
        for place in range(0, len(text), self._limit):  # so that what is left after a page is short
            part = text[place : place + self._limit]
            self._parts.append(part)
            self._size += len(part)
            while self._size > self._limit - len(self._opening):
                full += self._page("".join(self._parts))
        return full

    def rest(self) -> Iterator[str]:
        """Return the last pages."""
        while self._parts:
            yield from self._page("".join(self._parts), is_last=True)

    def _page(self, text: str, *, is_last: bool = False) -> list[str]:
        """Take the next page off the text; return it, unless it is blank."""
        text = self._without_empty_block(text)
        room = self._limit - len(self._opening)
        while True:
            if len(text) > room:
                cut = forced_cut(text, room)
            elif is_last:
                cut = len(text)
            else:  # it became shorter
                self._keep(text)
                return []
            fences = self._fences.copy()
            fences.feed(text[:cut] + ("\n" if is_last and cut == len(text) else ""))
            seam = self._affordable(fences.cut())
            closing = ("" if text[cut - 1] in "\r\n" else "\n") + seam.closing if seam.closing else ""
            if len(self._opening) + cut + len(closing) <= self._limit or room == 1:
                break
            room = max(1, min(cut - 1, self._limit - len(self._opening) - len(closing)))
        page = f"{self._opening}{text[:cut]}{closing}"
        self._fences, self._opening = fences, seam.opening
        self._keep(text[cut:])
        return [page] if page.strip() else []

    def _keep(self, text: str) -> None:
        self._parts, self._size = [text] if text else [], len(text)

    def _affordable(self, seam: Seam | None) -> Seam:
        """Return what a cut takes, nothing where it takes more than a third of a page before or after it."""
        if seam is None or max(len(seam.opening), len(seam.closing) + 1) > self._limit // 3:
            return Seam("", "")
        return seam

    def _without_empty_block(self, text: str) -> str:
        """Return a page's text without the fence that would close at once what the page opens again."""
        end = text.find("\n") + 1
        if not self._opening or not end:
            return text
        fences = self._fences.copy()
        events = fences.feed(text[:end])
        if fences.is_open or any(kind == "code" for kind, _ in events):
            return text
        self._fences, self._opening = fences, ""
        return text[end:]
