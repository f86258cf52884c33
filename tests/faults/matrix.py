"""Runs cells: a fault, a use and an SDK; each ends in its bound, rightly, and leaves nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from rxccsdk import ClaudeSession, RxccError, SessionClosedError, SessionOptions, SessionResponse
from rxccsdk.testing import ScriptedCli
from tests.faults.faults import FAULTS, Fault
from tests.faults.uses import USES, Answer, Use

BOUND = 25.0  # seconds a cell may take on a loaded machine
GONE = 8.0  # seconds after which no process may be left
BACKENDS = ("claude-code-sdk", "claude-agent-sdk")


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix."""

    fault: Fault
    use: Use
    backend: str

    def __str__(self) -> str:
        return f"{self.fault.name} / {self.use.name} / {self.backend}"


def cells() -> Iterator[Cell]:
    """Yield every cell."""
    for fault in FAULTS:
        for use in USES:
            if fault.escapes is not None and use.outside is not None:
                continue  # it would end the thread or the program that the use has made
            if "record" in fault.options and not use.records:
                continue
            for backend in BACKENDS:
                yield Cell(fault, use, backend)


def some_cells(step: int = 11) -> Iterator[Cell]:
    """Yield some cells: each fault meets uses of all sorts on both SDKs, and each use all sorts of faults."""
    for index, cell in enumerate(cells()):
        if index % step == 0:
            yield cell


def run_cell(cell: Cell, folder: Path) -> str | None:
    """Run a cell; return what is wrong in words, or `None`."""
    fault, use = cell.fault, cell.use
    began = time.monotonic()
    with ScriptedCli(folder / "cli", fault.prompts, **fault.cli) as cli:
        chosen = {"cli_path": cli.path, "backend": cell.backend, **fault.options}
        options = SessionOptions(**chosen)
        complaints: list[str] = []
        answer: Answer
        try:
            if use.outside is not None:
                answer = use.outside(options, fault)
            else:
                answer = asyncio.run(asyncio.wait_for(_inside(cell, options, complaints), BOUND))
        except TimeoutError:
            return f"it did not end within {BOUND:g} s"
        except RxccError as error:
            answer = error
        except BaseException as error:
            if fault.escapes is None or not isinstance(error, fault.escapes):
                return f"it raised {error!r}"
            return next(iter(complaints), None) or _left(cli, began)
        if fault.escapes is not None:
            return f"{fault.escapes.__name__} did not come out of the loop"
        wrong = _wrong_answer(cell, answer)
        prompts = sum(frame.get("type") == "user" for frame in cli.received)
        most = 1 if fault.starts else 0
        if prompts > most or (prompts < most and not use.leaves):
            wrong = wrong or f"the prompt was sent {prompts} times"
        return wrong or next(iter(complaints), None) or _left(cli, began)


async def _inside(cell: Cell, options: SessionOptions, complaints: list[str]) -> Answer:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context.get("message"))))
    assert cell.use.inside is not None
    answer: Answer
    try:
        async with ClaudeSession(options) as session:
            answer = await cell.use.inside(session, cell.fault)
    except RxccError as error:
        answer = error
    if cell.fault.beside is not None:
        complaints.clear()  # what the callback raised is reported
    for _ in range(200):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if len(left) <= 1:  # `wait_for` has one
            break
        await asyncio.sleep(0.02)
    else:
        complaints.append(f"tasks are left: {left}")
    return answer


def _wrong_answer(cell: Cell, answer: Answer) -> str | None:
    """Return what is wrong with what the user of the turn got."""
    fault = cell.fault
    if answer is None:
        return None if cell.use.leaves else "it gave no answer"
    if isinstance(answer, SessionResponse):
        if cell.use.leaves and answer.error_kind == "interrupted":
            return None
        if not isinstance(fault.ends, str) or (answer.error_kind or "") != fault.ends:
            return f"a response with {answer.error_kind!r}: {answer.error}"
        if fault.content is not None and answer.content != fault.content:
            return f"its content is {answer.content[:80]!r}"
        return None
    if cell.use.leaves and isinstance(answer, SessionClosedError):
        return None
    if isinstance(fault.ends, str) or not isinstance(answer, fault.ends):
        return f"it raised {answer!r}"
    partial = getattr(answer, "partial", None)
    if fault.starts and fault.content is not None and (partial is None or partial.content != fault.content):
        return f"its partial response is {partial!r}"
    return None


def _left(cli: ScriptedCli, began: float) -> str | None:
    """Wait until no process of this CLI is left."""
    until = time.monotonic() + GONE
    pids = [start["pid"] for start in cli.starts] + cli.children
    while alive := [pid for pid in pids if _runs(pid, began)]:
        if time.monotonic() > until:
            return f"processes are left: {alive}"
        time.sleep(0.02)
    return None


def _runs(pid: int, began: float) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
