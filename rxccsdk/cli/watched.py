"""What `rxccsdk watch` does: turn after turn of a session, and nothing while it waits for a prompt."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from pathlib import Path

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolUseChunk,
    UserChunk,
)
from rxccsdk.cli.codes import SUCCESS, USAGE, CommandError
from rxccsdk.cli.running import Ending
from rxccsdk.cli.views import View
from rxccsdk.session.elsewhere import chunks_of
from rxccsdk.session.fold import ResponseFold
from rxccsdk.transport.watched import find_transcript
from rxccsdk.wire.blocks import INTERRUPTION_NOTE

_COMMAND = re.compile(
    r"<command-name>(?P<name>.*?)</command-name>(.*<command-args>(?P<args>.*?)</command-args>)?", re.DOTALL
)
_SHELL = re.compile(r"<bash-input>(?P<line>.*?)</bash-input>", re.DOTALL)
_OUTPUT = re.compile(r"</?(?:bash|local-command)-std(?:out|err)>")
_NOT_THE_LAST = (None, "tool_use", "pause_turn")  # why a message stopped that another one follows
_OF_AN_AGENT = (TextChunk, ThinkingChunk, ToolUseChunk, NoticeChunk)


async def watch(
    session: str | None,
    cwd: Path | None,
    everything: bool,
    make_view: Callable[[Ending], View],
    ending: Ending,
) -> int:
    """Show a session until the command is ended; give the exit code.

    Args:
        session: its id, or how that begins; `None` takes the folder's newest.
        cwd: the folder.
        everything: from its beginning on, not only from its newest turn.
        make_view: makes what shows it.
        ending: ends it.

    Raises:
        RxccError: there is no such session, or more than one.
        CommandError: it cannot be read.
    """
    path = find_transcript(session, cwd or Path.cwd())
    shown = Shown(make_view(ending), f"watching {path.stem}")
    try:
        async with aclosing(chunks_of(path, history=everything)) as chunks:
            async for chunk in chunks:
                shown.show(chunk)
    except asyncio.CancelledError:  # the agent is not interrupted: the display must not say so
        if ending.code is None:
            raise
    except OSError as error:
        raise CommandError(f"cannot read the session: {error}", USAGE) from error
    finally:
        shown.close()
    return SUCCESS


class Shown:
    """Shows a session turn by turn. While nobody works there are no live rows.

    Args:
        view: shows the turns.
        words: said before the first one.
    """

    def __init__(self, view: View, words: str) -> None:
        self._view = view
        self._words = words
        self._opened = ExitStack()
        self._is_open = False
        self._speaker: str | None = None  # who opened the view: when they are done it is closed
        self._turn: int | None = None
        self._fold = ResponseFold()
        self._ended: tuple[str, str] | None = None

    def show(self, chunk: Chunk) -> None:
        """Show the next chunk."""
        if isinstance(chunk, UserChunk) and chunk.agent is None and chunk.turn not in (None, self._turn):
            self._end(None)
            self._turn = chunk.turn
            self._open(_as_typed(chunk.text), None)
        elif not self._is_open and isinstance(chunk, _OF_AN_AGENT):
            self._open(None, chunk.agent)
        elif self._is_open and (words := _words_beside(chunk)):
            self._view.say(words)
        elif chunk.agent is None and isinstance(chunk, _OF_AN_AGENT):
            self._speaker = None  # an agent in the background was there first
        if self._is_open or self._view.complete:
            self._view.show(chunk)
        self._fold.add(chunk)
        if self._is_last(chunk):
            self._end(chunk)

    def close(self) -> None:
        """Give the terminal back."""
        self._is_open = False
        self._opened.close()

    def _open(self, prompt: str | None, speaker: str | None) -> None:
        self._opened.enter_context(self._view)
        self._is_open, self._speaker, self._fold, self._ended = True, speaker, ResponseFold(), None
        if self._words:
            self._view.say(self._words)
            self._words = ""
        self._view.begin(prompt)

    def _is_last(self, chunk: Chunk) -> bool:
        """Whether whoever works is done; the file only says why each message stopped."""
        if chunk.agent != self._speaker:
            return False
        if isinstance(chunk, MessageChunk):
            return chunk.stop_reason not in _NOT_THE_LAST
        if isinstance(chunk, NoticeChunk) and chunk.kind == "api_error":
            self._ended = ("execution", chunk.detail)
        elif isinstance(chunk, UserChunk) and chunk.text.startswith(INTERRUPTION_NOTE):
            self._ended = ("interrupted", chunk.text)
        else:
            return _command_output(chunk) is not None
        return True

    def _end(self, last: Chunk | None) -> None:
        """End what is open, with figures where its end is known."""
        if not self._is_open:
            return
        if not self._view.complete:  # it wants chunks of the session only
            self._view.show(
                ResultChunk("success", is_error=False, turn=self._turn, at=last.at if last else 0.0)
            )
        response = self._fold.response(ended=self._ended)
        if last is not None:
            took = {"duration_ms": round(last.at * 1000)}
            response.metadata = response.metadata.model_copy(update=took)
        if response.content or response.tool_uses or response.error:  # else it was a command of the CLI's own
            self._view.end(response, "")
        self.close()


def _command_output(chunk: Chunk) -> str | None:
    """Return what a command of the CLI's own wrote, or one for the shell; `None` of any other chunk."""
    if isinstance(chunk, SystemChunk) and chunk.subtype == "local_command":
        text = str(chunk.data.get("content"))
    else:
        text = chunk.text if isinstance(chunk, UserChunk) and chunk.agent is None else ""
    return _OUTPUT.sub("", text).strip() if _OUTPUT.match(text) else None


def _words_beside(chunk: Chunk) -> str:
    """Return what is told beside the agent: a message sent meanwhile, the output of a command; else ""."""
    if isinstance(chunk, UserChunk) and chunk.agent is None and not chunk.synthetic:
        return f"› {chunk.text}"
    return _command_output(chunk) or ""


def _as_typed(text: str) -> str:
    """Return a prompt as somebody typed it: the CLI wraps its own commands."""
    if command := _COMMAND.search(text):
        return f"{command['name']} {command['args'] or ''}".strip()
    if shell := _SHELL.match(text):
        return f"! {shell['line'].strip()}"
    return text
