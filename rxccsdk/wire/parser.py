"""Chunks out of frames: every piece once, whether it came as deltas, as a whole block, or as both.

With partial messages the CLI sends all text twice: the deltas of a block, then an `assistant` frame with the
whole block, then the block's stop. So the parser remembers what it has shown of each open block; the whole
block confirms it and adds only what is missing. A block that is never confirmed, because the API's stream
broke off, is retracted.
"""

from __future__ import annotations

from typing import Any

from msgspec import convert
from msgspec.structs import asdict

from rxccsdk.chunks import (
    Chunk,
    Frame,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolOutputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
)
from rxccsdk.wire.blocks import SERVER_TOOLS, is_interruption_note, server_block, user_block
from rxccsdk.wire.confirmed import Confirmed
from rxccsdk.wire.frames import DeltaFrame
from rxccsdk.wire.messages import (
    JS_SPACE,
    NO_START_SEEN,
    PIECES,
    StreamedBlock,
    StreamedMessage,
    TurnCounter,
)
from rxccsdk.wire.results import Meter, mapping, result_fields
from rxccsdk.wire.silent import CARRY_NOTHING, DELTAS_CARRY_NOTHING, EVENTS_CARRY_NOTHING
from rxccsdk.wire.system import OWN_OUTPUT, limit_chunk, system_chunk
from rxccsdk.wire.window import Outputs

_NOT_OF_THE_SHAPE_WE_KNOW = (KeyError, TypeError, AttributeError, ValueError, OverflowError)
_OF_ANY_SHAPE = (SystemChunk, UnknownChunk)  # they hold the frame as it is


class Parser:
    """Turns frames into chunks.

    Args:
        keep_raw: keep the frame in each chunk's `raw`.
        base_cost: what the session had cost before its first turn, in USD; `None` where that is unknown.
    """

    def __init__(self, *, keep_raw: bool = False, base_cost: float | None = 0.0) -> None:
        self.outputs = Outputs()
        self._keep_raw = keep_raw
        self._meter = Meter(base_cost)
        self._messages: dict[str | None, StreamedMessage] = {}
        self._tool_agents: dict[str, str] = {}
        self._confirmed = Confirmed()
        self._cut: StreamedMessage | None = None  # the main agent's that broke off, until it is settled
        # The frame that is parsed, which turn it belongs to and when it came.
        self._frame: Frame = {}
        self._counter = TurnCounter(None)
        self._at = 0.0
        self._chunks: list[Chunk] = []

    def parse_delta(
        self, frame: DeltaFrame, counter: TurnCounter, now: float, raw: Frame | None = None
    ) -> Chunk | None:
        """Return the chunk of a delta; `None` where its text must wait for what follows.

        Args:
            frame: the frame, decoded by `decode_delta`.
            counter: numbers the chunks of the turn it belongs to.
            now: when it came, on the counter's clock.
            raw: the frame to keep in the chunk.
        """
        event, agent = frame.event, frame.parent_tool_use_id
        kind = PIECES[event.delta.__class__]
        message = self._messages.get(agent) or self._open(agent, frame.api_message_id)
        block = message.blocks.get(event.index)
        if block is None:
            block = message.blocks[event.index] = StreamedBlock(NO_START_SEEN[kind])
        text = event.delta.text
        if block.number < 0 or block.held or not text.isascii():
            text = block.hold_back(text)
        if not text or (kind is ToolInputChunk and block.kind != "tool_use"):
            return None  # see DELTAS_CARRY_NOTHING
        number = block.number if block.number >= 0 else block.numbered(counter)
        seq = counter.seq
        counter.seq = seq + 1
        at = now - counter.started_at
        if kind is ToolInputChunk:
            return ToolInputChunk(
                *(block.id, block.name, text, number),
                turn=counter.turn,
                seq=seq,
                at=at,
                agent=agent,
                message_id=message.id,
                raw=raw,
            )
        block.shown.append(text)
        chunk: Chunk = kind(
            text, number, turn=counter.turn, seq=seq, at=at, agent=agent, message_id=message.id, raw=raw
        )
        return chunk

    def parse(self, frame: Frame, counter: TurnCounter, now: float) -> list[Chunk]:
        """Return the chunks of one frame.

        Args:
            frame: the frame, decoded.
            counter: numbers the chunks of the turn it belongs to.
            now: when it came, on the counter's clock.
        """
        self._counter, self._at = counter, now - counter.started_at
        self._frame, self._chunks = frame, []
        try:
            if frame["type"] == "stream_event":
                self._event(frame["event"], frame.get("parent_tool_use_id"))
            else:
                self._whole(frame["type"])
        except _NOT_OF_THE_SHAPE_WE_KNOW:  # shown as it is rather than lost
            self._emit(UnknownChunk, str(frame.get("type")), frame)
        return self._chunks

    def abandon(self) -> None:
        """Forget the main agent's open message: its turn is over without a result."""
        self._messages.pop(None, None)
        self._cut = None
        self._confirmed.clear()

    def _emit(
        self,
        kind: type[Chunk],
        *fields: Any,
        agent: str | None = None,
        message: StreamedMessage | None = None,
    ) -> None:
        """Append a chunk of the frame that is parsed."""
        counter = self._counter
        chunk = kind(
            *fields,
            turn=counter.turn,
            seq=counter.seq,
            at=self._at,
            agent=agent,
            message_id=message.id if message is not None else None,
            raw=self._frame if self._keep_raw else None,
        )
        if kind not in _OF_ANY_SHAPE:
            convert(asdict(chunk), kind)
        counter.seq += 1
        self._chunks.append(chunk)

    # -- what streams -------------------------------------------------------------------------------------

    def _delta(self, event: Frame, agent: str | None) -> None:
        """Read a delta that was decoded as any other frame."""
        frame, kind = self._frame, event["delta"]["type"]
        if kind in PIECES:
            raw = frame if self._keep_raw else None
            now = self._at + self._counter.started_at
            chunk = self.parse_delta(convert(frame, DeltaFrame), self._counter, now, raw)
            if chunk is not None:
                self._chunks.append(chunk)
        elif kind not in DELTAS_CARRY_NOTHING:
            message = self._messages.get(agent) or self._open(agent, frame.get("api_message_id"))
            self._emit(UnknownChunk, str(kind), frame, agent=agent, message=message)

    def _event(self, event: Frame, agent: str | None) -> None:
        kind = event["type"]
        if kind == "content_block_delta":
            self._delta(event, agent)
            return
        if kind == "message_start":
            started = event["message"]
            message = self._open(agent, started.get("id"))
            message.streams = True
            fields = ("start", started.get("model"), None, mapping(started.get("usage")))
            self._emit(MessageChunk, *fields, agent=agent, message=message)
            return
        message = self._messages.get(agent) or self._open(agent, self._frame.get("api_message_id"))
        if kind == "content_block_start":
            start = event["content_block"]
            block_kind = "tool_use" if start["type"] in SERVER_TOOLS else start["type"]
            block = StreamedBlock(block_kind, str(start.get("id", "")), str(start.get("name", "")))
            message.blocks[event["index"]] = block
            if block.kind in ("text", "thinking") and start.get(block.kind):
                delta = {"type": f"{block.kind}_delta", block.kind: start[block.kind]}
                self._frame = {
                    **self._frame,
                    "event": {**event, "type": "content_block_delta", "delta": delta},
                }
                self._delta(self._frame["event"], agent)
        elif kind == "message_delta":
            reason = event.get("delta", {}).get("stop_reason")
            message.complete = message.complete or reason is not None
            fields = ("delta", event.get("model"), reason, mapping(event.get("usage")))  # see transcript.py
            self._emit(MessageChunk, *fields, agent=agent, message=message)
        elif kind == "message_stop":
            message.stopped = True
            if self._frame.get("abandoned_blocks") is not None:
                message.complete = False
            if not message.unconfirmed():
                self._emit(MessageChunk, "stop", agent=agent, message=message)
            elif agent is None:
                self._cut = message  # the next frame with content shows whether a new version follows
            else:
                self._retract(agent, message, replaced=True)
        elif kind not in EVENTS_CARRY_NOTHING:
            self._emit(UnknownChunk, str(kind), self._frame, agent=agent, message=message)

    def _open(self, agent: str | None, id: object) -> StreamedMessage:
        """Begin a message; one before it that was not finished is not going to be."""
        before = self._messages.get(agent)
        if before is not None and before.streams and (before is self._cut or not before.stopped):
            self._retract(agent, before, replaced=True)
        message = self._messages[agent] = StreamedMessage(id if isinstance(id, str) else None)
        return message

    def _retract(self, agent: str | None, message: StreamedMessage, *, replaced: bool) -> None:
        """End a message that broke off: take back what the CLI never had whole."""
        if message is self._cut:
            self._cut = None
        blocks = message.unconfirmed()
        if blocks:
            tools = tuple(block.id for block in blocks if block.kind == "tool_use")
            numbers = tuple(block.number for block in blocks)
            self._emit(RetractedChunk, numbers, tools, replaced, agent=agent, message=message)
        message.settle()
        self._emit(MessageChunk, "stop", agent=agent, message=message)

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
            fields = (tool, float(frame.get("elapsed_time_seconds") or 0.0), frame.get("tool_name"))
            self._emit(ToolProgressChunk, *fields, agent=self._tool_agents.get(tool))
        elif kind == OWN_OUTPUT:
            output = self.outputs.note(frame)
            self._emit(ToolOutputChunk, *output, agent=self._tool_agents.get(output[0]))
        elif kind == "rate_limit_event":
            limit, values = limit_chunk(frame)
            self._emit(limit, *values)
        else:
            if kind == "conversation_reset":
                self._meter.reset()
            self._emit(UnknownChunk, str(kind), frame, agent=agent if isinstance(agent, str) else None)

    def _assistant(self, said: Frame, agent: str | None) -> None:
        content = said["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if self._frame.get("error") or self._frame.get("is_api_error_message"):
            if agent is None:
                self._settle_cut(replaced=False)
            words = "\n".join(str(block.get("text", "")) for block in blocks)
            self._emit(NoticeChunk, "api_error", words or str(self._frame.get("error")), agent=agent)
            return
        message = self._messages.get(agent)
        if message is None or message.id != said.get("id"):
            message = self._open(agent, said.get("id"))
        for block in blocks:
            self._whole_block(block, agent, message)
        if message is self._cut and not message.unconfirmed():
            self._settle_cut(replaced=False)  # its blocks came after its stop: nothing was lost

    def _whole_block(self, whole: Frame, agent: str | None, message: StreamedMessage) -> None:
        kind = whole["type"]
        if kind in SERVER_TOOLS:
            kind, whole = "tool_use", {**whole, "type": "tool_use"}
        if kind not in ("text", "thinking", "tool_use"):
            piece, values = server_block(whole)
            self._emit(piece, *values, agent=agent, message=message)
            return
        block = message.match(whole) or StreamedBlock(kind, str(whole.get("id")))
        block.confirmed = True
        if kind == "tool_use":
            if agent is not None:
                self._tool_agents[whole["id"]] = agent
            fields = (whole["id"], whole["name"], whole["input"], block.numbered(self._counter))
            self._emit(ToolUseChunk, *fields, agent=agent, message=message)
        else:
            text, shown = whole[kind], "".join(block.shown)
            rest = text[len(shown) :] if text.startswith(shown) else ""
            if rest and (shown or rest.strip(JS_SPACE)):
                piece = TextChunk if kind == "text" else ThinkingChunk
                self._emit(piece, rest, block.numbered(self._counter), agent=agent, message=message)
        self._confirmed.note(self._frame.get("uuid"), block)

    def _user(self, content: Any, agent: str | None) -> None:
        frame = self._frame
        synthetic = bool(frame.get("isSynthetic") or frame.get("isMeta"))
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        for block in content:
            note = is_interruption_note(block)
            if agent is None and (note or (synthetic and block["type"] == "text")):
                self._settle_cut(replaced=not note)
            kind, fields = user_block(block, frame, synthetic=synthetic)
            if kind is ToolResultChunk and (rest := self.outputs.rest(fields[0], fields[3])) is not None:
                self._emit(ToolOutputChunk, *rest, agent=agent)
            self._emit(kind, *fields, agent=agent)

    def _system(self, subtype: str) -> None:
        if subtype == "api_retry":
            self._settle_cut(replaced=True)
        elif (taken_back := self._confirmed.take_back(self._frame)) is not None:
            self._emit(RetractedChunk, *taken_back)
        kind, fields = system_chunk(subtype, self._frame)
        self._emit(kind, *fields)

    def _result(self) -> None:
        frame = self._frame
        self._settle_cut(replaced=False)
        message = self._messages.get(None)
        if message is not None and message.streams and not message.stopped:
            if frame.get("is_error") or str(frame.get("subtype")).startswith("error"):
                message.complete = True  # cut short: what had arrived is kept as partial
            self._retract(None, message, replaced=False)
        self.abandon()
        cost, models = self._meter.cost(frame), self._meter.models(frame)
        self._emit(ResultChunk, *result_fields(frame, cost, models).values())
