"""Runs of deltas: lines that are not decoded one by one give what decoding them gives, to the last byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk.chunks import Chunk, Frame, TextChunk, ToolInputChunk
from rxccsdk.testing.wire_strategies import Trace, wire_traces
from rxccsdk.wire import deltas
from rxccsdk.wire.deltas import DELTA_FIELDS, DeltaRun
from rxccsdk.wire.parser import Parser, Scope
from rxccsdk.wire.reading import FrameReader
from rxccsdk.wire.routing import Router

TEXT, THINKING, INPUT = DELTA_FIELDS
WORDS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        '"',
        "\\",
        '\\"',
        "\n",
        "\x00",
        "\u2028",
        "é",
        "日本",
        "😀",
        '"}},"uuid":"',
        '","text":"x',
        "\ud83d",
        "\ude00",
    ]
)


def delta(words: str, kind: str = TEXT, *, index: int = 0, parent: str | None = None, **more: Any) -> Frame:
    """A delta's frame, its fields in the order in which 2.1.330 writes them."""
    event = {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": kind, DELTA_FIELDS[kind]: words},
    }
    frame = {"type": "stream_event", "event": event, "session_id": "S", "parent_tool_use_id": parent}
    return {**frame, "uuid": str(UUID(int=len(words))), "api_message_id": "m", **more}


def start(kind: str = TEXT, index: int = 0) -> Frame:
    block = {"type": kind.partition("_delta")[0], "text": ""}
    if kind == INPUT:
        block = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
    event = {"type": "content_block_start", "index": index, "content_block": block}
    return {"type": "stream_event", "event": event, "parent_tool_use_id": None, "uuid": "u"}


def written(frames: Iterable[Frame], *, ascii_only: bool = False) -> bytes:
    """Frames as `JSON.stringify` writes them."""
    lines = (json.dumps(frame, separators=(",", ":"), ensure_ascii=ascii_only) for frame in frames)
    # A lone surrogate has no UTF-8; JSON.stringify writes it as an escape.
    return b"".join(
        line.encode("utf-8", "surrogatepass" if ascii_only else "backslashreplace") + b"\n" for line in lines
    )


def chunks_of(frames: Iterable[Frame | DeltaRun]) -> list[Chunk]:
    parser, scope = Parser(), Scope(0)
    return [chunk for frame in frames for chunk in parser.parse(frame, scope, 0.5)]


def both_ways(
    data: bytes, reads: Sequence[int] = (65536,)
) -> tuple[list[Frame | DeltaRun], list[Frame | DeltaRun]]:
    """What a reader gives that knows runs, and what decoding each line gives."""
    reader, at, frames = FrameReader(), 0, []
    while at < len(data):
        size = reads[len(frames) % len(reads)]
        frames += reader.read(data[at : at + size])
        at += size
    general = FrameReader(runs=False)
    return [*frames, *reader.flush()], [*general.read(data), *general.flush()]


def runs(frames: Iterable[Frame | DeltaRun]) -> list[list[str]]:
    return [list(frame.texts) for frame in frames if isinstance(frame, DeltaRun)]


@pytest.mark.parametrize("kind", DELTA_FIELDS)
def test_what_repeats_the_first_delta_is_one_run(kind: str) -> None:
    words = ["The", " cat", '\n"sat"', " on\\", "日本 😀", "", "."]
    data = written([start(kind), *(delta(piece, kind) for piece in words)])
    fused, general = both_ways(data)
    assert fused[-1] == DeltaRun(0, kind, "m", words[1:])
    assert len(fused) == 3
    assert chunks_of(fused) == chunks_of(general)


@given(
    st.lists(st.tuples(WORDS, st.sampled_from([TEXT, THINKING, INPUT]), st.integers(0, 1)), max_size=12),
    st.booleans(),
    st.lists(st.integers(1, 900), min_size=1, max_size=4),
)
def test_any_words_in_any_reads_are_what_decoding_gives(
    pieces: list[tuple[str, str, int]], ascii_only: bool, reads: list[int]
) -> None:
    frames = [start(TEXT, 0), start(INPUT, 1), *(delta(words, kind, index=at) for words, kind, at in pieces)]
    fused, general = both_ways(written(frames, ascii_only=ascii_only), reads)
    assert chunks_of(fused) == chunks_of(general)


@given(wire_traces(), st.booleans(), st.lists(st.integers(1, 3000), min_size=1, max_size=4))
def test_any_session_is_heard_the_same_either_way(trace: Trace, ascii_only: bool, reads: list[int]) -> None:
    def hear(reader: FrameReader) -> tuple[list[tuple[int | None, Chunk]], list[bool]]:
        router, parser = Router(), Parser()
        scopes: dict[int | None, Scope] = {None: Scope(None)}
        told: list[tuple[int | None, Chunk]] = []
        ended: list[bool] = []
        for uuid, data in segments(trace, ascii_only):
            if uuid is not None:
                scopes[len(scopes) - 1] = Scope(len(scopes) - 1)
                router.begin(len(scopes) - 2, uuid)
            at = 0
            while at < len(data):
                size = reads[at % len(reads)]
                for frame in reader.read(data[at : at + size]):
                    turn = router.route(frame)
                    told += [(turn, chunk) for chunk in parser.parse(frame, scopes[turn], 0.0)]
                    if router.ended:
                        ended.append(True)
                at += size
        return told, ended

    assert hear(FrameReader()) == hear(FrameReader(runs=False))


def segments(trace: Trace, ascii_only: bool) -> Iterator[tuple[str | None, bytes]]:
    """The bytes up to each prompt, and which one was written before them."""
    prompts = dict(trace.prompts)
    uuid, begun = None, 0
    frames = [_ordered(frame, number) for number, frame in enumerate(trace.frames)]
    for position in [*sorted(prompts), len(frames)]:
        yield uuid, written(frames[begun:position], ascii_only=ascii_only)
        uuid, begun = prompts.get(position), position


def _ordered(frame: Frame, number: int) -> Frame:
    if frame["type"] != "stream_event":
        return frame
    rest = {name: value for name, value in frame.items() if name not in ("type", "event", "api_message_id")}
    named = {name: frame[name] for name in ("api_message_id",) if name in frame}
    return {"type": "stream_event", "event": frame["event"], **rest, "uuid": str(UUID(int=number)), **named}


# -- what is no repetition ----------------------------------------------------------------------------


FIRST, USUAL = delta("one"), delta("two")


@pytest.mark.parametrize(
    "odd",
    [
        delta("two", index=1),
        delta("two", THINKING),
        delta("two", parent="toolu_1"),
        delta("two", api_message_id="n"),
        delta("two", session_id="T"),
        delta("two", uuid="short"),
        delta("two", uuid='"' * 34 + "ab"),
        delta("two", uuid="\\" * 18),
        delta("two", user_message_uuids=["u"]),
        {**USUAL, "event": {**USUAL["event"], "delta": {"type": TEXT, "text": "two", "more": 1}}},
        {**USUAL, "event": {**USUAL["event"], "delta": {"type": TEXT, "text": None}}},
        {**USUAL, "event": {**USUAL["event"], "delta": {"type": TEXT}}},
        {**USUAL, "event": None},
        dict(reversed(USUAL.items())),
        {"type": "system", "subtype": "status"},
    ],
    ids=lambda odd: json.dumps(odd)[:120],
)
def test_a_line_that_differs_elsewhere_is_decoded(odd: Frame) -> None:
    fused, general = both_ways(written([FIRST, USUAL, odd, USUAL, USUAL]))
    assert runs(fused)[0] == ["two"]
    assert odd in fused
    assert chunks_of(fused) == chunks_of(general)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda line: line.replace(b"two", b'tw"o'),
        lambda line: line.replace(b"two", b'two","text":"three'),
        lambda line: line.replace(b"two", b"tw\\o"),
        lambda line: line.replace(b"two", b"tw\xffo"),
        lambda line: line.replace(b"two", b"tw\\ud83do"),
        lambda line: line.replace(b"two", b'two"'),
        lambda line: line.replace(b'"two"', b'"'),
        lambda line: line.replace(b"two", b"\\"),
        lambda line: line.replace(b"-0000-", b'","a":'),
        lambda line: line[:-1],
        lambda line: line + b"}",
        lambda line: b"\xef\xbb\xbf" + line,
        lambda line: line.replace(b":", b": "),
    ],
)
def test_a_line_that_is_broken_is_as_broken_as_ever(spoilt: Any) -> None:
    usual = written([USUAL]).strip()
    data = b"\n".join([written([FIRST]).strip(), usual, spoilt(usual), usual]) + b"\n"
    fused, general = both_ways(data)
    assert chunks_of(fused) == chunks_of(general)


def test_a_control_character_is_taken_as_ever() -> None:
    """JSON forbids it raw; the patient decoder takes it."""
    data = written([FIRST, USUAL]) + written([USUAL]).replace(b"two", b"t\two")
    fused, general = both_ways(data)
    assert chunks_of(fused) == chunks_of(general)
    assert [chunk.text for chunk in chunks_of(fused) if isinstance(chunk, TextChunk)] == [
        "one",
        "two",
        "t\two",
    ]


def test_duplicate_names_are_seen_through() -> None:
    """The last of two counts: a line whose first one is the words in the wrong place is no shape to learn."""
    line = written([FIRST]).strip().replace(b'"text":"one"', b'"text":"one","text":"last"')
    fused, general = both_ways(b"\n".join([line, line, line.replace(b"one", b"two"), b""]))
    assert runs(fused) == []
    assert chunks_of(fused) == chunks_of(general)


def test_deltas_that_are_never_alike_are_hardly_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning a shape costs as much as decoding: a CLI that numbers its deltas would pay it for each."""
    learned: list[Frame] = []

    def shape(line: bytes, frame: Frame) -> Any:
        learned.append(frame)
        return deltas._Shape(line[:9], line[9:10], line[10:11], 1, 0, TEXT, None)

    monkeypatch.setattr(deltas, "_shape", shape)
    fused, _ = both_ways(written(delta("x", number=number) for number in range(5000)))
    assert runs(fused) == []
    assert len(learned) < 60


def test_deltas_that_stand_alone_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of thinking, between the counts of its tokens: recognising one costs more than decoding it."""
    tried: list[int] = []
    read = deltas._Shape.read
    monkeypatch.setattr(
        deltas._Shape, "read", lambda self, lines: tried.append(len(lines)) or read(self, lines)
    )
    count = {"type": "system", "subtype": "thinking_tokens", "estimated_tokens": 1}
    alone = [frame for _ in range(5000) for frame in (count, delta("x", THINKING))]
    words = [delta("x", index=1)] * 300
    fused, general = both_ways(written([start(THINKING), *alone, start(TEXT, 1), *words]), [10**7])
    assert len(tried) < 80
    assert [len(run) for run in runs(fused)][-1] == 299, "the next block may come otherwise"
    assert chunks_of(fused) == chunks_of(general)


def test_deltas_that_are_alike_are_looked_at_for_ever() -> None:
    blocks = [[delta(words, index=index) for words in "xyz"] for index in range(150)]
    fused, _ = both_ways(written(frame for block in blocks for frame in block))
    assert runs(fused) == [["y", "z"]] * 150


def test_deltas_of_sub_agents_are_decoded() -> None:
    """The CLI sends none today; if it does, their run would be taken for the main agent's."""
    frames = [delta(words, parent="toolu_1") for words in ("one", "two", "three")]
    fused, general = both_ways(written(frames))
    assert fused == general == frames


def test_input_of_a_block_we_do_not_model_says_nothing() -> None:
    event = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "server_tool_use", "id": "s"},
    }
    opening = {"type": "stream_event", "event": event, "parent_tool_use_id": None}
    fused, general = both_ways(written([opening, *(delta(f"{n}", INPUT) for n in range(9))]))
    assert len(runs(fused)[0]) == 8
    assert chunks_of(fused) == chunks_of(general)
    assert not any(isinstance(chunk, ToolInputChunk) for chunk in chunks_of(fused))


def test_who_wants_each_frame_gets_each_frame() -> None:
    data = written([FIRST, USUAL, USUAL])
    assert list(FrameReader(runs=False).read(data)) == [FIRST, USUAL, USUAL]
    heard: list[tuple[bytes, Frame]] = []
    frames = list(FrameReader(heard=lambda line, frame: heard.append((line, frame))).read(data))
    assert [frame for _, frame in heard] == frames == [FIRST, USUAL, USUAL]
    assert b"".join(line + b"\n" for line, _ in heard) == data
