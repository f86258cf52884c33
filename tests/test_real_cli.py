"""End to end: the real CLI, a scripted Messages API, both SDKs."""

from __future__ import annotations

import asyncio
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops

from rxccsdk import (
    ClaudeSession,
    CompactChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SessionCrashedError,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolResultChunk,
    ToolUseChunk,
    UserChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing import Request, http_error, reply
from tests.cli_versions import needs_cli
from tests.conftest import Real

pytestmark = pytest.mark.usefixtures("no_leftovers")


async def collect(source: Any) -> list[Any]:
    return [item async for item in source.pipe(cc.to_async_iterator())]


async def test_text_comes_token_by_token_and_once(real: Real) -> None:
    words = "Hello there, friend. How are you?"
    async with real([reply(words)]) as session:
        turn = session.stream("hi")
        chunks = await collect(turn)
        texts = [chunk.text for chunk in chunks if isinstance(chunk, TextChunk)]
        assert len(texts) > 1
        assert "".join(texts) == words
        assert turn.response.content == words
        assert turn.status == "completed"
        assert isinstance(chunks[-1], ResultChunk)
        assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
        assert {chunk.turn for chunk in chunks} == {0}
    assert real.api.requests[0].prompt == "hi"


async def test_without_partial_messages_the_same_comes_in_whole_blocks(real: Real) -> None:
    script = [
        reply().thinking("hm hm").text("I look. ").tool("Bash", {"command": "echo hi", "description": "x"}),
        reply("Done."),
    ]
    async with real(script, partial_messages=False, allowed_tools=["Bash"]) as session:
        turn = session.stream("hi")
        chunks = await collect(turn)
    assert [c.text for c in chunks if isinstance(c, TextChunk)] == ["I look. ", "Done."]
    assert [c.text for c in chunks if isinstance(c, ThinkingChunk)] == ["hm hm"]
    assert [c.input["command"] for c in chunks if isinstance(c, ToolUseChunk)] == ["echo hi"]
    assert [c.content for c in chunks if isinstance(c, ToolResultChunk)] == ["hi"]
    assert turn.response.content == "I look. \n\nDone."
    assert not any(isinstance(c, ToolInputChunk) for c in chunks)


async def test_thinking_tools_and_their_results_come_once(real: Real) -> None:
    script = [
        reply()
        .thinking("let me think")
        .text("I will look. ")
        .tool("Bash", {"command": "echo one", "description": "x"}, id="toolu_1")
        .tool("Bash", {"command": "echo two", "description": "x"}, id="toolu_2"),
        reply("Both ran."),
    ]
    async with real(script, allowed_tools=["Bash"]) as session:
        turn = session.stream("go")
        chunks = await collect(turn)
    assert "".join(c.text for c in chunks if isinstance(c, ThinkingChunk)) == "let me think"
    uses = [c for c in chunks if isinstance(c, ToolUseChunk)]
    assert [(c.id, c.input["command"]) for c in uses] == [("toolu_1", "echo one"), ("toolu_2", "echo two")]
    for use in uses:
        pieces = [c for c in chunks if isinstance(c, ToolInputChunk) and c.id == use.id]
        assert "".join(c.partial_json for c in pieces).startswith('{"command"')
        assert {c.block for c in pieces} == {use.block}
    results = {c.tool_use_id: c.content for c in chunks if isinstance(c, ToolResultChunk)}
    assert results == {"toolu_1": "one", "toolu_2": "two"}
    tools = turn.response.tool_uses
    assert [(tool.result, tool.finished, tool.is_error) for tool in tools] == [
        ("one", True, False),
        ("two", True, False),
    ]
    assert all(tool.seconds is not None and tool.seconds >= 0 for tool in tools)
    assert turn.response.content == "I will look. \n\nBoth ran."


@needs_cli("2.1.191", "do not forward what sub-agents say")
async def test_a_foreground_sub_agent_is_seen_and_is_no_part_of_the_answer(real: Real) -> None:
    main = [reply("I ask. ").agent("do A", background=False, id="toolu_A"), reply("Told you.")]
    async with real(main, agents=[reply().thinking("sub hm").text("sub says")]) as session:
        turn = session.stream("go")
        chunks = await collect(turn)
    theirs = [c for c in chunks if c.agent == "toolu_A"]
    assert [c.text for c in theirs if isinstance(c, TextChunk)] == ["sub says"]
    assert [c.text for c in theirs if isinstance(c, ThinkingChunk)] == ["sub hm"]
    assert [c.text for c in theirs if isinstance(c, UserChunk)] == ["do A"]
    assert turn.response.content == "I ask. \n\nTold you."


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0])
@needs_cli("2.1.222", "do not name the prompt that a frame belongs to")
async def test_background_agents_never_leak_into_an_answer(real: Real, delay: float) -> None:
    """In 7 of 9 runs a reader of "the next result" got the injected turn's result as the second answer."""

    def script(request: Request) -> Any:
        if request.is_subagent:
            return reply().wait(0.25).text("sub answer")
        if request.is_injected:
            return (
                reply(
                    "injected words",
                )
                .wait(0.2)
                .tool("Bash", {"command": "sleep 0.3", "description": "x"})
            )
        if "zweite Frage" in str(request.messages[-2:]):  # on its own, or handed to the turn that runs
            return reply("answer to second")
        if request.tool_results and not request.prompt.startswith("first"):
            return reply("injected end")
        if request.tool_results:
            return reply("launched")
        return reply("go ").agent("do A", background=True).agent("do B", background=True)

    outside: list[Any] = []
    async with real(script, allowed_tools=["Bash"]) as session:
        session.chunks.subscribe(lambda chunk: outside.append(chunk) if chunk.turn is None else None)
        first = session.stream("first")
        assert (await first.pipe(cc.to_response())).content == "go \n\nlaunched"
        await asyncio.sleep(delay)
        second = session.stream("zweite Frage")
        response = await second.pipe(cc.to_response())
        chunks = await collect(second)
    assert response.content == "answer to second"
    assert all(chunk.agent is None for chunk in chunks)
    assert second.status == "completed"


@needs_cli("2.1.191", "run agents in the foreground only")
async def test_what_goes_on_in_the_background_is_told_by_session_chunks(real: Real) -> None:
    done = asyncio.Event()
    launched = threading.Event()  # an agent that is done before that is told of in the turn that launched it

    def script(request: Request) -> Any:
        if request.is_subagent:
            return reply().until(launched).text("sub answer")
        if request.is_injected:
            return reply("injected words")
        return reply("launched") if request.tool_results else reply("go ").agent("do A", background=True)

    seen: list[Any] = []

    def watch(chunk: Any) -> None:
        seen.append(chunk)
        if chunk.turn is None and isinstance(chunk, ResultChunk):
            done.set()

    async with real(script) as session:
        session.chunks.subscribe(watch)
        response = await session.query("first")
        launched.set()
        await asyncio.wait_for(done.wait(), 30)
    assert response.content == "go \n\nlaunched"
    outside = [c for c in seen if c.turn is None]
    assert [c.text for c in outside if isinstance(c, TextChunk) and c.agent] == ["sub answer"]
    assert "".join(c.text for c in outside if isinstance(c, TextChunk) and not c.agent) == "injected words"
    assert [c.seq for c in outside] == list(range(len(outside)))


async def test_a_stream_that_breaks_off_and_is_sent_again(real: Real) -> None:
    script = [
        reply(
            "one two three ",
        ).cut(),
        reply("one two three four"),
    ]
    async with real(script) as session:
        turn = session.stream("go")
        chunks = await collect(turn)
        settled = await collect(turn.pipe(cc.text(settled=True)))
    assert turn.response.content == "one two three four"
    assert "".join(settled) == "one two three four"
    assert turn.response.success
    retracted = [c for c in chunks if isinstance(c, RetractedChunk)]
    assert [c.replaced for c in retracted] == [True]


async def test_a_stream_that_always_breaks_off_ends_in_an_error(real: Real) -> None:
    async with real(lambda request: reply("one two three ").cut()) as session:
        turn = session.stream("go")
        chunks = await collect(turn)
        assert turn.response.error_kind == "connection"
        assert turn.response.retryable
        assert turn.response.error
        assert turn.status == "completed"
        settled = "".join(await collect(turn.pipe(cc.text(settled=True))))
        assert settled == turn.response.content
    assert any(isinstance(c, NoticeChunk) and c.kind == "api_error" for c in chunks)


@pytest.mark.parametrize("status", [400, 401, 429, 529])
async def test_http_errors_give_a_response_with_the_error_in_the_clis_words(real: Real, status: int) -> None:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
    message = "Your credit balance is too low" if status == 400 else "no"
    kind = kinds.get(status, "overloaded_error")
    env = {"CLAUDE_CODE_MAX_RETRIES": "1"}
    async with real(lambda request: http_error(status, type=kind, message=message), env=env) as session:
        turn = session.stream("go")
        chunks = await collect(turn)
    response = turn.response
    assert response.error_kind == {400: "request", 401: "auth", 429: "rate_limit", 529: "overloaded"}[status]
    assert response.retryable is (status in (429, 529))
    assert response.metadata.api_error_status == status
    assert response.error
    assert response.content == ""
    assert turn.status == "completed"
    if status != 400:
        retries = [c for c in chunks if isinstance(c, SystemChunk) and c.subtype == "api_retry"]
        assert retries[0].data["error_status"] == status
    assert any(isinstance(c, NoticeChunk) and c.kind == "api_error" for c in chunks)


async def test_a_hung_api_is_left_when_the_user_says_so(real: Real) -> None:
    async with real([reply("half an ans").hang(), reply("second")]) as session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        await turn.interrupt()
        assert turn.status == "interrupted"
        assert turn.response.error_kind == "interrupted"
        assert turn.response.content.startswith("half")
        assert (await session.query("again")).content == "second"


async def test_interrupting_in_a_tool_keeps_what_there_was(real: Real) -> None:
    script = [
        reply("calling ").tool(
            "Bash", {"command": "for i in $(seq 60); do sleep 1; done", "description": "x"}
        ),
        reply("second"),
    ]
    async with real(script, allowed_tools=["Bash"]) as session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, ToolUseChunk):
                break
        await turn.aclose()
        assert turn.response.content == "calling "
        assert turn.response.tool_uses[0].is_error
        assert (await session.query("again")).content == "second"


async def test_interrupt_with_thousands_of_unread_chunks(real: Real) -> None:
    """Both SDKs have a 100-slot queue between reader and consumer; beyond it no interrupt gets an answer."""
    script = [reply().text("word " * 5000, pieces=5000).hang(mid_block=True), reply("second")]
    arrived = asyncio.Event()
    async with real(script) as session:
        turn = session.stream("go")
        iterator = turn.__aiter__()
        await anext(iterator)  # read one, leave the thousands
        session.chunks.pipe(ops.skip(5000)).subscribe(lambda chunk: arrived.set())
        await asyncio.wait_for(arrived.wait(), 10)
        await asyncio.wait_for(turn.interrupt(), 3)
        await iterator.aclose()
        assert (await session.query("again")).content == "second"


@needs_cli("2.1.191", "do not name the prompt that a frame belongs to")
async def test_interrupting_at_random_points_never_spoils_the_next_answer(real: Real) -> None:
    """The issue's 200 times are 100 with each SDK."""
    rng = random.Random(7)

    def script(request: Request) -> Any:
        asked = request.prompt.splitlines()[-1]  # an interrupted prompt stays in the same message
        if asked.startswith("whole"):
            return reply(f"answer {asked.split()[1]} is whole")
        first = reply().thinking("hm " * 20, pieces=20).text("leftover " * 50, pieces=50, delay=0.0005)
        return first.tool("Bash", {"command": "for i in 1 2 3 4 5; do sleep 1; done", "description": "x"})

    async with real(script, allowed_tools=["Bash"]) as session:
        for number in range(100):
            turn = session.stream(f"leave {number}")
            leave_at = rng.choice([1, 2, 3, 5, 10, 20, 30, 50, 70])
            late = rng.random() * 0.05 if rng.random() < 0.5 else 0.0
            seen = 0
            async for _ in turn:
                seen += 1
                if seen >= leave_at:
                    break
                if late and seen == leave_at - 1:
                    await asyncio.sleep(late)
            response = await session.query(f"whole {number}")
            assert response.content == f"answer {number} is whole"
            assert response.success
            assert turn.status == "interrupted"


async def test_a_prompt_that_is_left_before_it_was_written_is_never_sent(real: Real) -> None:
    async with real([reply("first"), reply("third")]) as session:
        first = session.stream("first").subscribe(lambda chunk: None)
        second = session.stream("second")
        second.subscribe(lambda chunk: None).dispose()
        assert second.status == "interrupted"
        third = await session.query("third")
        first.dispose()
    assert third.content == "third"
    assert [request.prompt for request in real.api.requests] == ["first", "third"]


async def test_one_prompt_one_bill_however_many_subscribe(real: Real) -> None:
    async with real([reply("only once")]) as session:
        turn = session.stream("go")
        answers = await asyncio.gather(*(turn.pipe(cc.to_response()) for _ in range(5)))
        late = await turn.pipe(cc.to_response())
    assert {answer.content for answer in (*answers, late)} == {"only once"}
    assert len(real.api.requests) == 1


async def test_costs_are_shared_out_by_turn(real: Real) -> None:
    async with real(
        [reply("one").usage(output_tokens=100), reply("two").usage(output_tokens=300)]
    ) as session:
        first, second = await session.query("a"), await session.query("b")
        identity = session.session_id
    total, share = second.metadata.total_cost_usd, second.metadata.cost_usd
    assert first.metadata.cost_usd == first.metadata.total_cost_usd
    assert total is not None
    assert share is not None
    assert first.metadata.cost_usd is not None
    assert share == pytest.approx(total - first.metadata.cost_usd)
    assert share > first.metadata.cost_usd > 0
    assert first.metadata.session_id == second.metadata["session_id"] == identity
    assert first.metadata.backend == real.backend
    assert first.metadata.get("num_turns") == 1
    assert first.metadata.usage is not None
    assert first.metadata.usage["output_tokens"] == 100


async def test_the_session_id_is_known_from_the_start_and_can_be_resumed(real: Real) -> None:
    options = real.options([reply("one"), reply("two")])
    async with ClaudeSession(options) as session:
        known = session.session_id
        assert (await session.query("a")).metadata.session_id == known
    resumed = options.model_copy(update={"resume": known})
    async with ClaudeSession(resumed) as session:
        response = await session.query("b")
    assert response.content == "two"
    assert len(real.api.requests[-1].messages) >= 3


async def test_the_system_prompt_is_claude_codes_own_by_default_with_both_sdks(real: Real) -> None:
    async with real([reply("one")]) as session:
        await session.query("a")
    assert len(real.api.requests[0].system) > 2000


async def test_a_system_prompt_replaces_it(real: Real) -> None:
    async with real([reply("one")], system_prompt="You are a parrot.") as session:
        await session.query("a")
    assert "You are a parrot." in real.api.requests[0].system
    assert len(real.api.requests[0].system) < 2000


async def test_max_turns_ends_with_its_reason(real: Real) -> None:
    script = [reply(f"step {n} ").tool("Bash", {"command": "echo hi", "description": "x"}) for n in range(5)]
    async with real(script, max_turns=2, allowed_tools=["Bash"]) as session:
        response = await session.query("go")
    assert response.error_kind == "max_turns"
    assert response.error == "Reached maximum number of turns (2)"
    assert response.content == "step 0 \n\nstep 1 "


async def test_a_budget_ends_with_its_reason(real: Real) -> None:
    big = reply("dear ").usage(output_tokens=100_000).tool("Bash", {"command": "echo hi", "description": "x"})
    async with real([big, reply("more")], max_budget_usd=0.01, allowed_tools=["Bash"]) as session:
        response = await session.query("go")
    assert response.error_kind == "budget"
    assert response.error
    assert response.content == "dear "


async def test_denied_tools_are_warned_of(real: Real) -> None:
    tool = reply("try ").tool("Bash", {"command": "touch x", "description": "x"})
    async with real([tool, reply("denied, then")]) as session:
        response = await session.query("go")
    assert response.success
    assert any("Bash" in warning for warning in response.warnings)
    assert response.metadata.permission_denials[0]["tool_name"] == "Bash"


@needs_cli("2.1.306", "do not say that a cut message is continued")
async def test_max_tokens_is_continued_without_a_seam(real: Real) -> None:
    async with real([reply("The quick bro").stop("max_tokens"), reply("wn fox.")]) as session:
        turn = session.stream("go")
        response = await turn.pipe(cc.to_response())
        text = "".join(await collect(turn.pipe(cc.text())))
    assert response.content == "The quick brown fox."
    assert text == response.content


async def test_a_command_of_the_cli_answers_with_its_result(real: Real) -> None:
    async with real([reply("one")]) as session:
        await session.query("a")
        turn = session.stream("/cost")
        response = await turn.pipe(cc.to_response())
        text = "".join(await collect(turn.pipe(cc.text())))
    assert response.success
    assert "cost" in response.content.lower()
    assert text == response.content


@needs_cli("2.1.191", "keep the session id")
async def test_clear_gives_a_new_session_id(real: Real) -> None:
    async with real([reply("one"), reply("two")]) as session:
        await session.query("a")
        before = session.session_id
        await session.query("/clear")
        response = await session.query("b")
        assert session.session_id not in (None, before)
        assert response.metadata.session_id == session.session_id
        assert response.metadata.cost_usd is None or response.metadata.cost_usd > 0


@needs_cli("2.1.222", "send plain text beside the prompt")
async def test_content_blocks_are_sent_as_they_are(real: Real) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": pixel}}
    async with real([reply("a pixel")]) as session:
        response = await session.query([{"type": "text", "text": "What is this?"}, image])
    assert response.content == "a pixel"
    sent = [block["type"] for message in real.api.requests[0].messages for block in message["content"]]
    assert "image" in sent


async def test_320_000_characters_in_one_block_arrive_unchanged(real: Real) -> None:
    """claude-code-sdk strips white space at read boundaries and lost 7 of these."""
    text = "some words, and  spaces at every boundary \n" * 7442
    text = text[:320_000].rstrip() + "."
    async with real([reply().text(text, pieces=40)]) as session:
        response = await session.query("go")
    assert response.content == text


async def test_50_000_deltas_arrive_unchanged(real: Real) -> None:
    text = " ".join(f"word{number}" for number in range(50_000))
    async with real([reply().text(text, pieces=50_000)]) as session:
        turn = session.stream("go")
        joined: list[str] = []
        response = await turn.pipe(cc.buffer_text(), cc.tap_text(joined.append), cc.to_response())
    assert response.content == text
    assert "".join(joined) == text


async def test_closing_in_the_middle_of_a_turn_leaves_nothing(real: Real) -> None:
    script = [
        reply("calling ").tool(
            "Bash", {"command": "for i in $(seq 60); do sleep 1; done", "description": "x"}
        )
    ]
    async with real(script, allowed_tools=["Bash"]) as session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, ToolUseChunk):
                break
        queued = session.stream("never")
        errors: list[Exception] = []
        queued.subscribe(on_error=errors.append)
    assert turn.status == "interrupted"
    assert queued.status == "failed"
    assert "not sent" in str(errors[0]) or "before this prompt was sent" in str(errors[0])
    assert (await collect(turn))[0].turn == 0  # finished turns still replay


async def test_closing_while_agents_run_in_the_background_ends_them(real: Real) -> None:
    def script(request: Request) -> Any:
        if request.is_subagent:
            return reply("sub ").hang()
        return reply("launched") if request.tool_results else reply("go ").agent("do A", background=True)

    async with real(script) as session:
        assert (await session.query("first")).content == "go \n\nlaunched"
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - start < 5


@needs_cli("2.1.306", "do not tell that they compacted")
async def test_compact_is_a_turn_like_any_other(real: Real) -> None:
    """`/compact` shows user messages whose content is a plain string."""
    async with real([reply("one"), reply("<summary>short</summary>"), reply("three")]) as session:
        await session.query("a")
        turn = session.stream("/compact")
        chunks = await collect(turn)
        assert isinstance(chunks[-1], ResultChunk)
        assert turn.response.success
        assert any(isinstance(c, CompactChunk) and c.trigger == "manual" for c in chunks)
        assert any(isinstance(c, UserChunk) for c in chunks)
        assert (await session.query("b")).success


async def test_a_bad_resume_is_told_at_once_in_the_clis_words(real: Real) -> None:
    """Both SDKs wait a minute for an answer that cannot come."""
    gone = "00000000-0000-4000-8000-000000000000"
    session = real([], resume=gone)
    with pytest.raises(SessionCrashedError, match=f"No conversation found with session ID: {gone}"):
        await asyncio.wait_for(session.open(), 10)


async def test_a_session_may_be_closed_in_another_task(real: Real) -> None:
    """claude-code-sdk's cancel scopes are bound to their task: leaving elsewhere raises there."""
    session = real([reply("one")])
    await asyncio.create_task(session.open())
    assert (await asyncio.create_task(session.query("a"))).content == "one"
    await asyncio.create_task(session.aclose())


@needs_cli("2.1.306", "keep interrupted thinking")
async def test_interrupted_thinking_is_taken_back_and_nothing_replaces_it(real: Real) -> None:
    async with real([reply().thinking("hm " * 50, pieces=50).hang(mid_block=True)]) as session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, ThinkingChunk):
                break
        await turn.interrupt()
        chunks = await collect(turn)
    thought = {c.block for c in chunks if isinstance(c, ThinkingChunk)}
    (retracted,) = [c for c in chunks if isinstance(c, RetractedChunk)]
    assert set(retracted.blocks) == thought
    assert not retracted.replaced
    assert turn.response.content == ""
    assert turn.response.error_kind == "interrupted"


async def test_white_space_blocks_make_no_difference_between_the_two_modes(real: Real) -> None:
    """A block of white space streams as deltas and never comes whole."""
    script = [reply().text("  \n").text("\n  Hello").text(" \n").text("world.")]
    contents = []
    for partial in (True, False):
        async with real(script, partial_messages=partial) as session:
            contents.append((await session.query("go")).content)
    assert contents[0] == contents[1]
    assert contents[0].split() == ["Helloworld."]


async def test_a_recording_of_the_real_cli_replays_the_same_chunks(real: Real, tmp_path: Path) -> None:
    script = [
        reply().thinking("hm").text("I look. ").tool("Bash", {"command": "echo one", "description": "x"}),
        reply("Done."),
        reply("second"),
    ]
    tape = tmp_path / "tape.jsonl"
    async with real(script, record=tape, allowed_tools=["Bash"], env={"MY_SECRET": "hush-hush"}) as session:
        turns = [session.stream("go"), session.stream("again")]
        recorded = [await collect(turn) for turn in turns]
    assert "hush-hush" not in tape.read_text()
    async with ClaudeSession.replay(tape, speed=float("inf")) as session:
        again = [session.stream("anything"), session.stream("else")]
        replayed = [await collect(turn) for turn in again]
    for before, after in zip(recorded, replayed, strict=True):
        assert [replace(chunk, at=0) for chunk in before] == [replace(chunk, at=0) for chunk in after]
    for turn, copy in zip(turns, again, strict=True):
        assert copy.response.content == turn.response.content
        assert copy.response.metadata == turn.response.metadata


@needs_cli("2.1.191", "do not know this request")
async def test_the_cost_so_far_is_told_while_a_turn_runs(real: Real) -> None:
    tool = reply("look ").usage(output_tokens=5000).tool("Bash", {"command": "echo hi", "description": "x"})
    async with real(
        [tool, reply("done").until(go_on := threading.Event())], allowed_tools=["Bash"]
    ) as session:
        assert await session.cost_so_far() == 0.0
        turn = session.stream("go")
        async with turn:
            async for chunk in turn:
                if isinstance(chunk, ToolResultChunk):
                    break
            so_far = await session.cost_so_far()
            go_on.set()
            response = await turn.pipe(cc.to_response())
    assert so_far is not None
    assert 0 < so_far <= (response.metadata.total_cost_usd or 0)
    assert await session.cost_so_far() is None
