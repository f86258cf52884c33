"""`python -m tests.faults`: run every cell and print the matrix."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.faults.faults import FAULTS
from tests.faults.matrix import BACKENDS, cells, run_cell
from tests.faults.uses import USES


def main() -> int:
    """Run the matrix."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--fault", default="", help="only faults whose name has this")
    parser.add_argument("--use", default="", help="only uses whose name has this")
    parser.add_argument("--jobs", type=int, default=4, help="cells at a time")
    given = parser.parse_args()
    logging.disable()
    chosen = [cell for cell in cells() if given.fault in cell.fault.name and given.use in cell.use.name]
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        running = {
            cell: pool.submit(run_cell, cell, Path(folder) / str(index)) for index, cell in enumerate(chosen)
        }
        found = {
            cell: cell_run.result()
            for cell, cell_run in track(running.items(), f"{len(chosen)} cells", console=console)
        }
    uses = [use for use in USES if given.use in use.name]
    names = (use.name.replace(" ", "\n") for use in uses)
    table = Table("", *names, title=" / ".join(BACKENDS), padding=(0, 0))
    for fault in (fault for fault in FAULTS if given.fault in fault.name):
        of_fault = [cell for cell in chosen if cell.fault is fault]
        row = ("".join(".X"[found[cell] is not None] for cell in of_fault if cell.use is use) for use in uses)
        table.add_row(fault.name, *row)
    console.print(table)
    wrong = {cell: words for cell, words in found.items() if words is not None}
    for cell, words in wrong.items():
        console.print(f"{cell}: {words}", markup=False)
    console.print(f"{len(found) - len(wrong)} of {len(found)} cells end as they should")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
