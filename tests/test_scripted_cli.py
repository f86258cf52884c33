"""What the real CLI cannot be made to do: crashes, silence, odd bytes, deaf processes; both SDKs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from rxccsdk import (
    ClaudeSession,
    CLINotFoundError,
    NoticeChunk,
    ResultChunk,
    RxccError,
    SessionClosedError,
    SessionCrashedError,
    SessionOptions,
    TextChunk,
    UnknownChunk,
)
from rxccsdk import operators as cc
from rxccsdk.testing import event_frame, init_frame, message, reply, result_frame, steps, text_turn
from rxccsdk.transport import Exit
from rxccsdk.transport.cli import CliTransport
from rxccsdk.wire.parser import Parser
from tests.conftest import Scripted

pytestmark = pytest.mark.usefixtures("no_leftovers")


async def collect(source: Any) -> list[Any]:
    return [item async for item in source.pipe(cc.to_async_iterator())]


def half_a_message(text: str) -> list[dict[str, Any]]:
    """A turn up to the middle of a text block."""
    start = {"type": "message_start", "message": {"id": "msg_0", "model": "m", "usage": {"output_tokens": 1}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return [init_frame(), *(event_frame(event, "msg_0") for event in (start, block, delta))]


@pytest.mark.parametrize("code", [0, 3])
async def test_a_cli_that_ends_before_it_is_ready(scripted: Scripted, code: int) -> None:
    session = scripted(on_start=steps().stderr("no config for you\n").exit(code), answer_initialize=False)
    with pytest.raises(SessionCrashedError, match="before it was ready") as caught:
        await asyncio.wait_for(session.open(), 10)
    assert caught.value.exit_code == code
    assert "no config for you" in caught.value.stderr
    assert "no config for you" in str(caught.value)


async def test_a_cli_that_is_gone_before_the_sdk_says_a_word(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's first write failed, and that its input was closed was all that one learned."""
    run_sdk = CliTransport._run_sdk

    async def late(self: CliTransport) -> None:
        await self._process._exited.wait()
        await run_sdk(self)

    monkeypatch.setattr(CliTransport, "_run_sdk", late)
    session = scripted(on_start=steps().stderr("no config for you\n").exit(3), answer_initialize=False)
    with pytest.raises(SessionCrashedError, match="before it was ready") as caught:
        await asyncio.wait_for(session.open(), 10)
    assert caught.value.exit_code == 3
    assert "no config for you" in str(caught.value)


async def test_a_cli_that_is_gone_before_the_loop_has_started_it(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine its end is told before the call that started it returns."""
    loop = asyncio.get_running_loop()
    start = loop.subprocess_exec

    async def late(*args: Any, **kwargs: Any) -> Any:
        transport, protocol = await start(*args, **kwargs)
        await protocol._exited.wait()
        return transport, protocol

    monkeypatch.setattr(loop, "subprocess_exec", late)
    session = scripted(on_start=steps().stderr("no config for you\n").exit(3), answer_initialize=False)
    with pytest.raises(SessionCrashedError, match="before it was ready") as caught:
        await asyncio.wait_for(session.open(), 10)
    assert caught.value.exit_code == 3
    assert "no config for you" in str(caught.value)


async def test_a_cli_that_says_why_it_will_not_start_is_quoted(scripted: Scripted) -> None:
    words = "No conversation found with session ID: 123"
    frame = result_frame(subtype="error_during_execution", is_error=True, errors=[words])
    session = scripted(on_start=steps(frame).exit(1), answer_initialize=False, session={"resume": "123"})
    with pytest.raises(SessionCrashedError, match=words):
        await asyncio.wait_for(session.open(), 10)


async def test_a_cli_that_never_gets_ready(scripted: Scripted) -> None:
    session = scripted(answer_initialize=False, session={"connect_timeout": 0.3})
    with pytest.raises(SessionCrashedError, match="connect_timeout"):
        await session.open()


@pytest.mark.parametrize("code", [0, 3])
async def test_a_cli_that_dies_within_a_turn(scripted: Scripted, code: int) -> None:
    plan = steps(*half_a_message("half an ")).stderr("out of luck\n").exit(code)
    async with scripted(plan) as session:
        hot: list[Exception] = []
        session.chunks.subscribe(on_error=hot.append)
        turn = session.stream("go")
        with pytest.raises(SessionCrashedError) as caught:
            await turn.pipe(cc.to_response())
        assert caught.value.exit_code == code
        assert caught.value.stderr == ("out of luck",)
        assert caught.value.partial is not None
        assert caught.value.partial.content == "half an "
        assert caught.value.partial.error_kind == "crashed"
        assert turn.status == "failed"
        assert turn.response.content == "half an "
        assert isinstance(hot[0], SessionCrashedError)
        with pytest.raises(SessionClosedError, match="not sent"):
            await session.query("again")
    received = [f for f in scripted.cli.received if f.get("type") == "user"]
    assert len(received) == 1


@pytest.mark.parametrize("code", [0, 3])
async def test_a_cli_that_dies_between_turns(scripted: Scripted, code: int) -> None:
    async with scripted(steps(*text_turn("fine")).exit(code)) as session:
        gone: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        session.chunks.subscribe(on_error=gone.set_result)
        assert (await session.query("go")).content == "fine"
        assert isinstance(await asyncio.wait_for(gone, 5), SessionCrashedError)
        with pytest.raises(SessionClosedError, match=f"exit code {code}") as caught:
            await session.query("again")
    assert caught.value.exit_code == code


async def test_exit_1_after_a_result_with_an_error_is_no_crash(scripted: Scripted) -> None:
    frame = result_frame(subtype="error_max_turns", is_error=True, errors=["Reached maximum"])
    async with scripted(steps(init_frame(), frame).exit(1)) as session:
        completed = asyncio.Event()
        session.chunks.subscribe(on_completed=completed.set)
        response = await session.query("go")
        assert response.error_kind == "max_turns"
        await asyncio.wait_for(completed.wait(), 5)


async def test_output_that_ends_without_a_result(scripted: Scripted) -> None:
    plan = steps(*half_a_message("half an ")).close_stdout().silence()
    async with scripted(plan) as session:
        with pytest.raises(SessionCrashedError, match="closed its output") as caught:
            await asyncio.wait_for(session.query("go"), 10)
    assert caught.value.partial is not None
    assert caught.value.partial.content == "half an "


async def test_a_killed_cli_names_the_signal(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("x")).kill_self(signal.SIGKILL)) as session:
        with pytest.raises(SessionCrashedError, match="signal 9") as caught:
            await session.query("go")
    assert caught.value.exit_code == -9


async def test_lines_that_are_no_json_cost_nothing(scripted: Scripted) -> None:
    plan = steps().raw(b"[SandboxDebug] hello\n").raw(b'{"type": "assist\n').frame(*text_turn("fine"))
    async with scripted(plan) as session:
        turn = session.stream("go")
        chunks = await collect(turn)
    assert turn.response.content == "fine"
    odd = [c.frame["line"] for c in chunks if isinstance(c, UnknownChunk) and c.type == "not_json"]
    assert odd == ["[SandboxDebug] hello", '{"type": "assist']


async def test_unknown_frames_and_blocks_are_shown_and_harmless(scripted: Scripted) -> None:
    """`rate_limit_event` ends claude-code-sdk's own iterator with a MessageParseError."""
    block = {"type": "brand_new", "id": "s", "name": "web_search", "input": {}}
    whole = {"type": "assistant", "message": {"id": "msg_9", "content": [block]}, "parent_tool_use_id": None}
    odd = [{"type": "rate_limit_event", "left": 3}, {"type": "assistant"}, {"no": "type"}, whole]
    async with scripted([*odd, *text_turn("fine")]) as session:
        turn = session.stream("go")
        chunks = await collect(turn)
    assert turn.response.content == "fine"
    unknown = [c.type for c in chunks if isinstance(c, UnknownChunk)]
    assert unknown == ["rate_limit_event", "assistant", "None", "brand_new"]


async def test_a_defect_in_the_reader_fails_the_turn_and_ends_the_cli(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was told to the loop alone, and whoever waited for the turn waited for ever."""

    def parse(self: Parser, frame: Any, scope: Any, at: float) -> Any:
        if frame.get("type") == "assistant":
            raise ZeroDivisionError("a defect")
        return whole_parse(self, frame, scope, at)

    whole_parse = Parser.parse
    monkeypatch.setattr(Parser, "parse", parse)
    whole = {"type": "assistant", "message": {"id": "msg_0", "content": []}, "parent_tool_use_id": None}
    plan = [*half_a_message("half"), whole, result_frame("never")]
    async with scripted(plan, exit_on_eof=False) as session:
        turn = session.stream("go")
        with pytest.raises(SessionCrashedError, match="ZeroDivisionError") as caught:
            await asyncio.wait_for(collect(turn), 10)
        assert caught.value.partial is not None
        assert caught.value.partial.content == "half"
        with pytest.raises(SessionClosedError):
            await session.query("again")
    assert "a defect" in caplog.text


async def test_a_50_mb_line(scripted: Scripted, tmp_path: Path) -> None:
    """One line above 1 MiB ends the SDK's own reader; its next query hangs."""
    text = "0123456789 " * 4_600_000
    answer = {"id": "msg_0", "content": [{"type": "text", "text": text}]}
    line = json.dumps({"type": "assistant", "message": answer, "parent_tool_use_id": None}).encode()
    (tmp_path / "line").write_bytes(line + b"\n")
    async with scripted(steps(init_frame()).file(tmp_path / "line").frame(result_frame(""))) as session:
        response = await asyncio.wait_for(session.query("go"), 60)
        assert response.content == text
        assert (await session.query("again")).content == "ok"


async def test_odd_read_boundaries_invalid_utf_8_and_lone_surrogates(scripted: Scripted) -> None:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "PUT"}}
    line = json.dumps({"type": "stream_event", "event": delta, "parent_tool_use_id": None}).encode()
    plan = steps(*half_a_message("é "))
    for put in (b"a\xffb ", rb"high \ud83d", rb"\ude00 low ", rb"lone \ude00 ", "日本".encode(), b" end."):
        for byte_pair in [line.replace(b"PUT", put)[i : i + 7] for i in range(0, len(line) + 20, 7)]:
            plan = plan.raw(byte_pair)
        plan = plan.raw(b"\n")
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
    plan = plan.frame(event_frame(stop, "msg_0"), event_frame({"type": "message_stop"}, "msg_0"))
    async with scripted(plan.frame(result_frame("x"))) as session:
        response = await session.query("go")
    assert response.content == "é a\ufffdb high 😀 low lone \ufffd 日本 end."
    response.model_dump_json()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between one means of ending a process and the next, harder one passes less time."""
    monkeypatch.setattr("rxccsdk.transport.process._GRACE", 0.4)


@pytest.mark.usefixtures("impatient")
async def test_a_cli_that_does_not_answer_interrupts_is_ended(scripted: Scripted) -> None:
    plan = steps(*half_a_message("half an ")).spawn_child().silence()
    session = scripted(
        plan,
        answer_interrupt=False,
        exit_on_eof=False,
        ignore_signals=("SIGINT", "SIGTERM"),
        session={"interrupt_timeout": 0.2},
    )
    async with session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        queued = session.stream("later")
        failures: list[Exception] = []
        queued.subscribe(on_error=failures.append)
        await asyncio.wait_for(turn.interrupt(), 15)
        assert turn.status == "interrupted"
        response = turn.response
        assert response.error_kind == "interrupted"
        assert response.content == "half an "
        chunks = await collect(turn)
        assert any(isinstance(c, NoticeChunk) and c.kind == "interrupt" for c in chunks)
        with pytest.raises(SessionClosedError):
            await session.query("again")
        assert isinstance(failures[0], SessionClosedError)
    assert scripted.cli.signals[:2] == ["SIGINT", "SIGTERM"]
    for pid in scripted.cli.children:  # it ran in a session of its own
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.usefixtures("impatient")
async def test_closing_a_deaf_session_is_bounded_and_leaves_nothing(scripted: Scripted) -> None:
    plan = steps(*half_a_message("half an ")).spawn_child(holds_output=True).silence()
    session = scripted(
        plan,
        answer_interrupt=False,
        ignore_signals=("SIGINT", "SIGTERM"),
        exit_on_eof=False,
        session={"interrupt_timeout": 0.2},
    )
    clock = asyncio.get_running_loop().time
    async with session:
        turn = session.stream("go")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        start = clock()
    assert clock() - start < 15
    assert turn.status == "interrupted"


async def test_an_idle_interrupt_returns_at_once(scripted: Scripted) -> None:
    async with scripted(text_turn("fine")) as session:
        await asyncio.wait_for(session.interrupt(), 1)
        assert (await session.query("go")).content == "fine"
        await asyncio.wait_for(session.interrupt(), 1)


async def test_an_old_cli_without_uuids(scripted: Scripted) -> None:
    session = scripted(text_turn("one"), text_turn("two", partial=False), lifecycle=False)
    async with session:
        assert (await session.query("a")).content == "one"
        assert (await session.query("b")).content == "two"


async def test_an_old_cli_is_interrupted_too(scripted: Scripted) -> None:
    plan = steps(*half_a_message("half an ")).silence()
    async with scripted(plan, lifecycle=False) as session:
        turn = session.stream("a")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        await turn.interrupt()
        assert turn.status == "interrupted"
        assert turn.response.content == "half an "
        assert (await session.query("b")).content == "ok"


async def test_the_cli_runs_in_a_process_group_of_its_own(scripted: Scripted) -> None:
    async with scripted(steps(*half_a_message("x")).spawn_child().silence()) as session:
        turn = session.stream("a")
        async for chunk in turn:
            if isinstance(chunk, TextChunk):
                break
        (start,) = scripted.cli.starts
        assert os.getpgid(start["pid"]) == start["pid"]
        assert os.getpgid(start["pid"]) != os.getpgid(0)


async def test_no_cli(tmp_path: Path, backend: str) -> None:
    missing = tmp_path / "nowhere" / "claude"
    with pytest.raises(CLINotFoundError, match="npm install"):
        await ClaudeSession(SessionOptions(backend=backend, cli_path=missing)).open()


async def test_no_cli_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str) -> None:
    if backend == "claude-agent-sdk":
        from claude_agent_sdk._internal.transport.subprocess_cli import SubprocessCLITransport

        monkeypatch.setattr(SubprocessCLITransport, "_find_bundled_cli", lambda self: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CLINotFoundError, match="pip install 'rxccsdk"):
        await ClaudeSession(SessionOptions(backend=backend)).open()


async def test_a_cli_that_cannot_be_executed(tmp_path: Path, backend: str) -> None:
    for name, content, mode in (("plain", "hello", 0o644), ("garbage", "\x00\x01", 0o755)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
        with pytest.raises(CLINotFoundError, match="cannot be executed"):
            await ClaudeSession(SessionOptions(backend=backend, cli_path=tmp_path / name)).open()


async def test_a_missing_working_directory_is_named(scripted: Scripted, tmp_path: Path) -> None:
    with pytest.raises(RxccError, match="working directory") as caught:
        await scripted(session={"cwd": tmp_path / "gone"}).open()
    assert str(tmp_path / "gone") in str(caught.value)


async def test_max_output_tokens_interrupts_and_keeps_what_there_was(scripted: Scripted) -> None:
    said = reply("a long answer").usage(output_tokens=500)
    plan = steps(init_frame(), *message(said)).silence()
    async with scripted(plan) as session:
        turn = session.stream("go", max_output_tokens=100)
        response = await turn.pipe(cc.to_response())
    assert response.error_kind == "output_tokens"
    assert "500" in str(response.error)
    assert response.content == "a long answer"
    assert response.metadata.cost_usd is not None
    assert turn.status == "interrupted"


async def test_the_result_is_the_last_chunk_of_its_turn(scripted: Scripted) -> None:
    async with scripted([*text_turn("fine"), {"type": "prompt_suggestion", "text": "more?"}]) as session:
        outside: list[Any] = []
        session.chunks.subscribe(lambda c: outside.append(c) if c.turn is None else None)
        chunks = await collect(session.stream("go"))
        await session.query("again")
    assert isinstance(chunks[-1], ResultChunk)
    assert [c.type for c in outside if isinstance(c, UnknownChunk)] == ["prompt_suggestion"]


async def test_a_cli_that_ends_just_when_it_is_ready_fails_the_prompt(scripted: Scripted) -> None:
    """Its answer to `initialize` and its end come together, before the session that opens goes on."""
    session = scripted()
    make_transport = session._cli_transport

    def make_ending_transport() -> CliTransport:
        transport = make_transport()
        assert isinstance(transport, CliTransport)
        hand_to_sdk = transport.hand_to_sdk

        def hand_and_end(frame: dict[str, Any]) -> None:
            hand_to_sdk(frame)
            if transport._is_ready():
                transport._on_end(Exit("The CLI ended", 3))

        transport.hand_to_sdk = hand_and_end  # type: ignore[method-assign]
        return transport

    session._make_transport = make_ending_transport
    async with session:
        with pytest.raises(SessionClosedError, match="exit code 3"):
            await session.query("go")
