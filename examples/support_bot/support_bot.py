"""A support bot: answers customers' questions with Claude Code, while the words still arrive.

python support_bot.py "Where is my order?"
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

from reactivex import Observable

from rxccsdk import Chunk, ClaudeSession, RxccError, SessionOptions
from rxccsdk import operators as cc

INSTRUCTIONS = (
    "You answer customers of a bicycle shop. Be friendly, be brief, and look into the files here first."
)


@dataclass
class Answer:
    """What a customer got.

    Attributes:
        text: All that was said.
        complete: Whether the agent came to its end.
    """

    text: str
    complete: bool


def for_customers(chunks: Observable[Chunk]) -> Observable[str]:
    """What customers see of a turn: the text, at most four times a second, nothing of tools or thoughts."""
    return chunks.pipe(cc.text(), cc.buffer_text(seconds=0.25))


class SupportBot:
    """Answers one customer after the other's question, in one conversation.

    Args:
        session: An open session.
        show: Called with each piece of an answer.
    """

    def __init__(self, session: ClaudeSession, show: Callable[[str], None]) -> None:
        self._session = session
        self._show = show

    async def answer(self, question: str) -> Answer:
        """Answer a question. Never raises because of the agent: customers get what there is."""
        turn = self._session.stream(f"A customer asks:\n\n{question.strip()}")
        for_customers(turn).subscribe(self._show, on_error=lambda _: None)
        try:
            response = await turn.pipe(cc.to_response())
        except RxccError as error:
            said = error.partial.content if error.partial is not None else ""
            self._show("\nSorry, I lost my train of thought. A colleague will write to you.")
            return Answer(said, complete=False)
        return Answer(response.content, complete=response.success)


async def main(*questions: str) -> None:
    """Answer questions on the terminal."""
    options = SessionOptions(system_prompt=INSTRUCTIONS, allowed_tools=["Read", "Grep"], max_turns=5)
    async with ClaudeSession(options) as session:
        bot = SupportBot(session, lambda piece: print(piece, end="", flush=True))
        for question in questions:
            await bot.answer(question)
            print()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
