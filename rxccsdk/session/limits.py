"""How much a turn may use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from rxccsdk.chunks import AskChunk, Chunk, DecisionChunk, MessageChunk
from rxccsdk.session.tokens import count_of


class TokenLimit:
    """Watches the output tokens of a turn's messages.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_message: dict[str | None, int] = {}

    def exceeded_by(self, chunks: Iterable[Chunk]) -> str | None:
        """Take the next chunks; return in words that there are too many, or `None`."""
        for chunk in chunks:
            if isinstance(chunk, MessageChunk) and chunk.event == "delta" and chunk.usage:
                self._by_message[chunk.message_id] = count_of(chunk.usage, "output_tokens")
        used = sum(self._by_message.values())
        return f"max_output_tokens={self._most} was exceeded: {used} tokens." if used > self._most else None


class TimeLimit:
    """Ends a turn that takes too long. While the agent waits for an answer of its user, the clock stands.

    What is called when the time is over is given where the clock is set, and not kept: a turn that nobody
    refers to is gone at once.

    Args:
        seconds: how long it may take.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._asks: set[str] = set()  # that wait
        self._timer: asyncio.TimerHandle | None = None

    def run(self, over: Callable[[], None]) -> None:
        """Let the clock run; call `over` when the time is."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._left, over)

    def stand(self) -> None:
        """Let the clock stand."""
        if self._timer is not None:
            self._left = max(0.0, self._timer.when() - asyncio.get_running_loop().time())
            self._timer.cancel()
            self._timer = None

    def see(self, chunks: Iterable[Chunk], over: Callable[[], None]) -> None:
        """Take the next chunks."""
        for chunk in chunks:
            if isinstance(chunk, AskChunk):
                self._asks.add(chunk.id)
                self.stand()
            elif isinstance(chunk, DecisionChunk):
                self._asks.discard(chunk.ask_id)
                if not self._asks:
                    self.run(over)


Stop = Callable[[str, str], None]
"""Takes words and the kind of a notice where something is too much."""


class Limits:
    """What a turn may use, of tokens and of time.

    Args:
        tokens: output tokens; `None` for any number.
        seconds: `None` for any time.
    """

    def __init__(self, tokens: int | None, seconds: float | None) -> None:
        self._tokens = TokenLimit(tokens) if tokens is not None else None
        self._time = TimeLimit(seconds) if seconds is not None else None
        self._words = f"The turn took longer than timeout={seconds} s."

    def begin(self, stop: Stop) -> None:
        """Note that the prompt is written."""
        if self._time is not None:
            self._time.run(lambda: stop(self._words, "timeout"))

    def see(self, chunks: Iterable[Chunk], stop: Stop) -> None:
        """Take the next chunks."""
        if self._time is not None:
            self._time.see(chunks, lambda: stop(self._words, "timeout"))
        words = self._tokens.exceeded_by(chunks) if self._tokens is not None else None
        if words is not None:
            self._tokens = None
            stop(words, "limit")

    def end(self) -> None:
        """Note that the turn is over."""
        if self._time is not None:
            self._time.stand()


def limits(tokens: int | None, seconds: float | None) -> Limits | None:
    """Return the limits of a turn, `None` where it has none."""
    return None if tokens is None and seconds is None else Limits(tokens, seconds)


class Linger:
    """Waits for another subscriber when the last one has left.

    Args:
        seconds: how long; 0 does not wait.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self, leave: Callable[[], None]) -> None:
        """The last one has left: call `leave` when nobody came."""
        if self._seconds:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, leave)
        else:
            leave()

    def stop(self) -> None:
        """Somebody came."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
