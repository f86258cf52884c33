"""A Markdown table as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it.token import Token
from rich.text import Text

from rxccsdk.display.inline import Words, inline

_GAP = 2
_LEAST = 8  # a column that is narrower because of its neighbours is not read with pleasure


def table(tokens: Sequence[Token], width: int) -> list[Text]:
    """Return the lines of a table, its cells wrapped so that it is no wider than `width`.

    Where that would break words, or leave columns too narrow, each row is a list of its cells with their
    heads before them.

    Args:
        tokens: those of the table.
        width: cells of the terminal that it may take.
    """
    grid, sides = _read(tokens)
    head, *body = grid
    columns = list(zip(*grid, strict=True))
    natural = [max(1, *(cell.width for cell in column)) for column in columns]
    least = [
        max(min(_LEAST, wide), *(c.longest for c in column))
        for wide, column in zip(natural, columns, strict=True)
    ]
    room = width - _GAP * (len(columns) - 1)
    if sum(natural) <= room:
        widths = natural
    elif sum(least) <= room:
        widths = _share(room, natural, least)
    else:
        return _listed(head, body, width)
    lines = _row(head, widths, sides)
    lines.append(Text("  ".join("─" * wide for wide in widths), "dim"))
    for row in body:
        lines += _row(row, widths, sides)
    return lines


def _read(tokens: Sequence[Token]) -> tuple[list[list[Words]], list[str]]:
    grid: list[list[Words]] = []
    sides: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            grid.append([])
        elif token.type in ("th_open", "td_open"):
            grid[-1].append(inline(tokens[index + 1].children, "bold" if token.tag == "th" else ""))
            if token.tag == "th":
                sides.append(str(token.attrGet("style") or "").rpartition(":")[2])
    return grid, sides


def _share(room: int, natural: list[int], least: list[int]) -> list[int]:
    """Give each column what it needs at least, and of the rest in proportion to what it lacks."""
    spare = room - sum(least)
    lack = sum(natural) - sum(least)
    return [low + (high - low) * spare // lack for low, high in zip(least, natural, strict=True)]


def _row(cells: Sequence[Words], widths: Sequence[int], sides: Sequence[str]) -> list[Text]:
    wrapped = [cell.wrap(wide) for cell, wide in zip(cells, widths, strict=True)]
    lines: list[Text] = []
    for number in range(max(map(len, wrapped))):
        line = Text()
        for column, wide, side in zip(wrapped, widths, sides, strict=True):
            cell = column[number] if number < len(column) else Text()
            spare = max(0, wide - cell.cell_len)
            before = spare if side == "right" else spare // 2 if side == "center" else 0
            line = Text.assemble(line, " " * before, cell, " " * (spare - before + _GAP))
        line.rstrip()
        lines.append(line)
    return lines


def _listed(head: Sequence[Words], body: Sequence[Sequence[Words]], width: int) -> list[Text]:
    lines: list[Text] = []
    for row in body or [[inline(None)] * len(head)]:
        if lines:
            lines.append(Text())
        for name, cell in zip(head, row, strict=True):
            first, *rest = cell.wrap(max(1, width - 2))
            title = Text(" ").join(name.wrap(1_000_000))
            if title.cell_len + 2 + first.cell_len <= width:
                lines.append(Text.assemble(title, ": " if title else "", first))
            else:
                lines += [Text.assemble(title, ":"), Text.assemble("  ", first)]
            lines += [Text.assemble("  ", line) for line in rest]
    return lines
