"""What the CLI reports of itself and of its tasks: `system` frames."""

from __future__ import annotations

from sys import intern
from typing import Any

from rxccsdk.chunks import Chunk, Frame, SystemChunk, TaskChunk

_TASK_STATUS = {"task_started": "started", "task_progress": "progress"}
_REPEATED = ("type", "subtype", "session_id", "user_message_uuid")


def system_chunk(subtype: str, frame: Frame) -> tuple[type[Chunk], tuple[Any, ...]]:
    """Return the class and the fields of the chunk that a `system` frame becomes."""
    if subtype.startswith("task_"):
        patch = frame.get("patch") or {}
        status = _TASK_STATUS.get(subtype) or frame.get("status") or patch.get("status") or "updated"
        return TaskChunk, (frame["task_id"], frame.get("tool_use_id"), status, frame.get("usage"))
    if subtype == "thinking_tokens":
        # One comes before each delta of thinking, and its strings take ten times the room of its figures.
        for name in _REPEATED:
            if type(frame.get(name)) is str:
                frame[name] = intern(frame[name])
    return SystemChunk, (subtype, frame)
