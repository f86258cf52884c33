"""What the benchmarks found, as a picture: one panel a case, one bar a contender, ours in colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness import Measure, Table

_OURS, _OTHERS, _AIM = "#d97757", "#b8b5ad", "#3d3d3a"
_WIDTH, _BAR, _HEAD = 9.0, 0.32, 0.95  # inches: of a panel, of a bar, of a panel's title and axis
_WIDE = 30  # from this ratio on between the longest bar and the shortest, the axis is logarithmic


def draw(measure: Measure, tables: Sequence[Table], path: Path) -> None:
    """Draw a measure's cases, one below the other, and save them as a PNG."""
    heights = [_HEAD + _BAR * len(table.rows) for table in tables]
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.5), layout="constrained")
    figure.suptitle(measure.title, fontweight="bold")
    panels = figure.subplots(len(tables), height_ratios=heights, squeeze=False)
    for table, panel in zip(tables, panels[:, 0], strict=True):
        _panel(table, panel)
    figure.savefig(path, dpi=110)


def _panel(table: Table, panel: Axes) -> None:
    """A bar is as long as the figure that counts, a line on it spans all rounds, a tick limits ours."""
    rows = [row for row in table.rows if row.failure is None]
    if not rows:
        panel.set_title(f"{table.case}: nobody can", loc="left", fontsize=9)
        panel.set_axis_off()
        return
    figures = [row.figure for row in rows]
    spread = [
        [row.figure - min(row.figures) for row in rows],
        [max(row.figures) - row.figure for row in rows],
    ]
    places = range(len(rows))
    colours = [_OURS if row.name == table.baseline else _OTHERS for row in rows]
    bars = panel.barh(places, figures, xerr=spread, color=colours, height=0.72, ecolor="#77756e")
    labels = [f"{row.figure:,.3g}" if row.figure < 1000 else f"{row.figure:,.0f}" for row in rows]
    panel.bar_label(bars, labels, padding=4, fontsize=8)
    for place, row in zip(places, rows, strict=True):
        if row.aim is not None:
            ours_at_most = row.figure / row.aim.smallest
            panel.plot(ours_at_most, place, "|", color=_AIM, markersize=13, markeredgewidth=1.6)
    panel.set_yticks(places, [row.name for row in rows], fontsize=8)
    panel.invert_yaxis()
    panel.set_title(table.case, loc="left", fontsize=9)
    panel.set_xlabel(f"{table.unit}; the tick on a bar: where ours is to end", fontsize=7)
    panel.tick_params(axis="x", labelsize=7)
    if min(figures) > 0 and max(figures) > _WIDE * min(figures):
        panel.set_xscale("log")
    panel.margins(x=0.12)
    panel.spines[["top", "right"]].set_visible(False)
