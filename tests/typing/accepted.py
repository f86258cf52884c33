"""What `mypy --strict` must accept, with the types it must find. Never run, only checked."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TypedDict, assert_type

import reactivex as rx
from pydantic import BaseModel, TypeAdapter
from reactivex import Observable
from reactivex import operators as ops
from rich.console import Console

from rxccsdk import (
    AgentStream,
    Answer,
    Answers,
    Chunk,
    ClaudeSession,
    CodeBlock,
    Deny,
    Progress,
    RetractedChunk,
    Retry,
    SessionResponse,
    TextChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    Turn,
    ask_all,
)
from rxccsdk import operators as cc
from rxccsdk.text.hot import Hot


class City(BaseModel):
    name: str


@dataclass
class Town:
    name: str


class Village(TypedDict):
    name: str


def name_of(use: ToolUseChunk) -> str:
    return use.name


def each_operator(turn: Turn, words: Observable[str]) -> None:
    assert_type(turn.pipe(cc.text()), Observable[str])
    assert_type(turn.pipe(cc.text("", agents="all", settled=True)), Observable[str])
    assert_type(turn.pipe(cc.of_type(ToolUseChunk)), Observable[ToolUseChunk])
    assert_type(turn.pipe(cc.buffer_text()), Observable[Chunk])
    assert_type(turn.pipe(cc.buffer_text(seconds=None, chars=80)), Observable[Chunk])
    assert_type(turn.pipe(cc.by_word(), cc.by_line(hold=80)), Observable[Chunk])
    assert_type(turn.pipe(cc.by_sentence(), cc.by_block()), Observable[Chunk])
    assert_type(turn.pipe(cc.smooth(max_lag=0.2)), Observable[Chunk])
    assert_type(turn.pipe(cc.spans()), Observable[Chunk])
    assert_type(turn.pipe(cc.tool_output("toolu_1")), Observable[str])
    assert_type(turn.pipe(cc.answer_asks(lambda ask: Deny("no"))), Observable[Chunk])
    assert_type(turn.pipe(cc.stall(first=60, between=30.5)), Observable[Chunk])
    assert_type(turn.pipe(cc.thinking("", agents="all")), Observable[str])
    assert_type(turn.pipe(cc.tools()), Observable[ToolUseChunk | ToolProgressChunk | ToolResultChunk])
    assert_type(turn.pipe(cc.by_agent()), Observable[AgentStream])
    assert_type(turn.pipe(cc.code_blocks()), Observable[CodeBlock])
    assert_type(turn.pipe(cc.pages(limit=4096)), Observable[str])
    assert_type(turn.pipe(cc.text(settled=True), cc.pages()), Observable[str])
    assert_type(turn.pipe(cc.tap_latest(print, every=1)), Observable[Chunk])
    assert_type(words.pipe(cc.tap_latest(print)), Observable[str])
    assert_type(turn.pipe(cc.parse_json(City)), Observable[City])
    assert_type(turn.pipe(cc.parse_json(Town, tool="Save")), Observable[Town])
    assert_type(turn.pipe(cc.parse_json(Village)), Observable[Village])
    assert_type(turn.pipe(cc.parse_json(list[City])), Observable[list[City]])
    assert_type(turn.pipe(cc.parse_json(TypeAdapter[City | Town](City | Town))), Observable[City | Town])
    assert_type(turn.pipe(cc.elements(City)), Observable[City])
    assert_type(turn.pipe(cc.print_text()), Observable[Chunk])
    assert_type(turn.pipe(cc.tap_chunks(lambda chunk: None)), Observable[Chunk])
    assert_type(turn.pipe(cc.tap_text(lambda text: None)), Observable[Chunk])
    assert_type(turn.pipe(cc.to_response()), Observable[SessionResponse])
    assert_type(turn.pipe(cc.scan_response(every=0.5)), Observable[SessionResponse])
    assert_type(turn.pipe(cc.progress(every=0.5)), Observable[Progress])
    assert_type(turn.pipe(cc.to_async_iterator()), AsyncGenerator[Chunk, None])
    assert_type(words.pipe(cc.buffer_text()), Observable[str])
    assert_type(words.pipe(cc.by_word(), cc.by_sentence()), Observable[str])
    assert_type(words.pipe(cc.by_line(), cc.by_block(), cc.smooth()), Observable[str])
    assert_type(words.pipe(cc.parse_json(City)), Observable[City])
    assert_type(words.pipe(cc.elements(City), cc.stall(between=5)), Observable[City])
    assert_type(words.pipe(cc.code_blocks()), Observable[CodeBlock])
    assert_type(words.pipe(cc.print_text()), Observable[str])
    assert_type(words.pipe(cc.tap_text(print)), Observable[str])


def chains(turn: Turn) -> None:
    assert_type(turn.pipe(cc.buffer_text(), cc.text(), cc.to_async_iterator()), AsyncGenerator[str, None])
    whole = turn.pipe(
        cc.buffer_text(seconds=0.05),
        cc.print_text(),
        cc.tap_text(print),
        cc.tap_chunks(print),
        cc.to_response(),
    )
    assert_type(whole, Observable[SessionResponse])
    assert_type(turn.pipe(cc.of_type(ToolUseChunk), ops.map(name_of)), Observable[str])
    assert_type(turn.pipe(cc.of_type(TextChunk), ops.take(2), cc.text()), Observable[str])
    assert_type(turn.pipe(cc.text(), ops.map(len), ops.sum()), Observable[float])
    assert_type(rx.of(TextChunk("a")).pipe(cc.buffer_text()), Observable[TextChunk])
    turn.pipe(cc.of_type(TextChunk, RetractedChunk)).subscribe(lambda chunk: print(chunk.agent))


def streams(turn: Turn) -> None:
    def answer(agent: AgentStream) -> Observable[SessionResponse]:
        assert_type(agent.call, ToolUseChunk | None)
        return agent.pipe(cc.stall(between=5), cc.to_response())

    def code(block: CodeBlock) -> Observable[str]:
        assert_type(block.language, str)
        return block.pipe(cc.by_line())

    assert_type(turn.pipe(cc.by_agent(), ops.flat_map(answer)), Observable[SessionResponse])
    assert_type(turn.pipe(cc.code_blocks(), ops.flat_map(code)), Observable[str])
    assert_type(turn.pipe(cc.text(settled=True), cc.parse_json(City)), Observable[City])


def callbacks(turn: Turn) -> None:
    async def chunk_later(chunk: Chunk) -> None: ...

    async def text_later(text: str) -> None: ...

    def use(chunk: Chunk) -> int:
        return chunk.seq

    def show(response: SessionResponse) -> None: ...

    async def run(use: ToolUseChunk) -> None: ...

    def report(error: Exception) -> None: ...

    assert_type(turn.pipe(cc.tap_chunks(chunk_later)), Observable[Chunk])
    assert_type(turn.pipe(cc.tap_latest(text_later, on_error=report)), Observable[Chunk])
    assert_type(turn.pipe(cc.tap_chunks(use, on_error=report)), Observable[Chunk])
    assert_type(turn.pipe(cc.tap_text(text_later, "all", on_error=report)), Observable[Chunk])
    assert_type(turn.pipe(cc.tap_text(sys.stderr.write), cc.to_response()), Observable[SessionResponse])
    assert_type(turn.pipe(cc.of_type(ToolUseChunk), cc.tap_chunks(use)), Observable[ToolUseChunk])
    assert_type(turn.pipe(cc.of_type(ToolUseChunk), cc.tap_chunks(run)), Observable[ToolUseChunk])
    assert_type(turn.pipe(cc.scan_response(), cc.tap_chunks(show)), Observable[SessionResponse])
    assert_type(turn.pipe(cc.text(), cc.tap_chunks(print)), Observable[str])


def files(turn: Turn, console: Console) -> None:
    turn.pipe(cc.print_text(file=sys.stderr))
    turn.pipe(cc.print_text(0.1, console.file))


async def many(answers: Answers) -> None:
    assert_type(ask_all(["a", [{"type": "text", "text": "b"}]], retry=Retry(tries=2)), Answers)
    assert_type(answers.pipe(ops.take(1)), Observable[Answer])
    assert_type(answers.started, Hot[Turn])
    async for answer in answers:
        assert_type(answer.response, SessionResponse)


async def leaving(session: ClaudeSession) -> None:
    turn = session.stream("hi")
    response = await turn.pipe(cc.to_response())
    assert_type(response, SessionResponse)
    assert_type(response.content, str)
    assert_type(response.metadata.total_cost_usd, float | None)
    assert_type(response.success, bool)
    async for chunk in turn:
        assert_type(chunk, Chunk)
    async for piece in turn.pipe(cc.text(), cc.to_async_iterator()):
        assert_type(piece, str)
    assert_type(await turn.pipe(cc.text(), ops.to_list()), list[str])
