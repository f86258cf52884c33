"""Print and tap: `print_text()`, `tap_chunks()`, `tap_text()`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import aiostream
import reactivex as rx
from reactivex import operators as ops

from benchmarks.harness import Case
from benchmarks.operators.ways import (
    BUFFER,
    NO_COUNT,
    SECONDS,
    Emit,
    Way,
    compare,
    hand_way,
    is_a,
    loop_scheduler,
    our_ways,
    peer_way,
    stock_way,
    streamed,
)
from benchmarks.sources import Seams, Tally, Throttle, batches, content, piece_of, report_error
from rxccsdk import Chunk, TextChunk
from rxccsdk import operators as cc


def cases(prose: list[Chunk]) -> Iterator[Case]:
    tally = Tally()

    def case(name: str, told: int, *ways: Way) -> Case:
        return compare(name, prose, ways, lambda got: got == prose, tally=tally, told=told)

    def stock_print(throttle: Callable[[], Any]) -> Callable[[], Sequence[Any]]:
        """Throttle and print beside the stream, which is passed on."""

        def beside(shared: rx.Observable[Any]) -> rx.Observable[Any]:
            text = shared.pipe(ops.filter(is_a(TextChunk)), ops.map(piece_of()), throttle())
            return rx.merge(shared, text.pipe(ops.do_action(show), ops.ignore_elements()))

        return lambda: (ops.publish(beside),)

    def show(pieces: list[str] | str) -> None:
        tally.write("".join(pieces))
        tally.flush()

    yield case(
        "print_text()",
        len(content(prose)),
        *our_ways(cc.print_text(SECONDS, file=tally)),
        hand_way(partial(_print_by_hand, tally)),
        stock_way(
            "buffer_with_time_or_count beside the stream",
            stock_print(lambda: ops.buffer_with_time_or_count(SECONDS, NO_COUNT, loop_scheduler())),
            aim=BUFFER,
            passes=1,
        ),
        stock_way(
            "throttle_first beside the stream (loses text)",
            stock_print(lambda: ops.throttle_first(SECONDS, loop_scheduler())),
            passes=1,
            loses=True,
        ),
    )
    yield case(
        "tap_chunks(callback)",
        len(prose),
        *our_ways(cc.tap_chunks(tally.chunk)),
        hand_way(partial(_tap_by_hand, tally.chunk)),
        stock_way("do_action (isolates nothing)", lambda: (ops.do_action(tally.chunk),)),
        peer_way("aiostream: action", streamed(lambda: aiostream.pipe.action(tally.chunk))),
    )

    def stock_tap() -> Sequence[Any]:
        piece = piece_of()
        return (
            ops.do_action(lambda chunk: tally.write(piece(chunk)) if isinstance(chunk, TextChunk) else None),
        )

    yield case(
        "tap_text(callback)",
        len(content(prose)),
        *our_ways(cc.tap_text(tally.write)),
        hand_way(partial(_tap_text_by_hand, tally.write)),
        stock_way("do_action (isolates nothing)", stock_tap),
    )


async def _print_by_hand(file: Tally, chunks: list[Chunk], emit: Emit) -> None:
    throttle, seams, block = Throttle(file, SECONDS), Seams(), -1
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
