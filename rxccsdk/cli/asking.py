"""What `rxccsdk ask` does: one prompt, one turn, one session."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Sequence

from rxccsdk import operators as cc
from rxccsdk.chunks import Chunk, MessageChunk, NoticeChunk, SystemChunk
from rxccsdk.cli.codes import BAD_TURN, NOT_READY, SUCCESS, USAGE, CommandError
from rxccsdk.cli.person import Limits, at_the_terminal, context_in_words
from rxccsdk.cli.running import Ending
from rxccsdk.cli.views import View
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn

_COMMA = re.compile(r",(?![^(]*\))")  # Bash(a, b) is one tool
_REFUSED = "authentication_failed"


def read_prompt(words: Sequence[str] | None) -> str:
    """Put a prompt together from the command line and standard input.

    Args:
        words: the arguments; a "-" stands for standard input, and so does nothing at all.

    Raises:
        CommandError: there is no prompt.
    """
    if not words and sys.stdin.isatty():
        raise CommandError('Give a prompt: rxccsdk ask "Explain this repository"', USAGE)
    paragraphs: list[list[str]] = [[]]
    for word in words or ("-",):
        if word == "-":
            text = sys.stdin.buffer.read().decode("utf-8", "replace") if sys.stdin is not None else ""
            paragraphs += [[text.strip("\r\n")], []]
        else:
            # What the shell gave us as bytes that are no text has no place in a prompt.
            paragraphs[-1].append(word.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    prompt = "\n\n".join(filter(str.strip, (" ".join(part) for part in paragraphs)))
    if not prompt:
        raise CommandError("The prompt is empty.", USAGE)
    return prompt


def tool_names(given: Sequence[str] | None) -> list[str] | None:
    """Take tools apart that were given with commas between them.

    Example:
        >>> tool_names(["Read,Edit", "Bash(git log:*, git diff:*)"])
        ['Read', 'Edit', 'Bash(git log:*, git diff:*)']
    """
    names = [name.strip() for value in given or () for name in _COMMA.split(value)]
    return [name for name in names if name] or None


def check_backend(backend: str) -> None:
    """Raise where an SDK that was asked for is not there.

    Raises:
        CommandError: it is not installed.
    """
    if backend == "claude-agent-sdk" and importlib.util.find_spec("claude_agent_sdk") is None:
        raise CommandError("claude-agent-sdk is not installed: pip install 'rxccsdk[agent]'", NOT_READY)


async def ask(
    prompt: str,
    options: SessionOptions,
    make_view: Callable[[Ending], View],
    stall: float | None,
    ending: Ending,
    *,
    steer: bool = False,
) -> int:
    """Ask, show what comes, and give the exit code.

    Args:
        prompt: the prompt.
        options: what to start the session with; `keep_raw` must be set.
        make_view: makes what shows it.
        stall: give up when nothing came for so many seconds.
        ending: ends it early.
        steer: lines that are typed meanwhile go to the agent.

    Raises:
        RxccError: the session broke.
        CommandError: there is no login, or an option cannot be had.
    """
    check_backend(options.backend)
    guard = cc.stall(first=stall, between=stall) if stall is not None else None
    login, limits = Login(), Limits()

    def show(chunk: Chunk) -> None:
        if not login.refused and login.refuses(chunk):
            ending.stop(NOT_READY)
        limits.add(chunk)
        if not login.refused or view.complete:
            view.show(chunk)

    async def tell_cost(chunk: Chunk) -> None:
        if isinstance(chunk, MessageChunk) and chunk.event == "stop":  # a model call was paid for
            usd = await session.cost_so_far()
            if usd is not None:
                view.cost(usd)

    session = ClaudeSession(options)
    try:
        with make_view(ending) as view:
            view.begin(None)
            await session.open()
            # The turn reports that the session broke; here it would come twice.
            session.chunks.pipe(cc.tap_chunks(tell_cost)).subscribe(on_error=lambda _: None)
            async with at_the_terminal(view.display, session, steer=steer) as messages:
                # Where nobody can come late, nothing is kept: memory stays flat, however long the answer.
                turn: Turn | None = session.stream(prompt, replay=messages is not None)
                while turn is not None:
                    ending.turn = turn
                    if messages is not None:
                        messages.turn = turn
                    source = turn if guard is None else turn.pipe(guard)
                    response = await source.pipe(cc.tap_chunks(show), cc.to_response())
                    turn = turn._follower
            if not login.refused:
                context = await context_in_words(session) if view.display is not None else []
                view.end(response, _hint(session), *context, *limits.in_words())
    finally:  # after the view: the prompt comes back below the figures, not a spinner
        if not ending.at_once.is_set():  # else the end of the loop kills the CLI, and nothing is waited for
            await session.aclose()
    if login.refused:
        raise CommandError(login.advice(options.backend), NOT_READY)
    return SUCCESS if response.success else BAD_TURN


def _hint(session: ClaudeSession) -> str:
    return f"to go on: rxccsdk ask --resume {session.session_id}" if session.session_id else ""


class Login:
    """Notices a missing login: at the first refusal, for the CLI tries again for minutes."""

    def __init__(self) -> None:
        self.refused = False
        self._source = "none"

    def refuses(self, chunk: Chunk) -> bool:
        """Take a chunk; return whether it is a refusal."""
        if isinstance(chunk, SystemChunk):
            data = chunk.data
            if chunk.subtype == "init":
                self._source = str(data.get("apiKeySource") or "none")
            elif chunk.subtype == "api_retry":
                self.refused = data.get("error_status") == 401 or data.get("error") == _REFUSED
        elif isinstance(chunk, NoticeChunk) and chunk.kind == "api_error":
            self.refused = (chunk.raw or {}).get("error") == _REFUSED
        return self.refused

    def advice(self, backend: str) -> str:
        """Return what is wrong, and what to do."""
        if self._source != "none":
            return (
                f"The API refused the key from {self._source}.\n"
                "Set one that is valid, or take it away and log in:\n"
                f"  {login_command(backend)}"
            )
        return (
            "Claude Code is not logged in, or its login has expired. Log in, or set ANTHROPIC_API_KEY:\n"
            f"  {login_command(backend)}"
        )


def login_command(backend: str) -> str:
    """Return the command that logs the CLI in which a backend runs."""
    from rxccsdk.cli.installed import command_name, find_cli

    return f"{command_name(find_cli(backend) or 'claude')} auth login"
