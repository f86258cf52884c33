"""A widget for Textual that shows turns, live. Needs the extra `textual`."""

from __future__ import annotations

from typing import Any

from textual.containers import VerticalScroll
from textual.widgets import Markdown, Static

from rxccsdk.display.following import follow
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn
from rxccsdk.text.harmless import harmless


class TurnView(VerticalScroll):
    """Shows turns one below the other: the text as Markdown while it is written, a line on what it does.

    What was retracted goes away. The view keeps its end in sight until somebody scrolls up.

    Args:
        every: seconds between two updates.

    Example:
        class Chat(App):
            def compose(self):
                yield TurnView()

            @work
            async def ask(self, prompt):
                await self.query_one(TurnView).show(self.session.stream(prompt))
    """

    def __init__(self, *, every: float = 0.1, **widget: Any) -> None:
        super().__init__(**widget)
        self._every = every

    async def show(self, turn: Turn) -> SessionResponse:
        """Show a turn below those before it. Cancelling this, or removing the view, leaves the turn.

        Returns:
            The response, as `to_response()` gives it.

        Raises:
            RxccError: the session broke; `.partial` has the response so far.
        """
        text, status = Markdown(), Static(markup=False)
        await self.mount(text, status)
        self.anchor()
        async for words, line in follow(turn, self._every):
            words, before = harmless(words), text.source
            if not words.startswith(before):
                await text.update(words)
            elif words != before:
                await text.append(words[len(before) :])
            status.update(harmless(line))
            status.display = bool(line)
        await text.update(text.source)
        return turn.response
