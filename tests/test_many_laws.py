"""Laws of many prompts, with sessions that are made up, on a virtual clock: each prompt is answered once."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxccsdk import Answer, NoticeChunk, ResultChunk, Retry, SessionClosedError, TextChunk, Turn, ask_all
from rxccsdk.many import answers as module
from tests.operator_laws import run_virtually

COST = 0.01


@dataclass
class World:
    """What becomes of each prompt, each time it is asked, and what was.

    Attributes:
        plans: by prompt, for each time it is asked: the seconds it takes, and the API's status.
        deaths: so many sessions die before a prompt is sent.
        asked: how often each was sent, with the moment of the last time.
    """

    plans: dict[str, list[tuple[float, int]]]
    deaths: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    running: int = 0
    most_running: int = 0
    open: int = 0
    most_open: int = 0
    spent: float = 0.0

    def begins(self, prompt: str) -> tuple[float, int]:
        plan = self.plans[prompt]
        step = plan[min(self.asked[prompt], len(plan) - 1)]
        self.asked[prompt] += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        return step


class MadeUp:
    """A session that is answered by a world. It takes a second to open."""

    exit = None

    def __init__(self, world: World) -> None:
        self._world = world
        self._turn: Turn | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.status = "new"
        self.loop: asyncio.AbstractEventLoop | None = None
        self.warnings: list[str] = []

    async def open(self) -> None:
        self._world.open += 1
        self._world.most_open = max(self._world.most_open, self._world.open)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self._world.open -= 1
            raise
        self.loop = asyncio.get_running_loop()
        self.status = "open"

    async def aclose(self) -> None:
        if self._turn is not None:
            self.interrupt_turn(self._turn, "closed")
        self._world.open -= self.status == "open"
        self.status = "closed"

    def stream(self, prompt: str, *, timeout: float | None) -> Turn:
        return Turn(self, prompt)  # type: ignore[arg-type]

    def enqueue(self, turn: Turn) -> None:
        assert self.loop is not None
        if self._world.deaths:
            self._world.deaths -= 1
            error = SessionClosedError("The session has ended, this prompt was not sent.")
            turn._finish("failed", error=error, because=("closed", str(error)))
            return
        self._turn = turn
        seconds, status = self._world.begins(str(turn.prompt))
        turn._begin(0, lambda: "made-up")
        turn._push([TextChunk(f"{turn.prompt}!")])
        refused: dict[str, Any] = {"result": "no", "is_error": True, "api_error_status": status}
        fields = refused if status != 200 else {"is_error": False}
        last = ResultChunk(**{"subtype": "success", "result": None, "cost_usd": COST, **fields})
        self._timer = self.loop.call_later(seconds, self._end, [last], True)

    def withdraw(self, turn: Turn) -> None:
        turn._finish("interrupted", because=("interrupted", "left"))

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._end([NoticeChunk(kind, why)], False)

    def _end(self, chunks: list[Any], by_result: bool) -> None:
        assert self._turn is not None
        self._timer = None
        self._world.running -= 1
        self._world.spent += COST * by_result
        self._turn._finish("completed" if by_result else "interrupted", chunks)


@contextmanager
def made_up(world: World) -> Iterator[None]:
    """Let all sessions be made up, for the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ClaudeSession", lambda options: MadeUp(world))
        yield


statuses = st.sampled_from([200, 200, 200, 400, 429, 529])
plans = st.lists(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 3.0, 20.0]), statuses), min_size=1, max_size=5), max_size=7
)
RETRYABLE = (429, 529)


def named(plans: list[list[tuple[float, int]]]) -> dict[str, list[tuple[float, int]]]:
    return {f"p{place}": plan for place, plan in enumerate(plans)}


def expected_tries(plan: list[tuple[float, int]], most: int) -> int:
    steps = [plan[min(place, len(plan) - 1)][1] for place in range(most)]
    return next((place + 1 for place, status in enumerate(steps) if status not in RETRYABLE), most)


@given(plans=plans, at_once=st.integers(1, 4), tries=st.integers(1, 4))
def test_each_is_answered_once_after_as_many_tries_as_it_takes(
    plans: list[list[tuple[float, int]]], at_once: int, tries: int
) -> None:
    world = World(named(plans))

    async def main() -> list[Answer]:
        answers = ask_all(world.plans, at_once=at_once, retry=Retry(tries=tries, first=2.0))
        seen: list[Answer] = await answers.pipe(ops.to_list())
        assert seen == await answers.pipe(ops.to_list())
        return seen

    with made_up(world):
        seen = run_virtually(main())
    assert sorted(answer.index for answer in seen) == list(range(len(plans)))
    for answer in seen:
        plan = plans[answer.index]
        assert answer.tries == world.asked[str(answer.prompt)] == expected_tries(plan, tries)
        assert answer.response.success == (plan[min(answer.tries, len(plan)) - 1][1] == 200)
        assert answer.response.content == f"{answer.prompt}!"
    assert world.most_running <= at_once
    assert world.most_open <= at_once + 1  # one is ahead
    assert world.open == world.running == 0


@pytest.mark.parametrize(
    ("deaths", "kinds"), [(3, [None, None]), (5, ["closed", None]), (99, ["closed"] * 2)]
)
def test_a_session_that_dies_before_a_prompt_is_sent_is_replaced(
    deaths: int, kinds: list[str | None]
) -> None:
    world = World(named([[(1.0, 200)], [(1.0, 200)]]), deaths)

    async def main() -> list[Answer]:
        seen: list[Answer] = await ask_all(world.plans, at_once=1).pipe(ops.to_list())
        return seen

    with made_up(world):
        seen = run_virtually(main())
    assert [answer.response.error_kind for answer in seen] == kinds
    assert [answer.tries for answer in seen] == [int(kind is None) for kind in kinds]
    assert world.open == world.running == 0


@given(plans=plans, at_once=st.integers(1, 4), left=st.floats(0, 40), by_interrupt=st.booleans())
def test_leaving_at_any_moment_ends_all_and_the_journal_goes_on(
    plans: list[list[tuple[float, int]]], at_once: int, left: float, by_interrupt: bool
) -> None:
    world = World(named(plans))
    first: list[Answer] = []
    late: list[Answer] = []  # one more where a prompt ends at the very moment

    async def run_and_leave(journal: Path) -> None:
        answers = ask_all(world.plans, at_once=at_once, retry=Retry(first=20.0), journal=journal)
        subscription = answers.subscribe(first.append)
        await asyncio.sleep(left)
        if by_interrupt:
            await asyncio.wait_for(answers.interrupt(), 1.5)  # a session that is opened takes a second
            assert answers.status == "completed"
        else:
            subscription.dispose()
        asked = world.asked.copy()
        await asyncio.sleep(100)
        assert world.asked == asked
        assert world.open == world.running == 0
        late.extend(await answers.pipe(ops.to_list()))
        assert late[: len(first)] == first

    async def run_again(journal: Path) -> list[Answer]:
        seen: list[Answer] = await ask_all(world.plans, at_once=at_once, journal=journal).pipe(ops.to_list())
        return seen

    with made_up(world), tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "run.jsonl"
        run_virtually(run_and_leave(journal))
        asked = world.asked.copy()
        again = run_virtually(run_again(journal))
    known = {answer.index for answer in late if answer.response.success}
    assert sorted(answer.index for answer in again) == list(range(len(plans)))
    for answer in again:
        once_more = world.asked[str(answer.prompt)] - asked[str(answer.prompt)]
        assert once_more == (0 if answer.index in known else 1)
        assert (answer.turn is None) == (answer.index in known)


@given(plans=plans, at_once=st.integers(1, 4), affordable=st.floats(0.5, 9.0))
def test_the_budget_is_exceeded_by_no_more_than_what_was_running(
    plans: list[list[tuple[float, int]]], at_once: int, affordable: float
) -> None:
    world = World(named(plans))

    async def main() -> list[Answer]:
        budget = affordable * COST
        answers = ask_all(world.plans, at_once=at_once, retry=Retry(first=2.0), max_budget_usd=budget)
        seen: list[Answer] = await answers.pipe(ops.to_list())
        return seen

    with made_up(world):
        seen = run_virtually(main())
    assert sorted(answer.index for answer in seen) == list(range(len(plans)))
    assert world.spent < affordable * COST + at_once * COST
    for answer in seen:
        unsent = answer.response.error_kind == "budget"
        assert answer.tries == world.asked[str(answer.prompt)]
        assert not unsent or world.spent >= affordable * COST - 1e-9
        assert answer.tries or unsent
