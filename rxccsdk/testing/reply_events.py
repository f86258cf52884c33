"""Encode a scripted reply as the Messages API does: server-sent events, or one whole message."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from rxccsdk.testing.reply_steps import Block, Break, Pause, Step

BodyPart: TypeAlias = bytes | Pause | Break

_WRITE_SIZE = 32768


def encode_event(data: dict[str, Any]) -> bytes:
    """Return one server-sent event."""
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def encode_body(steps: Sequence[Step], message_delta: dict[str, Any]) -> Iterator[BodyPart]:
    """Yield what follows `message_start`: bytes of whole events, pauses, and at most one break, last.

    Args:
        steps: The steps of the reply.
        message_delta: The event that reports the stop reason and the usage.
    """
    return _joined(_parts(steps, message_delta))


def whole_block(block: Block) -> dict[str, Any]:
    """Return a content block with its deltas applied."""
    whole = dict(block.start)
    for delta in block.deltas:
        for name in ("text", "thinking", "signature"):
            if name in delta:
                whole[name] = whole.get(name, "") + delta[name]
    if partial := "".join(delta.get("partial_json", "") for delta in block.deltas):
        whole["input"] = json.loads(partial)
    return whole


def _parts(steps: Sequence[Step], message_delta: dict[str, Any]) -> Iterator[BodyPart]:
    index = -1
    open_block: bytes | None = None  # the event that closes the block
    for step in steps:
        if open_block is not None and (isinstance(step, Block) or not step.mid_block):
            yield open_block
            open_block = None
        if isinstance(step, Block):
            index += 1
            yield from _block_events(step, index)
            open_block = encode_event({"type": "content_block_stop", "index": index})
        else:
            yield step
    if steps and isinstance(steps[-1], Break):
        return
    if open_block is not None:
        yield open_block
    yield encode_event(message_delta)
    yield encode_event({"type": "message_stop"})


def _block_events(block: Block, index: int) -> Iterator[BodyPart]:
    yield encode_event({"type": "content_block_start", "index": index, "content_block": block.start})
    for delta in block.deltas:
        if block.delay:
            yield Pause(block.delay, mid_block=True)
        yield encode_event({"type": "content_block_delta", "index": index, "delta": delta})


def _joined(parts: Iterable[BodyPart]) -> Iterator[BodyPart]:
    """Join neighbouring events to writes of limited size: one system call per delta is slow."""
    run: list[bytes] = []
    size = 0
    for part in parts:
        if run and (not isinstance(part, bytes) or size + len(part) > _WRITE_SIZE):
            yield b"".join(run)
            run, size = [], 0
        if isinstance(part, bytes):
            run.append(part)
            size += len(part)
        else:
            yield part
    if run:
        yield b"".join(run)
