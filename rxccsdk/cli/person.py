"""What goes between `rxccsdk ask` and the person at the terminal: questions, messages, limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from rich.text import Text

from rxccsdk import operators as cc
from rxccsdk.chunks import Chunk, LimitChunk
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.questions import Person
from rxccsdk.errors import ControlError, SessionClosedError
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn
from rxccsdk.text.harmless import harmless

_CONTEXT_WITHIN = 2.0  # seconds that a figure at the end is worth


class Messages:
    """Sends lines that are typed into the running turn.

    Attributes:
        turn: the one that runs.
    """

    def __init__(self, display: LiveDisplay) -> None:
        self.turn: Turn | None = None
        self._display = display
        self._sending: set[asyncio.Task[None]] = set()

    async def send(self) -> None:
        """Send each line that is typed, until cancelled."""
        async for line in self._display.typed():
            self._display.print(Text.assemble(("› ", "bold cyan"), harmless(line)))
            task = asyncio.get_running_loop().create_task(self._steer(line))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _steer(self, line: str) -> None:
        if self.turn is None:
            return
        try:
            if await self.turn.steer(line) == "queued":
                self._display.note("too late for this answer: it is answered next", "dim")
        except (ControlError, SessionClosedError) as error:
            self._display.note(f"! not sent: {error}", "yellow")


@asynccontextmanager
async def at_the_terminal(
    display: LiveDisplay | None, session: ClaudeSession, *, steer: bool
) -> AsyncIterator[Messages | None]:
    """Let the person answer the agent's questions, and with `steer` send it messages.

    Args:
        display: where the person sits; nobody does where it is `None`.
        session: asks, with `ask="stream"`.
        steer: lines that are typed go to the agent.

    Returns:
        What sends the messages, where there can be any.
    """
    if display is None:
        yield None
        return
    if session.options.ask == "stream":
        asked = session.chunks.pipe(cc.answer_asks(Person(display).decide))
        asked.subscribe(on_error=lambda _: None)  # the turn reports that the session broke
    if not steer:
        yield None
        return
    messages = Messages(display)
    sending = asyncio.get_running_loop().create_task(messages.send())
    try:
        yield messages
    finally:
        sending.cancel()
        await asyncio.wait([sending])


class Limits:
    """The account's limits, as far as the session has told."""

    def __init__(self) -> None:
        self._known: dict[str, LimitChunk] = {}

    def add(self, chunk: Chunk) -> None:
        """Take a chunk."""
        if isinstance(chunk, LimitChunk):
            self._known[chunk.kind] = chunk

    def in_words(self) -> list[str]:
        """Return those that matter: used to a part that is known, or used up."""
        return [limit_in_words(limit) for limit in self._known.values() if _matters(limit)]


def limit_in_words(limit: LimitChunk) -> str:
    """Return a limit in a few words.

    Example:
        >>> limit_in_words(LimitChunk("five_hour", "allowed_warning", None, 0.82))
        'five hour limit 82%'
    """
    words = f"{limit.kind.replace('_', ' ')} limit"
    if limit.utilization is not None:
        words += f" {limit.utilization:.0%}"
    elif limit.status == "rejected":
        words += " reached"
    if limit.resets_at is not None and limit.status != "allowed":
        words += f", until {datetime.fromtimestamp(limit.resets_at):%H:%M}"
    return words


def _matters(limit: LimitChunk) -> bool:
    return limit.status != "allowed" or limit.utilization is not None


async def context_in_words(session: ClaudeSession) -> list[str]:
    """Ask how full the context is; return nothing where nobody knows."""
    try:
        async with asyncio.timeout(_CONTEXT_WITHIN):
            usage = await session.context_usage()
    except (TimeoutError, ControlError, SessionClosedError):
        return []
    return [f"context {usage.share:.0%}"] if usage.most else []
