"""A recording as a picture: what the terminal shows of it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from rxccsdk.display.page import TerminalPage
from rxccsdk.display.story import Story, Thinking, Tools
from rxccsdk.display.writers import MarkdownWriter
from rxccsdk.export.timeline import Scene
from rxccsdk.text.harmless import harmless


class Scrollback:
    """Keeps what goes above the live rows of a terminal; there are none."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.lines: list[str] = []

    def add(self, source: object) -> None:
        """Show no rows."""

    def remove(self, source: object) -> None:
        """Show no rows."""

    def write(self, *lines: str) -> None:
        """Keep these lines."""
        self.lines += lines

    def flush(self) -> None:
        """Do nothing: nobody looks on."""

    def signal(self, sequence: str) -> None:
        """Do nothing."""

    @contextmanager
    def paused(self, question: str = "") -> Iterator[None]:
        """Keep the question."""
        self.write(question)
        yield


def picture(
    scenes: Iterable[Scene],
    title: str,
    *,
    width: int = 100,
    tools: Tools = "brief",
    thinking: Thinking = "line",
) -> str:
    """Return an SVG that refers to nothing outside itself.

    Args:
        scenes: the turns.
        title: stands above it.
        width: of the terminal, in cells.
        tools: how much of their results, see `LiveDisplay`.
        thinking: how much of it.
    """
    console = _console(width)
    scrollback = Scrollback(width)
    page = TerminalPage(console, lambda width: [], MarkdownWriter, 0, region=scrollback)
    for scene in scenes:
        page.gap()
        page.show(Text.assemble(("> ", "bold cyan"), (harmless(scene.prompt), "bold")))
        story = Story(page, "", "all", None, tools, thinking)
        for chunk in scene.chunks:
            story.show(chunk)
        if scene.error is not None:
            story.note(None, f"✗ {scene.error}", "red")
        story.finish()
        page.finish()
    drawn = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in scrollback.lines:
        drawn.print(Text.from_ansi(line))
    svg = drawn.export_svg(title=harmless(title), unique_id="rxccsdk")
    svg = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code,", "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas,")
    return svg.replace("<text ", '<text xml:space="preserve" ')  # some viewers fold spaces


def _console(width: int, *, record: bool = False) -> Console:
    return Console(
        record=record, file=io.StringIO(), force_terminal=True, width=width, color_system="truecolor"
    )
