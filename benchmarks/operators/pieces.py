"""Text that waits, by hand: what goes on, what may overtake it, how it is merged and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.operators.ways import Got
from rxccsdk import Chunk, SystemChunk, TaskChunk, TextChunk, ToolProgressChunk

MAY_OVERTAKE = (SystemChunk, TaskChunk, ToolProgressChunk)  # text that is held


def lossless(chunks: list[Chunk]) -> Callable[[Got], bool]:
    """Make a check for what merges and cuts text: all of it came, in order, and so did the other chunks."""
    text, others = _joined(chunks), _without_text(chunks)
    return lambda got: _joined(got) == text and _without_text(got) in ([], others)


def _joined(got: Got) -> str:
    return "".join(item if isinstance(item, str) else getattr(item, "text", "") for item in got)


def _without_text(got: Got) -> list[Chunk]:
    return [item for item in got if not isinstance(item, (str, TextChunk))]


def goes_on(first: Any, chunk: Any) -> bool:
    return first.block == chunk.block and first.agent == chunk.agent and type(first) is type(chunk)


def merged_chunk(held: Sequence[Any]) -> Any:
    return replace(held[0], text="".join([chunk.text for chunk in held]))


def like(chunk: Any, text: str) -> Any:
    return replace(chunk, text=text)
