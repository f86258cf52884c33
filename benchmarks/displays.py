"""What it costs to show an answer on a terminal while it is written: bytes, and CPU.

The peer is what a program does by hand: `rich.live.Live` with the Markdown of all that has come so far. It
paints as often as our display, and cuts what is longer than the window; ours leaves it in the scrollback.
"""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from benchmarks.harness import Case, Contender, Measure, times_less
from rxccsdk.chunks import TextChunk
from rxccsdk.display.live import LiveDisplay

OURS = "rxccsdk, LiveDisplay"
LIVE = "rich, Live(Markdown)"

_DOCUMENT = Path(__file__).parents[1] / "README.md"
_PIECES = 500
_PER_SECOND = 100.0  # pieces, about as fast as a model writes
_PAINTINGS = 20  # a second


class Window(io.StringIO):
    """A terminal of 100 by 40 that counts what it is sent."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """It is one."""
        return True

    def console(self) -> Console:
        """Return a console that writes to it."""
        return Console(file=self, force_terminal=True, width=100, height=40, color_system="truecolor")


Show = Callable[[Console, Iterator[str]], None]


def with_live_display(console: Console, pieces: Iterator[str]) -> None:
    """Show it with ours."""
    with LiveDisplay(console, paint_every=1 / _PAINTINGS) as display:
        for piece in pieces:
            display.show(TextChunk(piece, 0, turn=0))


def with_rich_live(console: Console, pieces: Iterator[str]) -> None:
    """Show it as a program does by hand."""
    text = ""
    with Live(console=console, refresh_per_second=_PAINTINGS) as live:
        for piece in pieces:
            text += piece
            live.update(Markdown(text))


def paced(text: str) -> Iterator[str]:
    """Yield a text in 500 pieces, at the pace of a model."""
    began, size = time.monotonic(), max(1, len(text) // _PIECES)
    for number, start in enumerate(range(0, len(text), size)):
        time.sleep(max(0.0, began + number / _PER_SECOND - time.monotonic()))
        yield text[start : start + size]


class Run:
    """Shows a text once; the second case asks for the other figure of the same run."""

    def __init__(self, show: Show, text: str) -> None:
        self._show = show
        self._text = text
        self._seconds: list[float] = []

    def written(self) -> float:
        """Show it, and return the bytes it took."""
        window = Window()
        console = window.console()
        gc.collect()
        began = time.process_time()
        self._show(console, paced(self._text))
        self._seconds.append(time.process_time() - began)
        return float(len(window.getvalue().encode()))

    def cpu(self) -> float:
        """Return the CPU of a run whose bytes were counted, in milliseconds."""
        return self._seconds.pop(0) * 1000


def cases(quick: bool) -> Iterator[Case]:
    """Yield both figures of short and long documents."""
    text = _DOCUMENT.read_text() * 4
    for name, length in (("short", 3000), ("long", 40_000)):
        runs = {
            OURS: Run(with_live_display, text[: 30 if quick else length]),
            LIVE: Run(with_rich_live, text[: 30 if quick else length]),
        }
        bytes_less, cpu_less = (times_less(5), times_less(10)) if name == "long" else (None, None)
        what = f"a {name} document, {length:,} characters"
        yield Case(
            f"{what}: bytes to the terminal",
            [Contender(OURS, runs[OURS].written), Contender(LIVE, runs[LIVE].written, bytes_less)],
            OURS,
            unit="bytes",
            most_rounds=3,
        )
        yield Case(
            f"{what}: CPU",
            [Contender(OURS, runs[OURS].cpu), Contender(LIVE, runs[LIVE].cpu, cpu_less)],
            OURS,
            unit="ms",
            most_rounds=3,
        )


MEASURE = Measure(
    "displays",
    "What does it cost to show an answer on a terminal while it is written?",
    "bytes",
    cases,
    packages=("rich",),
)
