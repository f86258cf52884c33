"""Ask one thing, then follow it up in several ways side by side, each from the same place.

`python examples/branch_and_compare.py "Find the slowest test." "Mend it in the test." "Mend it in the code."`
"""

from __future__ import annotations

import asyncio
import sys

from rxccsdk import ClaudeSession, SessionOptions, SessionResponse, Turn
from rxccsdk import operators as cc


async def follow_up(session: ClaudeSession, turn: Turn, prompt: str) -> SessionResponse:
    """Go on from a turn, in a session of its own."""
    async with session.at(turn).fork() as branch:
        return await branch.query(prompt)


async def main(question: str, *ways: str) -> None:
    """Ask, branch, and print how the branches compare."""
    async with ClaudeSession(SessionOptions()) as session:
        turn = session.stream(question)
        await turn.pipe(cc.print_text(), cc.to_response())
        answers = await asyncio.gather(*(follow_up(session, turn, way) for way in ways))
    for way, answer in zip(ways, answers, strict=True):
        cost = answer.metadata.cost_usd
        price = "unknown" if cost is None else f"${cost:.4f}"
        print(f"\n\n## {way} ({price})\n\n{answer.error or answer.content}")


if __name__ == "__main__":
    arguments = sys.argv[1:] or [
        "What could be better here?",
        "Show the smallest step.",
        "Show the boldest one.",
    ]
    asyncio.run(main(*arguments))
