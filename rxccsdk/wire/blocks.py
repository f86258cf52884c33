"""Content blocks that come whole: what users and tools say, and what the API's own tools do."""

from __future__ import annotations

from typing import Any

from rxccsdk.chunks import Chunk, Frame, ToolResultChunk, UnknownChunk, UserChunk

SERVER_TOOLS = ("server_tool_use", "mcp_tool_use")
"""Types of blocks that call a tool of the API's own; a block with its result follows in the same message."""

INTERRUPTION_NOTE = "[Request interrupted by user"


def is_interruption_note(block: Frame) -> bool:
    """Whether a block is the note that the CLI adds after an interrupt."""
    return bool(block["type"] == "text" and block["text"].startswith(INTERRUPTION_NOTE))


def user_block(block: Frame, frame: Frame, *, synthetic: bool) -> tuple[type[Chunk], tuple[Any, ...]]:
    """Return the class and the fields of the chunk that a block of a user message becomes."""
    kind, uuid = block["type"], frame.get("uuid")
    if kind == "tool_result":
        return ToolResultChunk, (*_result(block), frame.get("tool_use_result"))
    if kind == "text":
        return UserChunk, (block["text"], synthetic or is_interruption_note(block), uuid)
    if kind == "image":
        return UserChunk, ("[image]", synthetic, uuid)
    return UnknownChunk, (str(kind), block)


def server_block(block: Frame) -> tuple[type[Chunk], tuple[Any, ...]]:
    """Return the class and the fields of the chunk of a block that is neither text, thinking nor a call."""
    if block["type"].endswith("_tool_result"):
        return ToolResultChunk, _result(block)
    return UnknownChunk, (block["type"], block)


def _result(block: Frame) -> tuple[Any, ...]:
    return block["tool_use_id"], block.get("content"), bool(block.get("is_error"))
