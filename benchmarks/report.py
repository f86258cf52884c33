"""What the benchmarks found: as a table on the terminal, as Markdown, and as JSON with every figure."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from rich.table import Table as RichTable

from benchmarks.harness import Measure, Row, Table
from benchmarks.plot import draw

HEADINGS = ("", "best", "median", "x ours", "min .. max", "aim: ours is", "reached")


def on_terminal(measure: Measure, table: Table) -> RichTable:
    """A case as a table for rich."""
    shown = RichTable(title=f"{measure.title}: {table.case}", caption=f"{table.unit}, {table.statistic}")
    for number, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*_cells(row), style="bold" if row.name == table.baseline else None)
    return shown


def write(measure: Measure, tables: Sequence[Table], folder: Path) -> None:
    """Write `<name>.json`, `<name>.md` and `<name>.png` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {**machine(), "versions": versions(measure.packages)}
    results = {"measure": measure.name, "title": measure.title, "unit": measure.unit, **told}
    cases = [asdict(table) for table in tables]
    (folder / f"{measure.name}.json").write_text(json.dumps({**results, "cases": cases}, indent=1) + "\n")
    draw(measure, tables, folder / f"{measure.name}.png")
    (folder / f"{measure.name}.md").write_text("\n".join(_markdown(measure, tables)) + "\n")


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "cpu": _cpu_model(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed versions of some distributions."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _markdown(measure: Measure, tables: Sequence[Table]) -> list[str]:
    about = machine()
    packages = ", ".join(f"{name} {number}" for name, number in versions(measure.packages).items())
    lines = [
        f"# {measure.title}",
        "",
        "Rounds are run alternately; the smaller the better. `x ours` is the ratio of a row's figure to ours",
        "(the row with 1), `min .. max` the spread of that ratio over single rounds. Which figure of a row",
        "counts is said above its table.",
        "",
        f"{about['cores']} cores, {about['cpu']}, {about['system']}, {about['python']}; {packages}.",
        "",
        f"![{measure.title}]({measure.name}.png)",
    ]
    for table in tables:
        lines += [
            "",
            f"## {table.case}",
            "",
            f"In {table.unit}; the {table.statistic} counts.",
            "",
            f"| {' | '.join(HEADINGS)} |",
            "| --- |" + " ---: |" * (len(HEADINGS) - 1),
        ]
        lines += [f"| {' | '.join(_cells(row))} |" for row in table.rows]
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    if row.failure is not None:
        return (row.name, "", f"cannot: {row.failure}", "", "", "", "")
    spread = f"{_short(min(row.ratios))} .. {_short(max(row.ratios))}"
    cells = (row.name, _short(min(row.figures)), _short(median(row.figures)), _short(row.ratio), spread)
    if row.aim is None:
        return (*cells, "", "")
    return (*cells, row.aim.words, "yes" if row.aim.reached(row.ratio) else "no")


def _short(figure: float) -> str:
    """Three digits that count: 0.0123, 1.23, 123, 12,345.

    Example:
        >>> [_short(figure) for figure in (0.01234, 1.234, 123.4, 12345.6, 0)]
        ['0.0123', '1.23', '123', '12,346', '0']
    """
    return f"{figure:,.0f}" if figure >= 100 or figure == 0 else f"{figure:.3g}"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
