"""What tests of wire traces share: a reader like the session's, and what must hold of all that it hears."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reactivex

from rxccsdk import operators as cc
from rxccsdk.chunks import (
    Chunk,
    Frame,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
)
from rxccsdk.session.fold import ResponseFold
from rxccsdk.session.response import SessionResponse
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import TurnEnded
from rxccsdk.wire.frames import LineFramer, decode
from rxccsdk.wire.silent import CARRY_NOTHING, DELTAS_CARRY_NOTHING, EVENTS_CARRY_NOTHING

LOGS = Path(__file__).parent / "logs"

Prompts = Sequence[tuple[int, str]]
"""Before which frame each prompt was written, and with which uuid."""


@dataclass
class TraceChunks:
    """What a reader made of a trace."""

    turns: list[list[Chunk]] = field(default_factory=list)
    outside: list[Chunk] = field(default_factory=list)
    silent: list[Frame] = field(default_factory=list)  # frames that gave no chunk when they came
    ended: list[bool] = field(default_factory=list)  # whether each turn's result came


def read_trace(frames: Iterable[Frame], prompts: Prompts, *, keep_raw: bool = False) -> TraceChunks:
    """Read frames as a session does."""
    connection, got = Connection(keep_raw=keep_raw), TraceChunks()
    due = dict(prompts)
    for position, frame in enumerate(frames):
        if position in due:
            assert connection.turn is None, "a prompt is never written before the previous result"
            connection.begin(due[position])
            got.turns.append([])
            got.ended.append(False)
        events = connection.receive(line_of(frame))
        chunks = [event for event in events if isinstance(event, Chunk)]
        for chunk in chunks:
            (got.outside if chunk.turn is None else got.turns[chunk.turn]).append(chunk)
        for event in events:
            if isinstance(event, TurnEnded):
                got.ended[event.turn] = True
        if not chunks:
            got.silent.append(frame)
    return got


def line_of(frame: Frame) -> bytes:
    """Write a frame as the CLI does."""
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def reread(frames: Iterable[Frame], reads: Sequence[int] = (65536,)) -> list[Frame]:
    """Write frames as bytes and read them again, in reads of these sizes, over and over."""
    written = b"".join(json.dumps(frame).encode() + b"\n" for frame in frames)
    framer, lines, at, turn = LineFramer(), [], 0, 0
    while at < len(written):
        lines += framer.push(written[at : at + reads[turn % len(reads)]])
        at += reads[turn % len(reads)]
        turn += 1
    assert framer.flush() == b""
    read = [decode(line) for line in lines]
    assert None not in read
    return [frame for frame in read if frame is not None]


def response_of(chunks: Iterable[Chunk]) -> SessionResponse:
    """Reduce chunks to a response."""
    fold = ResponseFold()
    for chunk in chunks:
        fold.add(chunk)
    return fold.response()


def text_of(chunks: Iterable[Chunk], *, settled: bool = False) -> str:
    """Join what `text()` gives."""
    pieces: list[str] = []
    reactivex.from_iterable(list(chunks)).pipe(cc.text(settled=settled)).subscribe(pieces.append)
    return "".join(pieces)


def blocks_of(chunks: Iterable[Chunk]) -> dict[str | None, list[tuple[str, str]]]:
    """Give each agent's blocks that stand: kind and text, or the id of a tool call."""
    chunks = list(chunks)
    gone = {block for chunk in chunks if isinstance(chunk, RetractedChunk) for block in chunk.blocks}
    blocks: dict[str | None, dict[Any, tuple[str, str]]] = {}
    for chunk in chunks:
        agent = blocks.setdefault(chunk.agent, {})
        if isinstance(chunk, UnknownChunk) and chunk.type == "redacted_thinking":
            agent[chunk.seq, ""] = (chunk.type, "")
        elif isinstance(chunk, (TextChunk, ThinkingChunk)) and chunk.block not in gone:
            kind = "text" if isinstance(chunk, TextChunk) else "thinking"
            same_kind, said = agent.get(chunk.block, (kind, ""))
            assert same_kind == kind, "a block is of one kind"
            agent[chunk.block] = (kind, said + chunk.text)
        elif isinstance(chunk, ToolUseChunk):
            assert chunk.block not in gone, "a complete call is never taken back"
            assert chunk.block not in agent, "a block is one call"
            agent[chunk.block] = ("tool_use", chunk.id)
    return {agent: list(said.values()) for agent, said in blocks.items() if said}


def inputs_of(chunks: Iterable[Chunk]) -> dict[str, dict[str, Any]]:
    """Give the input of each tool call."""
    calls = [chunk for chunk in chunks if isinstance(chunk, ToolUseChunk)]
    assert len({call.id for call in calls}) == len(calls), "a tool call comes once"
    return {call.id: call.input for call in calls}


def results_of(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """Give the content of each tool result."""
    results = [chunk for chunk in chunks if isinstance(chunk, ToolResultChunk)]
    assert len({result.tool_use_id for result in results}) == len(results), "a tool result comes once"
    return {result.tool_use_id: result.content for result in results}


def notices_of(chunks: Iterable[Chunk]) -> list[str]:
    """Give the API errors that came dressed as messages."""
    return [chunk.detail for chunk in chunks if isinstance(chunk, NoticeChunk)]


def check(got: TraceChunks) -> None:
    """What holds of every trace."""
    for number, chunks in enumerate([*got.turns, got.outside]):
        turn = number if number < len(got.turns) else None
        _check_numbers(chunks, turn)
        _check_tool_inputs(chunks)
        for chunk in chunks:
            assert not isinstance(chunk, UnknownChunk) or chunk.type == "redacted_thinking", chunk
            for text in _texts(chunk):
                text.encode()  # no half of a surrogate pair
    for chunks, ended in zip(got.turns, got.ended, strict=True):
        results = [chunk for chunk in chunks if isinstance(chunk, ResultChunk)]
        assert len(results) == ended
        if ended:
            assert chunks[-1] is results[-1], "the result is the last chunk of its turn"
            settled, content = text_of(chunks, settled=True), response_of(chunks).content
            assert settled == content
            if not any(isinstance(chunk, RetractedChunk) for chunk in chunks):
                assert text_of(chunks) == content
    for frame in got.silent:
        assert _may_be_silent(frame), f"this frame gave no chunk: {frame}"


def _check_numbers(chunks: list[Chunk], turn: int | None) -> None:
    assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
    assert {chunk.turn for chunk in chunks} <= {turn}
    owners: dict[int, tuple[str | None, str | None]] = {}
    seen: list[int] = []
    gone: set[int] = set()
    for chunk in chunks:
        if isinstance(chunk, (TextChunk, ThinkingChunk, ToolInputChunk, ToolUseChunk)):
            assert chunk.block not in gone, "nothing more comes of what was taken back"
            assert owners.setdefault(chunk.block, (chunk.agent, chunk.message_id)) == (
                chunk.agent,
                chunk.message_id,
            )
            if chunk.block not in seen:
                seen.append(chunk.block)
        elif isinstance(chunk, RetractedChunk):
            assert gone.isdisjoint(chunk.blocks), "nothing is taken back twice"
            assert set(chunk.blocks) <= set(seen), "only what was shown is taken back"
            gone.update(chunk.blocks)
    assert seen == list(range(len(seen))), "blocks are numbered in the order in which they are shown"


def _check_tool_inputs(chunks: list[Chunk]) -> None:
    """Where pieces of an input came, they join to the call's input or were taken back."""
    written: dict[str, str] = {}
    for chunk in chunks:
        if isinstance(chunk, ToolInputChunk):
            written[chunk.id] = written.get(chunk.id, "") + chunk.partial_json
    gone = {call for chunk in chunks if isinstance(chunk, RetractedChunk) for call in chunk.tool_ids}
    inputs = inputs_of(chunks)
    aborted = any(isinstance(chunk, ResultChunk) and chunk.is_error for chunk in chunks)
    for call, text in written.items():
        assert (call in inputs) + (call in gone) == 1 or (aborted and call not in inputs), call
        if call in inputs:
            assert json.loads(text) == inputs[call]


def _texts(chunk: Chunk) -> list[str]:
    if isinstance(chunk, (TextChunk, ThinkingChunk)):
        return [chunk.text]
    if isinstance(chunk, ToolInputChunk):
        return [chunk.partial_json]
    return [json.dumps(chunk.input, ensure_ascii=False)] if isinstance(chunk, ToolUseChunk) else []


def _may_be_silent(frame: Frame) -> bool:
    """Whether a frame is named as carrying nothing, was held back, or repeats what was shown."""
    if frame["type"] != "stream_event":
        # A whole block confirms what streamed; one of white space stands for nothing.
        said = frame["type"] == "assistant" and all(
            block["type"] in ("text", "thinking") for block in frame["message"]["content"]
        )
        return said or frame["type"] in CARRY_NOTHING
    event = frame["event"]
    if event["type"] == "content_block_delta":
        delta = event["delta"]
        piece = delta.get("text", delta.get("thinking", delta.get("partial_json")))
        return delta["type"] in DELTAS_CARRY_NOTHING or _is_held(piece)
    # Whether a new version follows a message that broke off, only the next frame tells.
    return event["type"] in EVENTS_CARRY_NOTHING or event["type"] == "message_stop"


def _is_held(piece: str | None) -> bool:
    """White space as JavaScript sees it, or half a pair."""
    return piece is not None and all(c.isspace() or c == "\ufeff" or "\ud800" <= c <= "\udbff" for c in piece)


def write_cassette(
    path: Path, frames: Sequence[Frame], prompts: Prompts, *, every: float = 0.001, prompt: Any = "?"
) -> None:
    """Write frames as a recorded session, one every so many seconds."""
    due = dict(prompts)
    lines: list[Frame] = [{"rxccsdk_cassette": 1, "cli_version": "2.1.330", "sdk": "claude-agent-sdk"}]
    for position, frame in enumerate(frames):
        at = round(position * every, 4)
        if position in due:
            said = {"role": "user", "content": prompt}
            lines.append({"t": at, "out": {"type": "user", "uuid": due[position], "message": said}})
        lines.append({"t": at, "in": frame})
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
