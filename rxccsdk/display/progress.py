"""The progress line: time, tokens and their rate, cost, what the agent does, and how long it was silent."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from rxccsdk.chunks import Chunk, ResultChunk
from rxccsdk.operators.standing import Standing
from rxccsdk.session.tokens import count_of
from rxccsdk.text.harmless import harmless
from rxccsdk.text.wording import duration

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SILENCE = 2.0  # seconds without a chunk that are worth a word
_WIDE = 100  # cells from which on there is room for the context


class ProgressLine(Standing):
    """Follows a stream and shows in one line how it stands.

    Args:
        clock: gives seconds; only its differences matter.
        budget: what the session may cost, in USD.
    """

    def __init__(self, clock: Callable[[], float], budget: float | None = None) -> None:
        super().__init__(clock)
        self._budget = budget
        self._window: int | None = None  # tokens that the model can read

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        super().add(chunk)
        if isinstance(chunk, ResultChunk):
            usages = [usage for usage in (chunk.model_usage or {}).values() if isinstance(usage, dict)]
            self._window = max((count_of(u, "contextWindow") for u in usages), default=0) or self._window

    def render(self, width: int) -> Text:
        """Return the line, at most `width` cells long."""
        elapsed, rate, silence = self.elapsed, self.rate, self.silence
        tokens, estimated = self.tokens
        shown = f"{elapsed:.1f} s" if elapsed < 1 else duration(elapsed)  # milliseconds would flicker
        parts = [shown, f"{'~' if estimated else ''}{tokens:,} tokens"]
        if rate is not None:
            parts[-1] += f", {rate:.0f}/s"
        if self.cost is not None:
            parts.append(f"${self.cost:.4f}" + (f" of ${self._budget:g}" if self._budget is not None else ""))
        if self._context is not None and width >= _WIDE:
            share = f" ({self._context / self._window:.0%})" if self._window else ""
            parts.append(f"context {_in_thousands(self._context)}{share}")
        head = " · ".join(parts) + " · "
        tail = f" · silent for {duration(silence)}" if silence >= SILENCE and self.started else ""
        doing = Text(harmless(self.doing))
        # What it does may be a long command; the figures on both sides stay.
        doing.truncate(max(8, width - 2 - len(head) - len(tail)), overflow="ellipsis")
        spinner = SPINNER[int(elapsed * 12) % len(SPINNER)]
        line = Text.assemble((spinner, "cyan"), " ", (head + doing.plain + tail, "dim"))
        line.truncate(width, overflow="ellipsis")
        return line


def _in_thousands(tokens: int) -> str:
    return f"{tokens / 1000:.0f}k" if tokens >= 1000 else str(tokens)
