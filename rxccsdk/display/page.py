"""Where a display writes: a terminal with a progress line at its bottom, or plain text.

Both take the same calls. Each agent has an open row, which grows at its end; lines of their own may come
between the rows of other agents, never within them.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from typing import NoReturn, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from rxccsdk.display.markdown import MarkdownRows
from rxccsdk.display.rows import rows
from rxccsdk.text.printing import encodable

Agent = str | None


class Page(Protocol):
    """What a display needs."""

    def start(self) -> None:
        """Begin to show the open rows and the progress line."""

    def stop(self) -> None:
        """Close all rows and take the progress line away."""

    def write(self, agent: Agent, text: str, depth: int) -> None:
        """Add text to the agent's open row, at a depth of nesting; newlines end rows."""

    def close(self, agent: Agent) -> None:
        """End the agent's open row, if there is one."""

    def is_open(self, agent: Agent) -> bool:
        """Whether the agent has an open row with something in it."""

    def peek(self, agent: Agent, text: str, depth: int) -> None:
        """Show what is not to stay: one row, replaced by the next one; "" takes it away."""

    def line(self, agent: Agent, text: Text, depth: int, end: str = "") -> None:
        """Add a line of its own, cut at the page's width, with `end` at its end whatever is cut."""

    def lines(self, agent: Agent, text: Text, depth: int, indent: int, most: int) -> None:
        """Add an indented text on lines of its own, cut after so many rows of the page's width."""

    def gap(self) -> None:
        """Leave one blank line, if the page does not end with one."""

    def show(self, renderable: RenderableType) -> None:
        """Add anything rich can show."""


class TerminalPage:
    """A terminal. What is complete goes into its scrollback, row by row; the open rows and the progress line
    below are painted again and again, by a timer, so that a piece of text costs no painting.

    Args:
        console: the terminal.
        footer: gives the progress line.
        paint_every: seconds between two paintings; 0 paints only when a row is complete.
    """

    def __init__(
        self, console: Console, footer: Callable[[int], RenderableType], paint_every: float = 0.05
    ) -> None:
        self._console = console
        # rich would turn the program's standard output away, whatever file it was that broke, and exit.
        console.on_broken_pipe = _raise_again  # type: ignore[method-assign]
        self._footer = footer
        self._open: dict[Agent, tuple[int, str]] = {}
        self._peeks: dict[Agent, tuple[int, str]] = {}
        self._markdown: dict[Agent, MarkdownRows] = defaultdict(MarkdownRows)
        self._blank = True
        self._live = Live(
            self,  # asked for its picture at each painting, also when a row above it is printed
            console=console,
            transient=True,
            auto_refresh=paint_every > 0,
            refresh_per_second=1 / paint_every if paint_every > 0 else 1,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        for agent in tuple(self._open):
            self.close(agent)
        self._peeks.clear()
        self._live.stop()

    def write(self, agent: Agent, text: str, depth: int) -> None:
        _, row = self._open.get(agent, (depth, ""))
        *lines, last = (row + text.expandtabs(4)).split("\n")
        width = self._width(depth)
        done: list[tuple[str, bool]] = []
        for line in lines:
            *full, end = rows(line, width)
            done += [*((part, False) for part in full), (end, True)]
        *full, rest = rows(last, width)
        done += [(part, False) for part in full]
        self._open[agent] = (depth, rest)
        if done:
            self._commit(agent, depth, done)

    def close(self, agent: Agent) -> None:
        depth, row = self._open.pop(agent, (0, ""))
        if row:
            self._commit(agent, depth, [(row, True)])

    def is_open(self, agent: Agent) -> bool:
        return bool(self._open.get(agent, (0, ""))[1])

    def peek(self, agent: Agent, text: str, depth: int) -> None:
        self._peeks.pop(agent, None)
        if text:
            self._peeks[agent] = (depth, text)

    def line(self, agent: Agent, text: Text, depth: int, end: str = "") -> None:
        self.close(agent)
        text = text.copy()
        text.truncate(self._width(depth) - len(end), overflow="ellipsis")
        self._print(_indented(depth, text.append(end, "dim")))

    def lines(self, agent: Agent, text: Text, depth: int, indent: int, most: int) -> None:
        found = rows(text.plain, self._width(depth) - indent)
        shown = [*found[: most - 1], "".join(found[most - 1 :])]  # the last one is cut where it is too long
        for row in filter(None, shown):
            self.line(agent, Text(" " * indent + row.rstrip(" "), text.style), depth)

    def gap(self) -> None:
        if not self._blank:
            self._print(Text())
        self._blank = True

    def show(self, renderable: RenderableType) -> None:
        self._console.print(renderable)
        self._blank = False

    def _width(self, depth: int) -> int:
        # The last column stays free: some terminals break the line when it is filled.
        return max(10, self._console.width - 1 - 2 * depth)

    def _commit(self, agent: Agent, depth: int, done: list[tuple[str, bool]]) -> None:
        """Print rows that are complete; each knows whether it ends its line."""
        # One print for all: each one paints the region below again.
        markdown = self._markdown[agent]
        styled = (markdown.done(row.rstrip(" "), ends_line=ends) for row, ends in done)
        self._print(Text("\n").join(_indented(depth, row) for row in styled))
        self._blank = not done[-1][0].strip()

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)
        self._blank = False

    def __rich__(self) -> RenderableType:
        """The open rows and the progress line."""
        open_rows = (
            _indented(depth, self._markdown[agent].style(row))
            for agent, (depth, row) in tuple(self._open.items())
            if row
        )
        peeks = (self._tail(depth, text) for depth, text in tuple(self._peeks.values()))
        return Group(*open_rows, *peeks, self._footer(self._console.width - 1))

    def _tail(self, depth: int, text: str) -> Text:
        """Return the end of a text, as much as a row holds."""
        width = self._width(depth) - 2
        last = rows(text[-4 * width :], width)
        return _indented(depth, Text(f"∴ {last[-1]}", "dim italic"))


def _raise_again() -> NoReturn:
    raise


class PlainPage:
    """Any text file: no styling, no cursor movement, text as it comes.

    Lines of other agents wait until the open row ends.

    Args:
        console: its `file` is written to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: Agent | bool = False  # whose row the file ends with; False: none's
        self._waiting: dict[Agent, tuple[int, str]] = {}
        self._held: list[str] = []
        self._blank = True

    def start(self) -> None:
        pass

    def stop(self) -> None:
        if self._open is not False:
            self._end_row()
        for agent in tuple(self._waiting):
            self.close(agent)

    def write(self, agent: Agent, text: str, depth: int) -> None:
        if depth == 0 and agent is None:
            self._out(text)
            self._open = agent
            if text.endswith("\n"):
                self._open = False
                self._release()
            return
        _, row = self._waiting.pop(agent, (depth, ""))
        *lines, rest = (row + text).split("\n")
        for line in lines:
            self._full_line(_plain(depth, line))
        self._waiting[agent] = (depth, rest)

    def close(self, agent: Agent) -> None:
        if self._open is agent:
            self._end_row()
        depth, row = self._waiting.pop(agent, (0, ""))
        if row:
            self._full_line(_plain(depth, row))

    def is_open(self, agent: Agent) -> bool:
        return self._open is agent or agent in self._waiting

    def peek(self, agent: Agent, text: str, depth: int) -> None:
        pass

    def line(self, agent: Agent, text: Text, depth: int, end: str = "") -> None:
        self.close(agent)
        self._full_line(_plain(depth, text.plain + end))

    def lines(self, agent: Agent, text: Text, depth: int, indent: int, most: int) -> None:
        self.line(agent, Text(" " * indent + text.plain), depth)

    def gap(self) -> None:
        if self._open is not False:
            self._end_row()
        if not self._blank:
            self._out("\n")
        self._blank = True

    def show(self, renderable: RenderableType) -> None:
        if self._open is not False:
            self._end_row()
        unstyled = Console(file=io.StringIO(), width=self._console.width, color_system=None, highlight=False)
        with unstyled.capture() as capture:
            unstyled.print(renderable, soft_wrap=isinstance(renderable, Text))
        self._out("\n".join(line.rstrip() for line in capture.get().split("\n")))

    def _full_line(self, line: str) -> None:
        if self._open is False:
            self._out(line + "\n")
        else:
            self._held.append(line)

    def _end_row(self) -> None:
        self._open = False
        self._out("\n")
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for line in held:
            self._out(line + "\n")

    def _out(self, text: str) -> None:
        if not text:
            return
        file = self._console.file
        try:
            file.write(text)
        except UnicodeEncodeError:
            file.write(encodable(text, file))
        file.flush()
        self._blank = text.endswith("\n\n") or (text == "\n" and self._blank)


def _indented(depth: int, text: Text) -> Text:
    return Text.assemble(("│ " * depth, "dim"), text) if depth else text


def _plain(depth: int, text: str) -> str:
    return "| " * depth + text


def is_capable(console: Console) -> bool:
    """Whether it is a terminal that can style, move the cursor and show Unicode."""
    return console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
