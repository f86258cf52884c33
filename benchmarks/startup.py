"""Milliseconds of CPU until a fresh interpreter has imported something, or has printed its help.

CPU in user and system mode, not the clock on the wall, which also counts what else the machine does: an
import waits for nothing else. Each figure is the median of some interpreters, started one after the other in
an empty folder; a first one, which is not counted, leaves the bytecode of what it imports for the others.

`import rxccsdk` imports none of its names before somebody asks for them. What a program pays that uses them
is a case of its own, with the same aims.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from statistics import median

from benchmarks.harness import Case, Contender, Measure, at_most, times_less

_CHECKOUT = Path(__file__).parents[1]
_STARTS = 5

# `import pydantic` leaves most of it for the first model.
_MODEL = """
import reactivex, pydantic
class Model(pydantic.BaseModel):
    field: int = 0
"""
_NAMES = "from rxccsdk import ClaudeSession, SessionOptions, operators"
_BASELINES: dict[str, tuple[str, ...]] = {
    "import rxccsdk": ("-c", "import rxccsdk"),
    _NAMES: ("-c", _NAMES),
    "rxccsdk --help": ("-m", "rxccsdk", "--help"),
}


def milliseconds(starts: int, arguments: tuple[str, ...]) -> float:
    """Start Python with some arguments a few times; the median of its CPU time."""
    if starts > 1:
        _warm_up(arguments)
    return median(_start(arguments) for _ in range(starts)) * 1e3


@cache
def _warm_up(arguments: tuple[str, ...]) -> None:
    _start(arguments)


def _start(arguments: tuple[str, ...]) -> float:
    env = {**os.environ, "PYTHONPATH": str(_CHECKOUT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        before = _cpu_of_children()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
        )
        seconds = _cpu_of_children() - before
    assert ("Usage: rxccsdk" in done.stdout) == ("--help" in arguments), done.stdout
    return seconds


def _cpu_of_children() -> float:
    """Of those that have ended: nobody else may start any meanwhile."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _imports(code: str, starts: int) -> Callable[[], float]:
    return partial(milliseconds, starts, ("-c", code))


def cases(quick: bool) -> Iterator[Case]:
    """Three ways to start; a quick run starts each of them once."""
    starts = 1 if quick else _STARTS
    for name, arguments in _BASELINES.items():
        contenders = [
            Contender(name, partial(milliseconds, starts, arguments)),
            Contender(
                "import reactivex, pydantic", _imports("import reactivex, pydantic", starts), at_most(1.3)
            ),
            Contender("the same, and a model of one field", _imports(_MODEL, starts)),
            Contender("import claude_agent_sdk", _imports("import claude_agent_sdk", starts), times_less(5)),
            Contender("python -c pass", _imports("pass", starts)),
        ]
        yield Case(name, contenders, name)


MEASURE = Measure(
    name="startup",
    title="From nothing to ready",
    unit="milliseconds of CPU",
    cases=cases,
    packages=("claude-agent-sdk", "pydantic", "reactivex", "typer"),
)
