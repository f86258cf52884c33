"""The progress line: time, tokens and their rate, cost, what the agent does, and how long it was silent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rich.text import Text

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.display.wording import call_in_words, duration
from rxccsdk.session.tokens import count_of
from rxccsdk.text.harmless import harmless

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CHARACTERS_PER_TOKEN = 4
_RATE_OVER = 4.0  # seconds: long enough not to flicker, short enough to show a change
_SILENCE = 2.0  # seconds without a chunk that are worth a word


class Progress:
    """Follows a stream and shows in one line how it stands.

    Tokens are what the finished messages of the main agent reported; those of the message under way, which
    the API reports at its end, are estimated from its length and marked with "~". So is their rate, over the
    last seconds; it is shown while they come.

    Attributes:
        cost: the session's, in USD: as of the last result, or of a later question to the session.

    Args:
        clock: gives seconds; only its differences matter.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at, self._arrived = 0.0, clock()
        self._known: dict[str | None, int] = {}
        self._characters = 0
        self._running: dict[str, tuple[str, float]] = {}
        self._written: deque[tuple[float, int]] = deque()  # when so many characters came
        self._started = False
        self._doing = "starting"
        self.cost: float | None = None
        self._cwd = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the prompt was written: the last chunk's time and what has passed since."""
        return self._at + self._clock() - self._arrived

    @property
    def tokens(self) -> tuple[int, bool]:
        """Output tokens so far, and whether some are estimated."""
        estimated = self._characters // _CHARACTERS_PER_TOKEN
        return sum(self._known.values()) + estimated, estimated > 0

    @property
    def rate(self) -> float | None:
        """Tokens per second over the last seconds; `None` where none come, or too few to know."""
        now, written = self.elapsed, self._written
        while written and written[0][0] < now - _RATE_OVER:
            written.popleft()
        if self._running or not written or now - written[0][0] < 0.5:
            return None
        characters = sum(count for _, count in written)
        return characters / _CHARACTERS_PER_TOKEN / (now - written[0][0])

    @property
    def silence(self) -> float:
        """Seconds since the last chunk, as they pass here: a replay that is sped up has less of them."""
        return self._clock() - self._arrived

    @property
    def doing(self) -> str:
        """What the agent is doing, in a few words."""
        if not self._running:
            return self._doing
        words, since = list(self._running.values())[-1]
        more = f" (+{len(self._running) - 1})" if len(self._running) > 1 else ""
        took = self.elapsed - since
        return f"{words}{more}" + (f", {duration(took)}" if took >= 2 else "")

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        now = self._clock()
        self._at = chunk.at if chunk.turn is not None else self._at + now - self._arrived
        self._arrived = now
        if not self._started:
            self._started, self._doing = True, "waiting for the model"
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            if chunk.agent is None:
                self._count(len(chunk.text))
                self._doing = "writing" if isinstance(chunk, TextChunk) else "thinking"
        elif isinstance(chunk, ToolInputChunk):
            if chunk.agent is None:
                self._count(len(chunk.partial_json))
                self._doing = f"preparing {chunk.name}"
        elif isinstance(chunk, ToolUseChunk):
            words = f"{chunk.name} {call_in_words(chunk.input, self._cwd)}"
            self._running[chunk.id] = (words, chunk.at)
            self._doing = "waiting for the model"
        elif isinstance(chunk, ToolResultChunk):
            self._running.pop(chunk.tool_use_id, None)
        elif isinstance(chunk, ToolProgressChunk):
            words, _ = self._running.get(chunk.tool_use_id, ("a tool", 0.0))
            self._running[chunk.tool_use_id] = (words, chunk.at - chunk.elapsed)
        elif isinstance(chunk, MessageChunk):
            self._message(chunk)
        elif isinstance(chunk, SystemChunk):
            self._system(chunk)
        elif isinstance(chunk, NoticeChunk):
            self._doing = "stopping" if chunk.kind in ("interrupt", "limit", "timeout") else self._doing
        elif isinstance(chunk, ResultChunk):
            self._running.clear()
            self._written.clear()
            self._characters = 0
            self._doing = "done"
            self.cost = chunk.total_cost_usd if chunk.total_cost_usd is not None else self.cost

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
        tail = f" · silent for {duration(silence)}" if silence >= _SILENCE and self._started else ""
        doing = Text(harmless(self.doing))
        # What it does may be a long command; the figures on both sides stay.
        doing.truncate(max(8, width - 2 - len(head) - len(tail)), overflow="ellipsis")
        spinner = _SPINNER[int(elapsed * 12) % len(_SPINNER)]
        line = Text.assemble((spinner, "cyan"), " ", (head + doing.plain + tail, "dim"))
        line.truncate(width, overflow="ellipsis")
        return line

    def _count(self, characters: int) -> None:
        self._characters += characters
        if self._written and self._at - self._written[-1][0] < 0.1:  # fifty thousand deltas need few entries
            at, count = self._written.pop()
            self._written.append((at, count + characters))
        else:
            self._written.append((self._at, characters))

    def _message(self, chunk: MessageChunk) -> None:
        if chunk.agent is not None:
            return
        if chunk.event == "delta" and chunk.usage:
            self._known[chunk.message_id] = count_of(chunk.usage, "output_tokens")
            self._characters = 0
        elif chunk.event == "start":
            self._characters = 0
            self._doing = "waiting for the model"

    def _system(self, chunk: SystemChunk) -> None:
        if chunk.subtype == "init":
            self._cwd = str(chunk.data.get("cwd") or "")
        elif chunk.subtype == "status" and chunk.data.get("status") == "compacting":
            self._doing = "compacting the conversation"
        elif chunk.subtype == "api_retry":
            self._doing = "waiting to try again"
