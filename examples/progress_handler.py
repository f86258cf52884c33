"""A progress handler of your own: it gets each piece of text as it arrives.

Run it: python examples/progress_handler.py "What is in this folder?"
"""

import asyncio
import sys
from pathlib import Path

from rxccsdk import ClaudeSession, SessionOptions


class Transcript:
    """Shows dots on the screen and keeps the words in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pieces = 0
        path.write_text("")

    def __call__(self, piece: str) -> None:
        self.pieces += 1
        print(".", end="", flush=True)
        with self.path.open("a") as file:
            file.write(piece)


async def main(prompt: str) -> None:
    transcript = Transcript(Path("answer.txt"))
    async with ClaudeSession(SessionOptions(progress_callback=transcript)) as session:
        response = await session.query(prompt)
    print(f"\n{transcript.pieces} pieces in {transcript.path}")
    assert transcript.path.read_text() == response.content


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What is in this folder?"))
