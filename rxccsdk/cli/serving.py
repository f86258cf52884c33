"""`rxccsdk serve`: a session in the browser."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from rxccsdk.cli import app
from rxccsdk.cli.codes import EXIT_CODES, NOT_READY, SUCCESS, CommandError
from rxccsdk.cli.flags import Backend, modes, positive

_TOKEN = "RXCCSDK_TOKEN"  # not an argument: those are in the list of processes
_REDIS = "RXCCSDK_REDIS"


@app.command(epilog=EXIT_CODES, short_help="Talk to Claude Code in a browser, or answer a fleet's prompts.")
def serve(
    web: Annotated[bool, typer.Option("--web", help="Serve a page for browsers.")] = False,
    redis: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"Answer the prompts of the fleet at this Redis; or ${_REDIS}."),
    ] = None,
    at_once: Annotated[
        int,
        typer.Option("--at-once", min=1, metavar="N", help="How many prompts of the fleet at the same time."),
    ] = 4,
    lease: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            callback=positive,
            help="A machine of the fleet that gives no sign for so long is lost; the same for all.",
        ),
    ] = 15.0,
    cli: Annotated[
        Path | None,
        typer.Option("--cli", metavar="PATH", exists=True, dir_okay=False, help="The CLI to run."),
    ] = None,
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
    """Serve one session as a page, or the prompts of a fleet.

    With --web: ask, watch, answer its questions, steer, stop; in any number of tabs. It prints the page's
    link. The token in it lets in whoever has it; $RXCCSDK_TOKEN sets one that stays. Ctrl+C ends the server
    and the agent.

    With --redis: answer what `rxccsdk.fleet.Fleet(url)` asks, up to --at-once prompts at the same time. What
    a prompt sets goes before what is set here. Whoever can write to that Redis can run agents on this
    machine: give it a password ($RXCCSDK_REDIS keeps the URL out of the list of processes). Ctrl+C takes no
    more prompts and lets those that run end; once more stops them.

    \b
    Examples:
      rxccsdk serve --web --cwd my-project
      rxccsdk serve --redis redis://localhost --at-once 4
    """
    from rxccsdk.cli.asking import tool_names
    from rxccsdk.cli.running import finish
    from rxccsdk.cli.working import work
    from rxccsdk.session.options import SessionOptions

    url = redis or os.environ.get(_REDIS)  # not `envvar=`: typer 0.26 reads none with click 8.5
    if not web and url is None:
        raise typer.BadParameter("say what to serve: --web, or --redis URL.")
    if resume is not None and not web:
        raise typer.BadParameter("--resume goes with --web: each prompt of a fleet names its own session.")

    def start() -> int:
        chosen = {
            "model": model,
            "cwd": cwd,
            "allowed_tools": tool_names(allowed_tools),
            "permission_mode": permission_mode,
            "resume": resume,
            "backend": backend.value,
            "cli_path": cli,
        }
        options: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
        if web:
            return _serve(SessionOptions(**options, ask="stream", tool_output=0.5), host, port, linger)
        assert url is not None
        return work(url, at_once, lease, SessionOptions(**options))

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
