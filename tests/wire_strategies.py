"""Hypothesis strategies for what a CLI may write in a session, with the answer each of its turns comes to.

It needs `hypothesis`, which `rxccsdk.testing` itself does not import.
"""

from __future__ import annotations

import json
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import strategies as st

from rxccsdk.chunks import Frame

RESUME = "Your response above was cut off mid-stream. Resume directly from where it stops."
LIMIT = "Output token limit hit. Resume directly, no recap."

_PIECES = (
    *("a", "word ", "Two words.", "\n", "  ", "\t", "\r\n", "```\n", "\x00", "é", "e\u0301", "日本", "😀"),
    *("👨\u200d👩\u200d👧", "\ufeff", "\u0085", "\u00a0", "\u2028", "</p>", '"', "\\ud83d"),
)


@dataclass
class Answer:
    """What a turn comes to, or all that is outside any turn.

    Attributes:
        content: the text of the response.
        error_kind: what `SessionResponse.error_kind` says.
        blocks: agent, kind and text (the id of a tool call) of what stands, in order for each agent.
        inputs: the input of each tool call.
        results: the content of each tool result.
        notices: the API errors the CLI dressed as assistant messages.
    """

    content: str = ""
    error_kind: str | None = None
    blocks: list[tuple[str | None, str, str]] = field(default_factory=list)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


@dataclass
class Trace:
    """What the CLI wrote in one session.

    Attributes:
        frames: the frames, in order.
        prompts: for each turn, before which frame its prompt was written, and with which uuid.
        turns: what each turn comes to.
        outside: what is part of no turn.
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

    Text with any white space and split anywhere, thinking, parallel tools with early results, sub-agents in
    fore- and background, turns of the CLI's own, API streams that break off in every known way, interrupts,
    limits and errors.

    Args:
        partial: whether the messages stream; `None` for some that do and some that do not.
        names: whether the CLI names the prompt in its frames, as 2.1.330 does; `None` for either.
        max_turns: how many turns there are at most.
    """
    return random_trace(draw(st.randoms(use_true_random=False)), partial, names, max_turns)


def random_trace(
    random: Random, partial: bool | None = None, names: bool | None = None, max_turns: int = 3
) -> Trace:
    """One such trace, for those who bring the chance themselves."""
    named = random.random() < 0.7 if names is None else names
    writer = _Writer(random, partial, named)
    for number in range(random.randint(1, max_turns)):
        writer.turn(number)
        if random.random() < 0.3:
            writer.injected_turn()
    return writer.end()


@dataclass
class _Message:
    """The message that is being written."""

    id: str
    partial: bool
    index: int = 0
    tools: list[str] = field(default_factory=list)  # called, without a result so far


class _Writer:
    """Writes a session frame by frame and keeps account of what a reader must make of it."""

    def __init__(self, random: Random, partial: bool | None, names: bool) -> None:
        self._random = random
        self._partial = partial
        self._names = names
        self._frames: list[Frame] = []
        self._prompts: list[tuple[int, str]] = []
        self._turns: list[Answer] = []
        self._outside = Answer()
        self._answer = self._outside
        self._uuid = ""
        self._ids = 0
        self._asides: dict[str, deque[tuple[Frame, Answer]]] = {}  # sub-agents' frames still to come
        self._neighbours = False
        self._continues = False
        self._last_text = ""
        self._left_open = False  # a message broke off and nothing said so

    # -- turns --------------------------------------------------------------------------------------------

    def turn(self, number: int) -> None:
        """One prompt and its answer."""
        self._uuid = f"prompt-{number}"
        self._prompts.append((len(self._frames), self._uuid))
        race = self._names and number > 0 and self._chance(0.3)
        absorbed = race and self._chance(0.5)
        if race:  # the CLI began a turn of its own before it read the prompt
            self.injected_turn(around_prompt=True, absorbing=absorbed)
        else:
            self._lifecycle("queued")
        self._turns.append(Answer())
        self._answer = self._turns[-1]
        self._neighbours = self._continues = self._left_open = False
        self._last_text = ""
        self._lifecycle("started")
        if not absorbed:
            self._put(self._system("init", **self._named()))
        if not self._chance(0.05):
            self._answer_prompt(absorbed)
        elif self._chance(0.5):
            self._result(absorbed, result=self._text())
            self._answer.content = self._frames[-1]["result"]
        else:
            self._result(absorbed, result="")
        self._answer = self._outside
        self._lifecycle("completed")

    def injected_turn(self, *, around_prompt: bool = False, absorbing: bool = False) -> None:
        """A turn of the CLI's own; `around_prompt`: a prompt waits meanwhile; `absorbing`: it takes it up."""
        self._answer = self._outside
        queued_first = self._chance(0.5)
        if around_prompt and queued_first:
            self._lifecycle("queued")
        self._put(self._system("init"))
        for _ in range(self._random.randint(0, 2)):
            self._whole_message(self._blocks())
        if around_prompt and not queued_first:
            self._lifecycle("queued")
        if not absorbing:
            self._put(_result_frame("success", origin={"kind": "task-notification"}, result=self._last_text))

    def end(self) -> Trace:
        """Let the background agents finish; give what was written."""
        while self._asides:
            self._let_others_speak(1.0)
        return Trace(self._frames, self._prompts, self._turns, self._outside)

    def _answer_prompt(self, absorbed: bool) -> None:
        for _ in range(self._random.randint(0, 3)):
            self._random.choice(
                (
                    lambda: self._whole_message(self._blocks()),
                    self._cut_with_nothing_kept,
                    self._cut_with_blocks_kept,
                    self._cut_with_tools_kept,
                    self._cut_before_any_block,
                    self._cut_by_token_limit,
                )
            )()
        ending = self._random.choice(("success",) * 6 + ("text", "thinking", "input", "tool", "turns", "api"))
        if self._left_open:  # what an old CLI would make of an error now is not known
            ending = "success"
        if ending in ("text", "thinking", "input"):
            self._interrupted_in(ending)
        elif ending == "tool":
            self._interrupted_in_tool()
        elif ending == "turns":
            self._whole_message([*self._blocks(), ("tool_use", "")])
            self._answer.error_kind = "max_turns"
            self._result(absorbed, "error_max_turns", is_error=True, errors=["Reached maximum of turns (2)"])
        elif ending == "api":
            self._api_error()
            self._answer.error_kind = "api"
            words = self._answer.notices[-1]
            self._result(absorbed, is_error=True, result=words, terminal_reason="api_error")
        else:
            self._whole_message([block for block in self._blocks() if block[0] != "tool_use"])
            self._result(absorbed, result=self._last_text)

    # -- messages -----------------------------------------------------------------------------------------

    def _whole_message(self, blocks: list[tuple[str, str]], stop: str | None = None) -> None:
        message = self._open_message()
        for kind, text in blocks:
            self._whole_block(message, kind, text)
        results_first = self._chance(0.5)
        stop = stop or ("tool_use" if message.tools else "end_turn")
        self._event(message, {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {}})
        if results_first:
            self._tool_results(message)
        self._event(message, {"type": "message_stop"})
        self._tool_results(message)

    def _cut_with_nothing_kept(self) -> None:
        message = self._open_message()
        self._part_of_block(message, self._random.choice(("text", "thinking", "tool_use")))
        self._abandon(message, 0)
        self._put(self._system("api_retry", attempt=1, max_retries=10, error="server_error"))

    def _cut_with_blocks_kept(self) -> None:
        message = self._open_message()
        for kind, text in [*(block for block in self._blocks() if block[0] != "tool_use"), ("text", "kept")]:
            self._whole_block(message, kind, text)
        first = message.index
        if self._chance(0.8):
            self._part_of_block(message, self._random.choice(("text", "thinking", "tool_use")))
        self._abandon(message, first, always_stops=True)
        self._synthetic(RESUME)

    def _cut_with_tools_kept(self) -> None:
        message = self._open_message()
        for kind, text in [*self._blocks(), ("tool_use", "")]:
            self._whole_block(message, kind, text)
        first = message.index
        self._part_of_block(message, self._random.choice(("text", "thinking", "tool_use")))
        early = self._chance(0.5)
        if early:
            self._tool_results(message)
        self._abandon(message, first)
        self._api_error()
        self._tool_results(message)

    def _cut_before_any_block(self) -> None:
        self._abandon(self._open_message(), 0)
        self._neighbours = False
        message = _Message(self._new("msg"), partial=False)
        for kind, text in self._blocks():
            self._whole_block(message, kind, text)
        self._tool_results(message)

    def _cut_by_token_limit(self) -> None:
        self._whole_message([("text", self._text()), ("text", "kept")], "max_tokens")
        self._synthetic(LIMIT)

    def _interrupted_in(self, kind: str) -> None:
        message = self._open_message()
        for kept, text in self._blocks():
            if kept != "tool_use":
                self._whole_block(message, kept, text)
        first = message.index
        if kind == "input":
            self._part_of_block(message, "tool_use")
        else:
            said = self._part_of_block(message, kind)
            confirmed = kind == "text" and visible(said)
            if confirmed:
                self._put(self._assistant(message, {"type": "text", "text": said}, aborted=True))
                first += 1
                self._stands(kind, said)
            elif kind == "thinking" and message.partial and not self._names:
                self._stands(kind, said.removesuffix("\ufffd"))  # half a character never shows
        self._control_response()
        self._put(self._user([{"type": "text", "text": "[Request interrupted by user]"}]))
        if self._names:
            self._event(message, {"type": "content_block_stop", "index": message.index})
            self._event(message, {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {}})
            self._abandon(message, first)
        self._interrupted("aborted_streaming")

    def _interrupted_in_tool(self) -> None:
        message = self._open_message()
        for kind, text in [*self._blocks(), ("tool_use", "")]:
            self._whole_block(message, kind, text)
        self._event(message, {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}})
        self._event(message, {"type": "message_stop"})
        self._control_response()
        self._tool_results(message, error="The tool use was rejected.")
        note = "[Request interrupted by user for tool use]"
        self._put(self._user([{"type": "text", "text": note}]))
        self._interrupted("aborted_tools")

    def _interrupted(self, reason: str) -> None:
        self._answer.error_kind = "interrupted"
        self._result(False, "error_during_execution", is_error=True, terminal_reason=reason)

    def _api_error(self) -> None:
        words = f"API Error: {self._text()}"
        self._answer.notices.append(words)
        frame = self._assistant(_Message(self._new("error"), False), {"type": "text", "text": words})
        self._put({**frame, "error": "server_error", "is_api_error_message": True})

    # -- blocks -------------------------------------------------------------------------------------------

    def _blocks(self) -> list[tuple[str, str]]:
        kinds = ("text", "text", "text", "thinking", "tool_use", "redacted_thinking")
        return [(self._random.choice(kinds), self._text()) for _ in range(self._random.randint(0, 3))]

    def _open_message(self) -> _Message:
        partial = self._chance(0.6) if self._partial is None else self._partial
        message = _Message(self._new("msg"), partial)
        self._put(self._system("status", status="requesting"))
        start = {"id": message.id, "model": "claude", "content": [], "usage": {"output_tokens": 1}}
        self._event(message, {"type": "message_start", "message": start})
        self._neighbours = False
        return message

    def _whole_block(self, message: _Message, kind: str, text: str) -> None:
        block, deltas = self._block(kind, text)
        self._start_block(message, block)
        self._deltas(message, deltas)
        if kind != "text" or visible(text):
            self._put(self._assistant(message, block))
            self._stands(kind, block["id"] if kind == "tool_use" else text)
        if kind == "tool_use":
            self._called(message, block)
        self._event(message, {"type": "content_block_stop", "index": message.index})
        message.index += 1

    def _part_of_block(self, message: _Message, kind: str) -> str:
        """A block that breaks off somewhere; gives the text that was said."""
        block, deltas = self._block(kind, self._text() + "x")
        self._start_block(message, block)
        said = deltas[: self._random.randint(0, len(deltas))]
        self._deltas(message, said)
        text = "".join(str(delta.get(kind, "")) for delta in said)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _block(self, kind: str, text: str) -> tuple[Frame, list[Frame]]:
        """A block, and the deltas it is told in."""
        if kind in ("text", "thinking"):
            deltas: list[Frame] = [{"type": f"{kind}_delta", kind: piece} for piece in self._split(text)]
            if kind == "text":
                return {"type": kind, "text": text}, deltas
            signature = {"type": "signature_delta", "signature": "S"}
            return {"type": kind, "thinking": text, "signature": "S"}, [*deltas, signature]
        if kind == "redacted_thinking":
            return {"type": kind, "data": "ENCRYPTED"}, []
        agent = self._chance(0.4)
        given = {"prompt": text}
        block = {"type": kind, "id": self._new("toolu"), "name": "Agent" if agent else "Bash", "input": given}
        written = json.dumps(given, ensure_ascii=self._chance(0.5))
        return block, [{"type": "input_json_delta", "partial_json": p} for p in self._split(written)]

    def _start_block(self, message: _Message, block: Frame) -> None:
        empty = {"text": "", "thinking": "", "signature": "", "input": {}}
        start = {name: empty.get(name, value) for name, value in block.items()}
        self._event(message, {"type": "content_block_start", "index": message.index, "content_block": start})

    def _deltas(self, message: _Message, deltas: list[Frame]) -> None:
        for delta in deltas:
            self._event(message, {"type": "content_block_delta", "index": message.index, "delta": delta})

    def _stands(self, kind: str, text: str) -> None:
        """Keep account of a block of the main agent that stands."""
        if kind in ("text", "thinking") and not visible(text):
            return
        self._answer.blocks.append((None, kind, "" if kind == "redacted_thinking" else text))
        if kind != "text":
            self._neighbours = False
            self._continues = self._continues and kind != "tool_use"
            return
        joins = not self._answer.content or self._neighbours or self._continues
        self._answer.content += text if joins else "\n\n" + text
        self._neighbours, self._continues = True, False
        self._last_text = text

    # -- tools and sub-agents -----------------------------------------------------------------------------

    def _called(self, message: _Message, block: Frame) -> None:
        call = block["id"]
        self._answer.inputs[call] = block["input"]
        message.tools.append(call)
        if block["name"] == "Agent":
            self._start_agent(call)

    def _start_agent(self, call: str) -> None:
        how = self._random.choice(("foreground", "background", "moved"))
        where = self._outside if how == "background" else self._answer
        task = f"task-{call}"
        started = {"task_id": task, "tool_use_id": call, "is_backgrounded": how == "background"}
        self._frames.append(self._system("task_started", **started))
        frames = [(frame, where) for frame in self._agent_frames(call, 1)]
        if how == "moved":
            at = self._random.randint(0, len(frames))
            patch = {"task_id": task, "patch": {"is_backgrounded": True}}
            moved = [(frame, self._outside) for frame, _ in frames[at:]]
            frames = [*frames[:at], (self._system("task_updated", **patch), where), *moved]
        if how != "foreground":
            done = {"task_id": task, "tool_use_id": call, "status": "completed"}
            frames.append((self._system("task_notification", **done), self._outside))
        self._asides[call] = deque(frames)

    def _agent_frames(self, agent: str, depth: int) -> list[Frame]:
        frames = [self._user([{"type": "text", "text": "do it"}], parent_tool_use_id=agent)]
        for _ in range(self._random.randint(0, 2)):
            message = _Message(self._new("msg"), False)
            for kind, text in self._blocks():
                block, _ = self._block(kind, text)
                if kind == "text" and not visible(text):
                    continue
                frames.append(self._assistant(message, block, parent_tool_use_id=agent))
                if kind != "tool_use":
                    continue
                if block["name"] == "Agent" and depth < 2:
                    frames += self._agent_frames(block["id"], depth + 1)
                result = {"type": "tool_result", "tool_use_id": block["id"], "content": self._text()}
                frames.append(self._user([result], parent_tool_use_id=agent))
        return frames

    def _tool_results(self, message: _Message, error: str | None = None) -> None:
        """The results that are missing, in any order; a foreground agent speaks until its own."""
        self._random.shuffle(message.tools)
        for call in message.tools:
            while any(where is self._answer is not self._outside for _, where in self._asides.get(call, ())):
                self._let_others_speak(1.0)
            result: Frame = {"type": "tool_result", "tool_use_id": call, "content": error or self._text()}
            if error is not None or self._chance(0.5):
                result["is_error"] = error is not None
            self._answer.results[call] = result["content"]
            self._put(self._user([result], tool_use_result={"stdout": ""}))
        message.tools.clear()

    def _let_others_speak(self, chance: float = 0.3) -> None:
        for call in list(self._asides):
            if self._asides[call] and self._chance(chance):
                frame, where = self._asides[call].popleft()
                self._account_aside(frame, where)
                self._frames.append(frame)
            if not self._asides[call]:
                del self._asides[call]

    def _account_aside(self, frame: Frame, where: Answer) -> None:
        if frame["type"] == "system":
            return
        for block in frame["message"]["content"]:
            kind, agent = block["type"], frame["parent_tool_use_id"]
            if kind == "tool_result":
                where.results[block["tool_use_id"]] = block["content"]
            elif kind == "tool_use":
                where.inputs[block["id"]] = block["input"]
                where.blocks.append((agent, kind, block["id"]))
            elif frame["type"] == "assistant" and (kind not in block or visible(block[kind])):
                where.blocks.append((agent, kind, block.get(kind, "")))

    # -- frames -------------------------------------------------------------------------------------------

    def _put(self, frame: Frame) -> None:
        self._let_others_speak()
        self._frames.append(frame)

    def _event(self, message: _Message, event: Frame, **fields: Any) -> None:
        if message.partial:
            named = {"api_message_id": message.id} if self._names else {}
            self._put(_frame("stream_event", event=event, parent_tool_use_id=None, **named, **fields))

    def _abandon(self, message: _Message, first: int, *, always_stops: bool = False) -> None:
        self._neighbours = False
        if self._names:
            abandoned = {"api_message_id": message.id, "from_block_index": first}
            self._event(message, {"type": "message_stop"}, abandoned_blocks=abandoned)
        elif always_stops or self._chance(0.5):
            self._event(message, {"type": "message_stop"})
        else:
            self._left_open = True

    def _assistant(self, message: _Message, block: Frame, **fields: Any) -> Frame:
        said = {"id": message.id, "role": "assistant", "model": "claude", "content": [block]}
        return _frame("assistant", message=said, **{"parent_tool_use_id": None, **fields})

    def _user(self, content: list[Frame], **fields: Any) -> Frame:
        said = {"role": "user", "content": content}
        return _frame("user", message=said, **{"parent_tool_use_id": None, **fields})

    def _synthetic(self, text: str) -> None:
        self._put(self._user([{"type": "text", "text": text}], isSynthetic=True))
        self._continues = True

    def _system(self, subtype: str, **fields: Any) -> Frame:
        return _frame("system", subtype=subtype, **fields)

    def _control_response(self) -> None:
        self._put(_frame("control_response", response={"subtype": "success", "request_id": "req_1"}))

    def _lifecycle(self, state: str) -> None:
        if self._names:
            self._put(_frame("command_lifecycle", command_uuid=self._uuid, state=state))

    def _result(self, absorbed: bool, subtype: str = "success", **fields: Any) -> None:
        origin = {"origin": {"kind": "task-notification"}} if absorbed else {}
        self._put(_result_frame(subtype, **self._named(), **origin, **fields))

    def _named(self) -> dict[str, Any]:
        return {"user_message_uuids": [self._uuid]} if self._names else {}

    # -- chance -------------------------------------------------------------------------------------------

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _new(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"

    def _text(self) -> str:
        return "".join(self._random.choice(_PIECES) for _ in range(self._random.randint(0, 4)))

    def _split(self, text: str) -> list[str]:
        """Cut a text anywhere, inside a surrogate pair too, as JavaScript does; some pieces are empty."""
        units = text.encode("utf-16-le")
        cuts = sorted(2 * self._random.randint(0, len(units) // 2) for _ in range(self._random.randint(0, 4)))
        pieces = [units[a:b] for a, b in zip([0, *cuts], [*cuts, len(units)], strict=True)]
        return [piece.decode("utf-16-le", "surrogatepass") for piece in pieces]


def visible(text: str) -> bool:
    """Whether JavaScript's `trim` leaves anything of a text: the CLI drops a block where it does not."""
    return not all(c in "\t\n\v\f\r\ufeff\u2028\u2029" or unicodedata.category(c) == "Zs" for c in text)


def _frame(type: str, **fields: Any) -> Frame:
    return {"type": type, **fields, "session_id": "session"}


def _result_frame(subtype: str, **fields: Any) -> Frame:
    fields = {"is_error": False, "total_cost_usd": 0.25, "num_turns": 1, **fields}
    return {"duration_ms": 1, **fields, "subtype": subtype, "type": "result", "session_id": "session"}
