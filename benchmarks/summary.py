"""All aims on one page: what was aimed at, what was measured, and whether it is reached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = "README.md"


def write_summary(folder: Path) -> None:
    """Write the page from the results that lie in a folder, whichever runs they are of."""
    measures = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    rows = [row for measure in measures for row in _rows(measure)]
    reached = sum(row[-1] == "yes" for row in rows)
    lines = [
        "# Aims",
        "",
        f"{reached} of {len(rows)} are reached. A row compares ours with one contender in one case;",
        "`measured` is the contender's figure divided by ours, above 1 where ours costs less: the medians of",
        "some rounds, or the least figures. The pages behind the measures' names have every figure, the",
        "machine and the versions.",
        "",
        "| measure | case | against | ours is to be | measured | reached |",
        "| --- | --- | --- | --- | ---: | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    (folder / PAGE).write_text("\n".join(lines) + "\n")


def _rows(measure: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    name = measure["measure"]
    for case in measure["cases"]:
        for row in case["rows"]:
            if row["aim"] is None:
                continue
            place = (f"[{name}]({name}.md)", case["case"], row["name"], row["aim"]["words"])
            if row["failure"] is not None:
                yield (*place, f"cannot: {row['failure']}", "yes")
            else:
                reached = row["ratio"] >= row["aim"]["smallest"]
                yield (*place, f"{row['ratio']:.3g}", "yes" if reached else "no")
