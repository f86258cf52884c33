"""What a line of the CLI's output may be: whatever `json` accepts, and what is broken does no harm."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk.chunks import Frame, TextChunk, ThinkingChunk, ToolInputChunk
from rxccsdk.wire.frames import decode, join_surrogates
from tests.wire_traces import read_trace

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\u2028", "\x00", "\x7f", "\ufeff", "😀", "\\ud83d", 'a"b\\']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal, types too; NaN equals itself."""
    return json.dumps(one) == json.dumps(other)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_decodes_what_json_writes(frame: Frame, ascii_only: bool, indent: int | None) -> None:
    line = json.dumps(frame, ensure_ascii=ascii_only, indent=indent).encode()
    assert same(decode(line), frame)


@given(st.text(alphabet='{}[]":,truefalsn0123456789.-+eE \\ud8', max_size=30))
def test_accepts_what_json_accepts(inside: str) -> None:
    line = f'{{"a": {inside}}}'
    try:
        expected = json.loads(line)
    except ValueError:
        return
    if isinstance(expected, dict):
        assert same(decode(line.encode()), expected)


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (b'  {"a": 1}\r', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a": 1e999}', {"a": math.inf}),
        (b'{"a": -Infinity}', {"a": -math.inf}),
        (b'{"a": "\\u0000"}', {"a": "\x00"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),  # a byte order mark, as a wrapper on Windows may put it
        (
            b'{"a": "x\ty"}',
            {"a": "x\ty"},
        ),  # a bare control character: JSON forbids it, reading on does no harm
        (b'{"a": "\xff\xfe"}', {"a": "\ufffd\ufffd"}),
        (b'{"a": "\xe2\x82"}', {"a": "\ufffd"}),  # a character cut short
        (b'{"a": "\xed\xa0\xbd"}', {"a": "\ufffd\ufffd\ufffd"}),  # a surrogate in UTF-8
        (b'{"\xff": 1}', {"\ufffd": 1}),
        (b'{"a": "cut \\ud83d"}', {"a": "cut \ufffd"}),
        (b'{"a": "\\ude00 cut"}', {"a": "\ufffd cut"}),
        (b'{"\\ud83d": ["\\ude00\\ud83d"]}', {"\ufffd": ["\ufffd\ufffd"]}),
        (b'{"a": "\\ud83d\\ude00", "b": "\\ud83d"}', {"a": "😀", "b": "\ufffd"}),
        (b'{"a": "\\\\ud83d", "b": "\\ud83d"}', {"a": "\\ud83d", "b": "\ufffd"}),
    ],
)
def test_reads_what_a_fast_decoder_refuses(line: bytes, frame: Frame) -> None:
    assert decode(line) == frame


def test_nan_is_read() -> None:
    assert math.isnan((decode(b'{"a": NaN}') or {})["a"])
    assert math.isnan((decode(b'{"a": NaN, "b": "\\ud83d"}') or {})["a"])


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"null", b"[]", b'"text"', b"12", b"[{}]", b"{", b'{"a": "tr', b'{"a": 1} {"b": 2}', b"\xff"],
)
def test_what_is_no_object_is_no_frame(line: bytes) -> None:
    assert decode(line) is None


@given(st.binary(max_size=60))
def test_no_line_does_harm(line: bytes) -> None:
    frame = decode(line)
    assert frame is None or isinstance(frame, dict)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.data())
def test_a_truncated_line_is_no_frame(frame: Frame, data: st.DataObject) -> None:
    line = json.dumps(frame).encode()
    assert decode(line[: data.draw(st.integers(0, len(line) - 1))]) is None


@pytest.mark.parametrize("depth", [50, 150, 300, 450, 600, 900, 10_000])
@pytest.mark.parametrize("inner", ["1", '"\\ud83d"', '"\\ud83d\\ude00"'])
def test_deep_nesting_is_read_or_refused(depth: int, inner: str) -> None:
    line = f'{{"a": {"[" * depth}{inner}{"]" * depth}}}'.encode()
    frame = decode(line)
    if depth <= 300:
        value = (frame or {})["a"]
        for _ in range(depth):
            (value,) = value
        assert value == {"1": 1, '"\\ud83d"': "\ufffd"}.get(inner, "😀")
    else:
        assert frame is None or list(frame) == ["a"]


def test_a_line_of_fifty_megabytes() -> None:
    for start, told in ((b'{"b": "', "é"), (b'{"b": "\\ud83d', "\ufffdé")):
        frame = decode(start + "é".encode() + b'", "a": "' + b"x" * 50_000_000 + b'"}')
        assert frame is not None
        assert (frame["b"], len(frame["a"]), frame["a"].count("x")) == (told, 50_000_000, 50_000_000)


# -- surrogates across deltas -----------------------------------------------------------------------------

HALVES = st.lists(st.sampled_from(["a", " ", "\ud83d", "\ude00", "😀", "é"]), max_size=8).map("".join)


@given(HALVES)
def test_joining_keeps_all_but_lone_halves(text: str) -> None:
    joined, held = join_surrogates(text)
    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    joined.encode()
    assert joined + ("\ufffd" if held else "") == expected
    assert held in ("", "\ud83d")


def streamed(kind: str, pieces: list[str], whole: str | None) -> list[Frame]:
    """A block in deltas, as lines and back; `whole` is what its `assistant` frame says."""
    name = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}[kind]
    delta = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}[kind]
    block: Frame = {"type": kind, "id": "toolu", "name": "Bash", "input": {}, "text": "", "thinking": ""}
    events: list[Frame] = [
        {"type": "message_start", "message": {"id": "msg"}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": delta, name: p}} for p in pieces),
    ]
    frames: list[Frame] = [{"type": "stream_event", "event": event} for event in events]
    if whole is not None:
        said = {**block, kind: whole} if kind != "tool_use" else {**block, "input": json.loads(whole)}
        frames.append({"type": "assistant", "message": {"id": "msg", "content": [said]}})
    read = [decode(json.dumps(frame).encode()) for frame in frames]
    return [frame for frame in read if frame is not None]


def shown(frames: list[Frame]) -> str:
    chunks = read_trace(frames, [(0, "prompt")]).turns[0]
    pieces = [c.text for c in chunks if isinstance(c, (TextChunk, ThinkingChunk))]
    pieces += [c.partial_json for c in chunks if isinstance(c, ToolInputChunk)]
    for piece in pieces:
        piece.encode()
    return "".join(pieces)


@pytest.mark.parametrize("kind", ["text", "thinking", "tool_use"])
@pytest.mark.parametrize("confirmed", [True, False])
def test_a_pair_split_across_deltas_joins(kind: str, confirmed: bool) -> None:
    text = '{"a": "so 😀 "}'
    pieces = ['{"a": "so \ud83d', '\ude00 "}']
    assert shown(streamed(kind, pieces, text if confirmed else None)) == text


@given(st.sampled_from(["text", "thinking"]), HALVES, st.lists(st.integers(0, 8), max_size=4), st.booleans())
def test_no_half_ever_shows(kind: str, text: str, cuts: list[int], confirmed: bool) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    said = shown(streamed(kind, pieces, text if confirmed else None))
    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if not confirmed and text.endswith("\ud83d"):
        expected = expected[:-1]  # its other half may still have come
    assert said == (expected if expected.strip() else "")


def test_a_lone_half_before_ascii_text_is_replaced() -> None:
    assert shown(streamed("text", ["half \ud83d", "then more"], None)) == "half \ufffdthen more"


def test_a_lone_half_in_other_frames_is_replaced() -> None:
    """Only what the parser joins is left for it to join."""
    for event in (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "text": "\ud83d"}},
        {"type": "new_event", "text": "\ud83d"},
    ):
        frame = decode(json.dumps({"type": "stream_event", "event": event}).encode())
        assert "\ufffd" in json.dumps(frame, ensure_ascii=False)
