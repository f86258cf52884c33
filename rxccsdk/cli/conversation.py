"""What `rxccsdk chat` does: a prompt, its turn, the next prompt, in one session."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from prompt_toolkit.application import in_terminal
from rich.console import Console, RenderableType
from rich.text import Text

from rxccsdk import operators as cc
from rxccsdk.chunks import AskChunk, Chunk, NoticeChunk, ResultChunk
from rxccsdk.cli.asking import Login, check_backend
from rxccsdk.cli.codes import NOT_READY, SUCCESS, CommandError
from rxccsdk.cli.output import LogNotes
from rxccsdk.cli.person import Limits, context_in_words
from rxccsdk.cli.prompting import Prompter
from rxccsdk.cli.running import Ending
from rxccsdk.cli.slash import COMMANDS, Commands, is_command
from rxccsdk.cli.views import as_flag, summary
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.questions import Person
from rxccsdk.errors import ControlError, SessionClosedError
from rxccsdk.session.asks import AskAnswer
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn
from rxccsdk.text.harmless import harmless

_GREETING = "Enter sends, Alt+Enter begins a line, Esc or Ctrl+C interrupts, /help says more, Ctrl+D ends"


@dataclass(frozen=True, slots=True)
class Said:
    """A prompt, the turn that answered it, and the session that turn belongs to."""

    prompt: str
    turn: Turn
    session: ClaudeSession


class Chat:
    """A conversation with the agent at a terminal.

    Args:
        options: what to start the session with; `keep_raw` must be set.
        ending: ends it early.
        shown: how the terminal shows it: see `LiveDisplay`.

    Attributes:
        options: those.
        session: the one that goes on; another one after `/rewind`.
        said: what was asked and answered so far.
        begun: what stands at the next prompt, to be edited.
    """

    def __init__(self, options: SessionOptions, ending: Ending, shown: dict[str, Any]) -> None:
        self.options = options
        self.session = ClaudeSession(options)
        self.said: list[Said] = []
        self.begun = ""
        self._ending = ending
        self._shown = shown
        self._console = Console(highlight=False)
        self._commands = Commands(self)
        self._prompter = Prompter(COMMANDS)
        self._display: LiveDisplay | None = None
        self._turn: Turn | None = None
        self._has_asked = False
        self._waiting: deque[str] = deque()  # came too late for a turn: prompts of their own
        self._tasks: set[asyncio.Task[None]] = set()
        self._outside: list[Chunk] = []  # what the agent does on its own: a command or sub-agent has ended
        self._at_prompt = asyncio.Lock()  # one thing after the other is shown above the prompt
        self._login, self._limits = Login(), Limits()

    @property
    def runs(self) -> bool:
        """Whether the agent works on an answer."""
        return self._turn is not None

    async def run(self) -> int:
        """Talk until the person has had enough; give the exit code.

        Raises:
            CommandError: there is no login.
            RxccError: the session broke.
        """
        check_backend(self.options.backend)
        try:
            await self.go_on_in(self.session)
            self.say(Text(_GREETING, "dim"))
            self._ending.on_ctrl_c = self._on_ctrl_c
            while self._ending.code is None and (text := await self._next()) is not None:
                if not await self._commands.run(text):
                    await self._answer(text)
        finally:
            if not self._ending.at_once.is_set():  # else the end of the loop kills the CLI
                await self.session.aclose()
            if self._has_asked and self.session.session_id:
                self.say(Text(f"to go on: rxccsdk chat --resume {harmless(self.session.session_id)}", "dim"))
        return SUCCESS

    async def go_on_in(self, session: ClaudeSession) -> None:
        """Open a session; its turns and questions are the chat's from now on."""
        await session.open()
        self.session = session
        asked = session.chunks.pipe(cc.answer_asks(self._decide))
        asked.subscribe(self._watch, on_error=lambda _: None)  # the turn reports that the session broke

    def say(self, words: RenderableType) -> None:
        """Show something of our own."""
        if self._display is not None:
            self._display.print(words)
        else:
            self._console.print(words)

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""
        (self._display or self._make_display()).copy(text)

    def interrupt(self) -> None:
        """Stop the turn, not the chat."""
        if self._turn is not None and self._turn.status == "running":
            self._start(self._turn.interrupt())

    def _on_ctrl_c(self) -> bool:
        """Interrupt the turn; one that comes a moment too late for it must not end the chat."""
        self.interrupt()
        return self._turn is None or self._turn.status != "pending"

    # -- prompts ------------------------------------------------------------------------------------------

    async def _next(self) -> str | None:
        await self._show_outside()
        if self._waiting:
            text = self._waiting.popleft()
            self.say(_as_typed(text))
            return text
        begun, self.begun = self.begun, ""
        return await self._prompter.read(begun)

    # -- turns --------------------------------------------------------------------------------------------

    async def _answer(self, text: str) -> None:
        """Ask, show what comes, and send the agent what is typed meanwhile."""
        with self._make_display() as display, LogNotes(display):
            self._display = display
            typing = asyncio.get_running_loop().create_task(self._read_keys(display))
            try:
                self._has_asked = True
                display.print(Text())
                prompt, turn = text, self.session.stream(text)
                while True:
                    self._turn = self._ending.turn = turn
                    response = await turn.pipe(cc.tap_chunks(self._show), cc.to_response())
                    self.said.append(Said(prompt, turn, self.session))
                    if turn._follower is None:
                        break
                    turn = turn._follower
                    prompt = str(turn.prompt)
            finally:
                typing.cancel()
                await asyncio.wait([typing, *self._tasks])
                self._turn = self._ending.turn = None
                async with self._at_prompt:  # a background agent may have a question open
                    self._display = None
            if not self._login.refused:
                more = [*await context_in_words(self.session), *self._limits.in_words()]
                display.print(Text())
                display.print(Text(harmless(summary(response, *more)) + "\n", "dim"))
        self.begun = display.half_typed
        if self._login.refused:
            raise CommandError(self._login.advice(self.options.backend), NOT_READY)

    def _show(self, chunk: Chunk) -> None:
        if self._login.refused:
            return
        if self._login.refuses(chunk):
            self.interrupt()
            return
        self._limits.add(chunk)
        if isinstance(chunk, NoticeChunk) and chunk.kind == "interrupt":
            chunk = replace(chunk, detail="stopping the agent")
        if self._display is not None:
            self._display.show(chunk)
            if self._display.closed:
                self._ending.stop(SUCCESS)

    async def _read_keys(self, display: LiveDisplay) -> None:
        async for line in display.typed(self.interrupt):
            display.print(_as_typed(line))
            self._start(self._take(line))

    async def _take(self, line: str) -> None:
        """Do what was typed while the agent works."""
        if is_command(line):
            await self._commands.run(line)
        elif line.startswith("/") or self._turn is None:  # the CLI takes its own commands as prompts only
            self._wait(line)
        else:
            try:
                if await self._turn.steer(line) == "queued":
                    self.say(Text("too late for this answer: it is answered next", "dim"))
            except (ControlError, SessionClosedError):
                self._wait(line)

    def _wait(self, line: str) -> None:
        self._waiting.append(line)
        self.say(Text("it is sent when this answer is done", "dim"))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make_display(self) -> LiveDisplay:
        return LiveDisplay(self._console, permit=as_flag, **self._shown)

    # -- what comes while a prompt is typed ---------------------------------------------------------------

    async def _decide(self, ask: AskChunk) -> AskAnswer | None:
        async with self._at_prompt, self._somewhere() as display:
            return await Person(display).decide(ask)

    def _watch(self, chunk: Chunk) -> None:
        if chunk.turn is not None or chunk.agent is not None:
            return
        self._outside.append(chunk)
        if isinstance(chunk, ResultChunk) and self._display is None:
            self._start(self._show_outside())

    async def _show_outside(self) -> None:
        """Show what the agent has done on its own, once it is through with it."""
        async with self._at_prompt:
            last = max(
                (n for n, one in enumerate(self._outside, 1) if isinstance(one, ResultChunk)), default=0
            )
            chunks, self._outside = self._outside[:last], self._outside[last:]
            if chunks:
                async with self._somewhere() as display:
                    for chunk in chunks:
                        display.show(chunk)

    @contextlib.asynccontextmanager
    async def _somewhere(self) -> AsyncIterator[LiveDisplay]:
        """Give the display of the turn that runs, or one above the prompt."""
        if self._display is not None:
            yield self._display
            return
        async with in_terminal():
            with self._make_display() as self._display:
                try:
                    yield self._display
                finally:
                    self._display = None


def _as_typed(line: str) -> Text:
    return Text.assemble(("› ", "bold cyan"), harmless(line))
