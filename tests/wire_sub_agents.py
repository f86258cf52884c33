"""The frames of sub-agents, in the foreground and the background, among those of the main agent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rxccsdk.chunks import Frame
from tests.wire_content import Answer, RandomContent, assistant_frame, is_visible, new_frame, user_frame


class SubAgents:
    """The sub-agents of a session and their pending frames.

    Args:
        content: The random content.
        outside: The answer that collects what is part of no turn.
    """

    def __init__(self, content: RandomContent, outside: Answer) -> None:
        self._content = content
        self._outside = outside
        self._pending: dict[str, deque[tuple[Frame, Answer]]] = {}

    def start(self, call: str, answer: Answer) -> Frame:
        """Start a sub-agent for a tool call of the turn of `answer`, and return the frame that reports it."""
        mode = self._content.choice(("foreground", "background", "moved"))
        owner = self._outside if mode == "background" else answer
        task = f"task-{call}"
        fields = {"task_id": task, "tool_use_id": call, "is_backgrounded": mode == "background"}
        started = new_frame("system", subtype="task_started", **fields)
        frames = [(frame, owner) for frame in self._work(call, 1)]
        if mode == "moved":
            at = self._content.count(0, len(frames))
            patch = {"task_id": task, "patch": {"is_backgrounded": True}}
            moved = [(frame, self._outside) for frame, _ in frames[at:]]
            frames = [*frames[:at], (new_frame("system", subtype="task_updated", **patch), owner), *moved]
        if mode != "foreground":
            fields = {"task_id": task, "tool_use_id": call, "status": "completed"}
            frames.append((new_frame("system", subtype="task_notification", **fields), self._outside))
        self._pending[call] = deque(frames)
        return started

    def is_running_in(self, call: str, answer: Answer) -> bool:
        """Return whether a sub-agent still has frames that are part of a turn."""
        return any(owner is answer is not self._outside for _, owner in self._pending.get(call, ()))

    def next_frames(self, probability: float = 0.3) -> Iterator[Frame]:
        """Yield the next frame of each sub-agent, with some probability, and add it to its answer."""
        for call in list(self._pending):
            if self._pending[call] and self._content.chance(probability):
                frame, owner = self._pending[call].popleft()
                _add(frame, owner)
                yield frame
            if not self._pending[call]:
                del self._pending[call]

    def rest(self) -> Iterator[Frame]:
        """Yield all frames that are still pending."""
        while self._pending:
            yield from self.next_frames(1.0)

    def _work(self, agent: str, depth: int) -> list[Frame]:
        frames = [user_frame([{"type": "text", "text": "do it"}], parent_tool_use_id=agent)]
        for _ in range(self._content.count(0, 2)):
            message_id = self._content.new_id("msg")
            for kind, text in self._content.kinds_and_texts():
                block, _ = self._content.block(kind, text)
                if kind == "text" and not is_visible(text):
                    continue
                frames.append(assistant_frame(message_id, block, parent_tool_use_id=agent))
                if kind != "tool_use":
                    continue
                if block["name"] == "Agent" and depth < 2:
                    frames += self._work(block["id"], depth + 1)
                result = {"type": "tool_result", "tool_use_id": block["id"], "content": self._content.text()}
                frames.append(user_frame([result], parent_tool_use_id=agent))
        return frames


def _add(frame: Frame, answer: Answer) -> None:
    """Add what a frame of a sub-agent carries to the answer it is part of."""
    if frame["type"] == "system":
        return
    for block in frame["message"]["content"]:
        kind, agent = block["type"], frame["parent_tool_use_id"]
        if kind == "tool_result":
            answer.results[block["tool_use_id"]] = block["content"]
        elif kind == "tool_use":
            answer.inputs[block["id"]] = block["input"]
            answer.blocks.append((agent, kind, block["id"]))
        elif frame["type"] == "assistant" and (kind not in block or is_visible(block[kind])):
            answer.blocks.append((agent, kind, block.get(kind, "")))
