"""The turns of one session, for all who watch it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from reactivex import abc

from rxccsdk.chunks import AskChunk, Chunk, DecisionChunk
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn
from rxccsdk.web.feed import Events
from rxccsdk.web.words import as_json, event, status_of


class Conversation:
    """A session with numbered turns. While somebody watches, none of them counts as left.

    Args:
        session: the session.
        linger: seconds that a turn waits for somebody to watch it.

    Attributes:
        turns: in the order in which they were asked.
        asks: the questions of the agent that wait for an answer, by their ids.
        asides: the events of questions that background agents ask, outside any turn, and their decisions.
    """

    def __init__(self, session: ClaudeSession, linger: float) -> None:
        self.session = session
        self.turns: list[Turn] = []
        self.asks: dict[str, AskChunk] = {}
        self.asides: list[bytes] = []
        self._linger = linger
        self._run = secrets.token_hex(8)  # a page that is older than this server begins anew
        self._watchers = 0
        self._held: dict[Turn, abc.DisposableBase] = {}
        self._grown = asyncio.Condition()

    def begin(self) -> None:
        """Note the questions of the open session, of its turns and of background agents."""
        self.session.chunks.subscribe(self._note, lambda error: None)

    def ask(self, prompt: str) -> int:
        """Send a prompt when those before it are answered; return its turn's number."""
        turn = self.session.stream(prompt, linger=self._linger)
        number = self._add(turn)
        if not self._watchers:
            turn.subscribe(None, lambda error: None).dispose()  # sent; it waits for somebody to watch it
        return number

    def turn(self, number: int) -> Turn:
        """Return a turn by its number.

        Raises:
            LookupError: there is none.
        """
        if not number < len(self.turns):
            raise LookupError(f"There is no turn {number}.")
        return self.turns[number]

    def number_of(self, turn: Turn) -> int:
        """Return a turn's number; one that came of a message gets the next."""
        return self.turns.index(turn) if turn in self.turns else self._add(turn)

    async def has(self, number: int, asides: int) -> None:
        """Wait until there is a turn of this number, or more than so many asides."""
        async with self._grown:
            await self._grown.wait_for(lambda: number < len(self.turns) or asides < len(self.asides))

    def described(self, number: int) -> dict[str, Any]:
        """Return a turn's number, prompt and status."""
        turn = self.turns[number]
        return {"number": number, "prompt": turn.prompt, **status_of(turn)}

    def announcement(self, number: int) -> bytes:
        """Return the event that says which turn the next ones are of."""
        return event("turn", {"run": self._run, **self.described(number)})

    def place(self, last_event_id: str | None) -> tuple[int, int]:
        """Return where a client reads on: the turn's number, and the last `seq` it has."""
        for number, turn in enumerate(self.turns):
            seq = Events.of(turn).seen(turn, last_event_id)
            if seq is not None:
                return number, seq
        return 0, -1

    @contextmanager
    def watching(self) -> Generator[None]:
        """Count as somebody who watches all turns."""
        self._watchers += 1
        for turn in self.turns:
            self._hold(turn)
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                for turn in tuple(self._held):
                    self._held.pop(turn).dispose()

    def _add(self, turn: Turn) -> int:
        self.turns.append(turn)
        if self._watchers:
            self._hold(turn)
        self._tell_soon()
        return len(self.turns) - 1

    def _tell_soon(self) -> None:
        self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._grown:
            self._grown.notify_all()

    def _hold(self, turn: Turn) -> None:
        if turn.status in ("pending", "running") and turn not in self._held:

            def let_go(error: Exception | None = None) -> None:
                self._held.pop(turn, None)

            self._held[turn] = turn.subscribe(None, let_go, let_go)

    def _note(self, chunk: Chunk) -> None:
        if isinstance(chunk, AskChunk):
            self.asks[chunk.id] = chunk
        elif isinstance(chunk, DecisionChunk):
            self.asks.pop(chunk.ask_id, None)
        if isinstance(chunk, (AskChunk, DecisionChunk)) and chunk.turn is None:
            self.asides.append(event("aside", as_json(chunk)))
            self._tell_soon()
