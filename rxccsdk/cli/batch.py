"""The command for many prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rxccsdk.cli import app
from rxccsdk.cli.codes import EXIT_CODES
from rxccsdk.cli.flags import AnyBackend, Backend, Model, modes, positive


@app.command(
    epilog=EXIT_CODES.replace("the turn ended badly", "a prompt's turn ended badly, or was not sent"),
    short_help="Ask many prompts, from a file.",
)
def batch(
    prompts: Annotated[
        Path,
        typer.Argument(metavar="PROMPTS", help="A file with a prompt on each line, in JSON; - for stdin."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", dir_okay=False, help="Where the answers go, each a line of JSON."
        ),
    ],
    at_once: Annotated[int, typer.Option(min=1, metavar="N", help="How many are answered at a time.")] = 3,
    max_budget_usd: Annotated[
        float | None,
        typer.Option(metavar="USD", callback=positive, help="Of all together, earlier runs included."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", callback=positive, help="For each prompt.")
    ] = None,
    tries: Annotated[
        int, typer.Option(min=1, metavar="N", help="How often to send what the API was too busy for.")
    ] = 4,
    model: Model = None,
    cwd: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", exists=True, file_okay=False, help="Where the agents work."),
    ] = None,
    max_turns: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many model calls each may take.")
    ] = None,
    allowed_tools: Annotated[
        list[str] | None, typer.Option(metavar="TOOLS", help="Tools that need no permission, as for ask.")
    ] = None,
    permission_mode: Annotated[
        str | None, typer.Option(metavar="MODE", autocompletion=modes, help="What they may do unasked.")
    ] = None,
    backend: AnyBackend = Backend.auto,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines, even on a terminal.")] = False,
) -> None:
    """Ask many prompts, a few at a time, each in a session of its own.

    A line of PROMPTS is a text in quotes, or an object with a "prompt". FILE gets a line for each that came
    to an end, at once. Run the same command again after whatever ended it: what has its answer there is not
    asked again, what failed is, and of several lines the last counts.

    Ctrl+C stops all and keeps what there is; a second one ends at once.

    \b
    Examples:
      rxccsdk batch prompts.jsonl --out answers.jsonl --at-once 4 --max-budget-usd 5
      jq -r .response.content answers.jsonl
    """
    from rxccsdk.cli import many
    from rxccsdk.cli.asking import tool_names
    from rxccsdk.cli.running import finish, run
    from rxccsdk.many.answer import Retry
    from rxccsdk.many.answers import ask_all
    from rxccsdk.session.options import SessionOptions

    def start() -> int:
        options = SessionOptions(
            model=model,
            cwd=cwd,
            max_turns=max_turns,
            allowed_tools=tool_names(allowed_tools),
            permission_mode=permission_mode,
            backend=backend.value,
            keep_raw=True,
        )
        found = many.read_prompts(prompts)
        answers = ask_all(
            found,
            options,
            at_once=at_once,
            timeout=timeout,
            retry=Retry(tries=tries),
            max_budget_usd=max_budget_usd,
            journal=out,
        )
        return run(
            lambda ending: many.show(answers, len(found), options.backend, max_budget_usd, plain, ending)
        )

    finish(start)
