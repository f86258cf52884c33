"""What `ask` and `replay` show: live on a terminal, the answer alone elsewhere, the last words, or JSON."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from reactivex import Subject
from rich.console import Console
from rich.text import Text

from rxccsdk import operators as cc
from rxccsdk.chunk_json import to_json
from rxccsdk.chunks import Chunk, NoticeChunk, ToolUseChunk
from rxccsdk.cli.output import LogNotes, Output
from rxccsdk.cli.running import complain
from rxccsdk.display.figures import figures
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.story import Detail
from rxccsdk.session.fold import ResponseFold
from rxccsdk.session.response import SessionResponse
from rxccsdk.text.harmless import harmless


class View(Protocol):
    """Shows turns, one after the other. A context manager: leaving it gives the terminal back.

    Attributes:
        complete: whether it wants every chunk, those of a turn that is given up among them.
    """

    complete: bool

    @property
    def display(self) -> LiveDisplay | None:
        """Where a person can be asked, and types; `None` where nobody is."""

    def __enter__(self) -> View: ...
    def __exit__(self, *exc_info: Any) -> None: ...

    def begin(self, prompt: str | None) -> None:
        """A turn begins; `prompt` where it is to be shown."""

    def show(self, chunk: Chunk) -> None:
        """Show a chunk."""

    def say(self, words: str) -> None:
        """Say something of our own, to the person."""

    def cost(self, usd: float) -> None:
        """Show what the session has cost so far."""

    def end(self, response: SessionResponse, hint: str, *more: str) -> None:
        """End a turn; the hint is how to go on, and more what else is known beside its figures."""


def make_view(
    *, plain: bool, quiet: bool, as_json: bool, on_closed: Callable[[], None], **shown: Any
) -> View:
    """Choose by the flags and by what standard output is.

    Args:
        plain: no styling, even on a terminal.
        quiet: the last words only.
        as_json: one chunk per line.
        on_closed: called when the reader of standard output is gone.
        shown: what a terminal shows, and how: see `LiveDisplay`.
    """
    output = Output(on_closed)
    if quiet:
        return QuietView(output)
    if as_json:
        return JsonView(output, _beside(trouble_only=True))
    if sys.stdout.isatty():
        wanted = True if plain else None
        display = LiveDisplay(Console(highlight=False), plain=wanted, permit=as_flag, **shown)
        return LiveView(display, on_closed)
    return AnswerView(output, _beside(trouble_only=False), settled=_is_file(sys.stdout))


def _beside(*, trouble_only: bool) -> LiveDisplay:
    """Return what goes to standard error while standard output has the answer.

    On a terminal, a pipe's reader may own the screen (`| less`): then only trouble is worth a line.
    """
    on_terminal, to_file = sys.stderr.isatty(), _is_file(sys.stdout)
    detail: Detail = "activity"
    if (on_terminal and not to_file) or (trouble_only and not on_terminal):
        detail = "trouble"
    plain = None if on_terminal and to_file else True
    console = Console(file=sys.stderr, highlight=False, stderr=True)
    return LiveDisplay(console, plain=plain, detail=detail, permit=as_flag)


def _is_file(stream: Any) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    return False


def as_flag(option: str, value: str) -> str:
    """Return how a command line sets an option."""
    return f"--{option.replace('_', '-')} {value}"


def summary(response: SessionResponse, *more: str) -> str:
    """Return a turn's figures in one line, and more. Why it ended badly has been shown already."""
    wanted = ("time", "tool calls", "tokens", "cost", "model")
    found = dict(figures(response))
    found["tool calls"] = _count(found.get("tool calls", ""), "tool call")
    found["tokens"] = found.get("tokens", "").replace(" in,", " tokens in,")
    return " · ".join([*(found[name] for name in wanted if found.get(name)), *more])


def _count(number: str, noun: str) -> str:
    """ "1" and "tool call" make "1 tool call"; "3, 1 failed" makes "3 tool calls, 1 failed"."""
    first, comma, rest = number.partition(",")
    return f"{first} {noun}{'' if first == '1' else 's'}{comma}{rest}" if number else ""


class LiveView:
    """A terminal: everything, as it happens."""

    complete = False

    def __init__(self, display: LiveDisplay, on_closed: Callable[[], None]) -> None:
        self._display = display
        self.display: LiveDisplay | None = display if sys.stdin is not None and sys.stdin.isatty() else None
        self._on_closed = on_closed
        self._logs = LogNotes(display)

    def __enter__(self) -> LiveView:
        self._display.__enter__()
        self._logs.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._logs.__exit__()
        self._display.__exit__(*exc_info)

    def begin(self, prompt: str | None) -> None:
        """Show the prompt."""
        if prompt is not None:
            self._display.print(Text.assemble(("> ", "bold cyan"), (harmless(prompt), "bold")))

    def show(self, chunk: Chunk) -> None:
        """Show it."""
        self._display.show(_in_command_words(chunk))
        if self._display.closed:
            self._on_closed()

    def say(self, words: str) -> None:
        """A line of our own."""
        self._display.note(words, "yellow")

    def cost(self, usd: float) -> None:
        """Put it into the progress line."""
        self._display.cost(usd)

    def end(self, response: SessionResponse, hint: str, *more: str) -> None:
        """The figures, and how to go on."""
        self._display.print(Text())
        self._display.print(Text(harmless(summary(response, *more)), "dim"))
        if hint:
            self._display.print(Text(harmless(hint), "dim"))


class AnswerView:
    """A pipe or a file: the answer and nothing else; the rest goes to standard error.

    A pipe gets each piece at once, and a mark where text was taken back; a file only what stood.
    """

    complete = False
    display = None

    def __init__(self, output: Output, beside: LiveDisplay, *, settled: bool) -> None:
        self._output = output
        self._beside = beside
        self._settled = settled
        self._chunks: Subject[Chunk] = Subject()
        self._turns = 0
        self._logs = LogNotes(beside)

    def __enter__(self) -> AnswerView:
        self._beside.__enter__()
        self._logs.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._logs.__exit__()
        self._chunks.on_completed()
        self._output.end_line()
        self._beside.__exit__(*exc_info)
        self._output.check()

    def begin(self, prompt: str | None) -> None:
        """A blank line between two answers; prompts are no answer."""
        if self._turns:
            self._output.end_line()
            self._output.write("\n")
        self._turns += 1
        self._chunks = Subject()
        chunks = self._chunks.pipe(cc.text(settled=True)) if self._settled else self._chunks
        chunks.pipe(cc.print_text(file=self._output)).subscribe()

    def show(self, chunk: Chunk) -> None:
        """Text here, the rest there."""
        self._chunks.on_next(chunk)
        self._beside.show(_in_command_words(chunk))

    def say(self, words: str) -> None:
        """To standard error."""
        self._beside.note(words, "yellow")

    def cost(self, usd: float) -> None:
        """Put it into the progress line beside the answer."""
        self._beside.cost(usd)

    def end(self, response: SessionResponse, hint: str, *more: str) -> None:
        """End the answer with a newline, and show the figures."""
        self._chunks.on_completed()
        self._output.end_line()
        if self._beside.detail == "activity":
            self._beside.print(
                Text("\n".join(filter(None, (harmless(summary(response, *more)), harmless(hint)))), "dim")
            )


class QuietView:
    """Nothing but the agent's last words: what it said after its last tool call, once that stands."""

    complete = False
    display = None

    def __init__(self, output: Output) -> None:
        self._output = output
        self._fold = ResponseFold()
        self._words = ""
        self._logs = LogNotes(None)

    def __enter__(self) -> QuietView:
        self._logs.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._logs.__exit__()
        self._print()
        self._output.check()

    def begin(self, prompt: str | None) -> None:
        """Forget the turn before."""
        self._print()
        self._fold = ResponseFold()

    def show(self, chunk: Chunk) -> None:
        """Keep what may be the last words."""
        if isinstance(chunk, ToolUseChunk) and chunk.agent is None:
            self._words = self._fold.response().content or self._words
            self._fold = ResponseFold()
        self._fold.add(chunk)

    def say(self, words: str) -> None:
        """Nothing."""

    def cost(self, usd: float) -> None:
        """Nothing."""

    def end(self, response: SessionResponse, hint: str, *more: str) -> None:
        """Print them; why the turn ended badly goes to standard error."""
        self._print()
        if response.error and response.error_kind != "interrupted":
            complain(response.error)

    def _print(self) -> None:
        words = self._fold.response().content or self._words
        self._fold, self._words = ResponseFold(), ""
        self._output.write(harmless(words) if sys.stdout.isatty() else words)
        self._output.end_line()


class JsonView:
    """Each chunk as a line of JSON."""

    complete = True
    display = None

    def __init__(self, output: Output, beside: LiveDisplay) -> None:
        self._output = output
        self._beside = beside
        self._logs = LogNotes(beside)

    def __enter__(self) -> JsonView:
        self._beside.__enter__()
        self._logs.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._logs.__exit__()
        self._beside.__exit__(*exc_info)
        self._output.check()

    def begin(self, prompt: str | None) -> None:
        """Nothing: chunks name their turn."""

    def show(self, chunk: Chunk) -> None:
        """Write it."""
        self._output.write_json(to_json(replace(chunk, raw=None)))
        self._beside.show(_in_command_words(chunk))

    def say(self, words: str) -> None:
        """To standard error."""
        self._beside.note(words, "yellow")

    def cost(self, usd: float) -> None:
        """Nothing: JSON is for programs."""

    def end(self, response: SessionResponse, hint: str, *more: str) -> None:
        """Nothing: the `ResultChunk` has said it."""


def _in_command_words(chunk: Chunk) -> Chunk:
    """Say of an interrupt what the person at the keyboard knows it by."""
    if isinstance(chunk, NoticeChunk) and chunk.kind == "interrupt":
        return replace(chunk, detail="stopping the agent; Ctrl+C again ends at once")
    return chunk
