"""Showing text while it arrives."""

from __future__ import annotations

from reactivex import abc

from rxccsdk.text.flow import Keeping
from rxccsdk.text.printing import TextFile, printing


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

    return printing(every, file, agents, scheduler)
