"""The CLI's protocol as one object without I/O: bytes in, events out; requests in, bytes out.

It owns framing, decoding, routing, parsing and the control requests that wait for an answer. It reads no
clock and no file, starts no task, and knows no SDK: a live process, a recording and a test feed it alike.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import asdict
from typing import Any

from rxccsdk.chunks import Chunk, Frame, NoticeChunk, ResultChunk
from rxccsdk.wire.asks import Decision, outcome
from rxccsdk.wire.counters import Counters
from rxccsdk.wire.dialogue import Dialogue
from rxccsdk.wire.events import (
    ControlAnswer,
    Defect,
    Event,
    NewSessionId,
    SdkFrame,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from rxccsdk.wire.frames import LineFramer, decode, decode_delta, new_session_id, to_line
from rxccsdk.wire.parser import Parser
from rxccsdk.wire.requests import answer_line, control_line, prompt_line
from rxccsdk.wire.routing import AMBIGUOUS, Router
from rxccsdk.wire.steering import OWN_STEER
from rxccsdk.wire.system import OWN_NOTICE, OWN_OUTPUT

_log = logging.getLogger("rxccsdk")

_FOR_THE_SDK = ("control_request", "control_response", "control_cancel_request", "transcript_mirror")
OWN_ID = "rxccsdk-"  # how the ids of our own requests begin: their answers are none of the SDK's
FAR_ID = f"{OWN_ID}far-"  # and of those that come from another machine
_LONGEST_SHOWN = 2000  # bytes of a line that is no frame


class Connection:
    r"""One session's conversation with the CLI.

    Args:
        keep_raw: keep each frame in the `raw` of its chunks.
        base_cost: what the session had cost before its first turn, in USD; `None` where that is unknown.
        now: when it opens, in seconds on any clock; `receive` and `prompt` are given times of the same one.
        ids: how the ids of its requests begin: another one where several connections share a CLI.

    Attributes:
        request_id: the id of the control request that was written last.
        takes_asks: make `AskChunk`s of the agent's questions to its user; without, the SDK gets them.

    Example:
        >>> connection = Connection()
        >>> written = connection.prompt("Hi", now=0.0)
        >>> line = b'{"type":"result","subtype":"success","result":"Hi!"}\n'
        >>> for event in connection.receive(line, now=0.5):
        ...     print(type(event).__name__)
        ResultChunk
        TurnEnded
    """

    def __init__(
        self, *, keep_raw: bool = False, base_cost: float | None = 0.0, now: float = 0.0, ids: str = OWN_ID
    ) -> None:
        self.request_id = ""
        self._ids = ids
        self.takes_asks = False
        self._keep_raw = keep_raw
        self._framer = LineFramer()
        self._router = Router()
        self._parser = Parser(keep_raw=keep_raw, base_cost=base_cost)
        self._counters = Counters(now)
        self._main = self._counters.outside  # counts what the main agent says now
        self._requests = 0
        self._waiting: set[str] = set()  # the requests that wait for their answers
        self._dialogue = Dialogue(self._router, self._counters, keep_raw=keep_raw)

    # -- state --------------------------------------------------------------------------------------------

    @property
    def turn(self) -> int | None:
        """The turn whose prompt was written and which is not over, or `None`."""
        return self._router.turn

    @property
    def is_ready(self) -> bool:
        """Whether a prompt can be written: one written now would not become part of another turn."""
        return self._router.turn is None and not self._router.busy

    @property
    def has_background_work(self) -> bool:
        """Whether the CLI would go on by itself without another prompt."""
        return self._router.has_background_work

    @property
    def names_prompts(self) -> bool | None:
        """Whether this CLI says what becomes of each prompt; `None` until that shows, in the first turn."""
        return self._router.names_prompts

    @property
    def waiting_messages(self) -> list[str]:
        """The uuids of the messages sent into the running turn that the agent does not have yet."""
        return self._dialogue.steers.waiting

    # -- out ----------------------------------------------------------------------------------------------

    def prompt(
        self, content: str | list[dict[str, Any]], *, now: float = 0.0, id: str | None = None
    ) -> bytes:
        """Begin a turn.

        Args:
            content: text, or content blocks as the Messages API spells them.
            now: the time.
            id: the prompt's uuid; a new one where it is left out.

        Returns:
            What to write.

        Raises:
            RuntimeError: the turn before is not over.
        """
        prompt_id = id or str(uuid.uuid4())
        data = prompt_line(content, prompt_id)
        self.begin(prompt_id, now)
        return data

    def begin(self, prompt_id: str, now: float = 0.0) -> None:
        """Begin a turn whose prompt is written by somebody else, with this uuid.

        Raises:
            RuntimeError: the turn before is not over.
        """
        if self._router.turn is not None:
            raise RuntimeError("A prompt written now would become part of a turn that still runs.")
        self._router.begin(self._counters.begin(now), prompt_id)
        self._main = self._counters.of(self._router.route_delta(None))

    def abandon(self) -> None:
        """End the running turn without a result."""
        self._router.abandon()
        self._parser.abandon()
        self._main = self._counters.outside

    def interrupt(self) -> bytes:
        """Return what to write to stop what the agent does."""
        return self.control("interrupt")

    def control(self, subtype: str, /, **fields: Any) -> bytes:
        """Return what to write to ask the CLI for something; a `ControlAnswer` with `request_id` follows."""
        self._requests += 1
        self.request_id = f"{self._ids}{self._requests}"
        self._waiting.add(self.request_id)
        return control_line(self.request_id, subtype, fields)

    def steer(self, text: str, id: str | None = None) -> tuple[str, bytes, bytes]:
        """Make a message for the running turn.

        Args:
            text: the message.
            id: its uuid; a new one where it is left out.

        Returns:
            The message's uuid, a line to `put` that notes it, and what to write. A `PromptSettled` with the
            uuid follows, or a `TurnEnded` whose `next` it is.
        """
        message_id = id or str(uuid.uuid4())
        own: Frame = {"type": OWN_STEER, "uuid": message_id, "text": text}
        return message_id, to_line(own), prompt_line(text, message_id)

    def notice(self, kind: str, detail: str) -> bytes:
        """Return a line to `put` where the running turn is interrupted: its `NoticeChunk` says why."""
        return to_line({"type": OWN_NOTICE, "kind": kind, "detail": detail})

    def put(self, line: bytes, now: float = 0.0) -> list[Event]:
        """Take a line of our own, as if it came among the CLI's. A recording has it there, too."""
        events: list[Event] = []
        self._receive_line(line, now, events)
        return events

    def answer(self, ask_id: str, response: Frame) -> bytes:
        """Return what to write to answer an `AskChunk`; `put` the same when it is written.

        Args:
            ask_id: the chunk's id.
            response: the permission result, as the CLI spells it: `behavior`, `updatedInput`, `message`, ...
        """
        return answer_line(ask_id, response)

    def what_became_of(self, ask_id: str) -> Decision | None:
        """Return what was decided of a question that does not wait any more; `None` where it waits.

        Raises:
            KeyError: there was no such question.
        """
        asks = self._dialogue.asks
        if asks.waits(ask_id):
            return None
        decision = asks.decision(ask_id)
        if decision is None:
            raise KeyError(ask_id)
        return decision

    def tool_output(self, call: str, task: str, output: str, total: int, *, ended: bool) -> bytes | None:
        """Return a line to `put` that has what a running command wrote; `None` where nothing is new.

        Args:
            call: the tool call that started it.
            task: the task that runs it.
            output: the end of its output, as the CLI shows it.
            total: bytes it has written.
            ended: it has ended.
        """
        piece = self._parser.outputs.look(call, task, output, total, ended=ended)
        if piece is None:
            return None
        return to_line({"type": OWN_OUTPUT, "tool_use_id": call, "task_id": task, **asdict(piece)})

    # -- in -----------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float = 0.0) -> list[Event]:
        """Take one read of the CLI's output, of any size.

        Args:
            data: the bytes.
            now: when they came.

        Returns:
            What they complete, in order.
        """
        events: list[Event] = []
        try:
            for line in self._framer.push(data):
                delta = None if self._keep_raw else decode_delta(line)
                if delta is None:
                    self._receive_line(line, now, events)
                    continue
                agent = delta.parent_tool_use_id
                counter = self._main if agent is None else self._counters.of(self._router.route_delta(agent))
                chunk = self._parser.parse_delta(delta, counter, now)
                if chunk is not None:
                    events.append(chunk)
        except Exception as error:
            events.append(Defect(error))
        return events

    def end(self, now: float = 0.0) -> list[Event]:
        """Note that no more output comes.

        Returns:
            What a last line without a newline completes, and refusals for the requests that still wait. The
            running turn is over; it is for the caller to say how.
        """
        events = self.receive(b"\n", now)
        waiting = sorted(self._waiting)
        self._waiting.clear()
        events += [ControlAnswer(request, {}, "The CLI ended before it answered.") for request in waiting]
        dialogue, turn = self._dialogue, self._router.turn
        events += dialogue.withdraw(turn, now) + dialogue.withdraw(None, now)
        events += dialogue.settle(dialogue.steers.drop(), turn, now)
        self.abandon()
        return events

    def _receive_line(self, line: bytes, now: float, events: list[Event]) -> None:
        frame = decode(line)
        if frame is None:
            if not line.strip():
                return
            text = line[:_LONGEST_SHOWN].decode("utf-8", "replace")
            _log.warning("the CLI wrote a line that is no frame: %s", text)
            frame = {"type": "not_json", "line": text}
        if frame.get("type") in _FOR_THE_SDK and self._control(frame, now, events):
            return
        self._receive_frame(frame, now, events)

    def _control(self, frame: Frame, now: float, events: list[Event]) -> bool:
        """Read a control frame; return whether it is of a shape that we know."""
        if frame["type"] != "control_response":
            ask = self._dialogue.ask(frame, now) if self.takes_asks else None
            events.append(ask or SdkFrame(frame))
            return True
        response = frame.get("response")
        if not isinstance(response, dict):
            return False
        request_id = str(response.get("request_id"))
        if self._dialogue.asks.waits(request_id):  # a recording has what we answered
            decision, detail = outcome(response.get("response") or {})
            events.append(self._dialogue.decide(request_id, decision, detail, now))
        elif not request_id.startswith(OWN_ID):
            events.append(SdkFrame(frame))
        elif request_id in self._waiting:
            self._waiting.discard(request_id)
            error = response.get("error")
            refused = error is not None or response.get("subtype") == "error"
            answer = response.get("response")
            fields = answer if isinstance(answer, dict) and not refused else {}
            events.append(ControlAnswer(request_id, fields, str(error) if refused else None))
        return True

    def _receive_frame(self, frame: Frame, now: float, events: list[Event]) -> None:
        if frame.get("type") == OWN_STEER:
            events += self._dialogue.steer(frame, now)
            return
        if frame.get("type") == OWN_NOTICE:
            notice = self._notice(str(frame.get("kind")), str(frame.get("detail")), now)
            events += [notice] if self.turn is None else [TurnInterrupted(), notice]
            return
        router, running, steers = self._router, self._router.turn, self._dialogue.steers
        had_started = router.started
        settled = steers.settle(frame)
        for message, _ in settled:
            router.join(message.uuid)  # before its result is looked at
        counter = self._counters.of(router.route(frame))
        if router.ended:
            events += self._dialogue.withdraw(running, now)
            settled += steers.settle_own("delivered" if router.started else "cancelled")
        elif running is not None and router.started and not had_started:
            events.append(TurnStarted(running))
            settled += steers.settle_own("delivered")
        events += self._dialogue.settle(settled, running, now)
        if router.ended and router.is_guess:
            events.append(self._notice("ambiguous", AMBIGUOUS, now))
        chunks = self._parser.parse(frame, counter, now)
        self._main = self._counters.of(router.route_delta(None))
        events += chunks
        if router.ended and running is not None:
            events.append(self._turn_ended(running, frame, chunks, now))
        session_id = new_session_id(frame)
        if session_id is not None:
            events.append(NewSessionId(session_id))

    def _notice(self, kind: str, detail: str, now: float) -> NoticeChunk:
        return NoticeChunk(kind, detail, **self._counters.position(self._counters.inside.turn, now))

    def _turn_ended(self, turn: int, frame: Frame, chunks: list[Chunk], now: float) -> TurnEnded:
        result = chunks[-1] if chunks else None
        because = None
        if not isinstance(result, ResultChunk):
            self._parser.abandon()
            result, because = None, ("interrupted", "The turn was interrupted before it began.")
            if frame.get("type") == "result":
                because = ("execution", f"The CLI's result could not be read: {frame}")
        ended = TurnEnded(turn, result, because, self._router.mark, self._dialogue.steers.begin_next())
        if ended.next is not None:
            self.begin(ended.next.uuid, now)
        return ended
