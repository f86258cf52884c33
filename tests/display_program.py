"""A program that shows a turn and does something beside it: what the tests of the display run on a terminal.

    python -m tests.display_program FOLDER STEP...

A step is taken when a file of its number appears in the folder: a test can look at the terminal before.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from rxccsdk import Chunk, TextChunk, ToolUseChunk
from rxccsdk.display.live import LiveDisplay


async def main(folder: Path, steps: list[str]) -> None:
    """Take the steps."""
    logging.basicConfig(format="%(message)s")
    print("begin")
    with LiveDisplay() as display, LiveDisplay() as other:
        for number, step in enumerate(steps):
            await _wait(folder / str(number))
            kind, _, words = step.partition(":")
            words = words.replace("\\n", "\n")
            chunk: Chunk = TextChunk(words, 0, turn=0)
            if kind == "text":
                display.show(chunk)
            elif kind == "other":
                other.show(chunk)
            elif kind == "labelled":
                label, _, words = words.partition("=")
                display.show(TextChunk(words, 0, turn=0), label)
            elif kind == "tool":
                display.show(ToolUseChunk("t", "Bash", {"command": words}, 1, turn=0))
            elif kind == "print":
                print(words, end="")
            elif kind == "log":
                logging.getLogger("somebody").warning(words)
            elif kind == "input":
                print(f"input gave {input(words)!r}")  # noqa: ASYNC250
            elif kind == "ask":
                print(f"ask gave {await display.ask(words)!r}")
            elif kind == "raise":
                raise RuntimeError(words)
            else:
                raise ValueError(step)
            (folder / f"{number}.done").touch()
    print("end")


async def _wait(file: Path) -> None:
    parent = os.getppid()
    while not os.path.exists(file):  # noqa: ASYNC240
        await asyncio.sleep(0.01)
        if os.getppid() != parent:
            sys.exit("the test is gone")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
