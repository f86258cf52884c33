"""A recording as rows on one timeline: what was said, called and decided, and when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rxccsdk import operators as cc
from rxccsdk.chunks import (
    AskChunk,
    Chunk,
    DecisionChunk,
    NoticeChunk,
    PromptChunk,
    ResultChunk,
    RetractedChunk,
    TextChunk,
    ThinkingChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.errors import RxccError
from rxccsdk.session.denied import text_of_content
from rxccsdk.session.prompt import in_words
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn
from rxccsdk.text.pieces import answer_without_text
from rxccsdk.text.wording import call_in_words
from rxccsdk.transport.cassette import read_cassette

Kind = Literal["prompt", "text", "thinking", "tool", "note", "result"]

_BETWEEN = 1.0  # seconds between a turn's end and the next prompt
_READ = 0.6  # seconds that a prompt stands alone


@dataclass
class Row:
    """Something that was said or done.

    Attributes:
        kind: what it is.
        start: when it began, in seconds on the timeline.
        pieces: its text as it came: when, and what.
        end: when it was whole, or the tool had ended; `None` where that never came.
        title: a tool's name.
        about: what a tool call does, in a few words.
        input: all of a tool's input.
        output: what a tool gave back.
        failed: a tool, or the turn, failed.
        retracted: when it was taken back, if it was.
        depth: of the sub-agent, 0 for the main agent.
    """

    kind: Kind
    start: float
    pieces: list[tuple[float, str]] = field(default_factory=list)
    end: float | None = None
    title: str = ""
    about: str = ""
    input: str = ""
    output: str = ""
    failed: bool = False
    retracted: float | None = None
    depth: int = 0

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(text for _, text in self.pieces)


@dataclass(frozen=True)
class Scene:
    """A turn: its prompt, what answered it, and how the session broke in it, if it did."""

    prompt: str
    chunks: list[Chunk]
    error: RxccError | None = None


async def read(path: Path) -> list[Scene]:
    """Read a recording.

    Raises:
        CassetteError: it is missing or damaged.
        RxccError: the recorded session broke before its first prompt.
    """
    scenes: list[Scene] = []
    async with ClaudeSession.replay(path, speed=float("inf")) as session:
        for recorded in read_cassette(path).turns:
            turn: Turn | None = session.stream(recorded.prompt)
            while turn is not None:
                chunks: list[Chunk] = []
                error = None
                try:
                    await turn.pipe(cc.tap_chunks(chunks.append), cc.to_response())
                except RxccError as broken:
                    error = broken
                scenes.append(Scene(in_words(turn.prompt), chunks, error))
                if error is not None:
                    return scenes
                turn = turn._follower
    return scenes


def rows_of_all(scenes: Iterable[Scene], max_idle: float = float("inf")) -> list[Row]:
    """Return the rows of all turns, one after the other.

    Args:
        scenes: the turns.
        max_idle: no pause is longer, in seconds.
    """
    rows: list[Row] = []
    began = 0.0
    for scene in scenes:
        rows += rows_of(scene, began)
        began = max((row.end or row.start for row in rows), default=began) + _BETWEEN
    return without_idleness(rows, max_idle)


def rows_of(scene: Scene, began: float) -> list[Row]:
    """Return the rows of a turn that begins at this moment."""
    rows = [Row("prompt", began, [(began, scene.prompt)], began)]
    began += _READ
    last = began
    blocks: dict[tuple[str | None, int], Row] = {}
    calls: dict[str, Row] = {}
    depths: dict[str | None, int] = {None: 0}
    has_text = False
    for chunk in scene.chunks:
        last = max(last, began + chunk.at)
        depth = depths.get(chunk.agent, 1)
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            has_text = has_text or (isinstance(chunk, TextChunk) and chunk.agent is None)
            row = blocks.get((chunk.agent, chunk.block))
            if row is None:
                kind: Kind = "text" if isinstance(chunk, TextChunk) else "thinking"
                row = blocks[chunk.agent, chunk.block] = Row(kind, last, depth=depth)
                rows.append(row)
            row.pieces.append((last, chunk.text))
            row.end = last
        elif isinstance(chunk, ToolUseChunk):
            given = json.dumps(chunk.input, indent=2, ensure_ascii=False)
            row = Row(
                "tool", last, title=chunk.name, about=call_in_words(chunk.input), input=given, depth=depth
            )
            rows.append(row)
            calls[chunk.id] = row
            depths[chunk.id] = depth + 1
        elif isinstance(chunk, ToolResultChunk) and chunk.tool_use_id in calls:
            row = calls[chunk.tool_use_id]
            row.end, row.failed, row.output = last, chunk.is_error, text_of_content(chunk.content)
        elif isinstance(chunk, RetractedChunk):
            for row in (blocks[key] for key in blocks if key[1] in chunk.blocks):
                row.retracted = last
        elif (words := _in_a_note(chunk)) is not None:
            rows.append(Row("note", last, [(last, words)], last, depth=depth))
        elif isinstance(chunk, ResultChunk):
            if not has_text and (answer := answer_without_text(chunk)):
                rows.append(Row("text", last, [(last, answer)], last))
            rows.append(_result(chunk, last))
    if scene.error is not None:
        rows.append(Row("result", last, [(last, str(scene.error))], last, failed=True))
    return rows


def without_idleness(rows: list[Row], most: float) -> list[Row]:
    """Shorten each pause in which nothing comes; return the same rows."""
    times = {0.0}
    for row in rows:
        times.update(t for t, _ in row.pieces)
        times.update(t for t in (row.start, row.end, row.retracted) if t is not None)
    moved, before, now = dict[float, float](), 0.0, 0.0
    for time in sorted(times):
        now += min(time - before, most)
        before, moved[time] = time, now
    for row in rows:
        row.start = moved[row.start]
        row.pieces = [(moved[t], text) for t, text in row.pieces]
        row.end = moved[row.end] if row.end is not None else None
        row.retracted = moved[row.retracted] if row.retracted is not None else None
    return rows


def _in_a_note(chunk: Chunk) -> str | None:
    if isinstance(chunk, NoticeChunk):
        return chunk.detail
    if isinstance(chunk, AskChunk):
        return f"asks: {chunk.tool_name} {call_in_words(chunk.input)}".rstrip()
    if isinstance(chunk, DecisionChunk):
        return f"answer: {chunk.decision}" + (f", {chunk.detail}" if chunk.detail else "")
    if isinstance(chunk, PromptChunk) and chunk.state == "queued":
        return f"message: {chunk.text}"
    return None


def _result(chunk: ResultChunk, at: float) -> Row:
    words = []
    if chunk.is_error:
        words.append("; ".join(chunk.errors) or chunk.result or chunk.subtype)
    if chunk.duration_ms is not None:
        words.append(f"{chunk.duration_ms / 1000:.1f} s")
    if chunk.cost_usd is not None:
        words.append(f"${chunk.cost_usd:.4f}")
    return Row("result", at, [(at, " · ".join(words))], at, failed=chunk.is_error)
