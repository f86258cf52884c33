"""Where a chunk stands: its turn, its number and its time."""

from __future__ import annotations

from typing import Any

from rxccsdk.wire.messages import TurnCounter


class Counters:
    """The newest turn's counter, and the one of what is outside any turn.

    Args:
        now: when the connection opens.
    """

    def __init__(self, now: float) -> None:
        self.outside = TurnCounter(None, now)
        self.inside = self.outside  # until a turn begins
        self.turns = 0

    def begin(self, now: float) -> int:
        """Begin a turn; return its number."""
        turn = self.turns
        self.inside = TurnCounter(turn, now)
        self.turns += 1
        return turn

    def of(self, turn: int | None) -> TurnCounter:
        """Return the counter of the newest turn, or of what is outside any."""
        return self.outside if turn is None else self.inside

    def position(self, turn: int | None, now: float) -> dict[str, Any]:
        """Number a chunk of ours; return the fields that say where it stands."""
        counter = self.of(turn)
        return {"turn": counter.turn, "seq": counter.next_seq(), "at": now - counter.started_at}
