"""What `rxccsdk demo` does: replay a recorded session, live, and show the code that does it."""

from __future__ import annotations

from pathlib import Path

from reactivex import operators as ops
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from rxccsdk import ClaudeSession
from rxccsdk import operators as cc
from rxccsdk.display.code import THEME
from rxccsdk.display.figures import figures_table
from rxccsdk.display.live import LiveDisplay
from rxccsdk.transport.cassette import read_cassette

PROGRAM = """\
import asyncio
from rxccsdk import ClaudeSession, cassettes, operators as cc
from rxccsdk.display.live import LiveDisplay

async def main():
    with LiveDisplay() as display:
        # ClaudeSession() asks your own Claude Code instead
        async with ClaudeSession.replay(cassettes.{name}) as session:
            turn = session.stream("{prompt}")
            response = await turn.pipe(
                cc.tap_chunks(display.show),
                cc.to_response(),
            )
    print(response.metadata.total_cost_usd)

asyncio.run(main())
"""


async def demo(cassette: Path, speed: float, console: Console, *, plain: bool | None = None) -> None:
    """Replay a cassette's first turn, then show its figures and the program that does the same.

    Args:
        cassette: one of `rxccsdk.cassettes`.
        speed: how many times faster than it was recorded.
        console: where to.
        plain: plain text, without a progress line; `None` decides by the console.
    """
    tape = read_cassette(cassette)
    prompt = str(tape.turns[0].prompt)
    with LiveDisplay(console, plain=plain) as display:
        display.note(
            f"A recording of Claude Code {tape.cli_version} with a scripted model: no account, no network."
        )
        display.print(Text.assemble(("\n> ", "bold cyan"), (prompt, "bold")))
        async with ClaudeSession.replay(cassette, speed) as session:
            response = await session.stream(prompt).pipe(
                cc.tap_chunks(display.show),
                ops.take_while(lambda _: not display.closed),
                cc.to_response(),
            )
    display.print(Text())
    display.print(figures_table(response))
    program = PROGRAM.format(name=cassette.stem.upper(), prompt=prompt).rstrip()
    display.print(Text("\nThe same in Python:\n", "bold"))
    if display.plain:
        display.print(Text(program))
    else:
        display.print(Syntax(program, "python", theme=THEME, word_wrap=True))
