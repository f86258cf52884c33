"""What is said to a client beside chunks."""

from __future__ import annotations

import json
from typing import Any

from rxccsdk.chunk_json import to_json
from rxccsdk.chunks import Chunk
from rxccsdk.session.turn import Turn


def event(name: str, data: dict[str, Any], id: str | None = None) -> bytes:
    """Return an event. One without an id comes again to whoever reconnects."""
    cursor = f"id: {id}\n" if id is not None else ""
    return f"{cursor}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def status_of(turn: Turn) -> dict[str, Any]:
    """Return how a turn stands, or how it ended."""
    response = turn.response
    why = {"error": response.error, "error_kind": response.error_kind, "retryable": response.retryable}
    return {"status": turn.status, **why}


def as_json(chunk: Chunk) -> dict[str, Any]:
    """Return a chunk as what `to_json` writes."""
    found: dict[str, Any] = json.loads(to_json(chunk))
    return found
