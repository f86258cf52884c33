"""Writing live text to a file: the first piece at once, then at most one write per interval."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from rxccsdk.chunks import RetractedChunk
from rxccsdk.session.flow import End

_log = logging.getLogger("rxccsdk")

Later = Callable[[float, Callable[[], None]], Callable[[], None]]
"""Calls a function after some seconds; gives a function that takes that back."""


def _nothing() -> None:
    return None


class TextFile(Protocol):
    """What can be printed to: any text file, `rich.console.Console.file` among them."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Printer:
    """Writes pieces of text to a file, at most once per interval, and loses none.

    A file that fails, a closed pipe for one, silences the printer and nothing else.

    Args:
        file: where to; `None` is standard output, looked up when the first piece comes.
        every: seconds between two writes; 0 writes each piece.
        later: asked, when there is something to wait for, how to wait; `None` where nothing can, then each
            piece is written.
        on_failure: told once, of the error that silenced the printer.

    Attributes:
        say: what takes the next piece: `write`, or while an interval runs, the list of what is held.
    """

    def __init__(
        self,
        file: TextFile | None = None,
        *,
        every: float = 0.05,
        later: Callable[[], Later | None] = _nothing,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        self._file = file
        self._every = every
        self._later = later
        self._on_failure = on_failure
        self._held: list[str] = []
        self._stop_waiting: Callable[[], None] | None = None
        self.say: Callable[[str], None] = self.write
        self._line_open = False
        self.wrote = False
        self.silenced = False

    def write(self, text: str) -> None:
        """Write this piece, now or within the interval."""
        self._held.append(text)
        if self._stop_waiting is None:
            self._write_held()
            self._wait()

    def hear_texts(self, items: Iterable[Any], end: End) -> Iterator[Any]:
        """Give items as they are, each when its text was written or is held."""
        hold = self._held.append
        for item in items:
            if self._stop_waiting is not None:
                hold(item.text)
            else:
                try:
                    self.write(item.text)
                except Exception as error:
                    self.failed(error)
                if end.stopped:
                    return
            yield item

    def follow(self, given: object) -> None:
        """Nothing waits: `say` gives nothing."""

    def failed(self, error: Exception) -> None:
        """Be silent from now on, if that is news."""
        if self.silenced:
            return
        self.silenced = True
        if not isinstance(error, BrokenPipeError):
            _log.error("printing failed; no more is printed", exc_info=error)
        if self._on_failure is not None:
            self._on_failure(error)

    def mark_retracted(self, chunk: RetractedChunk) -> None:
        """Say on the page that text above does not stand."""
        follows = "; what replaces it follows" if chunk.replaced else ""
        self.write(f"\n[the text above was cut off and does not stand{follows}]\n")

    def flush(self) -> None:
        """Write what is held, now, and wait for nothing more."""
        if self._stop_waiting is not None:
            self._stop_waiting()
            self._stop_waiting = None
            self.say = self.write
        self._write_held()
        if self._line_open and _writes_lines(self._file):
            self._put("\n")  # what it would do at its own flush, which reads [words] as markup

    def end_line(self) -> None:
        """Write one newline, after all else."""
        self.flush()
        if self._line_open or not _writes_lines(self._file):
            self._put("\n")

    def _interval_over(self) -> None:
        self._stop_waiting = None
        self.say = self.write
        if self._held:
            self._write_held()
            self._wait()

    def _wait(self) -> None:
        later = self._later() if self._every > 0 and not self.silenced else None
        if later is not None:
            self._stop_waiting = later(self._every, self._interval_over)
            self.say = self._held.append

    def _write_held(self) -> None:
        if self._held:
            text = "".join(self._held)
            self._held.clear()
            self._put(text)

    def _put(self, text: str) -> None:
        if self.silenced:
            return
        try:
            if self._file is None:
                self._file = sys.stdout
            file = self._file
            try:
                file.write(text)
            except UnicodeEncodeError:  # a terminal that cannot show every character shows the others
                encoding = getattr(file, "encoding", None) or "ascii"
                file.write(text.encode(encoding, "replace").decode(encoding))
            if not _writes_lines(file):
                file.flush()
            self.wrote = True
            self._line_open = not text.endswith("\n")
        except Exception as error:
            self.failed(error)


def _writes_lines(file: TextFile | None) -> bool:
    """Whether it is what rich puts in the place of standard output beside a live display, such as `Progress`.

    It shows whole lines, and would end the line at each flush.
    """
    return hasattr(file, "rich_proxied_file")
