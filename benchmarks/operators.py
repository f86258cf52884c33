"""What each operator costs per chunk.

Ours and reactivex's are subscribed to an Observable that pushes a list of chunks, in batches with the event
loop running in between, as a turn does; but it is no turn, whose log has a price of its own. A loop by hand
goes over the same list, with the same batches where it needs timers, and gives the same guarantees, except
where its name says what is missing. What others offer pulls the chunks from the least async generator there
is. What comes out goes to the same function each time, and is checked; so is what callbacks were told and
what was printed.

Sharing a turn (reactivex's `share_replay`) is measured in `fan_out`.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from json import JSONDecodeError, JSONDecoder
from math import ceil
from typing import Any

import aiostream
import reactivex as rx
from markdown_it import MarkdownIt
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_ai._utils import group_by_temporal  # what `stream_text(debounce_by=...)` is made of
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.subject import ReplaySubject

from benchmarks.harness import Aim, Case, Contender, Measure, Stopwatch, at_most, times_less
from benchmarks.sources import (
    Answer,
    Numbered,
    Seams,
    Tally,
    Throttle,
    batches,
    content,
    conversation,
    cut,
    items,
    piece_of,
    pushing,
    report_error,
)
from rxccsdk import (
    Chunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk import operators as cc

OURS = "rxccsdk"

_BY_HAND = at_most(1.5)
_BUFFER = times_less(20)  # than buffer_with_time_or_count

_SECONDS = 0.05  # what buffers and printers wait
_NO_COUNT = 10**9  # makes buffer_with_time_or_count a buffer by time alone
_PASSES = 3  # over the chunks; who takes microseconds per chunk makes one

_TOOLS = (ToolUseChunk, ToolProgressChunk, ToolResultChunk)
_MAY_OVERTAKE = (SystemChunk, TaskChunk, ToolProgressChunk)  # text that is held

Got = list[Any]
Emit = Callable[[Any], object]
Loop = Callable[[list[Chunk], Emit], Awaitable[None] | None]
Play = Callable[[list[Chunk], list[Emit], Stopwatch], Coroutine[Any, Any, None]]
"""Does the work under the watch, once for each function that what comes out goes to."""


# -- contenders and cases -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way to do the work of a case. `loses` says that it does not do all of it."""

    name: str
    play: Play
    aim: Aim | None = None
    passes: int = 1
    loses: bool = False


def _case(
    name: str,
    chunks: list[Chunk],
    ways: Sequence[Way],
    check: Callable[[Got], bool],
    *,
    sink: Callable[[Got], Emit] = lambda got: got.append,
    tally: Tally | None = None,
    told: int = 0,
) -> Case:
    """Make a case.

    Args:
        name: of the operator.
        chunks: what comes in.
        ways: the contenders; ours is the first.
        check: whether what came out in a pass is right.
        sink: makes the function that what comes out goes to.
        tally: what callbacks tell.
        told: what it has to count in a pass.
    """

    def contender(way: Way) -> Contender:
        def run() -> float:
            watch, passes = Stopwatch(), [[] for _ in range(way.passes)]
            before = tally.count if tally is not None else 0
            asyncio.run(way.play(chunks, list(map(sink, passes)), watch))
            assert all(map(check, passes)), f"{name}, {way.name}: what came out is wrong"
            if tally is not None and not way.loses:
                assert tally.count - before == told * way.passes, (
                    f"{name}, {way.name}: something was not told"
                )
            return watch.seconds / len(chunks) / way.passes * 1e6

        return Contender(way.name, run, way.aim)

    return Case(name, list(map(contender, ways)), OURS)


def _subscribed(operators: Callable[[], Sequence[Any]]) -> Play:
    async def play(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
        loop, source = asyncio.get_running_loop(), pushing(chunks)
        piped = [source.pipe(*operators()) for _ in emits]
        with watch:
            for one, emit in zip(piped, emits, strict=True):
                done = loop.create_future()
                one.subscribe(emit, done.set_exception, partial(done.set_result, None))
                await done

    return play


def _ours(*operators: Any) -> Way:
    return Way(OURS, _subscribed(lambda: operators), passes=_PASSES)


def _stock(name: str, operators: Callable[[], Sequence[Any]], **more: Any) -> Way:
    """Take reactivex's operators, made anew for each pass, for some have state."""
    return Way(f"reactivex: {name}", _subscribed(operators), **{"passes": _PASSES, **more})


def _scheduler() -> AsyncIOScheduler:
    """For the operators that need time. Given to `subscribe` it would put off what others do, too."""
    return AsyncIOScheduler(asyncio.get_running_loop())


def _loop(loop: Loop) -> Play:
    async def play(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
        with watch:
            for emit in emits:
                waiting = loop(chunks, emit)
                if inspect.isawaitable(waiting):
                    await waiting

    return play


def _by_hand(loop: Loop, note: str = "", aim: Aim | None = _BY_HAND, passes: int = _PASSES) -> Way:
    return Way(f"by hand: {note}" if note else "by hand", _loop(loop), aim, passes)


def _peer(name: str, loop: Loop) -> Way:
    return Way(name, _loop(loop))


def _streamed(operator: Callable[[], Any]) -> Loop:
    """Take an operator of aiostream's."""

    async def loop(chunks: list[Chunk], emit: Emit) -> None:
        async with (aiostream.stream.iterate(items(chunks)) | operator()).stream() as streamer:
            async for item in streamer:
                emit(item)

    return loop


async def _generated(chunks: list[Chunk], emit: Emit) -> None:
    async for chunk in items(chunks):
        emit(chunk)


# -- select -------------------------------------------------------------------------------------------------


def _selecting(prose: list[Chunk], work: list[Chunk]) -> Iterator[Case]:
    def none_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        for chunk in chunks:
            emit(chunk)

    ways = [_ours(), _by_hand(none_by_hand, aim=None), _peer("an async generator", _generated)]
    yield _case("no operator: source and subscriber alone", prose, ways, lambda got: got == prose)

    ways = [
        _ours(cc.text()),
        _by_hand(_text_by_hand),
        _stock("filter, map", lambda: (ops.filter(_is(TextChunk)), ops.map(piece_of()))),
    ]
    yield _case("text()", prose, ways, lambda got: "".join(got) == content(prose))

    def thinking_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        block = None
        for chunk in chunks:
            if isinstance(chunk, ThinkingChunk) and chunk.agent is None:
                emit(chunk.text if block in (chunk.block, None) else "\n\n" + chunk.text)
                block = chunk.block

    ways = [
        _ours(cc.thinking()),
        _by_hand(thinking_by_hand),
        _stock("filter, map", lambda: (ops.filter(_is(ThinkingChunk)), ops.map(piece_of()))),
    ]
    thoughts = list(map(piece_of(), filter(_is(ThinkingChunk), work)))
    yield _case("thinking()", work, ways, lambda got: got == thoughts)

    def tools_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        for chunk in chunks:
            if isinstance(chunk, _TOOLS):
                emit(chunk)

    ways = [_ours(cc.tools()), _by_hand(tools_by_hand), _stock("filter", lambda: (ops.filter(_is(_TOOLS)),))]
    calls = list(filter(_is(_TOOLS), work))
    yield _case("tools()", work, ways, lambda got: got == calls)

    def of_type_by_hand(chunks: list[Chunk], emit: Emit) -> None:
        for chunk in chunks:
            if isinstance(chunk, TextChunk):
                emit(chunk)

    ways = [
        _ours(cc.of_type(TextChunk)),
        _by_hand(of_type_by_hand),
        _stock("filter", lambda: (ops.filter(_is(TextChunk)),)),
        _peer("aiostream: filter", _streamed(lambda: aiostream.pipe.filter(_is(TextChunk)))),
    ]
    said = list(filter(_is(TextChunk), work))
    yield _case("of_type(TextChunk)", work, ways, lambda got: got == said)

    ways = [
        _ours(cc.by_agent()),
        _by_hand(_by_agent_by_hand),
        _stock(
            "filter, group_by (no group ends)",
            lambda: (ops.filter(_agent_of), ops.group_by(_agent_of, _as_main, ReplaySubject)),
        ),
    ]
    told = list(map(_as_main, filter(_agent_of, work)))
    yield _case("by_agent()", work, ways, lambda got: got == told, sink=_subscriber)


def _is(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    return lambda chunk: isinstance(chunk, kind)


def _agent_of(chunk: Any) -> str | None:
    return chunk.agent


def _as_main(chunk: Any) -> Any:
    return replace(chunk, agent=None)


def _subscriber(got: Got) -> Emit:
    return lambda stream: stream.subscribe(got.append)


def _text_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    seams, block = Seams(), -1
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            if chunk.agent is None:
                if chunk.block == block:
                    emit(chunk.text)
                else:
                    block = chunk.block
                    emit(seams.before(chunk) + chunk.text)
        elif piece := seams.note(chunk):
            emit(piece)


def _by_agent_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    streams: dict[str, _Replayed] = {}
    for chunk in chunks:
        agent = chunk.agent
        if agent is not None:
            stream = streams.get(agent)
            if stream is None:
                stream = streams[agent] = _Replayed()
                emit(stream)
            stream.push(_as_main(chunk))
        elif isinstance(chunk, ToolResultChunk):
            streams.pop(chunk.tool_use_id, None)


class _Replayed:
    """A sub-agent's or code block's stream by hand: a log, and who is told of what comes."""

    def __init__(self) -> None:
        self._log: list[Any] = []
        self._subscribers: list[Emit] = []

    def subscribe(self, on_next: Emit) -> None:
        for item in self._log:
            on_next(item)
        self._subscribers.append(on_next)

    def push(self, item: Any) -> None:
        self._log.append(item)
        for on_next in self._subscribers:
            try:
                on_next(item)
            except Exception as error:
                report_error(error)


# -- buffer and pace ----------------------------------------------------------------------------------------


def _buffering(prose: list[Chunk]) -> Iterator[Case]:
    check = _lossless(prose)

    def fewer(got: Got) -> bool:
        return check(got) and len(got) < len(prose) / 2

    def stock(count: int) -> Way:
        def operators() -> Sequence[Any]:
            buffer = ops.buffer_with_time_or_count(_SECONDS, count, _scheduler())
            return buffer, ops.map(_merged_runs), ops.flat_map(rx.from_iterable)

        return _stock("buffer_with_time_or_count", operators, aim=_BUFFER, passes=1)

    async def debounced(chunks: list[Chunk], emit: Emit) -> None:
        async with group_by_temporal(items(chunks), _SECONDS) as groups:
            async for group in groups:
                for chunk in _merged_runs(group):
                    emit(chunk)

    async def counted(chunks: list[Chunk], emit: Emit) -> None:
        async with aiostream.stream.chunks(items(chunks), 20).stream() as groups:
            async for group in groups:
                for chunk in _merged_runs(group):
                    emit(chunk)

    ways = [
        _ours(cc.buffer_text(_SECONDS)),
        _by_hand(partial(_buffer_by_hand, most=None)),
        stock(_NO_COUNT),
        _peer("pydantic-ai: group_by_temporal, its debounce_by", debounced),
    ]
    yield _case("buffer_text(0.05)", prose, ways, fewer)

    ways = [
        _ours(cc.buffer_text(_SECONDS, chars=100)),
        _by_hand(partial(_buffer_by_hand, most=100)),
        stock(20),
        _peer("aiostream: chunks (no time)", counted),
    ]
    yield _case("buffer_text(0.05, chars=100); others count 20 pieces", prose, ways, fewer)

    yield _case(
        "smooth()", prose, [_ours(cc.smooth()), _by_hand(_smooth_by_hand, "graphemes are cut")], check
    )


def _lossless(chunks: list[Chunk]) -> Callable[[Got], bool]:
    """Make a check for what merges and cuts text: all of it came, in order, and so did the other chunks."""
    text, others = _joined(chunks), _without_text(chunks)
    return lambda got: _joined(got) == text and _without_text(got) in ([], others)


def _joined(got: Got) -> str:
    return "".join(item if isinstance(item, str) else getattr(item, "text", "") for item in got)


def _without_text(got: Got) -> list[Chunk]:
    return [item for item in got if not isinstance(item, (str, TextChunk))]


def _goes_on(first: Any, chunk: Any) -> bool:
    return first.block == chunk.block and first.agent == chunk.agent and type(first) is type(chunk)


def _merged(held: Sequence[Any]) -> Any:
    return replace(held[0], text="".join([chunk.text for chunk in held]))


def _like(chunk: Any, text: str) -> Any:
    return replace(chunk, text=text)


def _bare(chunk: Any, text: str) -> str:
    return text


def _merged_runs(group: list[Any]) -> list[Any]:
    """Merge the text of each block, for what has buffered all chunks alike."""
    merged: list[Any] = []
    for place, run in groupby(
        group, lambda chunk: isinstance(chunk, TextChunk) and (chunk.agent, chunk.block)
    ):
        same = list(run)
        merged += [_merged(same)] if place else same
    return merged


async def _buffer_by_hand(chunks: list[Chunk], emit: Emit, most: int | None) -> None:
    loop = asyncio.get_running_loop()
    held: list[Any] = []
    size, timer = 0, None

    def release() -> None:
        nonlocal size, timer
        if timer is not None:
            timer.cancel()
            timer = None
        if held:
            merged = _merged(held)
            held.clear()
            size = 0
            emit(merged)

    for batch in batches(chunks):
        for chunk in batch:
            if isinstance(chunk, (TextChunk, ThinkingChunk)):
                if held and not _goes_on(held[0], chunk):
                    release()
                held.append(chunk)
                if timer is None:
                    timer = loop.call_later(_SECONDS, release)
                if most is not None:
                    size += len(chunk.text)
                    if size >= most:
                        release()
            else:
                if not isinstance(chunk, _MAY_OVERTAKE):
                    release()
                emit(chunk)
        await asyncio.sleep(0)
    release()


async def _smooth_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    loop, frame, lag = asyncio.get_running_loop(), 0.02, 0.3
    clock = loop.time
    held: deque[Any] = deque()
    deadlines: deque[float] = deque()  # theirs
    timer = None

    def tick() -> None:
        nonlocal timer
        first, said = held[0], []
        size = sum(len(chunk.text) for chunk in held)
        room = ceil(size * frame / max(deadlines[0] - clock(), frame))
        while held and room >= len(held[0].text):
            said.append(held.popleft().text)
            room -= len(said[-1])
            deadlines.popleft()
        if held and room:
            said.append(held[0].text[:room])
            held[0] = _like(held[0], held[0].text[room:])
        timer = loop.call_later(frame, tick) if held else None
        emit(_like(first, "".join(said)))

    def release() -> None:
        nonlocal timer
        if timer is not None:
            timer.cancel()
            timer = None
        if held:
            merged = _merged(held)
            held.clear()
            deadlines.clear()
            emit(merged)

    for batch in batches(chunks):
        for chunk in batch:
            if isinstance(chunk, (TextChunk, ThinkingChunk)):
                if held and not _goes_on(held[0], chunk):
                    release()
                held.append(chunk)
                deadlines.append(clock() + lag)
                if timer is None:
                    timer = loop.call_later(frame, tick)
            else:
                if not isinstance(chunk, _MAY_OVERTAKE):
                    release()
                emit(chunk)
        await asyncio.sleep(0)
    release()


# -- rechunk ------------------------------------------------------------------------------------------------


def _rechunking(prose: list[Chunk]) -> Iterator[Case]:
    check = _lossless(prose)
    for name, operator, ends in (
        ("by_word()", cc.by_word(), r"\s(?=\S)"),
        ("by_line()", cc.by_line(), r"\n"),
        ("by_sentence()", cc.by_sentence(), r"(?:[.!?][\"')\]*_]*\s+|\n+)(?=[^\sa-z])"),
    ):
        pattern = re.compile(ends)
        ways = [
            _ours(operator),
            _by_hand(partial(_cut_by_hand, pattern, _like), "a regex over what is held; graphemes are cut"),
            _by_hand(partial(_cut_by_hand, pattern, _bare), "the same, bare text without a place", aim=None),
        ]
        yield _case(name, prose, ways, check)
    markdown = MarkdownIt("commonmark").enable("table")
    markdown.core.ruler.enableOnly(["normalize", "block"])
    ways = [
        _ours(cc.by_block()),
        _by_hand(partial(_parse_by_hand, markdown), "markdown-it over what is held, at each line"),
        _by_hand(_split_by_hand, "at blank lines outside of fences; loose lists fall apart", aim=None),
    ]
    yield _case("by_block()", prose, ways, check)


def _cut_by_hand(
    ends: re.Pattern[str], make: Callable[[Any, str], Any], chunks: list[Chunk], emit: Emit
) -> None:
    held, first = "", None  # `first` is the chunk that what is held began in
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            if first is None or not _goes_on(first, chunk):
                if held:
                    emit(make(first, held))
                held, first = "", chunk
            held += chunk.text
            start = 0
            for end in ends.finditer(held):
                emit(make(first, held[start : end.end()]))
                start, first = end.end(), chunk
            if start:
                held = held[start:]
        else:
            if held and not isinstance(chunk, _MAY_OVERTAKE):
                emit(make(first, held))
                held, first = "", None
            if make is not _bare:
                emit(chunk)
    if held:
        emit(make(first, held))


def _parse_by_hand(markdown: MarkdownIt, chunks: list[Chunk], emit: Emit) -> None:
    def blocks() -> list[str]:
        top = [token for token in markdown.parse(held) if token.level == 0 and token.nesting >= 0]
        lines = held.splitlines(keepends=True)
        ends = [*(token.map[0] for token in top[1:] if token.map), len(lines)]
        return ["".join(lines[start:end]) for start, end in zip([0, *ends], ends, strict=False)]

    held, first = "", None
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            first = first or chunk
            held += chunk.text
            if "\n" in chunk.text:
                *complete, held = blocks()
                for block in complete:
                    emit(_like(first, block))
                    first = chunk
        else:
            if held and not isinstance(chunk, _MAY_OVERTAKE):
                for block in blocks():
                    emit(_like(first, block))
                held, first = "", None
            emit(chunk)


def _split_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    held, first = "", None
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            first = first or chunk
            held += chunk.text
            end = held.rfind("\n\n", 0, -1)
            if end >= 0 and held.count("```", 0, end) % 2 == 0:
                emit(_like(first, held[: end + 2]))
                held, first = held[end + 2 :], chunk
        else:
            if held and not isinstance(chunk, _MAY_OVERTAKE):
                emit(_like(first, held))
                held, first = "", None
            emit(chunk)


# -- print and tap ------------------------------------------------------------------------------------------


def _watching(prose: list[Chunk]) -> Iterator[Case]:
    tally = Tally()

    def case(name: str, told: int, *ways: Way) -> Case:
        return _case(name, prose, ways, lambda got: got == prose, tally=tally, told=told)

    def stock_print(throttle: Callable[[], Any]) -> Callable[[], Sequence[Any]]:
        """Throttle and print beside the stream, which is passed on."""

        def beside(shared: rx.Observable[Any]) -> rx.Observable[Any]:
            text = shared.pipe(ops.filter(_is(TextChunk)), ops.map(piece_of()), throttle())
            return rx.merge(shared, text.pipe(ops.do_action(show), ops.ignore_elements()))

        return lambda: (ops.publish(beside),)

    def show(pieces: list[str] | str) -> None:
        tally.write("".join(pieces))
        tally.flush()

    yield case(
        "print_text()",
        len(content(prose)),
        _ours(cc.print_text(_SECONDS, file=tally)),
        _by_hand(partial(_print_by_hand, tally)),
        _stock(
            "buffer_with_time_or_count beside the stream",
            stock_print(lambda: ops.buffer_with_time_or_count(_SECONDS, _NO_COUNT, _scheduler())),
            aim=_BUFFER,
            passes=1,
        ),
        _stock(
            "throttle_first beside the stream (loses text)",
            stock_print(lambda: ops.throttle_first(_SECONDS, _scheduler())),
            passes=1,
            loses=True,
        ),
    )
    yield case(
        "tap_chunks(callback)",
        len(prose),
        _ours(cc.tap_chunks(tally.chunk)),
        _by_hand(partial(_tap_by_hand, tally.chunk)),
        _stock("do_action (isolates nothing)", lambda: (ops.do_action(tally.chunk),)),
        _peer("aiostream: action", _streamed(lambda: aiostream.pipe.action(tally.chunk))),
    )

    def stock_tap() -> Sequence[Any]:
        piece = piece_of()
        return (
            ops.do_action(lambda chunk: tally.write(piece(chunk)) if isinstance(chunk, TextChunk) else None),
        )

    yield case(
        "tap_text(callback)",
        len(content(prose)),
        _ours(cc.tap_text(tally.write)),
        _by_hand(partial(_tap_text_by_hand, tally.write)),
        _stock("do_action (isolates nothing)", stock_tap),
    )


async def _print_by_hand(file: Tally, chunks: list[Chunk], emit: Emit) -> None:
    throttle, seams, block = Throttle(file, _SECONDS), Seams(), -1
    held = throttle.held
    for batch in batches(chunks):
        for chunk in batch:
            if isinstance(chunk, TextChunk):
                if chunk.agent is None:
                    if chunk.block == block:
                        held.append(chunk.text)
                    else:
                        block = chunk.block
                        held.append(seams.before(chunk) + chunk.text)
                    if throttle.timer is None:
                        throttle.begin()
            elif piece := seams.note(chunk):
                held.append(piece)
            emit(chunk)
        await asyncio.sleep(0)
    throttle.end()


def _tap_by_hand(callback: Callable[[Chunk], None], chunks: list[Chunk], emit: Emit) -> None:
    for chunk in chunks:
        try:
            callback(chunk)
        except Exception as error:
            report_error(error)
        emit(chunk)


def _tap_text_by_hand(callback: Callable[[str], None], chunks: list[Chunk], emit: Emit) -> None:
    seams, block = Seams(), -1
    for chunk in chunks:
        piece: str | None = None
        if isinstance(chunk, TextChunk):
            if chunk.agent is None:
                piece = chunk.text
                if chunk.block != block:
                    block = chunk.block
                    piece = seams.before(chunk) + piece
        else:
            piece = seams.note(chunk)
        if piece:
            try:
                callback(piece)
            except Exception as error:
                report_error(error)
        emit(chunk)


# -- reduce and guard ---------------------------------------------------------------------------------------


def _reducing(prose: list[Chunk], work: list[Chunk]) -> Iterator[Case]:
    def check(got: Got) -> bool:
        return got[-1].content == content(prose)

    def fold(answer: Answer, chunk: Chunk) -> Answer:
        answer.add(chunk)
        return answer

    ways = [
        _ours(cc.to_response()),
        _by_hand(_reduce_by_hand),
        _stock("reduce", lambda: (ops.reduce(fold, Answer()),)),
        _peer("aiostream: reduce", _streamed(lambda: aiostream.pipe.reduce(fold, Answer()))),
    ]
    yield _case("to_response()", prose, ways, check)

    def stock_scan() -> Sequence[Any]:
        buffer = ops.buffer_with_time_or_count(0.1, _NO_COUNT, _scheduler())
        snapshot = ops.map(lambda answers: answers[-1].snapshot())
        return ops.scan(fold, Answer()), buffer, ops.filter(bool), snapshot

    ways = [
        _ours(cc.scan_response(0.1)),
        _by_hand(_scan_by_hand),
        _stock("scan, buffer_with_time_or_count", stock_scan, aim=_BUFFER, passes=1),
    ]
    yield _case("scan_response(0.1)", prose, ways, check)

    def stock_guard() -> Sequence[Any]:
        return (ops.timeout(30, scheduler=_scheduler()),)

    ways = [
        _ours(cc.stall(between=30)),
        _by_hand(_guard_by_hand),
        _stock("timeout (also while a tool runs)", stock_guard, passes=1),
    ]
    yield _case("stall(between=30)", work, ways, lambda got: got == work)


def _reduce_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    answer, block = Answer(), -1
    pieces = answer.pieces
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            if chunk.agent is None:
                if chunk.block != block:
                    block = chunk.block
                    answer.begin(chunk)
                pieces.append(chunk.text)
        else:
            answer.note(chunk)
            pieces = answer.pieces
    emit(answer)


async def _scan_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    loop, answer, block = asyncio.get_running_loop(), Answer(), -1
    pieces = answer.pieces
    timer, news = None, False

    def tell() -> None:
        nonlocal timer, news
        news = False
        timer = loop.call_later(0.1, interval_over)
        emit(answer.snapshot())

    def interval_over() -> None:
        nonlocal timer
        timer = None
        if news:
            tell()

    for batch in batches(chunks):
        for chunk in batch:
            if isinstance(chunk, TextChunk):
                if chunk.agent is None:
                    if chunk.block != block:
                        block = chunk.block
                        answer.begin(chunk)
                    pieces.append(chunk.text)
            else:
                answer.note(chunk)
                pieces = answer.pieces
            news = True
            if timer is None:
                tell()
        await asyncio.sleep(0)
    if timer is not None:
        timer.cancel()
    emit(answer.snapshot())


async def _guard_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    loop, between = asyncio.get_running_loop(), 30.0
    clock, failure = loop.time, loop.create_future()
    last, asking = clock(), False
    running: set[str] = set()

    def look() -> None:
        nonlocal timer
        silent = clock() - last
        if silent >= between and not running and not asking:
            failure.set_result(None)
        else:
            timer = loop.call_later(max(between - silent, 1.0), look)

    timer = loop.call_later(between, look)
    for batch in batches(chunks):
        for chunk in batch:
            last = clock()
            if isinstance(chunk, ToolUseChunk):
                running.add(chunk.id)
            elif isinstance(chunk, ToolResultChunk):
                running.discard(chunk.tool_use_id)
            elif isinstance(chunk, SystemChunk) and chunk.subtype == "session_state_changed":
                asking = chunk.data.get("state") == "requires_action"
            emit(chunk)
        await asyncio.sleep(0)
    timer.cancel()
    assert not failure.done()


# -- structure ----------------------------------------------------------------------------------------------


class Section(BaseModel):
    """A part of a report."""

    name: str
    body: str
    score: float
    tags: list[str]


class Report(BaseModel):
    """What is written as JSON."""

    title: str
    sections: list[Section]


def _structuring(prose: list[Chunk], sections: int) -> Iterator[Case]:
    report = _report(sections)
    model, item, array = TypeAdapter(Report), TypeAdapter(Section), TypeAdapter(list[Section])
    written = _as_chunks(report.model_dump_json(indent=1))
    ways = [
        _ours(cc.parse_json(Report)),
        _by_hand(partial(_read_again, model, 0), "the whole again at each delta, as pydantic-ai", passes=1),
        _by_hand(partial(_read_again, model, 16), "when it has grown by a sixteenth; no prose", aim=None),
        _by_hand(partial(_read_once, model), "once, at the end", aim=None),
    ]
    name = f"parse_json(Model), {len(written):,} chunks of one JSON"
    yield _case(name, written, ways, lambda got: got[-1] == report)

    listed = _as_chunks(array.dump_json(report.sections, indent=1).decode())
    ways = [
        _ours(cc.elements(Section)),
        _by_hand(partial(_decode_by_hand, item), "raw_decode of what is held, at each brace; no prose"),
        _by_hand(partial(_list_again, array), "the whole again at each delta", passes=1),
    ]
    name = f"elements(Model), {len(listed):,} chunks of one array"
    yield _case(name, listed, ways, lambda got: got == report.sections)

    code = "".join(re.findall(r"^```\w+\n(.*?)^```", content(prose), re.MULTILINE | re.DOTALL))
    ways = [
        _ours(cc.code_blocks()),
        _by_hand(_fences_by_hand, "line by line; no fences in lists or quotes"),
    ]
    yield _case("code_blocks()", prose, ways, lambda got: "".join(got) == code, sink=_subscriber)


def _report(sections: int) -> Report:
    body = "The stream of chunks is cut by the agent, and said again for the session it is in. " * 2
    tags = ["chunk", "turn", "agent"]
    told = [Section(name=f"Section {n}", body=body, score=n / 7, tags=tags) for n in range(sections)]
    return Report(title="On streams", sections=told)


def _as_chunks(text: str) -> list[Chunk]:
    chunks = Numbered()
    for piece in cut(text, random.Random(0)):
        chunks.add(TextChunk, piece, 0)
    return chunks.all


def _read_again(model: TypeAdapter[Any], part: int, chunks: list[Chunk], emit: Emit) -> None:
    """Read the whole again at each delta, or when it has grown by a part of itself; give what is new."""
    pieces: list[str] = []
    size = read_at = 0
    last = None
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            pieces.append(chunk.text)
            size += len(chunk.text)
            if size >= read_at:
                read_at = size + size // part if part else 0
                pieces[:] = ["".join(pieces)]
                try:
                    value = model.validate_json(pieces[0], experimental_allow_partial="trailing-strings")
                except ValidationError:
                    continue
                if value != last:
                    emit(value)
                    last = value
    value = model.validate_json("".join(pieces))
    if value != last:
        emit(value)


def _read_once(model: TypeAdapter[Any], chunks: list[Chunk], emit: Emit) -> None:
    emit(model.validate_json("".join([chunk.text for chunk in chunks if isinstance(chunk, TextChunk)])))


def _decode_by_hand(item: TypeAdapter[Any], chunks: list[Chunk], emit: Emit) -> None:
    decoder, held = JSONDecoder(), ""
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            held += chunk.text
            if "}" in chunk.text:
                held = held.lstrip("[, \n")
                try:
                    value, end = decoder.raw_decode(held)
                except JSONDecodeError:
                    continue
                emit(item.validate_python(value))
                held = held[end:]


def _list_again(array: TypeAdapter[Any], chunks: list[Chunk], emit: Emit) -> None:
    text, told = "", 0
    for chunk in chunks:
        if isinstance(chunk, TextChunk):
            text += chunk.text
            try:
                values = array.validate_json(text, experimental_allow_partial=True)
            except ValidationError:
                continue
            for value in values[told:-1]:  # the last one may not be whole
                emit(value)
            told = max(told, len(values) - 1)
    for value in array.validate_json(text)[told:]:
        emit(value)


def _fences_by_hand(chunks: list[Chunk], emit: Emit) -> None:
    line, block = "", None
    for chunk in chunks:
        if isinstance(chunk, TextChunk) and chunk.agent is None:
            line += chunk.text
            if "\n" in chunk.text:
                *complete, line = line.split("\n")
                for one in complete:
                    if one.startswith("```"):
                        block = None if block is not None else _Replayed()
                        if block is not None:
                            emit(block)
                    elif block is not None:
                        block.push(one + "\n")
        elif not isinstance(chunk, _MAY_OVERTAKE):
            line, block = "", None


# -- leave Rx -----------------------------------------------------------------------------------------------


def _leaving(prose: list[Chunk]) -> Iterator[Case]:
    async def ours(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
        source = pushing(chunks)
        with watch:
            for emit in emits:
                async for chunk in source.pipe(cc.to_async_iterator()):
                    emit(chunk)

    async def materialized(chunks: list[Chunk], emits: list[Emit], watch: Stopwatch) -> None:
        source = pushing(chunks)
        with watch:
            for emit in emits:
                queue: asyncio.Queue[Any] = asyncio.Queue()
                source.pipe(ops.materialize(), ops.do_action(queue.put_nowait)).subscribe()
                while (told := await queue.get()).kind == "N":
                    emit(told.value)

    async def queued(chunks: list[Chunk], emit: Emit) -> None:
        queue: asyncio.Queue[Chunk | None] = asyncio.Queue()

        async def feed() -> None:
            for batch in batches(chunks):
                for chunk in batch:
                    queue.put_nowait(chunk)
                await asyncio.sleep(0)
            queue.put_nowait(None)

        feeding = asyncio.create_task(feed())
        while (chunk := await queue.get()) is not None:
            emit(chunk)
        await feeding

    ways = [
        Way(OURS, ours, passes=_PASSES),
        _by_hand(queued, "a queue between callback and loop"),
        Way("reactivex: materialize into a queue, its recipe", materialized),
        _peer("an async generator: nothing is pushed", _generated),
    ]
    yield _case("to_async_iterator()", prose, ways, lambda got: got == prose)


# -- the measure --------------------------------------------------------------------------------------------


def _work(count: int) -> list[Chunk]:
    """A turn that thinks, says, and calls sub-agents, who tell what they do."""
    chunks, number = Numbered(), 0
    while len(chunks.all) < count:
        name, agent, block = f"msg_{number}", f"toolu_{number}", 3 * number
        for _ in range(60):
            chunks.add(ThinkingChunk, "I think", block, message_id=name)
        for _ in range(60):
            chunks.add(TextChunk, "I say ", block + 1, message_id=name)
        for _ in range(60):
            chunks.add(ToolInputChunk, agent, "Agent", '"piece', block + 2, message_id=name)
        chunks.add(ToolUseChunk, agent, "Agent", {"prompt": "Look"}, block + 2, message_id=name)
        for step in range(20):
            tool = f"{agent}_{step}"
            chunks.add(ToolUseChunk, tool, "Read", {}, 10**6 + step, agent=agent, message_id=f"{name}_{step}")
            chunks.add(ToolResultChunk, tool, "lines", agent=agent)
        chunks.add(ToolResultChunk, agent, "seen")
        number += 1
    return chunks.all


def cases(quick: bool) -> Iterator[Case]:
    """Each operator; a quick run has a hundredth of the chunks."""
    count, sections = (500, 2) if quick else (50_000, 100)
    prose, work = conversation(count), _work(count)
    yield from _selecting(prose, work)
    yield from _buffering(prose)
    yield from _rechunking(prose)
    yield from _watching(prose)
    yield from _reducing(prose, work)
    yield from _structuring(prose, sections)
    yield from _leaving(prose)


MEASURE = Measure(
    name="operators",
    title="What each operator costs",
    unit="microseconds per chunk",
    cases=cases,
    packages=("reactivex", "aiostream", "pydantic-ai-slim", "pydantic", "markdown-it-py", "regex"),
)
