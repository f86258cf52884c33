"""What `rxccsdk batch` does: many prompts out of a file, a table on the terminal, answers into a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rxccsdk import operators as cc
from rxccsdk.chunks import Chunk
from rxccsdk.cli.asking import Login, check_backend
from rxccsdk.cli.codes import BAD_TURN, NOT_READY, SUCCESS, USAGE, CommandError
from rxccsdk.cli.output import LogNotes, Output
from rxccsdk.cli.running import Ending
from rxccsdk.display.progress_table import ProgressTable
from rxccsdk.many.answer import Answer
from rxccsdk.many.answers import Answers, ask_all
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.prompt import Prompt, checked_prompt
from rxccsdk.session.turn import Turn
from rxccsdk.text.harmless import harmless
from rxccsdk.text.leave import finished
from rxccsdk.text.wording import one_line


def read_prompts(file: Path) -> list[Prompt]:
    """Read a prompt from each line; blank lines count for nothing.

    Args:
        file: the file; "-" is standard input.

    Raises:
        CommandError: it cannot be read, or a line is no prompt.
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}", USAGE) from error
    prompts = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            prompts.append(_prompt(json.loads(line)))
        except (ValueError, TypeError) as error:
            words = "not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            raise CommandError(f"{file}, line {number}: {words}", USAGE) from error
    if not prompts:
        raise CommandError(f"{file} has no prompts.", USAGE)
    return prompts


def _prompt(value: Any) -> Prompt:
    if isinstance(value, dict):
        if "prompt" not in value:
            raise ValueError('the object has no "prompt".')
        value = value["prompt"]
    return checked_prompt(value)


async def ask_each(prompts: Sequence[Prompt], options: SessionOptions, plain: bool, ending: Ending) -> int:
    """Ask some prompts beside each other, print their answers in their order, and give the exit code.

    Args:
        prompts: what is asked.
        options: what to start each session with; the budget is of all together.
        plain: no live rows.
        ending: ends it early.

    Raises:
        RxccError: there is no CLI.
        CommandError: there is no login, or the answers cannot be printed.
    """
    budget = options.max_budget_usd
    answers = ask_all(prompts, options.model_copy(update={"max_budget_usd": None}), max_budget_usd=budget)
    output, waiting = Output(lambda: ending.stop(0)), dict[int, Answer]()
    clean = harmless if sys.stdout.isatty() else str
    following = 0

    def tell(answer: Answer) -> None:
        nonlocal following
        waiting[answer.index] = answer
        while (first := waiting.pop(following, None)) is not None:
            following += 1
            output.write(clean(f"## {_words(first.prompt)}\n\n{first.response.content.rstrip()}\n\n"))

    code = await show(answers, len(prompts), options.backend, budget, plain, ending, tell)
    for answer in sorted(waiting.values(), key=lambda answer: answer.index):  # one before was interrupted
        following = answer.index
        tell(answer)
    output.check()
    return code


async def show(
    answers: Answers,
    total: int,
    backend: str,
    budget: float | None,
    plain: bool,
    ending: Ending,
    tell: Callable[[Answer], object] = lambda answer: None,
) -> int:
    """Ask, show how it stands, and give the exit code.

    Args:
        answers: what is asked.
        total: how many prompts that is.
        backend: the SDK.
        budget: for the table.
        plain: no live rows.
        ending: ends it early.
        tell: gets each answer.

    Raises:
        RxccError: there is no CLI, or the file of the answers cannot be used.
        CommandError: there is no login.
    """
    check_backend(backend)
    login = Login()
    known = failed = unsent = 0
    console = Console(stderr=True, highlight=False)
    table = ProgressTable(console, total=total, budget=budget, plain=True if plain else None)

    def begin(turn: Turn) -> None:
        label = _label(answers.index_of(turn), turn.prompt)

        def show(chunk: Chunk) -> None:
            if not login.refused and login.refuses(chunk):
                ending.stop(NOT_READY)
            table.show(chunk, label)

        turn.subscribe(show, lambda _: None)

    def end(answer: Answer) -> None:
        nonlocal known, failed, unsent
        is_known = answer.turn is None and answer.response.success
        is_unsent = answer.tries == 0 and answer.response.error_kind == "budget"
        known, failed, unsent = known + is_known, failed + (not answer.response.success), unsent + is_unsent
        label = _label(answer.index, answer.prompt)
        table.end(label, answer.response, line=not is_known and not is_unsent)
        tell(answer)

    with table, LogNotes(table):
        answers.started.subscribe(begin)
        ending.turn = answers
        await finished(answers.pipe(cc.tap_chunks(end)))
        if known:
            table.note(f"{known} had their answer before", "dim")
        if unsent:
            table.note(f"{unsent} not sent: --max-budget-usd {budget:g} is spent")
    if login.refused:
        raise CommandError(login.advice(backend), NOT_READY)
    return BAD_TURN if failed else SUCCESS


def _label(index: int, prompt: Prompt) -> str:
    return f"{index + 1} {_words(prompt)}"


def _words(prompt: Prompt) -> str:
    words = prompt if isinstance(prompt, str) else next((b["text"] for b in prompt if "text" in b), "")
    return one_line(words)
