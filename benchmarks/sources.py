"""Turns to read, and what a loop by hand has to know to make the same of them.

The text is Markdown, with headings, paragraphs, lists and code, in pieces the size of tokens; the same in
every run.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from copy import copy
from itertools import islice
from pathlib import Path
from typing import Any

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable

from rxccsdk import (
    Chunk,
    ClaudeSession,
    MessageChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolResultChunk,
    ToolUseChunk,
    Turn,
    UnknownChunk,
    UserChunk,
    testing,
)
from rxccsdk.errors import SessionClosedError
from rxccsdk.session.talk import Talk
from rxccsdk.testing import reply
from rxccsdk.testing.frames import to_line

_PAGE = 1000  # characters at least
BATCH = 2048  # chunks that are handed over before the event loop has its turn, as a turn does with its log
_TEXT = "the of and session is to in stream that chunk it with for as on turn at by piece agent tool"
_WORDS = _TEXT.split()


def texts(deltas: int) -> Iterator[list[str]]:
    """The texts of some messages, each in pieces; about so many pieces in all."""
    chance = random.Random(deltas)
    while deltas > 0:
        pieces = list(cut(_page(chance), chance))
        deltas -= len(pieces)
        yield pieces


def cut(text: str, chance: random.Random) -> Iterator[str]:
    """Cut a text into pieces the size of tokens."""
    start = 0
    while start < len(text):
        size = chance.randint(2, 8)
        yield text[start : start + size]
        start += size


def content(chunks: list[Chunk]) -> str:
    """The answer in chunks that `conversation` made: each message is one block."""
    messages: dict[str | None, list[str]] = {}
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            messages.setdefault(chunk.message_id, []).append(chunk.text)
    return "\n\n".join(map("".join, messages.values()))


def conversation(deltas: int) -> list[Chunk]:
    """A turn that says something in many messages, as chunks."""
    chunks = Numbered()
    chunks.add(SystemChunk, "init", {"session_id": "session", "model": "model"})
    for number, pieces in enumerate(texts(deltas)):
        name = f"msg_{number}"
        chunks.add(MessageChunk, "start", "model", None, {"input_tokens": 25}, message_id=name)
        for piece in pieces:
            chunks.add(TextChunk, piece, number, message_id=name)
        usage = {"output_tokens": len(pieces)}
        chunks.add(MessageChunk, "delta", None, "end_turn", usage, message_id=name)
        chunks.add(MessageChunk, "stop", message_id=name)
    chunks.add(ResultChunk, "success", False, "the last block", total_cost_usd=0.001, session_id="session")
    return chunks.all


class Numbered:
    """Makes chunks, one behind the other."""

    def __init__(self) -> None:
        self.all: list[Chunk] = []

    def add(self, kind: type[Any], *fields: Any, **more: Any) -> None:
        """Make the next one."""
        place = len(self.all)
        self.all.append(kind(*fields, turn=0, seq=place, at=place / 100, **more))


def pushing(chunks: list[Chunk]) -> Observable[Chunk]:
    """An Observable that pushes a list at whoever subscribes, and knows of no turn."""

    def subscribe(observer: ObserverBase[Chunk], scheduler: SchedulerBase | None = None) -> DisposableBase:
        loop, parts = asyncio.get_running_loop(), batches(chunks)

        def push() -> None:
            on_next = observer.on_next
            try:
                for part in parts:
                    for chunk in part:
                        on_next(chunk)
                    loop.call_soon(push)
                    return
                observer.on_completed()
            except Exception as error:
                observer.on_error(error)

        loop.call_soon(push)
        return Disposable()

    return Observable(subscribe)


# -- turns ------------------------------------------------------------------------------------------------


class _StandIn:
    """What a turn asks of its session; it sends no prompt."""

    exit = None

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.warnings: list[str] = []
        self.session_id: str | None = None

    @property
    def talk(self) -> Talk:
        raise SessionClosedError("There is no session.")

    def enqueue(self, turn: Turn) -> None:
        turn._begin(0, lambda: "none")

    def withdraw(self, turn: Turn) -> None:
        raise AssertionError("nobody leaves")

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        raise AssertionError("nobody leaves")


def pushed_turn() -> Turn:
    """A turn without a session: whoever has its chunks pushes them."""
    return Turn(_StandIn(), "go")


def past_turn(chunks: list[Chunk]) -> Turn:
    """A turn that is over; it hands out these chunks, which came in one read and so are kept as they came."""
    turn = pushed_turn()
    turn._push(chunks)
    turn._finish("completed")
    return turn


def record(folder: Path, deltas: int) -> Path:
    """Write a cassette of a session with one turn of many messages, which come in one read."""
    answers = (reply("".join(pieces), pieces=pieces) for pieces in texts(deltas))
    prompt = {"type": "user", "uuid": "prompt", "message": {"role": "user", "content": "go"}}
    path = folder / "cassette.jsonl"
    with path.open("wb") as file:
        file.write(json.dumps({"rxccsdk_cassette": 1, "sdk": "claude-agent-sdk"}).encode() + b"\n")
        file.write(to_line({"t": 0.0, "out": prompt}))
        file.writelines(to_line({"t": 0.1, "in": frame}) for frame in testing.turn(*answers))
    return path


@asynccontextmanager
async def replayed_turn(cassette: Path) -> AsyncIterator[tuple[Turn, list[Chunk]]]:
    """A turn of a session that plays a cassette, when it is over; and its chunks."""
    async with ClaudeSession.replay(cassette, speed=float("inf")) as session:
        turn = session.stream("go")
        yield turn, [chunk async for chunk in turn]


def batches(chunks: list[Chunk], size: int = BATCH) -> Iterator[list[Chunk]]:
    """Cut a list into what comes at once; the event loop runs in between."""
    return (chunks[start : start + size] for start in range(0, len(chunks), size))


async def items(chunks: list[Chunk]) -> AsyncIterator[Chunk]:
    """The least that `async for` takes."""
    for batch in batches(chunks):
        for chunk in batch:
            yield chunk
        await asyncio.sleep(0)


# -- by hand ----------------------------------------------------------------------------------------------


def report_error(error: Exception) -> None:
    """What becomes of what a callback raises: it costs nobody anything, and is not lost."""
    asyncio.get_running_loop().call_exception_handler({"message": "a callback raised", "exception": error})


def piece_of() -> Callable[[Any], str]:
    """Make a mapper to a chunk's text, with a blank line before each block but the first."""
    last = None

    def piece(chunk: Any) -> str:
        nonlocal last
        before, last = last, chunk.block
        text: str = chunk.text
        return text if before in (last, None) else "\n\n" + text

    return piece


class Tally:
    """Counts what a callback is told and what is written to a file, and can be both."""

    def __init__(self) -> None:
        self.count = 0

    def chunk(self, chunk: Chunk) -> None:
        self.count += 1

    def write(self, text: str) -> None:
        self.count += len(text)

    def flush(self) -> None:
        pass


class Throttle:
    """Writes what is held to a file: the first at once, then at most once per interval.

    Whoever has a piece appends it to `held`, and begins where no timer runs. A file that fails harms nobody.
    """

    def __init__(self, file: Any, seconds: float) -> None:
        self.held: list[str] = []
        self.timer: asyncio.TimerHandle | None = None
        self._file = file
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._broken = False

    def begin(self) -> None:
        """Write what is held, and begin an interval."""
        self._put()
        self.timer = self._loop.call_later(self._seconds, self._interval_over)

    def end(self) -> None:
        """Write what is held, and wait for nothing more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self._put()

    def _interval_over(self) -> None:
        self.timer = None
        if self.held:
            self.begin()

    def _put(self) -> None:
        if self.held and not self._broken:
            try:
                self._file.write("".join(self.held))
                self._file.flush()
            except Exception as error:
                self._broken = True
                report_error(error)
        self.held.clear()


class Seams:
    """Where a blank line belongs between two blocks of the main agent's text, and where nothing does."""

    def __init__(self) -> None:
        self._message: str | None = None  # of the text before, as long as nothing else came in it
        self._said = self._cut_short = self._goes_on = False

    def before(self, chunk: TextChunk) -> str:
        """What belongs before this text, the first of its block."""
        joins = not self._said or self._goes_on or chunk.message_id == self._message
        self._said, self._goes_on, self._message = True, False, chunk.message_id
        return "" if joins else "\n\n"

    def note(self, chunk: Chunk) -> str | None:
        """Take note of what is no text; give the text of a result that stands for one."""
        if isinstance(chunk, (ThinkingChunk, ToolInputChunk, ToolUseChunk, UnknownChunk)):
            if chunk.message_id == self._message:
                self._message = None
        elif isinstance(chunk, MessageChunk):
            if chunk.agent is None and chunk.event == "delta":
                self._cut_short = chunk.stop_reason == "max_tokens"
        elif isinstance(chunk, UserChunk):
            asked = self._cut_short or "resume directly" in chunk.text.lower()
            self._goes_on = chunk.agent is None and chunk.synthetic and asked
        elif isinstance(chunk, ResultChunk) and not self._said and not chunk.is_error:
            return chunk.result
        return None


class Answer:
    """A turn, reduced by hand; also a snapshot of one, which copies no text.

    It has the rules that common turns need. What a turn that breaks off in odd places needs more is rare, and
    costs nothing where nothing breaks off.

    Attributes:
        pieces: the text.
        tools: the calls, with their results.
    """

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.tools: dict[str, dict[str, Any]] = {}
        self._count: int | None = None  # of a snapshot's pieces
        self._starts: list[tuple[int, int]] = []  # the blocks, and where in the pieces they begin
        self._seams = Seams()
        self._block = -1
        self._usage: dict[str | None, dict[str, Any]] = {}
        self._model: str | None = None
        self._session_id: str | None = None
        self._result: ResultChunk | None = None

    @property
    def content(self) -> str:
        """The text, joined when it is asked for."""
        return "".join(islice(self.pieces, self._count))

    def snapshot(self) -> Answer:
        """The answer as it is now."""
        answer = copy(self)
        answer._count, answer.tools = len(self.pieces), self.tools.copy()
        return answer

    def add(self, chunk: Chunk) -> None:
        """Take any chunk."""
        if not isinstance(chunk, TextChunk):
            self.note(chunk)
        elif chunk.agent is None:
            if chunk.block != self._block:
                self.begin(chunk)
            self.pieces.append(chunk.text)

    def begin(self, chunk: TextChunk) -> str:
        """Begin a block of text; give what belongs before it."""
        self._block = chunk.block
        before = self._seams.before(chunk)
        self._starts.append((chunk.block, len(self.pieces)))
        self.pieces.append(before if self.pieces else "")
        return before

    def note(self, chunk: Chunk) -> str | None:
        """Take what is no text; give the text of a result that stands for one."""
        said = self._seams.note(chunk)
        if said is not None:
            self.pieces.append(said)
        if isinstance(chunk, (ThinkingChunk, ToolInputChunk)):
            return said
        if isinstance(chunk, ToolUseChunk):
            self.tools[chunk.id] = {"name": chunk.name, "input": chunk.input, "agent": chunk.agent}
        elif isinstance(chunk, ToolResultChunk):
            call = self.tools.get(chunk.tool_use_id, {})
            self.tools[chunk.tool_use_id] = call | {"result": chunk.content, "is_error": chunk.is_error}
        elif isinstance(chunk, RetractedChunk):
            self._retract(set(chunk.blocks))
        elif isinstance(chunk, MessageChunk):
            if chunk.agent is None:
                self._model = chunk.model or self._model
                self._usage.setdefault(chunk.message_id, {}).update(chunk.usage or {})
        elif isinstance(chunk, SystemChunk):
            if chunk.subtype == "init":
                self._session_id = chunk.data.get("session_id")
        elif isinstance(chunk, ResultChunk):
            self._result = chunk
        return said

    def _retract(self, gone: set[int]) -> None:
        if gone.isdisjoint(block for block, _ in self._starts):
            return
        ends = [start for _, start in self._starts[1:]] + [len(self.pieces)]
        before, starts = self.pieces, self._starts
        self.pieces, self._starts, self._block = [], [], -1  # snapshots keep what they saw
        for (block, start), end in zip(starts, ends, strict=True):
            if block not in gone:
                self._starts.append((block, len(self.pieces)))
                self.pieces += before[start:end] if self.pieces else ["", *before[start + 1 : end]]


# -- text -------------------------------------------------------------------------------------------------


def _page(chance: random.Random) -> str:
    blocks: list[str] = []
    while sum(map(len, blocks)) < _PAGE:
        blocks += [
            f"## {_phrase(chance, 3)}",
            " ".join(_sentence(chance) for _ in range(4)),
            "\n".join(f"- {_phrase(chance, 6)}" for _ in range(3)),
            "```python\n" + "".join(f"{_name(chance)} = {_name(chance)}(1)\n" for _ in range(4)) + "```",
            "\n".join(_sentence(chance) for _ in range(2)),
        ]
    return "\n\n".join(blocks)


def _sentence(chance: random.Random) -> str:
    return f"{_phrase(chance, chance.randint(5, 14))}{chance.choice('...?!')}"


def _phrase(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words)).capitalize()


def _name(chance: random.Random) -> str:
    return "_".join(chance.choices(_WORDS, k=2))
