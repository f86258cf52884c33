"""What running commands write: put together from looks at its end, live, with the real CLI."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxccsdk import Chunk, ClaudeSession, ResultChunk, TaskChunk, ToolOutputChunk, ToolResultChunk
from rxccsdk import operators as cc
from rxccsdk.testing import reply
from rxccsdk.wire.window import WINDOW, OutputWindow, Piece
from tests.cli_versions import needs_cli
from tests.conftest import Real

pytestmark = needs_cli("2.1.306", "do not show what a running command writes")

written = st.lists(
    st.text(st.sampled_from("a\né日👩x"), max_size=40) | st.sampled_from(["x" * 5000, "é" * 3000])
)


def shown(data: bytes) -> tuple[str, int]:
    """What the CLI answers."""
    return data[-WINDOW:].decode("utf-8", "replace"), len(data)


@given(written, st.data())
def test_the_pieces_and_the_gaps_are_what_was_written(texts: list[str], data: st.DataObject) -> None:
    """For any writes, looked at after any number of bytes."""
    output, window, pieces = "".join(texts).encode(), OutputWindow(), []
    looks = data.draw(st.lists(st.integers(0, len(output)), max_size=12).map(sorted))
    for place in [*looks, len(output)]:
        pieces.append(window.look(*shown(output[:place])))
    check(output, [piece for piece in pieces if piece is not None])


def check(output: bytes, pieces: list[Piece]) -> None:
    seen = 0
    for piece in pieces:
        text = piece.text.encode()
        assert piece.offset == seen + piece.skipped
        assert output[piece.offset : piece.offset + len(text)] == text
        assert text
        seen = piece.offset + len(text)
    assert seen == len(output)


@given(written, st.integers(0, 100))
def test_the_result_has_the_rest(texts: list[str], percent: int) -> None:
    output, window = "".join(texts).encode()[:WINDOW], OutputWindow()
    output = output.decode("utf-8", "ignore").encode()
    pieces = [window.look(*shown(output[: len(output) * percent // 100])), window.rest(output.decode())]
    check(output, [piece for piece in pieces if piece is not None])


def test_the_note_on_the_exit_code_is_none_of_it() -> None:
    window = OutputWindow()
    assert window.look("a\nb\n", 4) == Piece("a\nb\n", 0, 0)
    noted = "a\nb\nc\n\n[exited with code 3]\n"
    assert window.look(noted, len(noted), ended=True) == Piece("c\n", 4, 0)
    assert window.look(noted, len(noted), ended=True) is None


def test_another_output_than_was_seen_is_no_rest() -> None:
    window = OutputWindow()
    window.look("one two", 7)
    assert window.rest("something else, and longer") is None


def command(seconds: float, *, background: bool = False) -> Any:
    lines = f"for i in $(seq 1 {round(seconds / 0.25)}); do echo line $i; sleep 0.25; done"
    call = {"command": lines, "description": "x", "run_in_background": background}
    return reply("I run it. ").tool("Bash", call)


async def test_a_command_in_the_foreground_is_seen_while_it_runs(real: Real, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    script = [command(5), reply("Done.")]
    async with real(script, allowed_tools=["Bash"], tool_output=0.2, record=tape) as session:
        chunks: list[Chunk] = await session.stream("go").pipe(ops.to_list())
    outputs = [chunk for chunk in chunks if isinstance(chunk, ToolOutputChunk)]
    (result,) = [chunk for chunk in chunks if isinstance(chunk, ToolResultChunk)]
    assert len(outputs) > 3
    assert chunks.index(outputs[-1]) < chunks.index(result)
    assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
    assert "".join(output.text for output in outputs).rstrip() == str(result.content).rstrip()
    assert all(output.tool_use_id == result.tool_use_id and not output.skipped for output in outputs)
    async with ClaudeSession.replay(tape, speed=float("inf")) as session:
        replayed: list[Chunk] = await session.stream("go").pipe(ops.to_list())
    again = [chunk for chunk in replayed if isinstance(chunk, ToolOutputChunk)]
    assert [(c.seq, c.text, c.offset) for c in again] == [(c.seq, c.text, c.offset) for c in outputs]


async def test_a_command_in_the_background_is_seen_to_its_end(real: Real) -> None:
    script = [command(1.5, background=True), reply("Started."), reply("It ended.")]
    outside: list[Chunk] = []
    async with real(script, allowed_tools=["Bash"], tool_output=0.2) as session:
        ended = asyncio.Event()

        def watch(chunk: Chunk) -> None:
            outside.append(chunk)
            if isinstance(chunk, ResultChunk) and chunk.turn is None:
                ended.set()

        session.chunks.subscribe(watch)
        await session.query("go")
        async with asyncio.timeout(20):
            await ended.wait()
            while not any(isinstance(c, TaskChunk) and c.status == "completed" for c in outside):
                await asyncio.sleep(0.05)
        while session._exchange._talk._watch._commands:  # type: ignore[union-attr]
            await asyncio.sleep(0.05)
    text = "".join(chunk.text for chunk in outside if isinstance(chunk, ToolOutputChunk))
    assert text == "".join(f"line {number}\n" for number in range(1, 7))


async def test_it_costs_nothing_where_no_command_runs(real: Real) -> None:
    async with real([reply("Hello")], tool_output=0.1) as session:
        await session.query("go")
        watch = session._exchange._talk._watch  # type: ignore[union-attr]
        assert watch is not None
        assert watch._asking is None


@pytest.mark.parametrize("call", [None, "b"])
def test_the_operator_gives_the_text(call: str | None) -> None:
    chunks = [
        ToolOutputChunk("a", "t1", "one\n"),
        ToolOutputChunk("b", "t2", "two\n"),
        ToolOutputChunk("b", "t2", "ten\n", 100, 96),
    ]
    got = reactivex.from_list(chunks).pipe(cc.tool_output(call), ops.to_list()).run()
    gap = "[... 96 bytes ...]\n"
    assert got == ([] if call else ["one\n"]) + ["two\n", f"{gap}ten\n"]
