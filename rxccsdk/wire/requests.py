"""What is written to the CLI, as lines."""

from __future__ import annotations

from typing import Any

from rxccsdk.chunks import Frame
from rxccsdk.wire.frames import to_line


def prompt_line(content: str | list[dict[str, Any]], prompt_id: str) -> bytes:
    """Return a user's message; its uuid is what the CLI calls it by."""
    return to_line(
        {
            "type": "user",
            "uuid": prompt_id,
            "session_id": "",
            "message": {"role": "user", "content": content},
            "parent_tool_use_id": None,
        }
    )


def control_line(request_id: str, subtype: str, fields: Frame) -> bytes:
    """Return a control request."""
    request = {"subtype": subtype, **fields}
    return to_line({"type": "control_request", "request_id": request_id, "request": request})


def answer_line(request_id: str, response: Frame) -> bytes:
    """Return the answer to a control request of the CLI's."""
    answer = {"subtype": "success", "request_id": request_id, "response": response}
    return to_line({"type": "control_response", "response": answer})
