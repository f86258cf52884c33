"""Sub-agents, thinking and tools, each in a stream of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxccsdk import (
    AgentStream,
    Chunk,
    ResultChunk,
    RetractedChunk,
    RxccError,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing import Request, reply
from rxccsdk.testing.strategies import turns
from tests.conftest import Real
from tests.operator_laws import Hot, Strict, Subscribed, gathered, naive_text, result, said, within_subscribe

CALL_A, CALL_B = (
    ToolUseChunk("a", "Agent", {"prompt": "do A"}),
    ToolUseChunk("b", "Agent", {"prompt": "do B"}),
)
BACKGROUND = {"isAsync": True, "status": "async_launched"}


def watched(source: Any) -> tuple[dict[str, Strict], Strict]:
    """Subscribe to the agents' streams as they come: what each gave, and the streams."""
    told: dict[str, Strict] = {}

    def open_one(stream: AgentStream) -> None:
        name = stream.id
        while name in told:
            name += "'"
        told[name] = Strict()
        stream.subscribe(told[name])

    outer = Strict(open_one)
    source.pipe(cc.by_agent()).subscribe(outer)
    return told, outer


def texts(observer: Strict) -> list[str]:
    return [chunk.text for chunk in observer.items if isinstance(chunk, TextChunk)]


# -- by_agent -------------------------------------------------------------------------------------------


@given(chunks=turns(sub_agents=3))
def test_every_chunk_of_every_agent_in_its_order(chunks: list[Chunk]) -> None:
    told, outer = watched(within_subscribe(chunks))
    assert outer.completed
    streams: list[AgentStream] = outer.items
    calls = {chunk.id: chunk for chunk in chunks if isinstance(chunk, ToolUseChunk)}
    agents = {chunk.agent for chunk in chunks if chunk.agent is not None}
    assert {stream.id for stream in streams} == agents
    for agent in agents:
        theirs = [replace(chunk, agent=None) for chunk in chunks if chunk.agent == agent]
        parts = [observer for name, observer in told.items() if name.rstrip("'") == agent]
        assert [chunk for part in parts for chunk in part.items] == theirs
        assert all(part.completed and not part.faults for part in parts)
    for stream in streams:
        assert stream.call is calls.get(stream.id)
        assert not stream.is_open
        late = gathered(stream.pipe(cc.text()))
        if len([one for one in streams if one.id == stream.id]) == 1:
            assert "".join(late) == naive_text(chunks, stream.id)


def test_the_same_operators_work_on_it() -> None:
    chunks = [
        CALL_A,
        said("mine", 0),
        said("hers", 1, "s", agent="a"),
        ToolUseChunk("t", "Bash", {"command": "ls"}, 2, agent="a"),
        ToolResultChunk("t", "x", agent="a"),
        said("more", 3, "u", agent="a"),
        ToolResultChunk("a", "hers more"),
        result(),
    ]
    (response,) = gathered(
        within_subscribe(chunks).pipe(cc.by_agent(), ops.flat_map(lambda agent: agent.pipe(cc.to_response())))  # type: ignore[attr-defined]
    )
    assert response.content == "hers\n\nmore"
    assert [(tool.name, tool.result) for tool in response.tool_uses] == [("Bash", "x")]


def test_a_stream_comes_with_the_first_chunk_and_ends_with_its_call() -> None:
    source = Hot()
    told, outer = watched(source)
    source.send(CALL_A, CALL_B)
    assert outer.items == []
    source.send(said("one", agent="b"), said("two", agent="a"))
    assert [(stream.id, stream.call) for stream in outer.items] == [("b", CALL_B), ("a", CALL_A)]
    source.send(ToolProgressChunk("a", 30.0), ToolResultChunk("other", ""), TaskChunk("x", "a", "progress"))
    assert not told["a"].ended
    source.send(ToolResultChunk("a", "done"))
    assert told["a"].completed
    assert not told["b"].ended
    source.complete()
    assert told["b"].completed
    assert outer.completed


def test_in_the_background_it_ends_with_its_task() -> None:
    source = Hot()
    told, _ = watched(source)
    source.send(CALL_A, TaskChunk("x", "a", "started"), ToolResultChunk("a", "launched", False, BACKGROUND))
    source.send(said("one", agent="a"), TaskChunk("x", "a", "progress"), TaskChunk("x", None, "completed"))
    source.send(result(), said("two", agent="a"))
    assert not told["a"].ended, "not by the turn's result: this may be session.chunks"
    source.send(TaskChunk("x", "a", "paused"), TaskChunk("x", "a", "of tomorrow"), said("three", agent="a"))
    source.send(TaskChunk("x", "a", "completed"))
    assert texts(told["a"]) == ["one", "two", "three"]
    assert told["a"].completed


def test_a_foreground_task_that_ends_before_its_result() -> None:
    source = Hot()
    told, _ = watched(source)
    source.send(CALL_A, said("one", agent="a"), TaskChunk("x", "a", "completed"), said("two", agent="a"))
    assert not told["a"].ended
    source.send(ToolResultChunk("a", "done"))
    assert told["a"].completed
    assert texts(told["a"]) == ["one", "two"]


def test_a_background_task_that_ends_before_its_call_returns() -> None:
    source = Hot()
    told, _ = watched(source)
    source.send(CALL_A, said("one", agent="a"), TaskChunk("x", "a", "failed"))
    source.send(ToolResultChunk("a", "launched", False, BACKGROUND))
    assert told["a"].completed


def test_nested_agents_have_streams_of_their_own() -> None:
    inner = ToolUseChunk("n", "Agent", {"prompt": "deeper"}, agent="a")
    source = Hot()
    told, outer = watched(source)
    source.send(CALL_A, inner, said("deep", agent="n"), ToolResultChunk("n", "deep", agent="a"))
    assert [(stream.id, stream.call) for stream in outer.items] == [("a", CALL_A), ("n", inner)]
    assert texts(told["n"]) == ["deep"]
    assert told["n"].completed
    assert [type(chunk) for chunk in told["a"].items] == [ToolUseChunk, ToolResultChunk]
    assert not told["a"].ended


def test_who_speaks_again_after_its_end_gets_a_new_stream() -> None:
    source = Hot()
    told, outer = watched(source)
    source.send(CALL_A, said("one", agent="a"), ToolResultChunk("a", "done"), said("two", agent="a"))
    source.complete()
    assert [stream.call for stream in outer.items] == [CALL_A, CALL_A]
    assert [texts(told["a"]), texts(told["a'"])] == [["one"], ["two"]]


def test_late_subscribers_see_it_from_the_first_chunk() -> None:
    source, outer = Hot(), Strict()
    source.pipe(cc.by_agent()).subscribe(outer)
    source.send(said("one", agent="a"), said("two", agent="a"))
    (stream,) = outer.items
    early, late = Strict(), Strict()
    stream.subscribe(early)
    source.send(said("three", agent="a"))
    stream.subscribe(late)
    source.complete()
    assert texts(early) == texts(late) == ["one", "two", "three"]
    assert gathered(stream.pipe(cc.text("|"))) == ["one", "two", "three"]


def test_an_error_reaches_the_streams_too() -> None:
    source, error = Hot(), OSError()
    told, outer = watched(source)
    source.send(said("one", agent="a"), said("two", agent="b"), ToolResultChunk("b", "done"))
    source.fail(error)
    assert told["a"].error is error
    assert told["b"].completed
    assert outer.error is error
    observer = Strict()
    outer.items[0].subscribe(observer)
    assert texts(observer) == ["one"]
    assert observer.error is error


def test_who_raises_costs_nobody_else_anything(caplog: pytest.LogCaptureFixture) -> None:
    source, other = Hot(), Strict()

    def fail(chunk: Any) -> None:
        raise RuntimeError("mine")

    def open_one(stream: AgentStream) -> None:
        stream.subscribe(fail, fail, lambda: fail(None))
        stream.subscribe(other)

    outer = Strict(open_one)
    source.pipe(cc.by_agent()).subscribe(outer)
    with caplog.at_level(logging.ERROR, "rxccsdk"):
        source.send(said("one", agent="a"), said("two", agent="a"))
        source.complete()
    assert texts(other) == ["one", "two"]
    assert other.completed
    assert outer.completed
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["mine"] * 2, (
        "one for items, one for the end"
    )


def test_who_raises_at_a_new_stream_takes_nothing_from_it() -> None:
    source = Hot()
    streams: list[AgentStream] = []

    def fail(stream: AgentStream) -> None:
        streams.append(stream)
        raise RuntimeError("mine")

    source.pipe(cc.by_agent()).subscribe(fail)
    with pytest.raises(RuntimeError, match="mine"):
        source.send(said("one", agent="a"))
    source.send(said("two", agent="a"))
    source.complete()
    assert gathered(streams[0].pipe(cc.text("|"))) == ["one", "two"]


def test_the_source_stays_for_those_who_read_a_stream() -> None:
    source, observer = Hot(), Strict()
    subscription = Subscribed(
        source.pipe(cc.by_agent(), ops.take(1), ops.flat_map(lambda agent: agent)), observer
    )
    source.send(said("one", agent="a"), said("other", agent="b"), said("two", agent="a"))
    assert texts(observer) == ["one", "two"]
    assert source.disposals == 0
    source.send(ToolResultChunk("a", "done"))
    assert observer.completed
    assert source.disposals == 1, "nobody is left"
    assert not subscription.is_disposed


def test_a_stream_that_nobody_kept_says_so() -> None:
    source = Hot()
    streams: list[AgentStream] = []
    subscription = source.pipe(cc.by_agent()).subscribe(streams.append)
    source.send(said("one", agent="a"))
    subscription.dispose()
    assert source.disposals == 1
    observer = Strict()
    streams[0].subscribe(observer)
    assert texts(observer) == ["one"]
    assert isinstance(observer.error, RxccError)
    assert "This AgentStream was cut off" in str(observer.error)


def test_dispose_and_subscribe_inside_on_next() -> None:
    source = Hot()
    seen: list[str] = []
    inner = Strict()

    def at(chunk: Any) -> None:
        seen.append(chunk.text)
        if len(seen) == 2:
            streams[0].subscribe(inner)
            subscription.dispose()

    streams: list[AgentStream] = []
    source.pipe(cc.by_agent()).subscribe(streams.append)
    source.send(said("one", agent="a"))
    subscription = streams[0].subscribe(at)
    source.send(said("two", agent="a"), said("three", agent="a"))
    assert seen == ["one", "two"]
    assert texts(inner) == ["one", "two", "three"]


def test_subscribing_from_another_thread_loses_and_doubles_nothing() -> None:
    source, streams = Hot(), list[AgentStream]()
    source.pipe(cc.by_agent()).subscribe(streams.append)
    source.send(said("0", agent="a"))
    observers = [Strict() for _ in range(20)]
    threads = [threading.Thread(target=streams[0].subscribe, args=[observer]) for observer in observers]
    for number, thread in enumerate(threads):
        thread.start()
        source.send(*(said(str(number), agent="a") for number in range(number * 50 + 1, number * 50 + 51)))
    for thread in threads:
        thread.join()
    source.complete()
    for observer in observers:
        assert texts(observer) == [str(number) for number in range(1001)]
        assert observer.completed


def test_a_retraction_goes_where_it_belongs() -> None:
    source = Hot()
    told, _ = watched(source)
    source.send(said("one", 1, agent="a"), RetractedChunk((0,)), RetractedChunk((1,), agent="a"))
    assert told["a"].items[1:] == [RetractedChunk((1,))]


# -- thinking and tools ---------------------------------------------------------------------------------


@given(chunks=turns(), separator=st.sampled_from(["", "\n\n", "|"]))
def test_thinking_is_all_of_it_a_separator_between_blocks(chunks: list[Chunk], separator: str) -> None:
    for agents in ("main", "all", *{chunk.agent for chunk in chunks if chunk.agent}):
        wanted = [c for c in chunks if isinstance(c, ThinkingChunk)]
        if agents != "all":
            wanted = [c for c in wanted if c.agent == (None if agents == "main" else agents)]
        seen = gathered(within_subscribe(chunks).pipe(cc.thinking(separator, agents)))
        assert len(seen) == len(wanted)
        runs = "".join(
            separator * (place > 0 and chunk.block != wanted[place - 1].block) + chunk.text
            for place, chunk in enumerate(wanted)
        )
        assert "".join(seen) == runs


def test_thinking_of_two_turns() -> None:
    chunks = [ThinkingChunk("a", 0, turn=0), ThinkingChunk("b", 0, turn=1), ThinkingChunk("c", 0, turn=1)]
    assert gathered(within_subscribe(chunks).pipe(cc.thinking("|"))) == ["a", "|b", "c"]


@given(chunks=turns())
def test_tools_are_all_that_tools_say(chunks: list[Chunk]) -> None:
    kinds = (ToolUseChunk, ToolProgressChunk, ToolResultChunk)
    wanted = [chunk for chunk in chunks if isinstance(chunk, kinds)]
    assert gathered(within_subscribe(chunks).pipe(cc.tools())) == wanted
    mine = gathered(within_subscribe(chunks).pipe(cc.tools("main")))
    assert mine == [chunk for chunk in wanted if chunk.agent is None]
    for agent in {chunk.agent for chunk in wanted if chunk.agent}:
        theirs = gathered(within_subscribe(chunks).pipe(cc.tools(agent)))
        assert theirs == [chunk for chunk in wanted if chunk.agent == agent]


def test_a_call_that_never_completes_is_no_call() -> None:
    chunks = [ToolInputChunk("t", "Bash", '{"c', 0), RetractedChunk((0,), ("t",), True), result()]
    assert gathered(within_subscribe(chunks).pipe(cc.tools())) == []


# -- with the real CLI ----------------------------------------------------------------------------------


async def test_real_agents_in_the_foreground(real: Real) -> None:
    def script(request: Request) -> Any:
        if request.is_subagent:
            return reply().thinking("hm").text(f"I did {request.prompt}")
        if request.tool_results:
            return reply("All done.")
        return reply("I ask. ").agent("ONE", background=False).agent("TWO", background=False)

    async with real(script) as session:
        turn = session.stream("go")
        told = turn.pipe(
            cc.by_agent(),
            ops.flat_map(
                lambda agent: agent.pipe(  # type: ignore[attr-defined]
                    cc.to_response(),
                    ops.map(lambda r: (agent.call.input["prompt"], r.content)),  # type: ignore[arg-type, attr-defined, union-attr]
                )
            ),
            ops.to_list(),
        )
        answers = dict(await told)
        assert set(answers) == {"ONE", "TWO"}
        assert all(prompt in answer for prompt, answer in answers.items())
        assert await turn.pipe(cc.thinking(agents="all"), ops.to_list()) == ["hm", "\n\nhm"]
        uses = await turn.pipe(cc.tools("main"), ops.to_list())
        assert [type(chunk) for chunk in uses].count(ToolUseChunk) == 2
        assert turn.response.content == "I ask. \n\nAll done."


async def test_real_agents_in_the_background_are_in_the_sessions_chunks(real: Real) -> None:
    def script(request: Request) -> Any:
        if request.is_subagent:
            return reply().wait(0.3).text("sub answer")
        if request.is_injected:
            return reply("injected words")
        return reply("launched") if request.tool_results else reply("go ").agent("do A", background=True)

    ended: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def watch(agent: AgentStream) -> None:
        answer = agent.pipe(cc.to_response())
        answer.subscribe(lambda response: ended.put_nowait((agent.id, response.content)))

    async with real(script) as session:
        calls: list[Chunk] = []
        results: list[Chunk] = []
        session.chunks.pipe(cc.of_type(ToolUseChunk)).subscribe(calls.append)
        session.chunks.pipe(cc.of_type(ResultChunk)).subscribe(results.append)
        session.chunks.pipe(cc.by_agent()).subscribe(watch)
        assert (await session.query("first")).content == "go \n\nlaunched"
        agent, content = await asyncio.wait_for(ended.get(), 15)
        assert content == "sub answer"
        assert isinstance(calls[0], ToolUseChunk)
        assert agent == calls[0].id
