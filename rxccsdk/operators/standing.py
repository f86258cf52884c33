"""How a turn stands, worked out of its chunks: for the operator and for the displays."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.session.tokens import count_of
from rxccsdk.text.wording import call_in_words, duration

_CHARACTERS_PER_TOKEN = 4
_RATE_OVER = 4.0  # seconds: long enough not to flicker, short enough to show a change
_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(frozen=True, slots=True)
class Progress:
    """How a turn stands.

    Attributes:
        activity: what the agent does, in a few words.
        elapsed: seconds since the prompt was written.
        silent_for: seconds since the last chunk.
        tokens: output tokens of the main agent so far; those of the message under way are estimated.
        tokens_per_second: over the last seconds; `None` where none come, or too few to know.
        cost_usd: what the session has cost as of its last result; `None` before there is one.
        running_tools: the tool calls that run, each in a few words.
        running_agents: the sub-agents that run, likewise.
        context: tokens that the model was last given to read; `None` where it has not said.
        ended: whether the turn is over.
    """

    activity: str
    elapsed: float
    silent_for: float
    tokens: int
    tokens_per_second: float | None
    cost_usd: float | None
    running_tools: tuple[str, ...]
    running_agents: tuple[str, ...]
    context: int | None
    ended: bool


class Standing:
    """Follows a stream and knows how it stands.

    Tokens are what the finished messages of the main agent reported; those of the message under way, which
    the API reports at its end, are estimated from its length and marked with "~". So is their rate, over the
    last seconds; it is shown while they come.

    Attributes:
        started: whether a chunk has come.
        ended: whether the result has.
        cost: the session's, in USD: as of the last result, or of a later question to the session.

    Args:
        clock: gives seconds; only its differences matter.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at, self._arrived = 0.0, clock()
        self._known: dict[str | None, int] = {}
        self._characters = 0
        self._running: dict[str, tuple[str, float]] = {}
        self._written: deque[tuple[float, int]] = deque()  # when so many characters came
        self._agents: set[str] = set()  # the calls that started them
        self._context: int | None = None
        self.started = self.ended = False
        self._doing = "starting"
        self.cost: float | None = None
        self._cwd = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the prompt was written: the last chunk's time and what has passed since."""
        return self._at + self._clock() - self._arrived

    @property
    def tokens(self) -> tuple[int, bool]:
        """Output tokens so far, and whether some are estimated."""
        estimated = self._characters // _CHARACTERS_PER_TOKEN
        return sum(self._known.values()) + estimated, estimated > 0

    @property
    def rate(self) -> float | None:
        """Tokens per second over the last seconds; `None` where none come, or too few to know."""
        now, written = self.elapsed, self._written
        while written and written[0][0] < now - _RATE_OVER:
            written.popleft()
        if self._running or not written or now - written[0][0] < 0.5:
            return None
        characters = sum(count for _, count in written)
        return characters / _CHARACTERS_PER_TOKEN / (now - written[0][0])

    @property
    def silence(self) -> float:
        """Seconds since the last chunk, as they pass here: a replay that is sped up has less of them."""
        return self._clock() - self._arrived

    @property
    def doing(self) -> str:
        """What the agent is doing, in a few words."""
        if not self._running:
            return self._doing
        words, since = list(self._running.values())[-1]
        more = f" (+{len(self._running) - 1})" if len(self._running) > 1 else ""
        took = self.elapsed - since
        return f"{words}{more}" + (f", {duration(took)}" if took >= 2 else "")

    def progress(self) -> Progress:
        """Return how it stands now."""
        tools, agents = list[str](), list[str]()
        for call, (words, _) in self._running.items():
            (agents if call in self._agents else tools).append(words)
        return Progress(
            activity=self.doing,
            elapsed=self.elapsed,
            silent_for=self.silence,
            tokens=self.tokens[0],
            tokens_per_second=self.rate,
            cost_usd=self.cost,
            running_tools=tuple(tools),
            running_agents=tuple(agents),
            context=self._context,
            ended=self.ended,
        )

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        now = self._clock()
        self._at = chunk.at if chunk.turn is not None else self._at + now - self._arrived
        self._arrived = now
        if not self.started:
            self.started, self._doing = True, "waiting for the model"
        if chunk.agent is not None:
            self._agents.add(chunk.agent)
        if isinstance(chunk, (TextChunk, ThinkingChunk)):
            if chunk.agent is None:
                self._count(len(chunk.text))
                self._doing = "writing" if isinstance(chunk, TextChunk) else "thinking"
        elif isinstance(chunk, ToolInputChunk):
            if chunk.agent is None:
                self._count(len(chunk.partial_json))
                self._doing = f"preparing {chunk.name}"
        elif isinstance(chunk, ToolUseChunk):
            words = f"{chunk.name} {call_in_words(chunk.input, self._cwd)}"
            self._running[chunk.id] = (words, chunk.at)
            self._doing = "waiting for the model"
        elif isinstance(chunk, ToolResultChunk):
            self._running.pop(chunk.tool_use_id, None)
        elif isinstance(chunk, ToolProgressChunk):
            words, _ = self._running.get(chunk.tool_use_id, ("a tool", 0.0))
            self._running[chunk.tool_use_id] = (words, chunk.at - chunk.elapsed)
        elif isinstance(chunk, MessageChunk):
            self._message(chunk)
        elif isinstance(chunk, SystemChunk):
            self._system(chunk)
        elif isinstance(chunk, NoticeChunk):
            self._doing = "stopping" if chunk.kind in ("interrupt", "limit", "timeout") else self._doing
        elif isinstance(chunk, ResultChunk):
            self._running.clear()
            self._written.clear()
            self._characters = 0
            self._doing, self.ended = "done", True
            self.cost = chunk.total_cost_usd if chunk.total_cost_usd is not None else self.cost

    def _count(self, characters: int) -> None:
        self._characters += characters
        if self._written and self._at - self._written[-1][0] < 0.1:  # fifty thousand deltas need few entries
            at, count = self._written.pop()
            self._written.append((at, count + characters))
        else:
            self._written.append((self._at, characters))

    def _message(self, chunk: MessageChunk) -> None:
        if chunk.agent is not None:
            return
        if chunk.usage and (read := sum(count_of(chunk.usage, name) for name in _INPUT)):
            self._context = read
        if chunk.event == "delta" and chunk.usage:
            self._known[chunk.message_id] = count_of(chunk.usage, "output_tokens")
            self._characters = 0
        elif chunk.event == "start":
            self._characters = 0
            self._doing = "waiting for the model"

    def _system(self, chunk: SystemChunk) -> None:
        if chunk.subtype == "init":
            self._cwd = str(chunk.data.get("cwd") or "")
        elif chunk.subtype == "status" and chunk.data.get("status") == "compacting":
            self._doing = "compacting the conversation"
        elif chunk.subtype == "api_retry":
            self._doing = "waiting to try again"
