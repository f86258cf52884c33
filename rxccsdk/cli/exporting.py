"""`rxccsdk export`: a recording as a page that plays it, a transcript, or a picture."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rxccsdk.cli import app
from rxccsdk.cli.codes import SUCCESS, USAGE, CommandError
from rxccsdk.cli.flags import ShownThinking, ShownTools, Thinking, Tools, positive


@app.command(short_help="Make a page, a transcript or a picture of a recording.")
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recording, from rxccsdk ask --record FILE.")
    ],
    html: Annotated[bool, typer.Option("--html", help="A page that plays it; needs no network.")] = False,
    md: Annotated[bool, typer.Option("--md", help="A transcript in Markdown.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="A picture of what the terminal shows.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to; - is standard output. Beside the recording where it is left out."
        ),
    ] = None,
    max_idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", callback=positive, help="On the page: no pause is longer."),
    ] = 3.0,
    tools: ShownTools = Tools.brief,
    thinking: ShownThinking = Thinking.line,
) -> None:
    """Make a page, a transcript or a picture of a recorded session. Needs no account and no network.

    \b
    Examples:
      rxccsdk export fix.jsonl --html                  writes fix.html
      rxccsdk export fix.jsonl --md --out - | less
    """
    from rxccsdk.cli.running import finish

    if html + md + svg != 1:
        raise typer.BadParameter("give one of --html, --md and --svg.")

    def write() -> int:
        from rxccsdk.export.timeline import read, rows_of_all

        scenes = asyncio.run(read(file))
        if not scenes:
            raise CommandError(f"{file} has no turn: nothing was asked in it.", USAGE)
        if html:
            from rxccsdk.export.page import page

            idle = max_idle if max_idle is not None else float("inf")
            document, suffix = page(rows_of_all(scenes, idle), file.stem), ".html"
        elif md:
            from rxccsdk.export.transcript import transcript

            document, suffix = transcript(rows_of_all(scenes)), ".md"
        else:
            from rxccsdk.export.picture import picture

            shown: Any = {"tools": tools.value, "thinking": thinking.value}
            document, suffix = picture(scenes, file.stem, **shown), ".svg"
        _write(document, out or file.with_suffix(suffix))
        return SUCCESS

    finish(write)


def _write(document: str, target: Path) -> None:
    data = document.encode("utf-8", "replace")
    if str(target) == "-":
        sys.stdout.buffer.write(data)
        return
    try:
        target.write_bytes(data)
    except OSError as error:
        raise CommandError(f"Cannot write {target}: {error.strerror or error}", USAGE) from error
    typer.echo(f"Written to {target}", err=True)
