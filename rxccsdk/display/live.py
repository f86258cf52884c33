"""Sessions, live: text as it is written, one line per tool call, sub-agents nested, a progress line below."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Literal

from rich.console import Console, RenderableType
from rich.text import Text

from rxccsdk.chunks import Chunk, ResultChunk
from rxccsdk.display.asking import read_line
from rxccsdk.display.page import Page, TerminalPage, is_capable
from rxccsdk.display.plain_page import PlainPage
from rxccsdk.display.progress import ProgressLine
from rxccsdk.display.running import Running
from rxccsdk.display.story import Detail, Story, Thinking, Tools
from rxccsdk.display.typing import Keyboard, Keys, TypedLines
from rxccsdk.display.wording import one_line
from rxccsdk.display.writers import MarkdownWriter, SourceWriter
from rxccsdk.text.harmless import harmless

Markdown = Literal["rendered", "raw"]
Notify = Literal["bell", "osc9"]
_OUTPUT_ROWS: dict[Tools, int] = {"brief": 3, "full": 8}  # of what a running command writes
_LONG = 10.0  # seconds of a turn after which somebody may look elsewhere


class LiveDisplay:
    """Shows the chunks it is given, as they come, of one session or of several.

    Text goes into the terminal's scrollback and stays: rendered Markdown, block by block, each once the next
    one has begun. The block that is written and the progress line below it are repainted until then. What
    stands is the same however the text arrived. Code and addresses are as long as they are: the terminal
    wraps them, and copies them whole.

    Any number of displays can share a terminal, and with a label each any number of sessions share a display.
    What the program prints meanwhile, or logs, goes above the live rows; `input()` and Ctrl+Z find the
    terminal as they need it, and so does whatever comes after, however the program ends.

    Where the console is no terminal, or one that cannot show more than ASCII, the display is plain: no
    styling, no progress line. Durations are the chunks' own, so that a replay shows what was recorded. When
    what it writes to is gone, a closed pipe for one, `closed` is true and nothing more is written; nothing is
    raised for that. A denied tool call shows at once what would allow it.

    Args:
        console: where to; `None` makes one for standard output.
        plain: plain text even on a terminal; `None` decides by the console.
        detail: "all"; "activity" leaves out text and thinking, for where these are shown elsewhere;
            "trouble" shows only what goes wrong.
        permit: returns what to set to allow something, given an option's name and its value.
        clock: seconds, for the progress line between two chunks.
        paint_every: seconds between two paintings of the live rows; 0 paints when something stands.
        markdown: "rendered", or "raw": coloured as it is written.
        tools: "brief" shows a call in a line, an edit with its counts; "full" shows the end of its output,
            or what an edit changed.
        thinking: "line" shows the thought of the moment and leaves its beginning; "full" leaves all of it;
            "off" shows none.
        notify: at the end of a turn of ten seconds or more ring the "bell", or let the terminal tell the
            desktop ("osc9", which iTerm2, kitty, WezTerm, ghostty and Windows Terminal know).
        budget: what the session may cost, in USD: the progress line says how much of it is used.

    Example:
        with LiveDisplay() as display:
            response = await session.stream("Hello").pipe(cc.tap_chunks(display.show), cc.to_response())
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        plain: bool | None = None,
        detail: Detail = "all",
        permit: Callable[[str, str], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        paint_every: float = 0.05,
        markdown: Markdown = "rendered",
        tools: Tools = "brief",
        thinking: Thinking = "line",
        notify: Notify | None = None,
        budget: float | None = None,
    ) -> None:
        self.console = console or Console(highlight=False)
        self.plain = not is_capable(self.console) if plain is None else plain
        self.closed = False
        self.half_typed = ""
        self.detail = detail
        self._permit = permit
        self._clock = clock
        self._budget = budget
        self._tools: Tools = tools
        self._thinking: Thinking = thinking
        self._notify = notify
        self._progress: dict[str, ProgressLine] = {"": ProgressLine(clock, budget)}
        self._running: dict[str, Running] = {"": Running()}
        writer = MarkdownWriter if markdown == "rendered" else SourceWriter
        self._page: Page = (
            PlainPage(self.console)
            if self.plain
            else TerminalPage(self.console, self._footer, writer, paint_every)
        )
        self._stories: dict[str, Story] = {}
        self._asking = asyncio.Lock()
        self._typing: Keyboard | None = None

    def __enter__(self) -> LiveDisplay:
        self._safely(self._page.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, (asyncio.CancelledError, KeyboardInterrupt)):
            self.note("interrupted", "yellow")
        for story in self._stories.values():
            self._safely(story.finish)
        with contextlib.suppress(OSError):
            self._page.stop()

    def show(self, chunk: Chunk, label: str = "") -> None:
        """Show a chunk.

        Args:
            chunk: the next one of its session.
            label: of the session, where several are shown: it stands before each of its lines.
        """
        label = one_line(label, 30)
        if label not in self._progress:
            self._progress[label] = ProgressLine(self._clock, self._budget)
            self._running[label] = Running()
        self._progress[label].add(chunk)
        self._running[label].add(chunk)
        self._tell(label, lambda story: story.show(chunk))
        if isinstance(chunk, ResultChunk) and self._notify is not None and chunk.at >= _LONG:
            self._call_for_attention(f"{label or 'The agent'} is done" + (", with an error" * chunk.is_error))

    def print(self, renderable: RenderableType) -> None:
        """Show something of your own: text, a table, whatever rich can show."""
        self._safely(lambda: self._page.show(renderable))

    async def ask(self, question: str) -> str:
        """Ask the person at the keyboard; return the line that was typed.

        The live rows make room meanwhile; what else is shown waits for the answer, and so do other questions.

        Raises:
            EOFError: standard input has ended.
        """
        async with self._asking:
            typing = self._typing.paused() if self._typing is not None else contextlib.nullcontext()
            with self._page.pause(f"{harmless(question).rstrip()} "), typing:
                return await read_line()

    async def typed(self, on_escape: Callable[[], None] | None = None) -> AsyncIterator[str]:
        """Yield each line that is typed meanwhile; a live row shows what is typed so far.

        What is typed and not sent when it is left is in `half_typed`.

        Args:
            on_escape: called at the Escape key.

        Raises:
            EOFError: standard input is no terminal.
        """
        lines = TypedLines(on_escape, marks_pastes=not self.plain)
        try:
            async for line in self._read(lines):
                yield line
        finally:
            self.half_typed = lines.text

    def copy(self, text: str) -> None:
        """Give the terminal a text for its clipboard (OSC 52); not every terminal lets programs do that."""
        encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
        self._safely(lambda: self._page.signal(f"\x1b]52;c;{encoded}\a"))

    async def keys(self, status: Callable[[], str]) -> AsyncIterator[str]:
        """Yield each key that is pressed: "left", "right", "up", "down", or its character.

        Args:
            status: what the live row says meanwhile.

        Raises:
            EOFError: standard input is no terminal.
        """
        async for key in self._read(Keys(status)):
            yield key

    async def _read(self, keyboard: Keyboard) -> AsyncIterator[str]:
        self._typing = keyboard
        try:
            async for item in keyboard.items():
                yield item
        finally:
            self._typing = None

    def cost(self, usd: float, label: str = "") -> None:
        """Show what the session has cost so far: no chunk has it before the result."""
        if label in self._progress:
            self._progress[label].cost = usd

    def note(self, words: str, style: str = "dim") -> None:
        """Show a line of your own."""
        self._tell("", lambda story: story.note(None, words, style))

    def _tell(self, label: str, what: Callable[[Story], None]) -> None:
        if label not in self._stories:
            self._stories[label] = Story(
                self._page, label, self.detail, self._permit, self._tools, self._thinking
            )

        def tell() -> None:
            what(self._stories[label])
            self._page.flush()

        self._safely(tell)

    def _footer(self, width: int) -> list[Text]:
        typed = [self._typing.row(width)] if self._typing is not None else []
        return self._standing(width) + typed

    def _standing(self, width: int) -> list[Text]:
        labelled = {label: progress for label, progress in self._progress.items() if label}
        if not labelled:
            progress = self._progress[""]
            running = self._running[""].rows(progress.elapsed, width, _OUTPUT_ROWS[self._tools])
            return [*running, progress.render(width)]
        rows = []
        for label, progress in labelled.items():
            before = Text(f"{label} ", "magenta")
            rows += self._running[label].rows(progress.elapsed, width, 1)
            rows.append(Text.assemble(before, progress.render(max(1, width - before.cell_len))))
        return rows

    def _call_for_attention(self, words: str) -> None:
        sequence = "\a" if self._notify == "bell" else f"\x1b]9;{harmless(words)}\a"
        self._safely(lambda: self._page.signal(sequence))

    def _safely(self, action: Callable[[], None]) -> None:
        if self.closed:
            return
        try:
            action()
        except OSError:
            self.closed = True
