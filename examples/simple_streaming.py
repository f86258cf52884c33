"""Simple streaming: the answer is printed while it arrives.

Run it: python examples/simple_streaming.py "What is in this folder?"
"""

import asyncio
import sys

from rxccsdk import ClaudeSession, SessionOptions


async def main(prompt: str) -> None:
    async with ClaudeSession(SessionOptions(stream_output=True)) as session:
        response = await session.query(prompt)
        print(f"[{len(response.content)} characters, {response.metadata.total_cost_usd} USD]")

        quiet = await session.query("Say it again, shorter.", stream=False)
        print(f"[not printed live: {quiet.content!r}]")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What is in this folder?"))
