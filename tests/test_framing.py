"""Lines come whole, at any read size and any line length."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from rxccsdk.wire.frames import LineFramer

# Few different bytes, so that newlines, carriage returns and parts of characters meet often.
SOME_BYTES = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(b'\n\r {"\xf0\x9f')).map(bytes))


def framed(data: bytes, cuts: list[int]) -> tuple[list[bytes], bytes]:
    framer = LineFramer()
    places = sorted({min(cut, len(data)) for cut in cuts})
    lines: list[bytes] = []
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        lines += framer.push(data[start:end])
    return lines, framer.flush()


@given(SOME_BYTES, st.lists(st.integers(0, 200), max_size=30))
def test_lines_are_those_of_the_whole_whatever_the_reads(data: bytes, cuts: list[int]) -> None:
    lines, rest = framed(data, cuts)
    assert [*lines, rest] == data.split(b"\n")


@given(SOME_BYTES)
def test_one_byte_at_a_time(data: bytes) -> None:
    lines, rest = framed(data, list(range(len(data))))
    assert [*lines, rest] == data.split(b"\n")


def test_a_space_at_the_edge_of_a_read_is_kept() -> None:
    """claude-code-sdk strips every read: a space inside a JSON string at its edge is lost (facts.md)."""
    framer = LineFramer()
    assert framer.push(b'{"text": "one ') == []
    assert framer.push(b' two"}\n') == [b'{"text": "one  two"}']


def test_flush_gives_the_rest_once() -> None:
    framer = LineFramer()
    assert framer.push(b"whole\nrest") == [b"whole"]
    assert (framer.flush(), framer.flush()) == (b"rest", b"")
    assert framer.push(b"new\n") == [b"new"]


def test_a_line_in_ten_thousand_reads_is_copied_once() -> None:
    """Counted, not timed: the steps that a join of the pieces takes must not grow with their square."""
    joins = 0

    def count(frame: object, event: str, function: object) -> None:
        nonlocal joins
        joins += event == "c_call" and getattr(function, "__name__", "") in ("join", "split", "extend")

    piece = b"x" * 5_000
    framer = LineFramer()
    sys.setprofile(count)
    try:
        for _ in range(10_000):
            assert framer.push(piece) == []
        lines = framer.push(b"\n")
    finally:
        sys.setprofile(None)
    assert [len(line) for line in lines] == [50_000_000]
    assert joins <= 2
    assert framer.flush() == b""
