"""The command that watches a session which somebody else runs."""

from __future__ import annotations

from typing import Annotated

import typer

from rxccsdk.cli import JSON_HELP, app, chooser
from rxccsdk.cli.codes import EXIT_CODES
from rxccsdk.cli.flags import (
    AsMarkdown,
    Cwd,
    Json,
    Markdown,
    Plain,
    Quiet,
    ShownThinking,
    ShownTools,
    Thinking,
    Tools,
)


@app.command(epilog=JSON_HELP + "\n" + EXIT_CODES, short_help="Watch a session that somebody else runs.")
def watch(
    session: Annotated[
        str | None,
        typer.Argument(metavar="SESSION", help="Its id, or how it begins; else the folder's newest."),
    ] = None,
    cwd: Cwd = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show it from its beginning, not from its newest prompt on.")
    ] = False,
    markdown: AsMarkdown = Markdown.rendered,
    tools: ShownTools = Tools.brief,
    thinking: ShownThinking = Thinking.line,
    plain: Plain = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Watch a session that somebody else runs: a claude in another terminal, an editor, a program.

    It is read from the transcript that Claude Code keeps. It shows the newest prompt and what has come of it
    so far, then whatever follows, prompt after prompt, as rxccsdk ask shows it; text comes when a message is
    complete. The session does not know, and nothing is sent to it. When the agent is done it waits for the
    next prompt: Ctrl+C ends the watching, not the agent. What /clear begins is another session.

    \b
    Examples:
      rxccsdk watch                     the newest session of this folder
      rxccsdk watch --cwd ../other      that of another one
      rxccsdk watch 3f2a --all          all of the one whose id begins so
    """
    from rxccsdk.cli import watched
    from rxccsdk.cli.running import finish, run

    shown = {"markdown": markdown.value, "plain": plain, "tools": tools.value, "thinking": thinking.value}
    make_view = chooser(quiet, as_json, **shown)
    finish(lambda: run(lambda ending: watched.watch(session, cwd, everything, make_view, ending)))
