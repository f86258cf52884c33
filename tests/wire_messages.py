"""Write the main agent's messages frame by frame, and record the answer a reader must derive from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rxccsdk.chunks import Frame
from tests.wire_content import Answer, RandomContent, assistant_frame, is_visible, new_frame, user_frame
from tests.wire_sub_agents import SubAgents


@dataclass
class Message:
    """A message that is being written.

    Attributes:
        id: Its id.
        partial: Whether it streams.
        index: The index of the next block.
        calls: The tool calls without a result so far.
    """

    id: str
    partial: bool
    index: int = 0
    calls: list[str] = field(default_factory=list)


class MessageWriter:
    """Writes messages of the main agent, with the frames of sub-agents in between.

    Args:
        content: The random content.
        partial: Whether messages stream; `None` for either.
        names: Whether frames name their message and prompt, as those of 2.1.330 do.

    Attributes:
        frames: All frames so far.
        outside: What is part of no turn.
        answer: The answer of the current turn, else `outside`.
        last_text: The last text block of the turn.
        left_open: Whether a message of the turn broke off without any frame that says so.
    """

    def __init__(self, content: RandomContent, partial: bool | None, names: bool) -> None:
        self._content = content
        self._partial = partial
        self._names = names
        self.frames: list[Frame] = []
        self.outside = Answer()
        self.answer = self.outside
        self.sub_agents = SubAgents(content, self.outside)
        self.begin_turn(self.outside)

    def begin_turn(self, answer: Answer) -> None:
        """Let what follows be part of `answer`."""
        self.answer = answer
        self.last_text = ""
        self.left_open = False
        self._after_text = False  # the message's last block is text
        self._continues = False  # the next text continues a message that was cut off

    def put(self, frame: Frame) -> None:
        """Write a frame, after some of sub-agents."""
        self.frames += self.sub_agents.next_frames()
        self.frames.append(frame)

    def system(self, subtype: str, **fields: Any) -> None:
        """Write a `system` frame."""
        self.put(new_frame("system", subtype=subtype, **fields))

    def event(self, message: Message, event: Frame, **fields: Any) -> None:
        """Write an event of the Messages API, if the message streams."""
        if message.partial:
            named = {"api_message_id": message.id} if self._names else {}
            self.put(new_frame("stream_event", event=event, parent_tool_use_id=None, **named, **fields))

    def synthetic(self, text: str) -> None:
        """Write the user message with which the CLI asks the model to continue."""
        self.put(user_frame([{"type": "text", "text": text}], isSynthetic=True))
        self._continues = True

    def api_error(self) -> str:
        """Write an API error in the form of an assistant message, and return its text."""
        text = f"API Error: {self._content.text()}"
        self.answer.notices.append(text)
        error = assistant_frame(self._content.new_id("error"), {"type": "text", "text": text})
        self.put({**error, "error": "server_error", "is_api_error_message": True})
        return text

    # -- messages -----------------------------------------------------------------------------------------

    def whole_message(self, blocks: list[tuple[str, str]], stop_reason: str | None = None) -> None:
        """Write a message with blocks of these kinds and texts, and the results of its tool calls."""
        message = self.open_message()
        self.blocks(message, blocks)
        results_first = self._content.chance(0.5)
        stop_reason = stop_reason or ("tool_use" if message.calls else "end_turn")
        self.message_delta(message, stop_reason)
        if results_first:
            self.tool_results(message)
        self.event(message, {"type": "message_stop"})
        self.tool_results(message)

    def open_message(self) -> Message:
        """Write the beginning of a message."""
        partial = self._content.chance(0.6) if self._partial is None else self._partial
        message = Message(self._content.new_id("msg"), partial)
        self.system("status", status="requesting")
        start = {"id": message.id, "model": "claude", "content": [], "usage": {"output_tokens": 1}}
        self.event(message, {"type": "message_start", "message": start})
        self._after_text = False
        return message

    def message_delta(self, message: Message, stop_reason: str | None) -> None:
        """Write the event with the stop reason."""
        self.event(message, {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {}})

    def abandon(self, message: Message, first: int, *, always_stops: bool = False) -> None:
        """Write how a message breaks off whose blocks from `first` on do not stand."""
        self._after_text = False
        if self._names:
            abandoned = {"api_message_id": message.id, "from_block_index": first}
            self.event(message, {"type": "message_stop"}, abandoned_blocks=abandoned)
        elif always_stops or self._content.chance(0.5):
            self.event(message, {"type": "message_stop"})
        else:
            self.left_open = True

    # -- blocks -------------------------------------------------------------------------------------------

    def blocks(self, message: Message, blocks: list[tuple[str, str]]) -> None:
        """Write whole blocks of these kinds and texts."""
        for kind, text in blocks:
            self._whole_block(message, kind, text)

    def part_of_block(self, message: Message, kind: str) -> str:
        """Write the beginning of a block, and return its text so far."""
        block, deltas = self._content.block(kind, self._content.text() + "x")
        self._start_block(message, block)
        sent = deltas[: self._content.count(0, len(deltas))]
        self._deltas(message, sent)
        text = "".join(str(delta.get(kind, "")) for delta in sent)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def record_block(self, kind: str, text: str) -> None:
        """Add a block that stands to the answer."""
        if kind in ("text", "thinking") and not is_visible(text):
            return
        self.answer.blocks.append((None, kind, "" if kind == "redacted_thinking" else text))
        if kind != "text":
            self._after_text = False
            self._continues = self._continues and kind != "tool_use"
            return
        joins = not self.answer.content or self._after_text or self._continues
        self.answer.content += text if joins else "\n\n" + text
        self._after_text, self._continues = True, False
        self.last_text = text

    def tool_results(self, message: Message, error: str | None = None) -> None:
        """Write the missing tool results in any order, each after all frames of its foreground agent."""
        self._content.shuffle(message.calls)
        for call in message.calls:
            while self.sub_agents.is_running_in(call, self.answer):
                self.frames += self.sub_agents.next_frames(1.0)
            text = error or self._content.text()
            result: Frame = {"type": "tool_result", "tool_use_id": call, "content": text}
            if error is not None or self._content.chance(0.5):
                result["is_error"] = error is not None
            self.answer.results[call] = text
            self.put(user_frame([result], tool_use_result={"stdout": ""}))
        message.calls.clear()

    def _whole_block(self, message: Message, kind: str, text: str) -> None:
        block, deltas = self._content.block(kind, text)
        self._start_block(message, block)
        self._deltas(message, deltas)
        if kind != "text" or is_visible(text):
            self.put(assistant_frame(message.id, block))
            self.record_block(kind, block["id"] if kind == "tool_use" else text)
        if kind == "tool_use":
            self.answer.inputs[block["id"]] = block["input"]
            message.calls.append(block["id"])
            if block["name"] == "Agent":
                self.frames.append(self.sub_agents.start(block["id"], self.answer))
        self.event(message, {"type": "content_block_stop", "index": message.index})
        message.index += 1

    def _start_block(self, message: Message, block: Frame) -> None:
        empty = {"text": "", "thinking": "", "signature": "", "input": {}}
        start = {name: empty.get(name, value) for name, value in block.items()}
        self.event(message, {"type": "content_block_start", "index": message.index, "content_block": start})

    def _deltas(self, message: Message, deltas: list[Frame]) -> None:
        for delta in deltas:
            self.event(message, {"type": "content_block_delta", "index": message.index, "delta": delta})
