"""What a turn says so far and what it does, for what shows both as a whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from rxccsdk.errors import RxccError
from rxccsdk.operators.leave import to_async_iterator
from rxccsdk.operators.progress import progress
from rxccsdk.operators.standing import Progress
from rxccsdk.session.turn import Turn


async def follow(turn: Turn, every: float) -> AsyncGenerator[tuple[str, str], None]:
    """Subscribe to a turn; yield its text so far, and a line that says what it does, where they have changed.

    Text that was retracted is not in the next one. The last line is empty, or says why the turn failed.

    Args:
        turn: what to follow. Leaving early is leaving the turn.
        every: seconds between two.

    Raises:
        RxccError: the session broke; the line before says so, too.
    """
    shown: tuple[str, str] | None = None
    try:
        async for standing in turn.pipe(progress(every), to_async_iterator()):
            response = turn.response
            newest = response.content, (response.error or "") if standing.ended else _line(standing)
            if newest != shown:
                yield newest
            shown = newest
    except RxccError as error:
        yield turn.response.content, str(error)
        raise


def _line(standing: Progress) -> str:
    words = [standing.activity, f"{standing.elapsed:.0f} s"]
    if standing.tokens:
        words.append(f"{standing.tokens} tokens")
    return " · ".join(words)
