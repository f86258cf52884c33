"""Structure: `parse_json()`, `elements()`, `code_blocks()`."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import partial
from json import JSONDecodeError, JSONDecoder
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from benchmarks.harness import Case
from benchmarks.operators.pieces import MAY_OVERTAKE
from benchmarks.operators.streams import Replayed, subscriber
from benchmarks.operators.ways import Emit, compare, hand_way, our_ways
from benchmarks.sources import Numbered, content, cut
from rxccsdk import Chunk, TextChunk
from rxccsdk import operators as cc


class Section(BaseModel):
    """A part of a report."""

    name: str
    body: str
    score: float
    tags: list[str]


class Report(BaseModel):
    """What is written as JSON."""

    title: str
    sections: list[Section]


def cases(prose: list[Chunk], sections: int) -> Iterator[Case]:
    report = _report(sections)
    model, item, array = TypeAdapter(Report), TypeAdapter(Section), TypeAdapter(list[Section])
    written = _as_chunks(report.model_dump_json(indent=1))
    ways = [
        *our_ways(cc.parse_json(Report)),
        hand_way(partial(_read_again, model, 0), "the whole again at each delta, as pydantic-ai", passes=1),
        hand_way(partial(_read_again, model, 16), "when it has grown by a sixteenth; no prose", aim=None),
        hand_way(partial(_read_once, model), "once, at the end", aim=None),
    ]
    name = f"parse_json(Model), {len(written):,} chunks of one JSON"
    yield compare(name, written, ways, lambda got: got[-1] == report)

    listed = _as_chunks(array.dump_json(report.sections, indent=1).decode())
    ways = [
        *our_ways(cc.elements(Section)),
        hand_way(partial(_decode_by_hand, item), "raw_decode of what is held, at each brace; no prose"),
        hand_way(partial(_list_again, array), "the whole again at each delta", passes=1),
    ]
    name = f"elements(Model), {len(listed):,} chunks of one array"
    yield compare(name, listed, ways, lambda got: got == report.sections)

    code = "".join(re.findall(r"^```\w+\n(.*?)^```", content(prose), re.MULTILINE | re.DOTALL))
    ways = [
        *our_ways(cc.code_blocks()),
        hand_way(_fences_by_hand, "line by line; no fences in lists or quotes"),
    ]
    yield compare("code_blocks()", prose, ways, lambda got: "".join(got) == code, sink=subscriber)


def _report(sections: int) -> Report:
    body = "The stream of chunks is cut by the agent, and said again for the session it is in. " * 2
    tags = ["chunk", "turn", "agent"]
    told = [Section(name=f"Section {n}", body=body, score=n / 7, tags=tags) for n in range(sections)]
    return Report(title="On streams", sections=told)


def _as_chunks(text: str) -> list[Chunk]:
    chunks = Numbered()
    for piece in cut(text, random.Random(0)):
        chunks.add(TextChunk, piece, 0)
    return chunks.all


def _read_again(model: TypeAdapter[Any], part: int, chunks: list[Chunk], emit: Emit) -> None:
    """Read the whole again at each delta, or when it has grown by a part of itself; give what is new."""
    pieces: list[str] = []
    size = read_at = 0
    last = None
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            pieces.append(chunk.text)
            size += len(chunk.text)
            if size >= read_at:
                read_at = size + size // part if part else 0
                pieces[:] = ["".join(pieces)]
                try:
                    value = model.validate_json(pieces[0], experimental_allow_partial="trailing-strings")
                except ValidationError:
                    continue
                if value != last:
                    emit(value)
                    last = value
    value = model.validate_json("".join(pieces))
    if value != last:
        emit(value)


def _read_once(model: TypeAdapter[Any], chunks: list[Chunk], emit: Emit) -> None:
    emit(model.validate_json("".join([chunk.text for chunk in chunks if isinstance(chunk, TextChunk)])))


def _decode_by_hand(item: TypeAdapter[Any], chunks: list[Chunk], emit: Emit) -> None:
    decoder, held = JSONDecoder(), ""
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            held += chunk.text
            if "}" in chunk.text:
                held = held.lstrip("[, \n")
                try:
                    value, end = decoder.raw_decode(held)
                except JSONDecodeError:
                    continue
                emit(item.validate_python(value))
                held = held[end:]


def _list_again(array: TypeAdapter[Any], chunks: list[Chunk], emit: Emit) -> None:
    text, told = "", 0
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            text += chunk.text
            try:
                values = array.validate_json(text, experimental_allow_partial=True)
            except ValidationError:
                continue
            for value in values[told:-1]:  # the last one may not be whole
                emit(value)
            told = max(told, len(values) - 1)
    for value in array.validate_json(text)[told:]:
        emit(value)


def _fences_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    line, block = "", None
    for chunk in chunks:
        if isinstance(chunk, TextChunk) and chunk.agent is None:
            line += chunk.text
            if "\n" in chunk.text:
                *complete, line = line.split("\n")
                for one in complete:
                    if one.startswith("```"):
                        block = None if block is not None else Replayed()
                        if block is not None:
                            emit(block)
                    elif block is not None:
                        block.push(one + "\n")
        elif not isinstance(chunk, MAY_OVERTAKE):
            line, block = "", None
