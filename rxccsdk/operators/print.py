"""Showing text while it arrives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from reactivex import Observable, abc

from rxccsdk.operators.core import Keeping, Sink, Stage, later_on
from rxccsdk.session.flow import Inlet
from rxccsdk.session.printer import Printer, TextFile
from rxccsdk.session.prose import Pieces

_T = TypeVar("_T")


def print_text(
    every: float = 0.05,
    file: TextFile | None = None,
    agents: str = "main",
    *,
    scheduler: abc.SchedulerBase | None = None,
) -> Keeping:
    """Print the text as it arrives, and pass the stream on unchanged.

        T"a" T"b" T"c" ----- T"d" |
        prints a - - - - bc - d         print_text(every=...)

    The first piece is printed at once, then at most one write and flush per interval. What is held is
    printed on completion, on an error and on dispose. No final newline is added. A file that fails, such as
    a closed pipe, silences the printer and nothing else. Beside a live display of rich, such as `Progress`,
    standard output shows whole lines. Works on `str` streams too.

    Args:
        every: seconds between two writes; 0 writes every piece. Waits on `scheduler`, else on the one given
            to `subscribe`, else on the running loop; where there is none, every piece is written.
        file: any text file; `None` is standard output at the time of the first write.
        agents: "main", "all", or the id of one sub-agent.
        scheduler: what to wait on.

    At a `RetractedChunk`: text that was printed and does not stand is followed by a visible mark.

    Example:
        >>> import reactivex as rx
        >>> _ = rx.of("live ", "text").pipe(print_text()).run()
        live text
    """
    if not every >= 0:
        raise ValueError(f"every must not be negative, not {every!r}.")

    def operator(source: Observable[_T]) -> Observable[_T]:
        def wrap(following: Inlet, given: abc.SchedulerBase | None) -> Sink:
            printer = Printer(file, every=every, later=lambda: later_on(scheduler or given))
            pieces = Pieces(agents=agents)

            def flow(items: Iterable[_T]) -> Iterable[_T]:
                return pieces.hear(items, printer, following.end, printer.mark_retracted)

            def on_error(error: Exception) -> None:
                printer.flush()
                following.on_error(error)

            def on_completed() -> None:
                printer.flush()
                following.on_completed()

            return Sink(flow, None, on_error, on_completed, printer.flush)

        return Stage(source, wrap)

    return operator
