"""Many turns on one screen: a row each, a total, the newest events."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType

from reactivex import abc
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rxccsdk.chunks import Chunk, NoticeChunk, SystemChunk, ToolUseChunk
from rxccsdk.display.ansi import encode
from rxccsdk.display.jobs import guard
from rxccsdk.display.page import Speaker, is_capable
from rxccsdk.display.plain_page import PlainPage
from rxccsdk.display.progress import SILENCE, SPINNER
from rxccsdk.display.region import Region
from rxccsdk.display.wording import retry_in_words
from rxccsdk.operators.standing import Standing
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn
from rxccsdk.text.wording import call_in_words, duration, one_line

_EVENTS = 2
_LABEL = 28  # cells
_NARROW = 60  # cells: below that a row has no label's end, no tokens


class ProgressTable:
    """Shows how any number of turns stand: what each does, since when, its tokens and cost, and all together.

    Turns that run have live rows, below them are a total and the newest events. A turn that has ended gets a
    line in the scrollback, which stays. Where the console is no terminal, those lines are all there is.
    Exceptions of what it writes to are kept: see `closed`.

    Args:
        console: where to; `None` makes one for standard error.
        total: how many turns there will be, where that is known.
        budget: in USD, what all together may cost, where there is such a limit.
        plain: lines only, even on a terminal; `None` decides by the console.
        clock: seconds, for the time between two chunks.
        paint_every: seconds between two paintings of the live rows; 0 paints when a line is written.

    Attributes:
        closed: what it writes to is gone; nothing more is written.

    Example:
        with ProgressTable(total=2) as table:
            for label, turn in (("tests", one), ("docs", other)):
                table.watch(turn, label)
            await asyncio.gather(one.wait(), other.wait())
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        total: int | None = None,
        budget: float | None = None,
        plain: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        paint_every: float = 0.1,
    ) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._total = total
        self._budget = budget
        self._clock = clock
        self._began = clock()
        self._rows: dict[str, Standing] = {}
        self._events: deque[Text] = deque(maxlen=_EVENTS)
        self._done = self._failed = self._tokens = 0
        self._cost = 0.0
        self.closed = False
        self._plain = not is_capable(self._console) if plain is None else plain
        self._page = PlainPage(self._console)
        self._region = Region.on(self._console, paint_every) if not self._plain else None

    def __enter__(self) -> ProgressTable:
        if self._region is not None:
            self._region.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line(self._sum())
        if self._region is not None:
            with contextlib.suppress(OSError):
                self._region.remove(self)

    def watch(self, turn: Turn, label: str) -> abc.DisposableBase:
        """Show a turn from its beginning to its end. This is a subscription: it sends the prompt.

        Args:
            turn: the turn.
            label: what its row is called.
        """
        return turn.subscribe(
            lambda chunk: self.show(chunk, label),
            lambda _: self.end(label, turn.response),
            lambda: self.end(label, turn.response),
        )

    def show(self, chunk: Chunk, label: str) -> None:
        """Show a turn's next chunk in its row."""
        label = one_line(label, _LABEL)
        if label not in self._rows or self._rows[label].ended:  # by a result: it is tried again
            self._rows[label] = Standing(self._clock)
        self._rows[label].add(chunk)
        self._note(chunk, label)
        if self._region is not None:
            self._safely(self._region.flush)

    def end(self, label: str, response: SessionResponse, *, line: bool = True) -> None:
        """End a turn's row with its response.

        Args:
            label: of the turn.
            response: what came of it.
            line: say so in a line that stays; without, it is only counted.
        """
        label, error = one_line(label, _LABEL), response.error
        standing = self._rows.pop(label, None)
        used, cost = response.metadata.tokens, response.metadata.cost_usd
        tokens = used.output if used is not None else standing.tokens[0] if standing is not None else 0
        self._done += error is None
        self._failed += error is not None
        self._tokens += tokens
        self._cost += cost or 0.0
        if not line:
            return
        took = [duration(standing.elapsed)] if standing is not None else []
        figures = [*took, f"{tokens:,} tokens", *([f"${cost:.4f}"] if cost is not None else [])]
        mark = ("✓", "green") if error is None else ("✗", "red")
        why = (f" {one_line(error)}", "red") if error is not None else ""
        self._line(Text.assemble(mark, " ", (label, "magenta"), " ", (" · ".join(figures), "dim"), why))

    def note(self, words: str, style: str = "yellow") -> None:
        """Add a line that stays."""
        self._line(Text(one_line(words), style))

    # -- for the region -----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Write nothing: lines are written when they come."""

    def finish(self) -> None:
        """Write nothing more."""

    def rows(self, width: int, most: int) -> Sequence[Text]:
        """Return the turns that run, the total and the newest events."""
        width -= 1
        running = list(self._rows.items())
        # Turns come first; a large window has an event whatever runs.
        count = max(most // 6, most - 1 - len(running))
        events = list(self._events)[-count:] if count > 0 else []
        below = [self._sum(), *(Text.assemble("  ", event) for event in events)]
        room = most - len(below)
        shown = running if len(running) <= room or room < 2 else running[: room - 1]
        found = [self._row(label, standing, width) for label, standing in shown[: max(1, room)]]
        if len(shown) < len(running):
            found.append(Text(f"  and {len(running) - len(shown)} more", "dim"))
        for row in (rows := [*found, *below]):
            row.truncate(width, overflow="ellipsis")
        return rows[-most:]

    def _row(self, label: str, standing: Standing, width: int) -> Text:
        now, estimated = standing.progress(), standing.tokens[1]
        took = f"{now.elapsed:.1f} s" if now.elapsed < 1 else duration(now.elapsed)  # no flickering ms
        figures = [took.rjust(9)]
        if width >= _NARROW:
            figures.append(f"{'~' if estimated else ''}{now.tokens:,} tokens".rjust(14))
            figures.append(f"{now.tokens_per_second:.0f}/s".rjust(6) if now.tokens_per_second else " " * 6)
        if now.cost_usd is not None:
            figures.append(f"${now.cost_usd:.4f}")
        tail = " ".join(figures)
        doing = one_line(now.activity)
        if now.silent_for >= SILENCE and not now.running_tools + now.running_agents:
            doing += f" (silent for {duration(now.silent_for)})"
        widest = max(map(cell_len, self._rows))
        name = Text(label, "magenta")
        name.truncate(min(widest, max(6, width // 4)), overflow="ellipsis", pad=True)
        activity = Text(doing, "dim")
        activity.truncate(max(4, width - 4 - name.cell_len - len(tail)), overflow="ellipsis", pad=True)
        spinner = SPINNER[int(now.elapsed * 12) % len(SPINNER)]
        return Text.assemble((spinner, "cyan"), " ", name, " ", activity, " ", tail)

    def _sum(self) -> Text:
        running = sum(standing.tokens[0] for standing in self._rows.values())
        of = f" of {self._total}" if self._total is not None else ""
        parts = [f"{self._done}{of} done"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._rows:
            parts.append(f"{len(self._rows)} running")
        parts += [duration(self._clock() - self._began), f"{self._tokens + running:,} tokens"]
        parts.append(f"${self._cost:.4f}" + (f" of ${self._budget:g}" if self._budget is not None else ""))
        return Text(" · ".join(parts), "bold")

    # -- what happens -------------------------------------------------------------------------------------

    def _note(self, chunk: Chunk, label: str) -> None:
        """Remember what is worth a word."""
        words = ""
        if isinstance(chunk, ToolUseChunk):
            words = f"{chunk.name} {call_in_words(chunk.input)}"
        elif isinstance(chunk, NoticeChunk):
            words = f"{chunk.kind}: {chunk.detail}"
        elif isinstance(chunk, SystemChunk) and chunk.subtype == "api_retry":
            words = retry_in_words(chunk.data)
        if words:
            self._events.append(Text.assemble((label, "magenta"), f" {one_line(words)}", style="dim"))

    def _line(self, line: Text) -> None:
        """Add a line to what stays."""
        region = self._region

        def add() -> None:
            if region is None:
                self._page.line(Speaker("", None), line, 0)
                return
            with guard:
                region.write(encode(self._console, line))
                region.flush()

        self._safely(add)

    def _safely(self, action: Callable[[], None]) -> None:
        if self.closed:
            return
        try:
            action()
        except OSError:
            self.closed = True
