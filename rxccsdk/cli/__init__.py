"""The `rxccsdk` command. What its subcommands need is imported when they run, so that `--help` is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rxccsdk.cli.chunk_json import fields_in_words
from rxccsdk.cli.codes import EXIT_CODES
from rxccsdk.cli.flags import (
    AnyBackend,
    AsMarkdown,
    Backend,
    Continue,
    Cwd,
    Json,
    Markdown,
    Model,
    Notify,
    Plain,
    Quiet,
    Recording,
    Resume,
    ShownThinking,
    ShownTools,
    Speed,
    Thinking,
    Tools,
    modes,
    positive,
)

if TYPE_CHECKING:
    from rxccsdk.cli.running import Ending
    from rxccsdk.cli.views import View

app = typer.Typer(
    name="rxccsdk",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: half the time, and a pager shows it as it is
    pretty_exceptions_show_locals=False,  # they have prompts in them
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

JSON_HELP = f"""\b
With --json each chunk is one line of JSON; its kind is its class in Python:
{fields_in_words()}
"""


_LOOK_EVERY = 0.5  # seconds between two looks at what a running command writes

owns_process = False
"""Whether this process is the command and nothing else: set by the entry point."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from rxccsdk import __version__

        typer.echo(f"rxccsdk {__version__}")
        raise typer.Exit


@app.callback(epilog=EXIT_CODES)
def frame(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Ask Claude Code and watch it work, live.

    \b
    Try:
      rxccsdk demo                                  a recording; needs no account
      rxccsdk doctor                                is everything there?
      rxccsdk ask "Explain this repository"         ask, live
      git diff | rxccsdk ask "Review this:" - | less
    """


@app.command(epilog=JSON_HELP + "\n" + EXIT_CODES, short_help="Ask Claude Code, and watch it work.")
def ask(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT", help="What to ask; a - in it stands for standard input, and so does no prompt."
        ),
    ] = None,
    model: Model = None,
    cwd: Cwd = None,
    max_turns: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many model calls it may take.")
    ] = None,
    max_budget_usd: Annotated[
        float | None,
        typer.Option(metavar="USD", callback=positive, help="Stop when it has cost this much."),
    ] = None,
    allowed_tools: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOOLS",
            help='Tools that need no permission: --allowed-tools "Read,Bash(git log:*)". May be repeated.',
        ),
    ] = None,
    permission_mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            autocompletion=modes,
            help="What the agent may do unasked: acceptEdits, plan, dontAsk, bypassPermissions, ...",
        ),
    ] = None,
    resume: Resume = None,
    go_on: Continue = False,
    backend: AnyBackend = Backend.auto,
    stall: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            callback=positive,
            help="Give up when nothing comes for so long; tools may take their time.",
        ),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Each PROMPT is one of its own: ask them beside each other.")
    ] = False,
    steer: Annotated[
        bool, typer.Option("--steer", help="Send each line that is typed meanwhile to the agent.")
    ] = False,
    notify: Annotated[
        Notify | None,
        typer.Option(help="When a long turn is over: a bell, or a word to the desktop (OSC 9)."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write a recording, for rxccsdk replay."),
    ] = None,
    markdown: AsMarkdown = Markdown.rendered,
    tools: ShownTools = Tools.brief,
    thinking: ShownThinking = Thinking.line,
    plain: Plain = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Ask Claude Code and show what it does while it does it.

    On a terminal: live text, a line for each tool call, and below it how it stands. In a pipe or a file:
    the answer as plain text and nothing else; tool calls and notices go to standard error.

    On a terminal the agent's questions and permissions are put to you. Elsewhere tools that change something
    are denied unless --allowed-tools or --permission-mode allows them; a denial says what would. Ctrl+C stops
    the agent and keeps what there is; a second one ends at once.

    \b
    Examples:
      rxccsdk ask "What does this project do?"
      rxccsdk ask --allowed-tools Edit,Bash "Make the tests pass"
      rxccsdk ask --each "What is in src?" "What is in docs?"
      git diff | rxccsdk ask --quiet "A commit message for this:" - > message
    """
    from rxccsdk.cli import asking
    from rxccsdk.cli.running import finish, run
    from rxccsdk.session.options import SessionOptions

    # Somebody is there to be asked, and to look on.
    is_watched = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    talks = is_watched and not (quiet or as_json or each)

    def options() -> SessionOptions:
        return SessionOptions(
            model=model,
            cwd=cwd,
            max_turns=max_turns,
            max_budget_usd=max_budget_usd,
            allowed_tools=asking.tool_names(allowed_tools),
            permission_mode=permission_mode,
            resume=resume,
            continue_conversation=go_on,
            backend=backend.value,
            record=record,
            keep_raw=True,
            ask="stream" if talks else "sdk",
            tool_output=_LOOK_EVERY if talks else None,
        )

    make_view = chooser(
        quiet,
        as_json,
        markdown=markdown.value,
        plain=plain,
        tools=tools.value,
        thinking=thinking.value,
        notify=notify.value if notify is not None else None,
        budget=max_budget_usd,
    )
    if steer and not talks:
        raise typer.BadParameter("--steer needs a terminal to type on, and no --quiet or --json.")

    if resume is not None and go_on:
        raise typer.BadParameter("--resume and --continue exclude each other.")

    if each and (record or resume or go_on or steer or as_json or stall):
        words = "--each excludes --record, --resume, --continue, --steer, --json and --stall."
        raise typer.BadParameter(words)

    def start() -> int:
        if each:
            from rxccsdk.cli.many import ask_each

            texts = [asking.read_prompt([word]) for word in prompt or ("-",)]
            return run(lambda ending: ask_each(texts, options(), plain, ending))
        text = asking.read_prompt(prompt)
        return run(lambda ending: asking.ask(text, options(), make_view, stall, ending, steer=steer))

    finish(start)


@app.command(epilog=JSON_HELP + "\n" + EXIT_CODES, short_help="Play a recorded session again.")
def replay(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recording, from rxccsdk ask --record FILE.")
    ],
    speed: Speed = 1.0,
    turn: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only this turn, counted from 1.")
    ] = None,
    max_idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", callback=positive, help="No pause is longer than this."),
    ] = None,
    markdown: AsMarkdown = Markdown.rendered,
    tools: ShownTools = Tools.brief,
    thinking: ShownThinking = Thinking.line,
    plain: Plain = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Play a recorded session again, at its own pace. Needs no account and no network.

    It is shown as it was when it was recorded: live on a terminal, the answer alone in a pipe or a file. On a
    terminal space pauses, up and down change the speed, left and right go from turn to turn, q ends it.
    """
    from rxccsdk.cli import replaying
    from rxccsdk.cli.running import finish, run

    shown = {"markdown": markdown.value, "plain": plain, "tools": tools.value, "thinking": thinking.value}
    make_view = chooser(quiet, as_json, **shown)
    finish(lambda: run(lambda ending: replaying.replay(file, speed, turn, make_view, ending, max_idle)))


@app.command(
    epilog="\b\nExit codes: 0 all is well, 3 something is missing.",
    short_help="Check that everything is there.",
)
def doctor() -> None:
    """Check that everything is there: Python, the SDKs, the Claude Code CLI, its login, the terminal.

    Says what is missing and the command that mends it. No prompt is sent.
    """
    from rxccsdk.cli.examining import examine
    from rxccsdk.cli.running import finish

    finish(examine)


@app.command(short_help="Show a recording that comes with rxccsdk.")
def demo(
    cassette: Annotated[
        Recording, typer.Option(help="A plain answer, or an agent with tools and a sub-agent.")
    ] = Recording.agent,
    speed: Speed = 1.0,
    plain: Plain = False,
) -> None:
    """Replay a recorded session: live text, tool calls, a sub-agent, and the Python that shows them.

    Needs no account and no network. Ctrl+C ends it (exit code 130).
    """
    from rich.console import Console

    from rxccsdk import cassettes
    from rxccsdk.cli.running import finish, run
    from rxccsdk.display.demo import demo as play

    recorded = {Recording.answer: cassettes.ANSWER, Recording.agent: cassettes.AGENT}
    # FORCE_COLOR can make rich take a pipe for a terminal; it is still no place for a progress line.
    wanted = True if plain or not sys.stdout.isatty() else None

    async def work(ending: Ending) -> int:
        await play(recorded[cassette], speed, Console(highlight=False), plain=wanted)
        return 0

    finish(lambda: run(work))


def chooser(quiet: bool, as_json: bool, **shown: Any) -> Callable[[Ending], View]:
    """Check the display's flags, and give what makes the display; `shown` is for a terminal."""
    if quiet and as_json:
        raise typer.BadParameter("--quiet and --json exclude each other.")

    def make(ending: Ending) -> View:
        from rxccsdk.cli.views import make_view

        # Whoever read it has seen enough: that is no failure.
        return make_view(quiet=quiet, as_json=as_json, on_closed=lambda: ending.stop(0), **shown)

    return make


def main() -> None:
    """The entry point."""
    global owns_process
    owns_process = True
    app(prog_name="rxccsdk")  # also for python -m rxccsdk


from rxccsdk.cli import batch as batch  # noqa: E402 - commands of their own, which need what is above
from rxccsdk.cli import chat as chat  # noqa: E402
from rxccsdk.cli import exporting as exporting  # noqa: E402
from rxccsdk.cli import serving as serving  # noqa: E402
from rxccsdk.cli import watching as watching  # noqa: E402
