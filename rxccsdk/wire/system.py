"""What the CLI reports of itself, of its tasks, hooks and limits: `system` frames and their like."""

from __future__ import annotations

from sys import intern
from typing import Any

from rxccsdk.chunks import Chunk, CompactChunk, Frame, HookChunk, LimitChunk, SystemChunk, TaskChunk
from rxccsdk.wire.results import mapping, number

Typed = tuple[type[Chunk], tuple[Any, ...]]
"""A class of chunks and the fields of one."""

OWN_OUTPUT = "rxccsdk_tool_output"
"""The type of the frames that we put among the CLI's: what running commands wrote."""

OWN_NOTICE = "rxccsdk_notice"
"""The type of those that say why a turn is stopped."""

_TASK_STATUS = {"task_started": "started", "task_progress": "progress"}
_HOOK_PHASE = {"hook_started": "started", "hook_progress": "progress", "hook_response": "finished"}
_REPEATED = ("type", "subtype", "session_id", "user_message_uuid")


def system_chunk(subtype: str, frame: Frame) -> Typed:
    """Return the class and the fields of the chunk that a `system` frame becomes."""
    if subtype.startswith("task_"):
        return TaskChunk, _task(subtype, frame)
    if subtype in _HOOK_PHASE:
        fields = (frame["hook_event"], frame["hook_name"], _HOOK_PHASE[subtype], frame.get("outcome"))
        return HookChunk, (*fields, frame.get("output") or "")
    if subtype == "compact_boundary" and (metadata := mapping(frame.get("compact_metadata"))) is not None:
        return CompactChunk, (metadata["trigger"], metadata.get("pre_tokens"))
    if subtype == "thinking_tokens":
        # One comes before each delta of thinking, and its strings take ten times the room of its figures.
        for name in _REPEATED:
            if type(frame.get(name)) is str:
                frame[name] = intern(frame[name])
    return SystemChunk, (subtype, frame)


def limit_chunk(frame: Frame) -> Typed:
    """Return the class and the fields of the chunk that a `rate_limit_event` becomes."""
    info = frame["rate_limit_info"]
    kind, status = info.get("rateLimitType") or "unknown", info["status"]
    return LimitChunk, (kind, status, number(info.get("resetsAt")), number(info.get("utilization")))


def _task(subtype: str, frame: Frame) -> tuple[Any, ...]:
    patch = mapping(frame.get("patch")) or {}
    status = _TASK_STATUS.get(subtype) or frame.get("status") or patch.get("status") or "updated"
    background = frame.get("is_backgrounded", patch.get("is_backgrounded"))
    return (
        frame["task_id"],
        frame.get("tool_use_id"),
        status,
        frame.get("usage"),
        frame.get("description", patch.get("description")),
        frame.get("summary", patch.get("error")),
        frame.get("last_tool_name"),
        frame.get("task_type"),
        background,
        frame.get("output_file"),
    )
