"""A turn in a Jupyter notebook, live. Needs the extra `notebook`."""

from __future__ import annotations

from html import escape
from typing import Any

from IPython.display import DisplayHandle

from rxccsdk.display.following import follow
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn
from rxccsdk.text.harmless import harmless


async def show(turn: Turn, *, every: float = 0.1) -> SessionResponse:
    """Show a turn below the cell while it is written: its text as Markdown, and a line on what it does.

    What was retracted goes away. Stopping the cell interrupts the turn; what was shown stays.

    Args:
        turn: what to show.
        every: seconds between two updates.

    Returns:
        The response, as `to_response()` gives it.

    Raises:
        RxccError: the session broke; `.partial` has the response so far.
        ValueError: `every` is not positive.

    Example:
        from rxccsdk.display.notebook import show

        async with ClaudeSession() as session:
            response = await show(session.stream("Explain this repository"))
    """
    text, status = _Output(), _Output()
    try:
        async for words, line in follow(turn, every):
            text.put({"text/markdown": words, "text/plain": harmless(words)})
            status.put(_line(line))
    except BaseException as error:
        status.put(_line(str(error) or "interrupted"))
        raise
    return turn.response


class _Output:
    """A place below the cell, whose content is replaced."""

    def __init__(self) -> None:
        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
        self._is_there = False
        self._content: dict[str, str] | None = None

    def put(self, content: dict[str, str]) -> None:
        if content != self._content:
            (self._handle.update if self._is_there else self._handle.display)(content, raw=True)
        self._is_there, self._content = True, content


def _line(words: str) -> dict[str, str]:
    return {"text/html": f"<small>{escape(words)}</small>", "text/plain": harmless(words)}
