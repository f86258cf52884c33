"""Beside a rich progress bar: print above it and advance it from the callback.

Run it: python examples/rich_progress.py "Summarise this folder" "Name its largest file"
"""

import asyncio
import sys

from rich.progress import Progress, TaskID

from rxccsdk import ClaudeSession


async def main(prompts: list[str]) -> None:
    async with ClaudeSession() as session:
        with Progress() as progress:
            whole = progress.add_task("prompts", total=len(prompts))
            for prompt in prompts:
                words = progress.add_task("words", total=None)

                def on_text(piece: str, words: TaskID = words) -> None:
                    progress.advance(words, len(piece.split()))
                    progress.console.print(piece, end="", markup=False, highlight=False)

                await session.query(prompt, progress_callback=on_text)
                progress.console.print()
                progress.remove_task(words)
                progress.advance(whole)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["Summarise this folder.", "Name its largest file."]))
