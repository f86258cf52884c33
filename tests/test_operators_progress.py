"""`progress`: the figures of the displays, as values, also while nothing comes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rxccsdk import MessageChunk, Progress, SystemChunk, TextChunk, ToolResultChunk, ToolUseChunk
from rxccsdk import operators as cc
from rxccsdk.display.progress import ProgressLine
from rxccsdk.testing import Request, reply
from tests.conftest import Real
from tests.operator_laws import Hot, Strict, result, said

TURN = [
    (1.0, SystemChunk("init", {"cwd": "/p"}, turn=0, at=1.0)),
    (
        1.5,
        MessageChunk(
            "start", model="m", usage={"input_tokens": 7, "cache_read_input_tokens": 90}, turn=0, at=1.5
        ),
    ),
    (2.0, TextChunk("a" * 40, 0, turn=0, at=2.0)),
    (2.8, TextChunk("b" * 40, 0, turn=0, at=2.8)),
    (3.0, MessageChunk("delta", usage={"output_tokens": 33}, turn=0, at=3.0)),
    (3.1, ToolUseChunk("t", "Bash", {"command": "make"}, turn=0, at=3.1)),
    (3.2, ToolUseChunk("u", "Agent", {"description": "look around"}, turn=0, at=3.2)),
    (3.3, said("sub", 9, "s", agent="u", turn=0, at=3.3)),
    (9.0, ToolResultChunk("t", "ok", turn=0, at=9.0)),
    (9.1, ToolResultChunk("u", "ok", turn=0, at=9.1)),
    (9.5, result("done", total_cost_usd=0.25, turn=0, at=9.5)),
]


def test_it_comes_in_every_interval_and_at_the_end() -> None:
    clock, source, observer = TestScheduler(), Hot(), Strict()
    source.pipe(cc.progress(0.5, scheduler=clock)).subscribe(observer)
    for moment, chunk in TURN:
        clock.advance_to(moment)
        source.send(chunk)
    source.complete()
    seen: list[Progress] = observer.items
    assert observer.completed
    assert [round(progress.elapsed, 3) for progress in seen] == [
        *(1.0 + 0.5 * step for step in range(18)),
        9.5,
    ]
    assert [progress.ended for progress in seen] == [False] * 18 + [True]
    assert seen[-1] == Progress("done", 9.5, 0.0, 33, None, 0.25, (), (), 97, True)
    silent = seen[14]  # at 8.0
    assert silent.running_tools == ("Bash make",)
    assert silent.running_agents == ("Agent look around",)
    assert silent.silent_for == pytest.approx(4.7)
    assert silent.activity.startswith("Agent look around (+1)")


def test_the_figures_are_those_of_the_display() -> None:
    clock, source, observer = TestScheduler(), Hot(), Strict()
    line = ProgressLine(lambda: clock.now.timestamp())
    source.pipe(cc.progress(0.3, scheduler=clock)).subscribe(observer)
    for moment, chunk in TURN[:-1]:
        clock.advance_to(moment)
        line.add(chunk)
        source.send(chunk)
        shown = line.render(200).plain
        progress = line.progress()
        assert f"{progress.tokens:,} tokens" in shown
        assert progress.activity in shown
    source.complete()
    assert observer.items[-1] == replace(line.progress(), ended=True)


def test_an_interval_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        cc.progress(0)


async def test_with_the_real_cli(real: Real) -> None:
    def answer(request: Request) -> object:
        if request.tool_results:
            return reply("All is well, the tool has run.")
        return reply("I look. ").tool("Bash", {"command": "sleep 0.4", "description": "x"})

    async with real(answer) as session:
        turn = session.stream("go")
        seen = await turn.pipe(cc.progress(every=0.1), ops.to_list())
        response = turn.response
    assert any(progress.running_tools == ("Bash sleep 0.4",) for progress in seen)
    last = seen[-1]
    assert last.ended
    assert last.activity == "done"
    assert last.cost_usd == response.metadata.total_cost_usd
    assert response.metadata.usage is not None
    assert last.tokens == response.metadata.usage["output_tokens"]
    assert last.context
    assert [progress.elapsed for progress in seen] == sorted(progress.elapsed for progress in seen)
