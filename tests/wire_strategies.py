"""Hypothesis strategies for the output of a CLI in a session, with the answer of each turn."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from rxccsdk.chunks import Frame
from tests.wire_content import (
    Answer,
    RandomContent,
    assistant_frame,
    is_visible,
    new_frame,
    result_frame,
    user_frame,
)
from tests.wire_messages import Message, MessageWriter

__all__ = ["Answer", "Trace", "random_trace", "wire_traces"]

_RESUME_NOTE = "Your response above was cut off mid-stream. Resume directly from where it stops."
_LIMIT_NOTE = "Output token limit hit. Resume directly, no recap."
_BLOCK_KINDS = ("text", "thinking", "tool_use")


@dataclass
class Trace:
    """The output of the CLI in one session.

    Attributes:
        frames: The frames, in order.
        prompts: For each turn, the index of the frame before which its prompt was written, and its uuid.
        turns: The answer of each turn.
        outside: What is part of no turn.
    """

    frames: list[Frame]
    prompts: list[tuple[int, str]]
    turns: list[Answer]
    outside: Answer


@st.composite
def wire_traces(
    draw: st.DrawFn,
    *,
    partial: bool | None = None,
    names: bool | None = None,
    max_turns: int = 3,
) -> Trace:
    """Traces of whole sessions.

    They have text with any whitespace, split anywhere; thinking; parallel tools with early results;
    sub-agents in the foreground and the background; injected turns; API streams that break off in every known
    way; interrupts, limits and errors.

    Args:
        partial: Whether the messages stream; `None` for some of each.
        names: Whether the CLI names the prompt in its frames, as 2.1.330 does; `None` for either.
        max_turns: The most turns.
    """
    return random_trace(draw(st.randoms(use_true_random=False)), partial, names, max_turns)


def random_trace(
    random: Random, partial: bool | None = None, names: bool | None = None, max_turns: int = 3
) -> Trace:
    """Return one such trace, without Hypothesis."""
    named = random.random() < 0.7 if names is None else names
    writer = _SessionWriter(RandomContent(random), partial, named)
    for number in range(random.randint(1, max_turns)):
        writer.turn(number)
        if random.random() < 0.3:
            writer.injected_turn()
    return writer.end()


class _SessionWriter:
    """Writes the turns of a session, and how each of them ends."""

    def __init__(self, content: RandomContent, partial: bool | None, names: bool) -> None:
        self._content = content
        self._names = names
        self._messages = MessageWriter(content, partial, names)
        self._prompts: list[tuple[int, str]] = []
        self._turns: list[Answer] = []
        self._uuid = ""

    # -- turns --------------------------------------------------------------------------------------------

    def turn(self, number: int) -> None:
        """Write one prompt's turn."""
        self._uuid = f"prompt-{number}"
        self._prompts.append((len(self._messages.frames), self._uuid))
        race = self._names and number > 0 and self._content.chance(0.3)
        absorbed = race and self._content.chance(0.5)
        if race:  # the CLI began a turn of its own before it read the prompt
            self.injected_turn(around_prompt=True, absorbing=absorbed)
        else:
            self._lifecycle("queued")
        self._turns.append(Answer())
        self._messages.begin_turn(self._turns[-1])
        self._lifecycle("started")
        if not absorbed:
            self._messages.system("init", **self._named())
        if not self._content.chance(0.05):
            self._answer_prompt(absorbed)
        elif self._content.chance(0.5):
            self._turns[-1].content = self._content.text()
            self._result(absorbed, result=self._turns[-1].content)
        else:
            self._result(absorbed, result="")
        self._messages.answer = self._messages.outside
        self._lifecycle("completed")

    def injected_turn(self, *, around_prompt: bool = False, absorbing: bool = False) -> None:
        """Write a turn of the CLI's own.

        Args:
            around_prompt: Whether a prompt is queued meanwhile.
            absorbing: Whether it answers that prompt too.
        """
        self._messages.answer = self._messages.outside
        queued_first = self._content.chance(0.5)
        if around_prompt and queued_first:
            self._lifecycle("queued")
        self._messages.system("init")
        for _ in range(self._content.count(0, 2)):
            self._messages.whole_message(self._content.kinds_and_texts())
        if around_prompt and not queued_first:
            self._lifecycle("queued")
        if not absorbing:
            origin = {"kind": "task-notification"}
            self._messages.put(result_frame("success", origin=origin, result=self._messages.last_text))

    def end(self) -> Trace:
        """Let the background agents finish, and return the trace."""
        frames = [*self._messages.frames, *self._messages.sub_agents.rest()]
        return Trace(frames, self._prompts, self._turns, self._messages.outside)

    def _answer_prompt(self, absorbed: bool) -> None:
        for _ in range(self._content.count(0, 3)):
            self._content.choice(
                (
                    lambda: self._messages.whole_message(self._content.kinds_and_texts()),
                    self._cut_with_nothing_kept,
                    self._cut_with_blocks_kept,
                    self._cut_with_tools_kept,
                    self._cut_before_any_block,
                    self._cut_by_token_limit,
                )
            )()
        endings = ("success",) * 6 + ("text", "thinking", "input", "tool", "max_turns", "api_error")
        ending = self._content.choice(endings)
        if self._messages.left_open:  # what an old CLI writes after an error then is not known
            ending = "success"
        if ending in ("text", "thinking", "input"):
            self._interrupted_in(ending)
        elif ending == "tool":
            self._interrupted_in_tool()
        elif ending == "max_turns":
            self._messages.whole_message([*self._content.kinds_and_texts(), ("tool_use", "")])
            self._turns[-1].error_kind = "max_turns"
            self._result(absorbed, "error_max_turns", is_error=True, errors=["Reached maximum of turns (2)"])
        elif ending == "api_error":
            text = self._messages.api_error()
            self._turns[-1].error_kind = "server"
            self._result(absorbed, is_error=True, result=text, terminal_reason="api_error")
        else:
            self._messages.whole_message(self._blocks_without_tools())
            self._result(absorbed, result=self._messages.last_text)

    # -- messages that break off ----------------------------------------------------------------------------

    def _cut_with_nothing_kept(self) -> None:
        message = self._messages.open_message()
        self._messages.part_of_block(message, self._content.choice(_BLOCK_KINDS))
        self._messages.abandon(message, 0)
        self._messages.system("api_retry", attempt=1, max_retries=10, error="server_error")

    def _cut_with_blocks_kept(self) -> None:
        message = self._messages.open_message()
        self._messages.blocks(message, [*self._blocks_without_tools(), ("text", "kept")])
        first = message.index
        if self._content.chance(0.8):
            self._messages.part_of_block(message, self._content.choice(_BLOCK_KINDS))
        self._messages.abandon(message, first, always_stops=True)
        self._messages.synthetic(_RESUME_NOTE)

    def _cut_with_tools_kept(self) -> None:
        message = self._messages.open_message()
        self._messages.blocks(message, [*self._content.kinds_and_texts(), ("tool_use", "")])
        first = message.index
        self._messages.part_of_block(message, self._content.choice(_BLOCK_KINDS))
        if self._content.chance(0.5):
            self._messages.tool_results(message)
        self._messages.abandon(message, first)
        self._messages.api_error()
        self._messages.tool_results(message)

    def _cut_before_any_block(self) -> None:
        self._messages.abandon(self._messages.open_message(), 0)
        message = Message(self._content.new_id("msg"), partial=False)
        self._messages.blocks(message, self._content.kinds_and_texts())
        self._messages.tool_results(message)

    def _cut_by_token_limit(self) -> None:
        self._messages.whole_message([("text", self._content.text()), ("text", "kept")], "max_tokens")
        self._messages.synthetic(_LIMIT_NOTE)

    def _blocks_without_tools(self) -> list[tuple[str, str]]:
        return [block for block in self._content.kinds_and_texts() if block[0] != "tool_use"]

    # -- interrupts -----------------------------------------------------------------------------------------

    def _interrupted_in(self, kind: str) -> None:
        message = self._messages.open_message()
        self._messages.blocks(message, self._blocks_without_tools())
        first = message.index
        if kind == "input":
            self._messages.part_of_block(message, "tool_use")
        else:
            text = self._messages.part_of_block(message, kind)
            if kind == "text" and is_visible(text):
                block = {"type": "text", "text": text}
                self._messages.put(assistant_frame(message.id, block, aborted=True))
                first += 1
                self._messages.record_block(kind, text)
            elif kind == "thinking" and message.partial and not self._names:
                # Half a surrogate pair is never shown.
                self._messages.record_block(kind, text.removesuffix("\ufffd"))
        self._control_response()
        self._messages.put(user_frame([{"type": "text", "text": "[Request interrupted by user]"}]))
        if self._names:
            self._messages.event(message, {"type": "content_block_stop", "index": message.index})
            self._messages.message_delta(message, None)
            self._messages.abandon(message, first)
        self._interrupted("aborted_streaming")

    def _interrupted_in_tool(self) -> None:
        message = self._messages.open_message()
        self._messages.blocks(message, [*self._content.kinds_and_texts(), ("tool_use", "")])
        self._messages.message_delta(message, "tool_use")
        self._messages.event(message, {"type": "message_stop"})
        self._control_response()
        self._messages.tool_results(message, error="The tool use was rejected.")
        note = "[Request interrupted by user for tool use]"
        self._messages.put(user_frame([{"type": "text", "text": note}]))
        self._interrupted("aborted_tools")

    def _interrupted(self, reason: str) -> None:
        self._turns[-1].error_kind = "interrupted"
        self._result(False, "error_during_execution", is_error=True, terminal_reason=reason)

    # -- frames around messages -----------------------------------------------------------------------------

    def _control_response(self) -> None:
        response = {"subtype": "success", "request_id": "req_1"}
        self._messages.put(new_frame("control_response", response=response))

    def _lifecycle(self, state: str) -> None:
        if self._names:
            self._messages.put(new_frame("command_lifecycle", command_uuid=self._uuid, state=state))

    def _result(self, absorbed: bool, subtype: str = "success", **fields: Any) -> None:
        origin = {"origin": {"kind": "task-notification"}} if absorbed else {}
        self._messages.put(result_frame(subtype, **self._named(), **origin, **fields))

    def _named(self) -> dict[str, Any]:
        return {"user_message_uuids": [self._uuid]} if self._names else {}
