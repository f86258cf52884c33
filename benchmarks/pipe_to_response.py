"""Microseconds per delta frame, from the CLI's pipe to the whole answer.

Every contender starts the same scripted CLI, warms up on a short turn, and is timed from sending its second
prompt to holding the answer. The CLI writes the turn from a file, faster than anybody reads it: the row that
reads the pipe and decodes nothing shows how fast.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TextIO

import claude_agent_sdk
import claude_code_sdk
import orjson

from benchmarks.harness import Aim, CannotDo, Case, Contender, Measure, Stopwatch, at_most, times_less
from benchmarks.turns import TEXT, THINKING, TOOL_INPUT, Kind, LongTurn, OneBlock, PlayedTurn
from rxccsdk import ClaudeSession, SessionOptions
from rxccsdk import operators as cc
from rxccsdk.testing import ScriptedCli, environment

OURS = "rxccsdk, five operators"

_CASES: tuple[tuple[str, Kind, int, int], ...] = (
    ("text, 5 byte deltas", TEXT, 50_000, 5),
    ("text, 200 byte deltas", TEXT, 50_000, 200),
    ("text, 4 KB deltas", TEXT, 5_000, 4096),
    ("thinking, 5 byte deltas", THINKING, 50_000, 5),
    ("tool input, 5 byte deltas", TOOL_INPUT, 50_000, 5),
)

_READ = 1 << 18

Player = Callable[[ScriptedCli, TextIO, Stopwatch], Coroutine[Any, Any, str]]
"""Starts the CLI, warms up, plays the long turn under the watch; gives the answer's text."""


def _ignore(piece: object) -> None:
    return None


async def ours(cli: ScriptedCli, null: TextIO, watch: Stopwatch) -> str:
    """The Observable, through five operators, to the response."""
    async with ClaudeSession(SessionOptions(cli_path=cli.path)) as session:
        await session.query("warm up")
        with watch:
            response = await (
                session.stream("go")
                .pipe(cc.buffer_text())
                .pipe(cc.print_text(file=null))
                .pipe(cc.tap_text(_ignore))
                .pipe(cc.tap_chunks(_ignore), cc.to_response())
            )
            return response.content


def _code_sdk(cli: ScriptedCli) -> AbstractAsyncContextManager[Any]:
    os.environ["PATH"] = f"{cli.path.parent}{os.pathsep}{os.environ['PATH']}"  # it looks nowhere else
    return claude_code_sdk.ClaudeSDKClient(claude_code_sdk.ClaudeCodeOptions(include_partial_messages=True))


def _agent_sdk(cli: ScriptedCli) -> AbstractAsyncContextManager[Any]:
    options = claude_agent_sdk.ClaudeAgentOptions(
        include_partial_messages=True, cli_path=cli.path, max_buffer_size=1 << 30
    )
    return claude_agent_sdk.ClaudeSDKClient(options)


def bare_loop(
    make_client: Callable[[ScriptedCli], AbstractAsyncContextManager[Any]], kind: type[Any]
) -> Player:
    """The least one can do with an SDK: join the text of the deltas."""

    async def play(cli: ScriptedCli, null: TextIO, watch: Stopwatch) -> str:
        pieces: list[str] = []

        async def ask(prompt: str) -> None:
            await client.query(prompt)
            async for message in client.receive_response():
                if isinstance(message, kind):
                    event = message.event
                    if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
                        pieces.append(event["delta"]["text"])

        async with make_client(cli) as client:
            await ask("warm up")
            pieces.clear()
            with watch:
                await ask("go")
                return "".join(pieces)

    return play


def whole_loop(make_client: Callable[[ScriptedCli], AbstractAsyncContextManager[Any]]) -> Player:
    """The same for text that comes whole: join the text blocks of the messages."""

    async def play(cli: ScriptedCli, null: TextIO, watch: Stopwatch) -> str:
        pieces: list[str] = []

        async def ask(prompt: str) -> None:
            await client.query(prompt)
            async for message in client.receive_response():
                if type(message).__name__ == "AssistantMessage":
                    pieces.extend(block.text for block in message.content)

        try:
            async with asyncio.timeout(60), make_client(cli) as client:
                await ask("warm up")
                pieces.clear()
                with watch:
                    await ask("go")
                    return "".join(pieces)
        except Exception as error:
            raise CannotDo(str(error).partition("\n")[0] or "no answer within 60 s") from error

    return play


async def toolkit_loop(cli: ScriptedCli, null: TextIO, watch: Stopwatch) -> str:
    """What a `query()` with live output does, by hand: print each delta, call back with it, join them."""
    pieces: list[str] = []

    async def ask(prompt: str) -> None:
        await client.query(prompt)
        async for message in client.receive_response():
            if isinstance(message, claude_code_sdk.types.StreamEvent):
                event = message.event
                if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
                    text = event["delta"]["text"]
                    print(text, end="", flush=True, file=null)
                    _ignore(text)
                    pieces.append(text)

    async with _code_sdk(cli) as client:
        await ask("warm up")
        pieces.clear()
        with watch:
            await ask("go")
            return "".join(pieces)


async def bare_pipe(cli: ScriptedCli, null: TextIO, watch: Stopwatch) -> str:
    """No SDK and no session: read the pipe, cut it into lines, decode each, keep none. The limit."""

    async def ask() -> None:
        await _send(process)
        parts, kind = [], ""
        while kind != "result":
            head, *lines = (await process.stdout.read(_READ)).split(b"\n")
            parts.append(head)
            if lines:
                lines, parts = [b"".join(parts), *lines[:-1]], lines[-1:]
                for line in lines:
                    kind = orjson.loads(line)["type"]

    process = await _start(cli)
    await ask()
    with watch:
        await ask()
    return await _stop(process)


async def deaf_pipe(cli: ScriptedCli, null: TextIO, watch: Stopwatch) -> str:
    """Read the pipe and decode nothing: how fast the CLI writes."""

    async def ask() -> None:
        await _send(process)
        data = b""
        while b'"type":"result"' not in data:
            data = data[-20:] + await process.stdout.read(_READ)

    process = await _start(cli)
    await ask()
    with watch:
        await ask()
    return await _stop(process)


async def _start(cli: ScriptedCli) -> Any:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(str(cli.path), stdin=pipe, stdout=pipe)


async def _send(process: Any) -> None:
    frame = {"type": "user", "uuid": str(uuid.uuid4()), "message": {"role": "user", "content": "go"}}
    process.stdin.write(json.dumps(frame).encode() + b"\n")
    await process.stdin.drain()


async def _stop(process: Any) -> str:
    process.stdin.close()
    await process.wait()
    return ""


def _contender(
    name: str, play: Player, turn: PlayedTurn, *, aim: Aim | None = None, lifecycle: bool = False
) -> Contender:
    """A contender in a case. Only ours sends a uuid with its prompt, so only ours gets it back."""

    def run() -> float:
        watch = Stopwatch()
        with (
            turn.cli(name, lifecycle=lifecycle) as cli,
            environment(os.environ),
            open(os.devnull, "w") as null,
        ):
            text = asyncio.run(play(cli, null, watch))
        _check(play, text, turn.content)
        return watch.seconds / turn.pieces * 1e6

    return Contender(name, run, aim)


def _check(play: Player, text: str, content: str) -> None:
    """The same work for all. The bare loops set no blank lines between blocks; one SDK loses spaces."""
    if play is ours:
        assert text == content, "the answer is not what the CLI sent"
    elif play not in (bare_pipe, deaf_pipe):
        assert len(text) >= 0.99 * len(content), "most of the text is missing"


def cases(quick: bool) -> Iterator[Case]:
    """The cases; a quick run has a hundredth of the deltas."""
    code_loop = bare_loop(_code_sdk, claude_code_sdk.types.StreamEvent)
    agent_loop = bare_loop(_agent_sdk, claude_agent_sdk.types.StreamEvent)
    no_slower = at_most(1)
    for name, kind, deltas, size in _CASES:
        count = deltas // 100 if quick else deltas
        main = size == 5 and kind is TEXT
        code_aim, agent_aim, limit_aim = (
            (times_less(6), times_less(6), at_most(2)) if main else (no_slower, no_slower, None)
        )
        with tempfile.TemporaryDirectory() as folder:
            turn = LongTurn(Path(folder), kind, count, size)
            contenders = [
                _contender(OURS, ours, turn, lifecycle=True),
                _contender("claude-code-sdk, bare loop", code_loop, turn, aim=code_aim),
                _contender("claude-agent-sdk, bare loop", agent_loop, turn, aim=agent_aim),
                _contender("claude-code-sdk, toolkit loop", toolkit_loop, turn, aim=no_slower),
                _contender("bare pipe and orjson", bare_pipe, turn, aim=limit_aim),
                _contender("bare pipe, nothing decoded", deaf_pipe, turn),
            ]
            yield Case(f"{name}, {count:,} of them", contenders, OURS)
    with tempfile.TemporaryDirectory() as folder:
        megabytes = 2 if quick else 50
        block = OneBlock(Path(folder), megabytes << 20)
        contenders = [
            _contender(OURS, ours, block, lifecycle=True),
            _contender("claude-code-sdk, bare loop", whole_loop(_code_sdk), block, aim=no_slower),
            _contender("claude-agent-sdk, bare loop", whole_loop(_agent_sdk), block, aim=no_slower),
            _contender("bare pipe and orjson", bare_pipe, block),
            _contender("bare pipe, nothing decoded", deaf_pipe, block),
        ]
        unit = "microseconds for the block"
        yield Case(f"one block of {megabytes} MB, whole", contenders, OURS, unit, most_rounds=2)


MEASURE = Measure(
    name="pipe_to_response",
    title="From the CLI's pipe to the response",
    unit="microseconds per delta frame",
    cases=cases,
    packages=("claude-code-sdk", "claude-agent-sdk", "orjson", "msgspec", "pydantic", "reactivex"),
)
