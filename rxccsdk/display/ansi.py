"""Styled text as what a terminal is sent. The one place where text becomes escape sequences of ours."""

from __future__ import annotations

from collections.abc import Iterable

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.text import Text

from rxccsdk.text.harmless import harmless

_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
    "windows": ColorSystem.WINDOWS,
}


def encode(console: Console, line: Text) -> str:
    """Return one line as escape sequences and harmless text, as much of style as the console can show."""
    style = console.get_style(line.style) if line.style else None
    return _encode(console, Segment.apply_style(line.render(console), style))


def encode_renderable(console: Console, renderable: RenderableType, width: int) -> list[str]:
    """Return the lines of anything rich can show. Lines of plain text are as long as they are."""
    if isinstance(renderable, str):
        renderable = console.render_str(renderable)
    if isinstance(renderable, Text):
        return [encode(console, line) for line in renderable.split("\n", allow_blank=True)]
    options = console.options.update(width=width)
    lines = (Segment.simplify(line) for line in console.render_lines(renderable, options, pad=False))
    return [_encode(console, line).rstrip() for line in lines]


def _encode(console: Console, segments: Iterable[Segment]) -> str:
    system = _SYSTEMS.get(console.color_system or "")
    if console.no_color:
        segments = Segment.remove_color(segments)
    parts: list[str] = []
    for text, style, control in segments:
        if control:
            continue
        words = harmless(text)
        parts.append(style.render(words, color_system=system) if style and system is not None else words)
    return "".join(parts)
