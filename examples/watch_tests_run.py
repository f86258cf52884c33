"""See what a long command writes while it runs: `python examples/watch_tests_run.py "Run the tests"`."""

from __future__ import annotations

import asyncio
import sys

from rxccsdk import ClaudeSession, SessionOptions
from rxccsdk import operators as cc


async def main(prompt: str) -> None:
    """Ask, and print what the agent's commands write, as they write it."""
    options = SessionOptions(allowed_tools=["Bash"], tool_output=0.3)
    async with ClaudeSession(options) as session:
        turn = session.stream(prompt)
        turn.pipe(cc.tool_output()).subscribe(lambda text: print(text, end="", flush=True))
        response = await turn.pipe(cc.to_response())
    print(f"\n{response.content}")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Run the tests"))
