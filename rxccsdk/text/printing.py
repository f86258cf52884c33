"""Printing live text: the first piece at once, then at most one write per interval."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import RetractedChunk
from rxccsdk.text.clock import Timer
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.harmless import harmless
from rxccsdk.text.pieces import Pieces
from rxccsdk.text.sink import Sink

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")

# What rich puts in the place of standard output beside a live display, such as `Progress`, has this
# attribute. It shows whole lines, and would end the line at each flush.
_OF_RICH = "rich_proxied_file"


class TextFile(Protocol):
    """What can be printed to: any text file, `rich.console.Console.file` among them."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Printer:
    """Writes pieces of text to a file, at most once per interval, and loses none.

    A file that fails, such as a closed pipe, silences the printer and nothing else.

    Args:
        file: where to; `None` is standard output, looked up at the first write.
        every: seconds between two writes; 0 writes each piece.
        timer: waits for the next write; where it has no clock, each piece is written.
        on_failure: called once, with the error that silenced the printer.

    Attributes:
        wrote: whether anything was written.
    """

    def __init__(
        self,
        file: TextFile | None,
        every: float,
        timer: Timer,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        self._file = file
        self._every = every
        self._timer = timer
        self._on_failure = on_failure
        self._held: list[str] = []
        self._output: TextFile | None = None  # the file, from the first write on
        self._line_open = self._writes_lines = self._on_terminal = False
        self._silenced = False
        self.wrote = False

    def write(self, text: str) -> None:
        """Write this piece, now or within the interval."""
        self._held.append(text)
        if not self._timer.waits:
            self._write_held()

    def mark_retracted(self, chunk: RetractedChunk) -> None:
        """Write that text above does not stand."""
        follows = "; what replaces it follows" if chunk.replaced else ""
        self.write(f"\n[the text above was cut off and does not stand{follows}]\n")

    def flush(self) -> None:
        """Write what is held, now, and wait for nothing more."""
        self._write_held()
        self._timer.stop()
        if self._line_open and self._writes_lines:
            self._put("\n")  # what it would do at its own flush, which reads [words] as markup

    def end_line(self) -> None:
        """Write one newline, after all else."""
        self.flush()
        if self._line_open or not self._writes_lines:
            self._put("\n")

    def _write_held(self) -> None:
        if not self._held:
            return
        text = "".join(self._held)
        self._held.clear()
        self._put(text)
        if self._every > 0 and not self._silenced:
            self._timer.start(self._every, self._write_held)

    def _put(self, text: str) -> None:
        if self._silenced:
            return
        try:
            file = self._open() if self._output is None else self._output
            if self._on_terminal:
                text = harmless(text)
            try:
                file.write(text)
            except UnicodeEncodeError:
                file.write(encodable(text, file))
            if not self._writes_lines:
                file.flush()
            self.wrote = True
            self._line_open = not text.endswith("\n")
        except Exception as error:
            self._silence(error)

    def _open(self) -> TextFile:
        file = self._output = sys.stdout if self._file is None else self._file
        self._writes_lines = hasattr(file, _OF_RICH)
        isatty = getattr(file, "isatty", None)
        self._on_terminal = isatty is not None and bool(isatty())
        return file

    def _silence(self, error: Exception) -> None:
        self._silenced = True
        if not isinstance(error, BrokenPipeError):
            _log.error("printing failed; no more is printed", exc_info=error)
        if self._on_failure is not None:
            self._on_failure(error)


def encodable(text: str, file: object) -> str:
    """Return text as a file can encode it: what its encoding lacks becomes a question mark."""
    encoding = getattr(file, "encoding", None) or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def printing(
    every: float,
    file: TextFile | None,
    agents: str,
    scheduler: abc.SchedulerBase | None,
    *,
    final_newline: bool = False,
    on_failure: Callable[[Exception], None] | None = None,
) -> Keeping:
    """Return the operator behind `print_text`.

    Args:
        every: seconds between two writes.
        file: any text file; `None` is standard output.
        agents: "main", "all", or the id of one sub-agent.
        scheduler: what to wait on.
        final_newline: write one after the last piece, if there was any.
        on_failure: called once, with the error that silenced the printer.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, given: abc.SchedulerBase | None) -> Handlers:
            printer = Printer(file, every, Timer(scheduler or given), on_failure)
            pieces = Pieces(agents=agents)
            subscriber, write, emit = downstream.subscriber, printer.write, downstream.on_next
            ended = False

            def on_next(item: Any) -> None:
                piece = pieces.of(item)
                if piece:
                    write(piece)
                elif isinstance(item, RetractedChunk) and pieces.retracts(item):
                    printer.mark_retracted(item)
                if not subscriber.stopped:
                    emit(item)

            def finish() -> None:
                nonlocal ended
                printer.flush()
                if final_newline and printer.wrote and not ended:
                    printer.end_line()
                ended = True

            def on_error(error: Exception) -> None:
                finish()
                downstream.on_error(error)

            def on_completed() -> None:
                finish()
                downstream.on_completed()

            return Handlers(on_next, None, on_error, on_completed, finish)

        return Stage(source, attach)

    return operator
