"""What the CLI has confirmed whole and may still take back, when another model answers anew."""

from __future__ import annotations

from typing import Any

from rxccsdk.chunks import Frame
from rxccsdk.wire.messages import StreamedBlock


class Confirmed:
    """The blocks of the turn, by the uuid of the frame that brought each whole."""

    def __init__(self) -> None:
        self._blocks: dict[str, list[tuple[int, str | None]]] = {}  # number and tool call; no text is kept

    def note(self, uuid: Any, block: StreamedBlock) -> None:
        """Note that a frame has brought a block."""
        if isinstance(uuid, str) and block.number >= 0:
            call = block.id if block.kind == "tool_use" else None
            self._blocks.setdefault(uuid, []).append((block.number, call))

    def take_back(self, frame: Frame) -> tuple[tuple[int, ...], tuple[str, ...], bool] | None:
        """Return the fields of the `RetractedChunk` for what a `system` frame takes back, if it does."""
        uuids = frame.get("retracted_message_uuids")
        named = uuids if isinstance(uuids, list) else []
        blocks = [block for uuid in named for block in self._blocks.pop(str(uuid), ())]
        numbers = tuple(dict.fromkeys(number for number, _ in blocks))
        tools = tuple(call for _, call in blocks if call is not None)
        return (numbers, tools, True) if numbers else None

    def clear(self) -> None:
        """Forget them: the turn is over."""
        self._blocks.clear()
