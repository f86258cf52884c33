"""`python -m benchmarks`: run the measures, print their tables, write them down."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

from rich.console import Console

from benchmarks import (
    displays,
    fan_out,
    fleet,
    group_commit,
    growth,
    latency,
    live,
    log_memory,
    many_sessions,
    operators,
    pipe_to_response,
    pipes,
    printing,
    redis_streams,
    report,
    session_job,
    soak,
    startup,
    warm,
    web,
)
from benchmarks.harness import Measure, run_case
from benchmarks.summary import write_summary

MEASURES: tuple[Measure, ...] = (
    pipe_to_response.MEASURE,
    operators.MEASURE,
    pipes.MEASURE,
    session_job.MEASURE,
    fan_out.MEASURE,
    growth.MEASURE,
    log_memory.MEASURE,
    latency.MEASURE,
    live.MEASURE,
    printing.MEASURE,
    displays.MEASURE,
    many_sessions.MEASURE,
    startup.MEASURE,
    soak.MEASURE,
    warm.MEASURE,
    redis_streams.MEASURE,
    group_commit.MEASURE,
    web.MEASURE,
    fleet.MEASURE,
)
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Read the arguments, run what they name."""
    arguments = _arguments()
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    folder = arguments.out or (None if arguments.quick else RESULTS)
    console = Console()
    if arguments.quick:
        gc.freeze()  # most of a quick run would be walks over what was imported: one before each row
    for measure in MEASURES:
        if arguments.only and measure.name not in arguments.only:
            continue
        tables = []
        for case in measure.cases(arguments.quick):
            with console.status(case.name) as status:
                tables.append(run_case(measure, case, rounds, status.update))
            console.print(report.on_terminal(measure, tables[-1]))
        if folder is not None:
            report.write(measure, tables, folder)
            write_summary(folder)
            console.print(f"Written to {folder}.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how many times each contender runs (default: 5)")
    parser.add_argument(
        "--only", nargs="+", choices=[measure.name for measure in MEASURES], help="run these measures only"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of small sizes: shows that everything runs, not how fast; writes only with --out",
    )
    parser.add_argument("--out", type=Path, help="the folder for the results (default: benchmarks/results)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
