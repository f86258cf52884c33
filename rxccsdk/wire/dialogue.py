"""What is said beside prompts and answers: the agent's questions, and messages sent into its turn."""

from __future__ import annotations

from rxccsdk.chunks import AskChunk, Chunk, DecisionChunk, Frame, PromptChunk
from rxccsdk.wire.asks import Asks, Decision
from rxccsdk.wire.counters import Counters
from rxccsdk.wire.events import Event, PromptSettled
from rxccsdk.wire.routing import Router
from rxccsdk.wire.steering import Message, State, Steers


class Dialogue:
    """Makes chunks of it.

    Args:
        router: knows whose frame is whose.
        counters: number the chunks.
        keep_raw: keep each frame in the `raw` of its chunk.
    """

    def __init__(self, router: Router, counters: Counters, *, keep_raw: bool) -> None:
        self.asks = Asks()
        self.steers = Steers()
        self._router = router
        self._counters = counters
        self._keep_raw = keep_raw

    # -- questions ----------------------------------------------------------------------------------------

    def ask(self, frame: Frame, now: float) -> Chunk | None:
        """Return the chunk of a question to the user, or of one that is taken back; `None` for the SDK's."""
        if frame["type"] == "control_cancel_request":
            ask_id = str(frame.get("request_id"))
            return self.decide(ask_id, "withdrawn", None, now) if self.asks.waits(ask_id) else None
        request = frame.get("request")
        call = request.get("tool_use_id") if isinstance(request, dict) else None
        turn = self._router.route_call(call)
        fields = self.asks.put(frame, turn)
        if fields is None:
            return None
        position, agent = self._counters.position(turn, now), self._router.caller_of(call)
        return AskChunk(*fields, **position, agent=agent, raw=frame if self._keep_raw else None)

    def decide(self, ask_id: str, decision: Decision, detail: str | None, now: float) -> DecisionChunk:
        """Return the last chunk of a question that waits."""
        turn = self.asks.decide(ask_id, decision)
        return DecisionChunk(ask_id, decision, detail, **self._counters.position(turn, now))

    def withdraw(self, turn: int | None, now: float) -> list[Event]:
        """Take back what a turn that ends has asked."""
        return [self.decide(ask_id, "withdrawn", None, now) for ask_id in self.asks.left(turn)]

    # -- messages -----------------------------------------------------------------------------------------

    def steer(self, own: Frame, now: float) -> list[Event]:
        """Note a message, by the line that a recording has of it."""
        message = Message(str(own.get("uuid")), str(own.get("text")))
        self.steers.put(message)
        position = self._counters.position(self._router.turn, now)
        return [PromptChunk(message.uuid, message.text, "queued", **position)]

    def settle(self, settled: list[tuple[Message, State]], turn: int | None, now: float) -> list[Event]:
        """Say what became of messages."""
        events: list[Event] = []
        for message, state in settled:
            position = self._counters.position(turn, now)
            events.append(PromptChunk(message.uuid, message.text, state, **position))
            events.append(PromptSettled(message.uuid, state))
        return events
