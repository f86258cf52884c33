"""Many prompts: each answered once, again where it may help, within the budget, resumed from a journal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rxccsdk import Answer, ClaudeSession, CLINotFoundError, Retry, RxccError, SessionOptions, Turn, ask_all
from rxccsdk import operators as cc
from rxccsdk.testing import Request, http_error, reply
from tests.conftest import Real

NO_RETRIES = {"CLAUDE_CODE_MAX_RETRIES": "0"}


class Asked:
    """An API that notes what it is asked."""

    def __init__(self, **answers: Any) -> None:
        self.prompts: Counter[str] = Counter()
        self._answers = answers
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Any:
        with self._lock:
            self.prompts[request.prompt] += 1
            times = self.prompts[request.prompt]
        given = self._answers.get(request.prompt, [])
        return given[times - 1] if times <= len(given) else reply(f"It is {request.prompt}.")


def by_index(answers: list[Answer]) -> dict[int, str]:
    return {answer.index: answer.response.content for answer in answers}


@pytest.mark.usefixtures("no_leftovers")
async def test_each_prompt_has_its_answer(real: Real) -> None:
    asked, overlap = Asked(), threading.Event()

    def answer(request: Request) -> Any:
        replied = asked(request)
        if asked.prompts.total() >= 2:
            overlap.set()
        return replied.until(overlap, mid_block=True)  # the first waits for the second

    prompts = ["one", "two", "three", "two"]
    answers = ask_all(prompts, real.options(answer), at_once=2)
    begun: list[Turn] = []
    running: list[int] = []

    def watch(turn: Turn) -> None:
        begun.append(turn)
        running.append(sum(turn.status in ("pending", "running") for turn in begun))

    answers.started.subscribe(watch)
    seen = await answers.pipe(ops.to_list())
    assert by_index(seen) == {0: "It is one.", 1: "It is two.", 2: "It is three.", 3: "It is two."}
    assert [answer.prompt for answer in sorted(seen, key=lambda answer: answer.index)] == prompts
    assert {answer.tries for answer in seen} == {1}
    assert {answer.turn for answer in seen} == set(begun)
    assert asked.prompts == {"one": 1, "two": 2, "three": 1}
    assert max(running) == 2
    late = await answers.pipe(ops.to_list())
    assert late == seen
    assert len({answer.response.metadata.session_id for answer in seen}) == 4


@pytest.mark.usefixtures("no_leftovers")
async def test_what_may_succeed_is_sent_again_and_counted(real: Real) -> None:
    asked = Asked(
        busy=[http_error(529), http_error(429)],
        never=[http_error(529)] * 9,
        wrong=[http_error(400)],
    )
    options = real.options(asked, env=NO_RETRIES)
    retry = Retry(tries=3, first=0.01)
    seen = await ask_all(["busy", "never", "wrong"], options, retry=retry).pipe(ops.to_list())
    answers = {str(answer.prompt): answer for answer in seen}
    assert answers["busy"].response.content == "It is busy."
    assert {prompt: answer.tries for prompt, answer in answers.items()} == {"busy": 3, "never": 3, "wrong": 1}
    assert answers["never"].response.error_kind == "overloaded"
    assert not answers["wrong"].response.retryable
    assert asked.prompts == {"busy": 3, "never": 3, "wrong": 1}


async def test_the_wait_before_another_try_is_on_the_scheduler(real: Real) -> None:
    asked = Asked(busy=[http_error(529)])
    clock, seen = TestScheduler(), list[Answer]()
    done = asyncio.Event()
    answers = ask_all(["busy"], real.options(asked, env=NO_RETRIES), retry=Retry(first=3600.0))
    answers.subscribe(seen.append, on_completed=done.set, scheduler=clock)
    while not answers._waits:
        await asyncio.sleep(0.01)
    clock.advance_by(3599)
    await asyncio.sleep(0)
    assert answers._waits
    clock.advance_by(2)
    await done.wait()
    assert [answer.tries for answer in seen] == [2]


def test_waits_grow_until_the_limit_is_lifted() -> None:
    from rxccsdk import SessionResponse

    retry = Retry(tries=4, first=1.0, factor=3.0)
    busy = SessionResponse(error="x", error_kind="overloaded", retryable=True)
    assert [retry.wait(tries, busy) for tries in (1, 2, 3, 4)] == [1.0, 3.0, 9.0, None]
    assert retry.wait(1, SessionResponse(error="x", error_kind="request")) is None
    lifted = busy.model_copy(update={"resets_at": time.time() + 60})
    assert retry.wait(1, lifted) == pytest.approx(60, abs=5)
    assert retry.wait(1, busy.model_copy(update={"resets_at": 1.0})) == 1.0  # it was lifted long ago
    wrong: dict[str, Any]
    for wrong in ({"tries": 0}, {"first": -1}, {"factor": 0.5}):
        with pytest.raises(ValueError, match="at least"):
            Retry(**wrong)


@pytest.mark.parametrize("at_once", [1, 3])
async def test_what_cannot_be_afforded_is_not_sent(real: Real, at_once: int) -> None:
    asked = Asked()
    options = real.options(asked)
    (first,) = await ask_all(["zero"], options).pipe(ops.to_list())
    cost = first.response.metadata.cost_usd
    assert cost
    prompts = [f"prompt {number}" for number in range(8)]
    budget = 2.5 * cost
    seen = await ask_all(prompts, options, at_once=at_once, max_budget_usd=budget).pipe(ops.to_list())
    sent = [answer for answer in seen if answer.tries]
    unsent = [answer for answer in seen if not answer.tries]
    spent = sum(answer.response.metadata.cost_usd or 0.0 for answer in sent)
    assert len(seen) == 8
    assert budget <= spent <= budget + at_once * cost * 1.1  # what was running
    assert {answer.response.error_kind for answer in unsent} == {"budget"}
    assert len(asked.prompts) == 1 + len(sent) < 8


async def test_the_journal_answers_what_was_answered(real: Real, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    asked = Asked(bad=[http_error(400)])
    options = real.options(asked, env=NO_RETRIES)
    prompts = ["one", "bad", "two", "two"]
    first = await ask_all(prompts, options, journal=journal).pipe(ops.to_list())
    with journal.open("a") as file:
        file.write('{"v": 1, "index": 7, "promp')  # cut short by a crash
    again = await ask_all([*prompts, "three"], options, journal=journal).pipe(ops.to_list())
    assert asked.prompts == {"one": 1, "bad": 2, "two": 2, "three": 1}
    assert by_index(again) == {**by_index(first), 1: "It is bad.", 4: "It is three."}
    known = [answer for answer in again if answer.turn is None]
    assert {answer.index for answer in known} == {0, 2, 3}
    assert all(answer.response in [other.response for other in first] for answer in known)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["response"]["success"] for line in lines].count(True) == 5
    # What the journal has cost counts.
    spent = sum(line["cost_usd"] for line in lines)
    last = await ask_all(["four"], options, journal=journal, max_budget_usd=spent).pipe(ops.to_list())
    assert [answer.response.error_kind for answer in last] == ["budget"]


async def test_a_journal_that_is_none_or_in_use(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    journal.write_text("no journal\n")
    with pytest.raises(RxccError, match="line 1"):
        await ask_all(["one"], journal=journal)
    assert journal.read_text() == "no journal\n"
    with pytest.raises(RxccError, match="Cannot open"):
        await ask_all(["one"], journal=tmp_path / "no" / "run.jsonl")


async def test_a_journal_has_one_writer(real: Real, tmp_path: Path) -> None:
    asked = Asked(slow=[reply("a ").hang()])
    options, journal = real.options(asked), tmp_path / "run.jsonl"
    first = ask_all(["slow"], options, journal=journal)
    begun = asyncio.Event()
    first.started.subscribe(lambda turn: begun.set())
    first.subscribe()
    await begun.wait()
    with pytest.raises(RxccError, match="another program"):
        await ask_all(["slow"], options, journal=journal)
    await first.interrupt()


async def test_a_journal_that_cannot_be_written_costs_no_answer(
    real: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rxccsdk.many.journal.os.fsync", full)
    (answer,) = await ask_all(["one"], real.options(Asked()), journal=tmp_path / "run.jsonl").pipe(
        ops.to_list()
    )
    assert answer.response.content == "It is one."
    assert "No space left" in answer.response.warnings[-1]
    assert "the journal cannot be written" in caplog.text


@pytest.mark.usefixtures("no_leftovers")
async def test_a_cli_that_died_while_it_waited_is_not_used(real: Real) -> None:
    """The next session is open already when its CLI is killed: another one takes its place."""
    asked = Asked()
    answers = ask_all(["one", "two", "three"], real.options(asked), at_once=1)
    seen: list[Answer] = []

    def kill_the_next(answer: Answer) -> None:
        seen.append(answer)
        for task in answers._pool._opening:
            if task.done() and (pid := task.result().pid) is not None:
                os.kill(pid, signal.SIGKILL)

    answers.subscribe(kill_the_next)
    assert len(await answers.pipe(ops.to_list())) == 3
    contents = {answer.response.content or answer.response.error_kind for answer in seen}
    assert contents <= {"It is one.", "It is two.", "It is three.", "crashed"}
    assert asked.prompts["one"] == 1
    assert max(asked.prompts.values()) == 1


@pytest.mark.usefixtures("no_leftovers")
async def test_a_session_that_breaks_costs_the_others_nothing(real: Real) -> None:
    asked = Asked(breaks=[reply("A beginning. ").hang()])
    answers = ask_all(["breaks", "one", "two"], real.options(asked), at_once=2, retry=Retry(first=0.01))

    def watch(turn: Turn) -> None:
        if turn.prompt == "breaks":
            turn.pipe(cc.tap_text(lambda text: kill(turn))).subscribe(on_error=lambda _: None)

    def kill(turn: Turn) -> None:
        session = turn._session
        assert isinstance(session, ClaudeSession)
        assert session.pid is not None
        os.kill(session.pid, signal.SIGKILL)

    answers.started.subscribe(watch)
    seen = {str(answer.prompt): answer for answer in await answers.pipe(ops.to_list())}
    assert seen["breaks"].response.error_kind == "crashed"
    assert seen["breaks"].response.content.startswith("A ")
    assert seen["breaks"].tries == 1  # what happened to it nobody knows: it is not sent again
    assert seen["one"].response.content == "It is one."
    assert seen["two"].response.content == "It is two."


@pytest.mark.usefixtures("no_leftovers")
async def test_leaving_interrupts_what_runs_and_sends_nothing_more(real: Real) -> None:
    asked = Asked(slow=[reply("a ").hang()])
    answers = ask_all(["slow", "one", "two", "three"], real.options(asked), at_once=2)
    turns: list[Turn] = []
    answers.started.subscribe(turns.append)
    (first,) = await answers.pipe(ops.take(1), ops.to_list())
    assert first.prompt == "one"
    late = await answers.pipe(ops.to_list())  # what there was, and the end
    assert late == [first]
    assert set(asked.prompts) <= {"slow", "one", "two"}
    assert all(turn.status in ("completed", "interrupted", "failed") for turn in turns)


@pytest.mark.usefixtures("no_leftovers")
async def test_interrupt_gives_what_there_is(real: Real) -> None:
    asked = Asked(slow=[reply("A beginning. ").hang()])
    answers = ask_all(["slow", "one"], real.options(asked), at_once=1)
    begun = asyncio.Event()

    def watch(turn: Turn) -> None:
        turn.pipe(cc.tap_text(lambda text: begun.set())).subscribe()

    answers.started.subscribe(watch)
    seen: list[Answer] = []
    answers.subscribe(seen.append)
    await begun.wait()
    await answers.interrupt()
    assert [(answer.response.content, answer.response.error_kind) for answer in seen] == [
        ("A beginning. ", "interrupted")
    ]
    assert asked.prompts == {"slow": 1}


async def test_a_prompt_that_takes_too_long(real: Real) -> None:
    asked = Asked(slow=[reply("a ").hang()])
    seen = await ask_all(["slow", "one"], real.options(asked), timeout=2.0).pipe(ops.to_list())
    assert {answer.prompt: answer.response.error_kind for answer in seen} == {"slow": "timeout", "one": None}


async def test_a_cli_that_is_not_there_ends_it(tmp_path: Path, backend: Any) -> None:
    options = SessionOptions(cli_path=tmp_path / "none", backend=backend)
    with pytest.raises(CLINotFoundError):
        await ask_all(["one", "two"], options)


async def test_a_subscriber_that_raises_costs_nothing(real: Real, caplog: pytest.LogCaptureFixture) -> None:
    answers = ask_all(["one", "two"], real.options(Asked()))

    def fail(answer: Answer) -> None:
        raise RuntimeError("no")

    answers.subscribe(fail)
    answers.started.subscribe(fail)  # type: ignore[arg-type]
    assert len(await answers.pipe(ops.to_list())) == 2
    assert "a subscriber of ask_all raised" in caplog.text


async def test_no_prompt_at_all() -> None:
    assert await ask_all([]).pipe(ops.to_list()) == []


async def test_left_before_it_began() -> None:
    answers = ask_all(["one"])
    answers.subscribe().dispose()
    assert await answers.pipe(ops.to_list()) == []


def test_what_makes_no_sense_is_refused() -> None:
    wrong: list[tuple[Any, dict[str, Any], type[Exception]]] = [
        ("one text", {}, TypeError),
        (["one", 2], {}, TypeError),
        ([""], {}, ValueError),
        (["one"], {"at_once": 0}, ValueError),
        (["one"], {"timeout": 0}, ValueError),
        (["one"], {"max_budget_usd": -1.0}, ValueError),
        (["one"], {"options": SessionOptions(record="tape.jsonl")}, ValueError),
    ]
    for prompts, arguments, error in wrong:
        with pytest.raises(error):
            ask_all(prompts, **arguments)
    with pytest.raises(RuntimeError, match="event loop"):
        ask_all(["one"]).subscribe()
