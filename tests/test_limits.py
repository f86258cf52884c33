"""How long a turn may take, and how long it waits for another subscriber."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from rxccsdk import Allow, AskChunk, ClaudeSession, DecisionChunk, ResultChunk, TextChunk
from rxccsdk import operators as cc
from rxccsdk.session.limits import Linger, TimeLimit
from rxccsdk.testing import reply, steps, text_turn
from tests.conftest import Real, Scripted
from tests.operator_laws import run_virtually
from tests.test_scripted_cli import half_a_message

ASK = AskChunk("a", "permission", "Bash", None, {})


def test_the_clock_stands_while_a_person_is_asked() -> None:
    over: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limit = TimeLimit(10.0)

        def end() -> None:
            over.append(loop.time())

        began = loop.time()
        limit.run(end)
        await asyncio.sleep(4)
        limit.see([ASK, AskChunk("b", "permission", "Bash", None, {})], end)
        await asyncio.sleep(3600)
        limit.see([DecisionChunk("a", "allow")], end)
        await asyncio.sleep(3600)
        limit.see([DecisionChunk("b", "allow"), TextChunk("on")], end)
        await asyncio.sleep(5)
        assert not over
        await asyncio.sleep(2)
        assert [round(at - began - 7200) for at in over] == [10]

    run_virtually(main())


def test_lingering_ends_when_nobody_comes() -> None:
    left: list[str] = []

    async def main() -> None:
        linger = Linger(5.0)
        linger.start(lambda: left.append("left"))
        await asyncio.sleep(4)
        linger.stop()
        await asyncio.sleep(10)
        assert not left
        linger.start(lambda: left.append("left"))
        await asyncio.sleep(6)
        assert left == ["left"]

    run_virtually(main())


async def test_a_turn_that_takes_too_long_is_interrupted(real: Real) -> None:
    async with real([reply("Half an answer ").hang(), reply("Next.")]) as session:
        turn = session.stream("go", timeout=1.0)
        response = await turn.pipe(cc.to_response())
        assert (response.error_kind, response.success) == ("timeout", False)
        assert "timeout=1.0" in (response.error or "")
        assert response.content == "Half an answer "
        assert str(turn.status) == "interrupted"
        assert (await session.query("again")).content == "Next."


async def test_a_limit_is_why_also_where_the_cli_does_not_obey(scripted: Scripted, tmp_path: Path) -> None:
    how = {"interrupt_timeout": 0.2, "record": tmp_path / "recorded.jsonl"}
    async with scripted(
        steps(*half_a_message("Half")).silence(), on_interrupt=steps().silence(), session=how
    ) as session:
        response = await session.stream("go", timeout=0.3).pipe(cc.to_response())
    assert (response.error_kind, response.success) == ("timeout", False)
    assert response.error == (
        "The turn took longer than timeout=0.3 s. The CLI did not answer the interrupt and was ended."
    )
    async with ClaudeSession.replay(tmp_path / "recorded.jsonl", speed=float("inf")) as again:
        replayed = await again.stream("go").pipe(cc.to_response())
    assert (replayed.error_kind, replayed.error) == (response.error_kind, response.error)


async def test_a_person_who_thinks_is_no_time_out(real: Real) -> None:
    async def decide(ask: AskChunk) -> Allow:
        await asyncio.sleep(2.5)
        return Allow()

    call = {"command": "touch made", "description": "x"}
    async with real([reply("").tool("Bash", call), reply("Done.")], ask="stream") as session:
        turn = session.stream("go", timeout=2.2)
        assert (await turn.pipe(cc.answer_asks(decide), cc.to_response())).content == "Done."


async def test_a_turn_in_time_is_left_alone(scripted: Scripted) -> None:
    async with scripted(text_turn("quick"), text_turn("next")) as session:
        response = await session.stream("go", timeout=0.5).pipe(cc.to_response())
        await asyncio.sleep(0.7)
        assert response.success
        assert (await session.query("again")).content == "next"


async def test_another_subscriber_comes_in_time(real: Real) -> None:
    go_on = threading.Event()
    async with real([reply("one ").until(go_on).text("two")]) as session:
        turn = session.stream("go", linger=20.0)
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        await asyncio.sleep(0.2)
        assert str(turn.status) == "running"
        again = asyncio.ensure_future(turn)
        await asyncio.sleep(0)
        go_on.set()
        last: Any = await again
        assert isinstance(last, ResultChunk)
        assert turn.status == "completed"


async def test_nobody_comes_and_the_turn_is_interrupted(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("half ")).silence()) as session:
        turn = session.stream("go", linger=0.2)
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        assert str(turn.status) == "running"
        async with asyncio.timeout(10):
            await turn.wait()
        assert str(turn.status) == "interrupted"


@pytest.mark.parametrize("wrong", [0.0, -1.0])
async def test_a_time_that_is_none_is_an_error(scripted: Scripted, wrong: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        scripted().stream("go", timeout=wrong)
    with pytest.raises(ValueError, match="linger"):
        scripted().stream("go", linger=-1.0)
