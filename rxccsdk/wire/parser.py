"""Chunks out of frames: every piece once, whether it came as deltas, as a whole block, or as both.

With partial messages the CLI says everything twice: the deltas of a block, then an `assistant` frame with the
whole block, then the block's stop. So the parser remembers what it has shown of each open block; the whole
block confirms it and adds only what is missing. A block that is never confirmed, because the API's stream
broke off, is retracted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from rxccsdk.chunks import (
    Chunk,
    Frame,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    Stretch,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
    quick_constructor,
    run_constructor,
)
from rxccsdk.wire.decoding import join_surrogates
from rxccsdk.wire.deltas import DELTA_FIELDS, DeltaRun

CARRY_NOTHING = {
    "control_request": "a question to the SDK: hooks, permissions, MCP",
    "control_response": "the answer to one of ours",
    "control_cancel_request": "takes such a question back",
    "command_lifecycle": "says which prompt is taken up; the router reads it",
    "keep_alive": "says nothing",
    "transcript_mirror": "the SDK's session store reads it",
}
"""Frames that give no chunk, and why."""

EVENTS_CARRY_NOTHING = {
    "content_block_start": "opens a block; its pieces follow",
    "content_block_stop": "closes a block; its pieces came",
    "ping": "says nothing",
}
"""The same for the API's stream events. A block that holds nothing but white space gives none either: the CLI
itself leaves it out where it sends whole blocks."""

DELTAS_CARRY_NOTHING = {
    "signature_delta": "proves thinking to the API",
    "input_json_delta": "of a block we do not model; its whole block follows",
}

INTERRUPTION_NOTE = "[Request interrupted by user"

# What String.prototype.trim takes off: the CLI decides with it whether a block is empty.
_JS_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

_text_chunks = run_constructor(TextChunk)
_thinking_chunks = run_constructor(ThinkingChunk)

_QUICK: dict[type[Chunk], Callable[..., Chunk]] = {
    ToolInputChunk: quick_constructor(ToolInputChunk),
    SystemChunk: quick_constructor(SystemChunk),
}


@dataclass(slots=True)
class Scope:
    """Counts the chunks and blocks of one turn (or of all that is outside any turn)."""

    turn: int | None
    seq: int = 0
    blocks: int = 0

    def next_seq(self) -> int:
        seq = self.seq
        self.seq = seq + 1
        return seq

    def next_block(self) -> int:
        block = self.blocks
        self.blocks = block + 1
        return block


@dataclass(slots=True)
class _Block:
    """A block that streams: what it is, and what was shown of it."""

    kind: str
    id: str = ""
    name: str = ""
    number: int = -1  # numbered when its first piece is shown, so that empty blocks take none
    shown: list[str] = field(default_factory=list)
    held: str = ""  # leading white space, or half a surrogate pair
    confirmed: bool = False


@dataclass(slots=True)
class _Message:
    """A message of one agent, as far as it has come."""

    id: str | None
    blocks: dict[int, _Block] = field(default_factory=dict)
    streams: bool = False  # its deltas come too
    complete: bool = False  # the API said why it stopped
    stopped: bool = False


class Parser:
    """Turns frames into chunks.

    Args:
        keep_raw: keep the frame in each chunk's `raw`.
        base_cost: what the session had cost before its first turn, in USD; `None` where that is unknown.
    """

    def __init__(self, *, keep_raw: bool = False, base_cost: float | None = 0.0) -> None:
        self._keep_raw = keep_raw
        self._cost = base_cost
        self._messages: dict[str | None, _Message] = {}
        self._tool_agents: dict[str, str] = {}
        self._cut: _Message | None = (
            None  # the main agent's message that broke off, until we know what follows
        )
        # The frame at hand, where it goes and when it came.
        self._frame: Frame = {}
        self._scope = Scope(None)
        self._at = 0.0
        self._out: list[Chunk] = []

    def parse(self, frame: Frame | DeltaRun, scope: Scope, at: float) -> list[Chunk]:
        """Give the chunks of one frame; of a run that is long enough, as a `Stretch`.

        Args:
            frame: the frame, decoded; or a run of deltas, which has no frames to keep.
            scope: the turn it belongs to.
            at: when it came, in seconds since the prompt.
        """
        self._scope, self._at, self._out = scope, at, []
        if isinstance(frame, DeltaRun):
            self._run(frame)
            return self._out if len(self._out) < Stretch.LEAST else Stretch(self._out)
        self._frame = frame
        try:
            if frame["type"] == "stream_event":
                event = frame["event"]
                if event["type"] == "content_block_delta":
                    self._delta(event["index"], event["delta"], frame.get("parent_tool_use_id"))
                else:
                    self._event(event, frame.get("parent_tool_use_id"))
            else:
                self._whole(frame["type"])
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            # Not of the shape we know: shown as it is rather than lost.
            self._say(UnknownChunk, str(frame.get("type")), frame)
        return self._out

    def abandon(self) -> None:
        """Forget the main agent's open message: its turn is over without a result."""
        self._messages.pop(None, None)
        self._cut = None

    def _say(
        self, kind: type[Chunk], *fields: Any, agent: str | None = None, message: _Message | None = None
    ) -> None:
        """Emit a chunk of the frame at hand."""
        scope = self._scope
        construct = _QUICK.get(kind)
        if construct is not None:
            belongs = message.id if message is not None else None
            raw = self._frame if self._keep_raw else None
            self._out.append(construct(scope.turn, scope.next_seq(), self._at, agent, belongs, raw, *fields))
            return
        self._out.append(
            kind(
                *fields,
                turn=scope.turn,
                seq=scope.next_seq(),
                at=self._at,
                agent=agent,
                message_id=message.id if message is not None else None,
                raw=self._frame if self._keep_raw else None,
            )
        )

    # -- what streams -------------------------------------------------------------------------------------

    def _run(self, run: DeltaRun) -> None:
        self._frame = {}
        block, message = self._streaming(run.index, run.kind, None, run.message_id)
        if run.kind != "input_json_delta" or block.kind == "tool_use":
            self._words(run.kind, block, message, None, run.texts)

    def _delta(self, index: int, delta: Frame, agent: str | None) -> None:
        kind = delta["type"]
        block, message = self._streaming(index, kind, agent, self._frame.get("api_message_id"))
        if kind in DELTAS_CARRY_NOTHING and (kind != "input_json_delta" or block.kind != "tool_use"):
            return
        field = DELTA_FIELDS.get(kind)
        if field is None:
            self._say(UnknownChunk, kind, self._frame, agent=agent, message=message)
        else:
            self._words(kind, block, message, agent, (delta[field],))

    def _streaming(
        self, index: int, kind: str, agent: str | None, message_id: str | None
    ) -> tuple[_Block, _Message]:
        """The block and the message that a delta goes on with."""
        message = self._messages.get(agent) or self._open(agent, message_id)
        block = message.blocks.get(index)
        if block is None:
            block = message.blocks[index] = _Block(kind.partition("_")[0])
        return block, message

    def _words(
        self, kind: str, block: _Block, message: _Message, agent: str | None, texts: Sequence[str]
    ) -> None:
        """Say pieces of a block that streams."""
        if kind == "input_json_delta":
            for text in texts:
                piece, block.held = join_surrogates(block.held + text)
                if piece:
                    number = self._number(block)
                    self._say(
                        ToolInputChunk, block.id, block.name, piece, number, agent=agent, message=message
                    )
            return
        texts = _hold_back(block, texts)
        if texts:
            number = self._number(block)
            block.shown.extend(texts)
            scope = self._scope
            raw = self._frame if self._keep_raw else None
            construct = _text_chunks if kind == "text_delta" else _thinking_chunks
            self._out += construct(texts, scope.turn, scope.seq, self._at, agent, message.id, raw, number)
            scope.seq += len(texts)

    def _number(self, block: _Block) -> int:
        if block.number < 0:
            block.number = self._scope.next_block()
        return block.number

    def _event(self, event: Frame, agent: str | None) -> None:
        kind = event["type"]
        if kind == "message_start":
            started = event["message"]
            message = self._open(agent, started.get("id"))
            message.streams = True
            fields = ("start", started.get("model"), None, started.get("usage"))
            self._say(MessageChunk, *fields, agent=agent, message=message)
            return
        message = self._messages.get(agent) or self._open(agent, self._frame.get("api_message_id"))
        if kind == "content_block_start":
            start = event["content_block"]
            block = _Block(start["type"], str(start.get("id", "")), str(start.get("name", "")))
            message.blocks[event["index"]] = block
            if block.kind in ("text", "thinking") and start.get(block.kind):
                first = {"type": f"{block.kind}_delta", block.kind: start[block.kind]}
                self._delta(event["index"], first, agent)
        elif kind == "message_delta":
            reason = event.get("delta", {}).get("stop_reason")
            message.complete = message.complete or reason is not None
            fields = ("delta", None, reason, event.get("usage"))
            self._say(MessageChunk, *fields, agent=agent, message=message)
        elif kind == "message_stop":
            message.stopped = True
            if self._frame.get("abandoned_blocks") is not None:
                message.complete = False
            if not _unconfirmed(message):
                self._say(MessageChunk, "stop", agent=agent, message=message)
            elif agent is None:
                self._cut = message  # whether a new version follows, the next frame that says something tells
            else:
                self._retract(agent, message, replaced=True)
        elif kind not in EVENTS_CARRY_NOTHING:
            self._say(UnknownChunk, kind, self._frame, agent=agent, message=message)

    def _open(self, agent: str | None, id: str | None) -> _Message:
        """Begin a message; one before it that was not finished is not going to be."""
        before = self._messages.get(agent)
        if before is not None and before.streams and (before is self._cut or not before.stopped):
            self._retract(agent, before, replaced=True)
        message = self._messages[agent] = _Message(id)
        return message

    def _retract(self, agent: str | None, message: _Message, *, replaced: bool) -> None:
        """End a message that broke off: take back what the CLI never had whole."""
        if message is self._cut:
            self._cut = None
        blocks = _unconfirmed(message)
        if blocks:
            numbers = tuple(block.number for block in blocks)
            tools = tuple(block.id for block in blocks if block.kind == "tool_use")
            self._say(RetractedChunk, numbers, tools, replaced, agent=agent, message=message)
        for block in blocks:
            block.confirmed = True
        message.stopped = True
        self._say(MessageChunk, "stop", agent=agent, message=message)

    def _settle_cut(self, *, replaced: bool) -> None:
        if self._cut is not None:
            self._retract(None, self._cut, replaced=replaced)

    # -- what comes whole ---------------------------------------------------------------------------------

    def _whole(self, kind: str) -> None:
        frame = self._frame
        agent = frame.get("parent_tool_use_id")
        if kind in CARRY_NOTHING:
            return
        if kind == "assistant":
            self._assistant(frame["message"], agent)
        elif kind == "user":
            self._user(frame["message"]["content"], agent)
        elif kind == "system":
            self._system(str(frame.get("subtype")))
        elif kind == "result":
            self._result()
        elif kind == "tool_progress":
            tool = agent or frame["tool_use_id"]
            elapsed = float(frame.get("elapsed_time_seconds") or 0.0)
            self._say(ToolProgressChunk, tool, elapsed, agent=self._tool_agents.get(tool))
        else:
            if kind == "conversation_reset":
                self._cost = 0.0
            self._say(UnknownChunk, kind, frame, agent=agent)

    def _assistant(self, said: Frame, agent: str | None) -> None:
        content = said["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if self._frame.get("error") or self._frame.get("is_api_error_message"):
            if agent is None:
                self._settle_cut(replaced=False)
            words = "\n".join(str(block.get("text", "")) for block in blocks)
            self._say(NoticeChunk, "api_error", words or str(self._frame.get("error")), agent=agent)
            return
        message = self._messages.get(agent)
        if message is None or message.id != said.get("id"):
            message = self._open(agent, said.get("id"))
        for block in blocks:
            self._whole_block(block, agent, message)
        if message is self._cut and not _unconfirmed(message):
            self._settle_cut(replaced=False)  # its blocks came after its stop: nothing was lost

    def _whole_block(self, whole: Frame, agent: str | None, message: _Message) -> None:
        kind = whole["type"]
        if kind not in ("text", "thinking", "tool_use"):
            self._say(UnknownChunk, kind, whole, agent=agent, message=message)
            return
        block = _match(message, whole) or _Block(kind)
        block.confirmed = True
        if kind == "tool_use":
            if agent is not None:
                self._tool_agents[whole["id"]] = agent
            fields = (whole["id"], whole["name"], whole["input"], self._number(block))
            self._say(ToolUseChunk, *fields, agent=agent, message=message)
            return
        text, shown = whole[kind], "".join(block.shown)
        rest = text[len(shown) :] if text.startswith(shown) else ""
        if rest and (shown or rest.strip(_JS_SPACE)):
            piece = TextChunk if kind == "text" else ThinkingChunk
            self._say(piece, rest, self._number(block), agent=agent, message=message)

    def _user(self, content: Any, agent: str | None) -> None:
        frame = self._frame
        synthetic = bool(frame.get("isSynthetic") or frame.get("isMeta"))
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        for block in content:
            kind = block["type"]
            if kind == "tool_result":
                fields = (block["tool_use_id"], block.get("content"), bool(block.get("is_error")))
                structured = frame.get("tool_use_result")
                self._say(ToolResultChunk, *fields, structured, agent=agent)
            elif kind == "text":
                note = block["text"].startswith(INTERRUPTION_NOTE)
                if agent is None and (synthetic or note):
                    self._settle_cut(replaced=not note)
                self._say(UserChunk, block["text"], synthetic or note, agent=agent)
            else:
                self._say(UnknownChunk, kind, block, agent=agent)

    def _system(self, subtype: str) -> None:
        frame = self._frame
        if subtype == "api_retry":
            self._settle_cut(replaced=True)
        if subtype.startswith("task_"):
            patch = frame.get("patch") or {}
            told = {"task_started": "started", "task_progress": "progress"}.get(subtype)
            status = told or frame.get("status") or patch.get("status") or "updated"
            self._say(TaskChunk, frame["task_id"], frame.get("tool_use_id"), status, frame.get("usage"))
        else:
            if subtype == "thinking_tokens":
                # One comes before each delta of thinking, and its strings are ten times its figures.
                for name in ("type", "subtype", "session_id", "user_message_uuid"):
                    if type(frame.get(name)) is str:
                        frame[name] = intern(frame[name])
            self._say(SystemChunk, subtype, frame)

    def _result(self) -> None:
        frame = self._frame
        self._settle_cut(replaced=False)
        message = self._messages.get(None)
        if message is not None and message.streams and not message.stopped:
            if frame.get("is_error"):
                message.complete = True  # cut short: what had arrived is kept as partial
            self._retract(None, message, replaced=False)
        self._messages.pop(None, None)
        self._say(
            ResultChunk,
            str(frame.get("subtype")),
            bool(frame.get("is_error")),
            frame.get("result"),
            tuple(str(error) for error in frame.get("errors") or ()),
            frame.get("terminal_reason"),
            frame.get("stop_reason"),
            frame.get("usage"),
            frame.get("modelUsage"),
            frame.get("total_cost_usd"),
            self._share_of_cost(frame),
            frame.get("duration_ms"),
            frame.get("num_turns"),
            frame.get("session_id"),
            tuple(frame.get("permission_denials") or ()),
            frame.get("origin"),
        )

    def _share_of_cost(self, frame: Frame) -> float | None:
        """What this result adds to the session's cost, as the CLI says, or by difference."""
        total, base = frame.get("total_cost_usd"), self._cost
        if total is not None:
            self._cost = total
        shares = frame.get("model_usage_since_last_result")
        if shares is not None:
            return float(sum(model.get("costUSD") or 0.0 for model in shares.values()))
        if total is None or base is None or total < base:
            return None
        return float(total - base)


def _hold_back(block: _Block, texts: Sequence[str]) -> Sequence[str]:
    """Keep leading white space until something visible follows, and half a pair until its other half."""
    if block.number >= 0 and not block.held and all(texts) and all(map(str.isascii, texts)):
        return texts
    shown = []
    visible = block.number >= 0
    for text in texts:
        text, half = join_surrogates(block.held + text)
        visible = visible or bool(text.strip(_JS_SPACE))
        block.held = half if visible else text + half
        if visible and text:
            shown.append(text)
    return shown


def _unconfirmed(message: _Message) -> list[_Block]:
    """The blocks that were shown and that nothing says the CLI has whole."""
    if message.complete:
        return []
    return [block for block in message.blocks.values() if block.number >= 0 and not block.confirmed]


def _match(message: _Message, whole: Frame) -> _Block | None:
    """Find the streamed block that a whole block repeats."""
    kind = whole["type"]
    open_blocks = [b for b in message.blocks.values() if b.kind == kind and not b.confirmed]
    if kind == "tool_use":
        return next((b for b in open_blocks if b.id == whole["id"]), None)
    shown = [b for b in open_blocks if b.shown]
    exact = (b for b in shown if whole[kind].startswith("".join(b.shown)))
    return next(exact, shown[0] if shown else open_blocks[0] if open_blocks else None)
