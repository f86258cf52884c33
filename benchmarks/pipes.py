"""What a pipe of 1, 3 and 6 operators costs per chunk.

The source is a turn of a session that plays a recording. It is over and hands out its log, so that decoding
costs nothing here; and as all of it came in one read, the log has the chunks as they came. What a subscriber
without any operator costs is shown, too. Everybody else reads the same chunks from an async generator, the
least that `async for` takes, or subscribes to the same turn with reactivex's operators. The operators do
little: a filter, a tap, a filter, a tap, a tap of the text, and the text itself, with a blank line between
blocks.

Our taps isolate what they call; the others' do not.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiostream
from reactivex import operators as ops

from benchmarks.harness import Aim, Case, Contender, Measure, Stopwatch, at_most, times_less
from benchmarks.sources import items, piece_of, record, replayed_turn
from rxccsdk import Chunk, MessageChunk, ResultChunk, TextChunk, Turn
from rxccsdk import operators as cc

OURS = "rxccsdk"

_DELTAS = 20_000
_READS = 5  # of the turn, in one figure
_AIMS = {1: 1.7, 3: 3, 6: 5.4}  # times the bare loop; the stretch for six is 4
_ANSWER = (TextChunk, MessageChunk, ResultChunk)

Emit = Callable[[Any], object]
Callback = Callable[[Any], object]
Read = Callable[[Turn, list[Chunk], Callback, Emit], Coroutine[Any, Any, None]]
"""Reads the turn once, given its chunks, the callback of all taps and the function for what comes out."""


def _is_of_answer(chunk: Chunk) -> bool:
    return isinstance(chunk, _ANSWER)


def _is_text(chunk: Chunk) -> bool:
    return isinstance(chunk, TextChunk)


def _tapping_text(callback: Callback) -> Callback:
    piece = piece_of()
    return lambda chunk: callback(piece(chunk))


def _of_six(size: int, six: Sequence[Any]) -> Sequence[Any]:
    """Choose the operators of a pipe: a filter; a filter, a tap and the text; or all."""
    return {1: six[2:3], 3: [six[2], six[3], six[5]], 6: six}[size]


def _ours(size: int, callback: Callback) -> Sequence[Any]:
    six = (
        cc.of_type(*_ANSWER),
        cc.tap_chunks(callback),
        cc.of_type(TextChunk),
        cc.tap_chunks(callback),
        cc.tap_text(callback),
        cc.text(),
    )
    return _of_six(size, six)


def _stock(size: int, callback: Callback) -> Sequence[Any]:
    six = (  # type: ignore[var-annotated]
        ops.filter(_is_of_answer),
        ops.do_action(callback),  # type: ignore[arg-type]
        ops.filter(_is_text),
        ops.do_action(callback),  # type: ignore[arg-type]
        ops.do_action(_tapping_text(callback)),  # type: ignore[arg-type]
        ops.map(piece_of()),
    )
    return _of_six(size, six)


def _aiostream(size: int, callback: Callback) -> Sequence[Any]:
    six = (
        aiostream.pipe.filter(_is_of_answer),
        aiostream.pipe.action(callback),
        aiostream.pipe.filter(_is_text),
        aiostream.pipe.action(callback),
        aiostream.pipe.action(_tapping_text(callback)),
        aiostream.pipe.map(piece_of()),
    )
    return _of_six(size, six)


def _generators(size: int, callback: Callback) -> Sequence[Any]:
    six = (
        partial(_filtered, _is_of_answer),
        partial(_tapped, callback),
        partial(_filtered, _is_text),
        partial(_tapped, callback),
        partial(_tapped, _tapping_text(callback)),
        partial(_mapped, piece_of()),
    )
    return _of_six(size, six)


async def _filtered(keep: Callable[[Any], bool], source: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in source:
        if keep(item):
            yield item


async def _tapped(callback: Callback, source: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in source:
        callback(item)
        yield item


async def _mapped(change: Callable[[Any], Any], source: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in source:
        yield change(item)


def _subscribed(operators: Callable[[int, Callback], Sequence[Any]], size: int) -> Read:
    async def read(turn: Turn, chunks: list[Chunk], callback: Callback, emit: Emit) -> None:
        done = asyncio.get_running_loop().create_future()
        piped = turn.pipe(*operators(size, callback))
        piped.subscribe(emit, done.set_exception, partial(done.set_result, None))
        await done

    return read


def _streamed(size: int) -> Read:
    async def read(turn: Turn, chunks: list[Chunk], callback: Callback, emit: Emit) -> None:
        stream: Any = aiostream.stream.iterate(items(chunks))
        for operator in _aiostream(size, callback):
            stream = stream | operator
        async with stream.stream() as streamer:
            async for item in streamer:
                emit(item)

    return read


def _generated(size: int) -> Read:
    async def read(turn: Turn, chunks: list[Chunk], callback: Callback, emit: Emit) -> None:
        source: AsyncIterable[Any] = items(chunks)
        for operator in _generators(size, callback):
            source = operator(source)
        async for item in source:
            emit(item)

    return read


async def _alone(turn: Turn, chunks: list[Chunk], callback: Callback, emit: Emit) -> None:
    done = asyncio.get_running_loop().create_future()
    turn.subscribe(emit, done.set_exception, partial(done.set_result, None))  # type: ignore[arg-type]
    await done


async def _bare(turn: Turn, chunks: list[Chunk], callback: Callback, emit: Emit) -> None:
    async for chunk in items(chunks):
        emit(chunk)


async def _bare_turn(turn: Turn, chunks: list[Chunk], callback: Callback, emit: Emit) -> None:
    async for chunk in turn:
        emit(chunk)


def _contender(name: str, cassette: Path, size: int, read: Read, aim: Aim | None = None) -> Contender:
    async def play() -> float:
        watch, seen = Stopwatch(), list[Any]()  # what all taps were told
        outcomes: list[list[Any]] = [[] for _ in range(_READS)]
        async with replayed_turn(cassette) as (turn, chunks):
            with watch:
                for got in outcomes:
                    await read(turn, chunks, seen.append, got.append)
            if read in (_alone, _bare, _bare_turn):
                assert all(got == chunks for got in outcomes), "chunks are missing"
            else:
                _check(size, outcomes, turn, chunks)
                assert len(seen) == _READS * _calls(size, chunks), "callbacks were not called"
            return watch.seconds / len(chunks) / _READS * 1e6

    return Contender(name, lambda: asyncio.run(play()), aim)


def _check(size: int, outcomes: list[list[Any]], turn: Turn, chunks: list[Chunk]) -> None:
    """A filter gives the text's chunks; the longer pipes give the text of the response."""
    said, content = list(filter(_is_text, chunks)), turn.response.content
    for got in outcomes:
        assert got == said if size == 1 else "".join(got) == content, "what came out is wrong"


def _calls(size: int, chunks: list[Chunk]) -> int:
    """How often the callback is called in one read."""
    said, answer = sum(map(_is_text, chunks)), sum(map(_is_of_answer, chunks))
    return {1: 0, 3: said, 6: answer + said + said}[size]


def cases(quick: bool) -> Iterator[Case]:
    """The lengths; a quick run has a hundredth of the chunks."""
    with tempfile.TemporaryDirectory() as folder:
        cassette = record(Path(folder), _DELTAS // 100 if quick else _DELTAS)
        for size, most in _AIMS.items():

            def contender(name: str, read: Read, aim: Aim | None = None, size: int = size) -> Contender:
                return _contender(name, cassette, size, read, aim)

            contenders = [
                contender(OURS, _subscribed(_ours, size)),
                contender(f"{OURS}, no operator", _alone),
                contender("bare async for, an async generator", _bare, at_most(most)),
                contender("bare async for, the turn itself", _bare_turn),
                contender("reactivex", _subscribed(_stock, size), times_less(2)),
                contender("aiostream", _streamed(size)),
                contender("async generators", _generated(size)),
            ]
            yield Case(f"{size} operator{'s' if size > 1 else ''}", contenders, OURS)


MEASURE = Measure(
    name="pipes",
    title="Pipes of operators over a session's turn",
    unit="microseconds per chunk",
    cases=cases,
    packages=("reactivex", "aiostream"),
)
