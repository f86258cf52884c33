"""Sub-agents, each as a stream of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import structs
from reactivex import Observable

from rxccsdk.chunks import TASK_ENDS, Chunk, ResultChunk, TaskChunk, ToolResultChunk, ToolUseChunk
from rxccsdk.operators.replay import Keep, Opening, Replay
from rxccsdk.text.flow import Operator


class AgentStream(Replay[Chunk]):
    """The chunks of one sub-agent, from the first one, for each subscriber.

    In its own stream the sub-agent is the main one: its chunks have `agent=None`, so that `text()`,
    `to_response()` and the others read it as they read a turn.

    Attributes:
        id: the id of the tool call that started it.
        call: that tool call; `None` where it was not seen.
    """

    def __init__(self, id: str, call: ToolUseChunk | None, keep: Keep) -> None:
        super().__init__(keep)
        self.id = id
        self.call = call


def by_agent() -> Operator[Chunk, AgentStream]:
    """Emit each sub-agent's chunks as a stream of its own, with the tool call that started it.

        T  Use"a"  a:T  b:T  a:T  Result"a"  |
                   A    B                    |      A: -T---T---|      B: -T--------|

    A stream comes with the sub-agent's first chunk and ends with the result of its tool call; that of a
    sub-agent in the background, whose tool call returns at once, with the task that tells of its end. What is
    still open then ends as the source does. An `AgentStream` replays to late subscribers. A subscriber of it
    that raises is logged. A sub-agent that is started by another gets its own stream here, not inside the
    other's; one that speaks again after its end gets a new one. The source stays subscribed until those who
    subscribed to its streams have left, too.

    The chunks of background agents after the turn's result are in `session.chunks`.

    At a `RetractedChunk`: one in a sub-agent's message comes in that agent's stream, others do not.

    Example:
        >>> import reactivex as rx
        >>> from reactivex import operators as ops
        >>> from rxccsdk import TextChunk, operators as cc
        >>> turn = rx.of(ToolUseChunk("t1", "Agent", {"prompt": "Look"}), TextChunk("Seen", agent="t1"))
        >>> answers = turn.pipe(by_agent(), ops.flat_map(lambda agent: agent.pipe(cc.text())))
        >>> answers.run()
        'Seen'
    """

    def operator(source: Observable[Chunk]) -> Observable[AgentStream]:
        return Opening(source, _Agents)

    return operator


def _as_main(chunk: Chunk) -> Chunk:
    """Return the chunk as it is in its own agent's stream, where that is the main one."""
    return structs.replace(chunk, agent=None)


class _Agents:
    """Sorts chunks by their agent."""

    def __init__(self, emit: Callable[[AgentStream], None], keep: Keep) -> None:
        self._emit = emit
        self._keep = keep
        self._calls: dict[str, ToolUseChunk] = {}
        self._streams: dict[str, AgentStream] = {}
        self._in_background: set[str] = set()
        self._task_ended: set[str] = set()
        self._returned_calls: list[str] = []  # of which no chunk came: tools', or late agents'

    def take(self, chunk: Any) -> None:
        agent = chunk.agent
        if isinstance(chunk, ToolUseChunk):
            self._calls[chunk.id] = chunk
        if agent is not None:
            stream = self._streams.get(agent)
            if stream is None:
                stream = self._streams[agent] = AgentStream(agent, self._calls.get(agent), self._keep)
                try:
                    self._emit(stream)
                finally:  # an observer that raises at a new stream takes nothing from the stream
                    stream._push(_as_main(chunk))
            else:
                stream._push(_as_main(chunk))
        if isinstance(chunk, ToolResultChunk):
            self._call_returned(chunk)
        elif isinstance(chunk, TaskChunk):
            self._task_reported(chunk)
        elif isinstance(chunk, ResultChunk):
            while self._returned_calls:
                self._calls.pop(self._returned_calls.pop(), None)

    def _call_returned(self, chunk: ToolResultChunk) -> None:
        call, structured = chunk.tool_use_id, chunk.structured
        launched = isinstance(structured, dict) and structured.get("isAsync") is True
        if launched and call not in self._task_ended:
            self._in_background.add(call)
        else:
            self._end(call)

    def _task_reported(self, chunk: TaskChunk) -> None:
        call = chunk.tool_use_id
        if call is None or chunk.status not in TASK_ENDS:
            return
        if call in self._in_background:
            self._end(call)
        elif call in self._streams:
            # In the foreground its result is still to come, or we have yet to learn that it is not there.
            self._task_ended.add(call)

    def _end(self, call: str) -> None:
        self._in_background.discard(call)
        self._task_ended.discard(call)
        stream = self._streams.pop(call, None)
        if stream is not None:
            stream._end()
        else:
            self._returned_calls.append(call)

    def flush(self) -> None:
        """Nothing is held."""
