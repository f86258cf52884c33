"""`rxccsdk serve`: a session in the browser."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from rxccsdk.cli import app
from rxccsdk.cli.codes import EXIT_CODES, NOT_READY, SUCCESS, CommandError
from rxccsdk.cli.flags import Backend, modes, positive

_TOKEN = "RXCCSDK_TOKEN"  # not an argument: those are in the list of processes


@app.command(epilog=EXIT_CODES, short_help="Talk to Claude Code in a browser.")
def serve(
    web: Annotated[bool, typer.Option("--web", help="Serve a page for browsers.")] = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; others than this machine need another.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="The port; 0 takes a free one.")
    ] = 8765,
    linger: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            callback=positive,
            help="Stop the agent when nobody has watched it for so long.",
        ),
    ] = 60.0,
    model: Annotated[str | None, typer.Option(help="The model's name or alias, such as haiku.")] = None,
    cwd: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", exists=True, file_okay=False, help="Where the agent works."),
    ] = None,
    allowed_tools: Annotated[
        list[str] | None, typer.Option(metavar="TOOLS", help="Tools that need no permission, as for ask.")
    ] = None,
    permission_mode: Annotated[
        str | None, typer.Option(metavar="MODE", autocompletion=modes, help="What it may do unasked.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with an earlier session; its summary names it.")
    ] = None,
    backend: Annotated[
        Backend, typer.Option(help="The SDK; auto takes claude-agent-sdk where it is installed.")
    ] = Backend.auto,
) -> None:
    """Serve one session as a page: ask, watch, answer its questions, steer, stop; in any number of tabs.

    It prints the page's link. The token in it lets in whoever has it; $RXCCSDK_TOKEN sets one that stays.
    Ctrl+C ends the server and the agent.

    \b
    Example:
      rxccsdk serve --web --cwd my-project
    """
    from rxccsdk.cli.asking import tool_names
    from rxccsdk.cli.running import finish
    from rxccsdk.session.options import SessionOptions

    if not web:
        raise typer.BadParameter("say what to serve: --web.")

    def start() -> int:
        options = SessionOptions(
            model=model,
            cwd=cwd,
            allowed_tools=tool_names(allowed_tools),
            permission_mode=permission_mode,
            resume=resume,
            backend=backend.value,
            ask="stream",
            tool_output=0.5,
        )
        return _serve(options, host, port, linger)

    finish(start)


def _serve(options: object, host: str, port: int, linger: float) -> int:
    try:
        from rxccsdk.web.serving import serve
    except ImportError as error:
        words = "This needs the extra `web`: pip install 'rxccsdk[web]'"
        raise CommandError(f"{words} ({error.name} is missing)", NOT_READY) from error

    def tell(link: str) -> None:
        typer.echo(f"Open {link}")

    asyncio.run(serve(options, host, port, linger, os.environ.get(_TOKEN) or None, tell))  # type: ignore[arg-type]
    return SUCCESS
