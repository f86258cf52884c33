"""What becomes of one of many prompts, and when it is sent again."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import time

from rxccsdk.session.prompt import Prompt
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn


@dataclass(frozen=True, slots=True)
class Retry:
    """When to send a prompt again whose response is `retryable`.

    Args:
        tries: how often it is sent at most.
        first: seconds before the second try, where nobody says when the limit is lifted.
        factor: how much longer each further wait is.
    """

    tries: int = 4
    first: float = 1.0
    factor: float = 2.0

    def __post_init__(self) -> None:
        if self.tries < 1 or not 0 <= self.first < inf or not 1 <= self.factor < inf:
            raise ValueError(f"tries, first and factor must be at least 1, 0 and 1, not {self!r}.")

    def wait(self, tries: int, response: SessionResponse) -> float | None:
        """Return how many seconds to wait after so many tries; `None` where it is not sent again."""
        if tries >= self.tries or not response.retryable:
            return None
        if response.resets_at is not None and (until := response.resets_at - time()) > 0:
            return until
        return float(self.first * self.factor ** (tries - 1))


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a prompt.

    Attributes:
        index: its place among the prompts, from 0.
        prompt: what was asked.
        turn: the last one it was asked in; `None` where it was not asked now: the journal has its answer, its
            session did not open, or it could not be afforded.
        response: the response; see its `error`.
        tries: how often it was sent.
    """

    index: int
    prompt: Prompt
    turn: Turn | None
    response: SessionResponse
    tries: int
