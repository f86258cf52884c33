"""The figures of a finished turn, as a small table."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rxccsdk.display.wording import duration
from rxccsdk.session.response import SessionResponse
from rxccsdk.text.harmless import harmless


def figures(response: SessionResponse) -> list[tuple[str, str]]:
    """Return what is known of a turn, named and in words. What the CLI did not say is left out.

    Example:
        >>> from rxccsdk import ResponseMetadata
        >>> figures(SessionResponse(metadata=ResponseMetadata(cost_usd=0.0123, duration_ms=2500)))
        [('time', '2.5 s'), ('cost', '$0.0123')]
    """
    metadata = response.metadata
    found: list[tuple[str, str]] = []
    if metadata.model:
        found.append(("model", metadata.model))
    if metadata.duration_ms is not None:
        found.append(("time", duration(metadata.duration_ms / 1000)))
    if metadata.usage:
        used = {name: count for name, count in metadata.usage.items() if isinstance(count, int)}
        read = sum(used.get(f"{kind}input_tokens", 0) for kind in ("", "cache_read_", "cache_creation_"))
        found.append(("tokens", f"{read:,} in, {used.get('output_tokens', 0):,} out"))
    if response.tool_uses:
        failed = sum(tool.is_error for tool in response.tool_uses)
        words = f"{len(response.tool_uses)}" + (f", {failed} failed" if failed else "")
        found.append(("tool calls", words))
    cost = metadata.cost_usd if metadata.cost_usd is not None else metadata.total_cost_usd
    if cost is not None:
        found.append(("cost", f"${cost:.4f}"))
    if response.error:
        found.append(("error", response.error))
    return [(name, harmless(value)) for name, value in found]


def figures_table(response: SessionResponse) -> RenderableType:
    """Return the same as a table for `Console.print`."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    for name, value in figures(response):
        table.add_row(name, Text(value))
    return table
