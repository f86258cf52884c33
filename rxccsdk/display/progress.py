"""The progress line: time, tokens and their rate, cost, what the agent does, and how long it was silent."""

from __future__ import annotations

from rich.text import Text

from rxccsdk.operators.standing import Standing
from rxccsdk.text.harmless import harmless
from rxccsdk.text.wording import duration

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SILENCE = 2.0  # seconds without a chunk that are worth a word


class ProgressLine(Standing):
    """Follows a stream and shows in one line how it stands."""

    def render(self, width: int) -> Text:
        """Return the line, at most `width` cells long."""
        elapsed, rate, silence = self.elapsed, self.rate, self.silence
        tokens, estimated = self.tokens
        shown = f"{elapsed:.1f} s" if elapsed < 1 else duration(elapsed)  # milliseconds would flicker
        parts = [shown, f"{'~' if estimated else ''}{tokens:,} tokens"]
        if rate is not None:
            parts[-1] += f", {rate:.0f}/s"
        if self.cost is not None:
            parts.append(f"${self.cost:.4f}")
        head = " · ".join(parts) + " · "
        tail = f" · silent for {duration(silence)}" if silence >= SILENCE and self.started else ""
        doing = Text(harmless(self.doing))
        # What it does may be a long command; the figures on both sides stay.
        doing.truncate(max(8, width - 2 - len(head) - len(tail)), overflow="ellipsis")
        spinner = SPINNER[int(elapsed * 12) % len(SPINNER)]
        line = Text.assemble((spinner, "cyan"), " ", (head + doing.plain + tail, "dim"))
        line.truncate(width, overflow="ellipsis")
        return line
