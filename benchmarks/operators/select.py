"""Select: `text()`, `thinking()`, `tools()`, `of_type()`, `by_agent()`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aiostream
from reactivex import operators as ops
from reactivex.subject import ReplaySubject

from benchmarks.harness import Case
from benchmarks.operators.streams import Replayed, subscriber
from benchmarks.operators.ways import (
    Emit,
    compare,
    generated,
    hand_way,
    is_a,
    our_ways,
    peer_way,
    stock_way,
    streamed,
)
from benchmarks.sources import Seams, content, piece_of
from rxccsdk import Chunk, TextChunk, ThinkingChunk, ToolProgressChunk, ToolResultChunk, ToolUseChunk
from rxccsdk import operators as cc

_TOOLS = (ToolUseChunk, ToolProgressChunk, ToolResultChunk)


def cases(prose: list[Chunk], work: list[Chunk]) -> Iterator[Case]:
    def none_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        for chunk in chunks:
            emit(chunk)

    ways = [*our_ways(), hand_way(none_by_hand, aim=None), peer_way("an async generator", generated)]
    yield compare("no operator: source and subscriber alone", prose, ways, lambda got: got == prose)

    ways = [
        *our_ways(cc.text()),
        hand_way(_text_by_hand),
        stock_way("filter, map", lambda: (ops.filter(is_a(TextChunk)), ops.map(piece_of()))),
    ]
    yield compare("text()", prose, ways, lambda got: "".join(got) == content(prose))

    def thinking_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        block = None
        for chunk in chunks:
            if isinstance(chunk, ThinkingChunk) and chunk.agent is None:
                emit(chunk.text if block in (chunk.block, None) else "\n\n" + chunk.text)
                block = chunk.block

    ways = [
        *our_ways(cc.thinking()),
        hand_way(thinking_by_hand),
        stock_way("filter, map", lambda: (ops.filter(is_a(ThinkingChunk)), ops.map(piece_of()))),
    ]
    thoughts = list(map(piece_of(), filter(is_a(ThinkingChunk), work)))
    yield compare("thinking()", work, ways, lambda got: got == thoughts)

    def tools_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        for chunk in chunks:
            if isinstance(chunk, _TOOLS):
                emit(chunk)

    ways = [
        *our_ways(cc.tools()),
        hand_way(tools_by_hand),
        stock_way("filter", lambda: (ops.filter(is_a(_TOOLS)),)),
    ]
    calls = list(filter(is_a(_TOOLS), work))
    yield compare("tools()", work, ways, lambda got: got == calls)

    def of_type_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        for chunk in chunks:
            if isinstance(chunk, TextChunk):
                emit(chunk)

    ways = [
        *our_ways(cc.of_type(TextChunk)),
        hand_way(of_type_by_hand),
        stock_way("filter", lambda: (ops.filter(is_a(TextChunk)),)),
        peer_way("aiostream: filter", streamed(lambda: aiostream.pipe.filter(is_a(TextChunk)))),
    ]
    said = list(filter(is_a(TextChunk), work))
    yield compare("of_type(TextChunk)", work, ways, lambda got: got == said)

    ways = [
        *our_ways(cc.by_agent()),
        hand_way(_by_agent_by_hand),
        stock_way(
            "filter, group_by (no group ends)",
            lambda: (ops.filter(_agent_of), ops.group_by(_agent_of, _as_main, ReplaySubject)),  # type: ignore[arg-type]
        ),
    ]
    told = list(map(_as_main, filter(_agent_of, work)))
    yield compare("by_agent()", work, ways, lambda got: got == told, sink=subscriber)


def _agent_of(chunk: Any) -> str | None:
    agent: str | None = chunk.agent
    return agent


def _as_main(chunk: Any) -> Any:
    return replace(chunk, agent=None)


def _text_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    seams, block = Seams(), -1
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            if chunk.agent is None:
                if chunk.block == block:
                    emit(chunk.text)
                else:
                    block = chunk.block
                    emit(seams.before(chunk) + chunk.text)
        elif piece := seams.note(chunk):
            emit(piece)


def _by_agent_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    streams: dict[str, Replayed] = {}
    for chunk in chunks:
        agent = chunk.agent
        if agent is not None:
            stream = streams.get(agent)
            if stream is None:
                stream = streams[agent] = Replayed()
                emit(stream)
            stream.push(_as_main(chunk))
        elif isinstance(chunk, ToolResultChunk):
            streams.pop(chunk.tool_use_id, None)
