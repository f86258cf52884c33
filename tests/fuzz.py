"""Bytes that no CLI writes: mutations of what the real one wrote, read as a session reads them.

`python -m tests.fuzz --minutes 10` looks for a defect as long as that, with new mutations; the suite looks
at a few.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import reactivex
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning
from reactivex import operators as ops
from reactivex.testing import TestScheduler
from rich.console import Console

from rxccsdk import Chunk, RetractedChunk, SessionResponse, TextChunk
from rxccsdk import operators as cc
from rxccsdk.chunk_json import from_json, to_json
from rxccsdk.display.live import LiveDisplay
from rxccsdk.wire.connection import Connection
from rxccsdk.wire.events import Defect
from tests.operator_laws import EVERY, Case, Strict
from tests.wire_traces import LOGS

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_NAMES = (
    "type",
    "subtype",
    "message",
    "content",
    "index",
    "uuid",
    "id",
    "usage",
    "parent_tool_use_id",
    "event",
)


@cache
def log_lines() -> list[list[bytes]]:
    """The lines of each log of the real CLI; of a long one its first."""
    return [path.read_bytes().splitlines()[:300] for path in sorted(LOGS.glob("*.jsonl"))]


@st.composite
def mutated_logs(draw: st.DrawFn) -> bytes:
    """A log with some of its lines changed, moved, doubled, cut or lost."""
    lines = list(draw(st.sampled_from(log_lines())))
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, len(lines) - 1))
        kind = draw(
            st.sampled_from(
                ["value", "value", "value", "lose", "double", "move", "cut", "flip", "bit", "swap", "any"]
            )
        )
        line = lines[place]
        if kind == "value":
            lines[place] = _with_another_value(draw, line)
        elif kind == "lose":
            lines[place] = b""
        elif kind == "double":
            lines.insert(draw(st.integers(0, len(lines))), line)
        elif kind == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
        elif kind == "cut":
            lines[place] = line[: draw(st.integers(0, len(line)))]
        elif kind == "swap":
            lines[place] = _with_another_value(draw, line, draw(st.sampled_from(lines)))
        elif kind == "any":
            lines.insert(place, json.dumps(draw(JSON)).encode())
        elif line and kind == "bit":
            at = draw(st.integers(0, len(line) - 1))
            lines[place] = line[:at] + bytes([line[at] ^ (1 << draw(st.integers(0, 7)))]) + line[at + 1 :]
        elif line:
            at = draw(st.integers(0, len(line) - 1))
            lines[place] = line[:at] + draw(st.binary(min_size=1, max_size=3)) + line[at + 1 :]
    return b"\n".join(lines) + draw(st.sampled_from([b"\n", b""]))


def _with_another_value(draw: st.DrawFn, line: bytes, of: bytes = b"") -> bytes:
    """Replace, add or delete a value somewhere in a frame; the new one is any, or one of another frame."""
    try:
        frame = json.loads(line)
        values = st.sampled_from(_values(json.loads(of))) if of else JSON
    except ValueError:
        return line
    node: Any = frame
    for _ in range(draw(st.integers(0, 4))):
        inner = [key for key, value in _items(node) if isinstance(value, dict | list) and value]
        if not inner:
            break
        node = node[draw(st.sampled_from(inner))]
    keys = [key for key, _ in _items(node)]
    if isinstance(node, dict) and (not keys or draw(st.integers(0, 9)) == 0):
        node[draw(st.sampled_from(_NAMES))] = draw(values)
    elif keys:
        key = draw(st.sampled_from(keys))
        if isinstance(node, dict) and draw(st.integers(0, 4)) == 0:
            del node[key]
        else:
            node[key] = draw(values)
    return json.dumps(frame).encode()


def _items(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, dict):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, list) else []


def _values(node: Any) -> list[Any]:
    return [node, *(inner for _, value in _items(node) for inner in _values(value))]


def check(data: bytes, size: int, cases: Sequence[Case] = EVERY) -> None:
    """Read bytes, so many at a time, and hold what comes of them to the laws.

    Args:
        data: what the CLI wrote.
        size: how many bytes come in one read.
        cases: the operators that each turn passes.
    """
    connection = Connection()
    connection.prompt("go", now=0.0)
    events = []
    for start in range(0, len(data), size):
        events += connection.receive(data[start : start + size], now=start / 1000)
        if connection.is_ready:
            connection.prompt("again", now=start / 1000)
    events += connection.end(now=len(data) / 1000)
    defects = [event.error for event in events if isinstance(event, Defect)]
    if defects:
        raise defects[0]
    chunks = [event for event in events if isinstance(event, Chunk)]
    for chunk in chunks:
        assert from_json(to_json(chunk)) == chunk
    for turn in {chunk.turn for chunk in chunks}:
        in_turn = [chunk for chunk in chunks if chunk.turn == turn]
        assert [chunk.seq for chunk in in_turn] == list(range(len(in_turn)))
        if turn is not None:
            check_turn(in_turn)
            for case in cases:
                check_operator(case, in_turn)
    with LiveDisplay(Console(file=io.StringIO(), width=60), plain=True, paint_every=0) as display:
        for chunk in chunks:
            display.show(chunk)


def check_turn(chunks: list[Chunk]) -> None:
    """Hold the chunks of one turn to the laws."""
    source, printed = reactivex.from_list(chunks), io.StringIO()
    response: SessionResponse = source.pipe(cc.print_text(0, printed), cc.to_response()).run()
    pieces: list[str] = source.pipe(cc.text(), ops.to_list()).run()
    settled: list[str] = source.pipe(cc.text(settled=True), ops.to_list()).run()
    if not any(isinstance(chunk, RetractedChunk) for chunk in chunks):
        assert "".join(pieces) == "".join(settled) == printed.getvalue() == response.content
    assert response.success is (response.error is None)
    assert SessionResponse.model_validate_json(response.model_dump_json()).content == response.content


def check_operator(case: Case, chunks: list[Chunk]) -> None:
    """Hold an operator to the Rx contract, and one that cuts text anew to the text."""
    clock, seen = TestScheduler(), Strict()
    reactivex.from_list(chunks).pipe(case.make(clock)).subscribe(seen, scheduler=clock)
    clock.start()
    assert seen.completed, (case, seen.error)
    assert not seen.faults, case
    if case.recuts:
        assert texts(seen.items) == texts(chunks), case


def texts(chunks: Iterable[Chunk]) -> dict[str | None, str]:
    """The text of each agent: one agent's may overtake another's."""
    found: defaultdict[str | None, list[str]] = defaultdict(list)
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            found[chunk.agent].append(chunk.text)
    return {agent: "".join(pieces) for agent, pieces in found.items() if any(pieces)}


def property_of(**options: Any) -> Callable[[], None]:
    """Return the property, to be called."""

    @settings(deadline=None, suppress_health_check=list(HealthCheck), **options)
    @given(
        mutated_logs(),
        st.sampled_from([1 << 20, 4096, 100]),
        st.lists(st.sampled_from(EVERY), max_size=4, unique_by=str),
    )
    def holds(data: bytes, size: int, cases: list[Case]) -> None:
        check(data, size, cases)

    return holds


def main() -> None:
    """Look for a defect for some minutes."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    logging.disable()
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", HypothesisWarning)  # a defect's bytes are long
    until = time.monotonic() + 60 * parser.parse_args().minutes
    rounds = 0
    while time.monotonic() < until:
        property_of(max_examples=2000, database=None, phases=[Phase.generate, Phase.shrink])()
        rounds += 1
        print(f"{2000 * rounds:,} mutated logs, no defect", flush=True)


if __name__ == "__main__":
    main()
