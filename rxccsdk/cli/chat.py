"""The command for a conversation."""

from __future__ import annotations

import importlib.util
import sys
from typing import Annotated

import typer

from rxccsdk.cli import app
from rxccsdk.cli.codes import EXIT_CODES, NOT_READY, USAGE, CommandError
from rxccsdk.cli.flags import (
    AnyBackend,
    AsMarkdown,
    Backend,
    Continue,
    Cwd,
    Markdown,
    Model,
    Resume,
    ShownThinking,
    ShownTools,
    Thinking,
    Tools,
    modes,
)

_LOOK_EVERY = 0.5  # seconds between two looks at what a running command writes
# claude-code-sdk has no option for it; the CLI's own variable does it with both.
_CHECKPOINTS = {"CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING": "true"}


@app.command(epilog=EXIT_CODES, short_help="Talk with Claude Code, prompt after prompt.")
def chat(
    model: Model = None,
    cwd: Cwd = None,
    allowed_tools: Annotated[
        list[str] | None, typer.Option(metavar="TOOLS", help="Tools that need no permission, as for ask.")
    ] = None,
    permission_mode: Annotated[
        str | None, typer.Option(metavar="MODE", autocompletion=modes, help="What it may do unasked.")
    ] = None,
    resume: Resume = None,
    go_on: Continue = False,
    backend: AnyBackend = Backend.auto,
    markdown: AsMarkdown = Markdown.rendered,
    tools: ShownTools = Tools.brief,
    thinking: ShownThinking = Thinking.line,
) -> None:
    """Talk with Claude Code at the terminal, prompt after prompt, in one session.

    Enter sends, Alt+Enter begins a line. While the agent works, what you type reaches it at its next step;
    Esc or Ctrl+C interrupts it, and the chat goes on. Its questions and plans are put to you, and so are
    permissions. /help says what else there is; Ctrl+D ends.

    Needs the extra chat: pip install 'rxccsdk[chat]'
    """
    from rxccsdk.cli.asking import tool_names
    from rxccsdk.cli.running import finish, run
    from rxccsdk.session.options import SessionOptions

    if resume is not None and go_on:
        raise typer.BadParameter("--resume and --continue exclude each other.")

    def start() -> int:
        if sys.stdin is None or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise CommandError("A chat needs a terminal. Elsewhere: rxccsdk ask", USAGE)
        if importlib.util.find_spec("prompt_toolkit") is None:
            raise CommandError("A chat needs prompt_toolkit: pip install 'rxccsdk[chat]'", NOT_READY)
        from rxccsdk.cli.conversation import Chat

        options = SessionOptions(
            model=model,
            cwd=cwd,
            allowed_tools=tool_names(allowed_tools),
            permission_mode=permission_mode,
            resume=resume,
            continue_conversation=go_on,
            backend=backend.value,
            env=_CHECKPOINTS,
            keep_raw=True,
            ask="stream",
            tool_output=_LOOK_EVERY,
        )
        shown = {"markdown": markdown.value, "tools": tools.value, "thinking": thinking.value}
        return run(lambda ending: Chat(options, ending, shown).run())

    finish(start)
