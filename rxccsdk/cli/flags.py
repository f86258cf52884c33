"""The flags that commands share, and what they can be."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Recording(StrEnum):
    """The recordings that come with the package."""

    answer = "answer"
    agent = "agent"


class Markdown(StrEnum):
    """How a terminal shows Markdown."""

    rendered = "rendered"
    raw = "raw"


class Tools(StrEnum):
    """How much a terminal shows of what tools do."""

    brief = "brief"
    full = "full"


class Thinking(StrEnum):
    """How much a terminal shows of the agent's thinking."""

    line = "line"
    full = "full"
    off = "off"


class Notify(StrEnum):
    """How a terminal tells that a long turn is over."""

    bell = "bell"
    osc9 = "osc9"


class Backend(StrEnum):
    """The SDKs."""

    auto = "auto"
    claude_code_sdk = "claude-code-sdk"
    claude_agent_sdk = "claude-agent-sdk"


def positive(value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise typer.BadParameter("must be greater than 0.")
    return value


def modes(incomplete: str) -> list[str]:
    """Permission modes, for shell completion; the CLI has the last word on which there are."""
    known = ("acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan")
    return [mode for mode in known if mode.startswith(incomplete)]


Model = Annotated[str | None, typer.Option(help="The model's name or alias, such as haiku.")]
Cwd = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", exists=True, file_okay=False, help="Where the agent works."),
]
Resume = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Go on with an earlier session; its summary names it."),
]
Continue = Annotated[
    bool, typer.Option("--continue", "-c", help="Go on with the newest session of the folder.")
]
AnyBackend = Annotated[
    Backend,
    typer.Option(help="The SDK; auto takes claude-agent-sdk where it is installed."),
]
Plain = Annotated[bool, typer.Option("--plain", help="Plain text: no colours, no progress line.")]
AsMarkdown = Annotated[
    Markdown, typer.Option(help="On a terminal: rendered, or raw: coloured, each character as it is written.")
]
ShownTools = Annotated[
    Tools,
    typer.Option("--tools", help="Tool calls in a line, or with their output and what edits changed."),
]
ShownThinking = Annotated[
    Thinking, typer.Option("--thinking", help="A line of each thought, all of it, or nothing.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but the agent's last words, when it is done.")
]
Json = Annotated[bool, typer.Option("--json", help="Print each chunk as a line of JSON, see below.")]
Speed = Annotated[float, typer.Option(min=0.01, help="How many times faster than recorded.")]
