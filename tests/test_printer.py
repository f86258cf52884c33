"""Printing: when it writes, to what, and what it survives."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from rich.console import Console
from rich.progress import Progress

from rxccsdk import RetractedChunk, ThinkingChunk
from rxccsdk import operators as cc
from rxccsdk.text.clock import Timer
from rxccsdk.text.printing import Printer
from tests.operator_laws import (
    RETRACTED_TURN,
    Clock,
    Hot,
    VirtualLoop,
    Writes,
    gathered,
    result,
    run_virtually,
    said,
    within_subscribe,
)


class Broken(Exception):
    """What sources fail with."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Hot:
    return Hot()


@pytest.fixture
def file(clock: Clock) -> Writes:
    return Writes(lambda: clock.clock)


# -- when -----------------------------------------------------------------------------------------------


def test_the_first_piece_at_once_then_one_write_per_interval(clock: Clock, source: Hot, file: Writes) -> None:
    #        0  1  2  ... 10        25
    # pieces a  b  c                d
    # writes a            bc        d
    source.pipe(cc.print_text(10.0, file, scheduler=clock)).subscribe()
    source.send("a")
    clock.advance_to(1.0)
    source.send("b")
    clock.advance_to(2.0)
    source.send("c")
    assert file.log == [(0.0, "a")]
    clock.advance_to(25.0)
    source.send("d")
    assert file.log == [(0.0, "a"), (10.0, "bc"), (25.0, "d")]
    assert file.flushes == [0.0, 10.0, 25.0]
    assert clock.most_waiting == 1


def test_a_busy_stream_is_written_once_per_interval(clock: Clock, source: Hot, file: Writes) -> None:
    source.pipe(cc.print_text(10.0, file, scheduler=clock)).subscribe()
    for tick in range(1000):
        clock.advance_to(float(tick))
        source.send("x")
    assert [at for at, _ in file.log] == [10.0 * n for n in range(len(file.log))]
    assert len(file.log) in (100, 101)
    assert clock.started == len(file.log)
    source.complete()
    assert file.text == "x" * 1000
    assert not clock.timers


@pytest.mark.parametrize("ending", ["complete", "fail", "dispose"])
def test_what_is_held_is_written_at_the_end(ending: str, clock: Clock, source: Hot, file: Writes) -> None:
    order: list[str] = []
    subscription = source.pipe(cc.print_text(10.0, file, scheduler=clock)).subscribe(
        None, lambda error: order.append(file.text), lambda: order.append(file.text)
    )
    source.send("a", "b", "c")
    assert file.text == "a"
    if ending == "complete":
        source.complete()
    elif ending == "fail":
        source.fail(Broken())
    else:
        subscription.dispose()
    assert file.text == "abc"
    assert order == ([] if ending == "dispose" else ["abc"])
    assert len(file.log) == len(file.flushes) == 2
    assert not clock.timers
    clock.advance_by(100.0)
    assert len(file.log) == 2


def test_every_zero_writes_each_piece(clock: Clock, source: Hot, file: Writes) -> None:
    source.pipe(cc.print_text(0, file, scheduler=clock)).subscribe()
    source.send("a", "b", "c")
    assert [text for _, text in file.log] == ["a", "b", "c"]
    assert clock.started == 0


def test_without_a_loop_or_scheduler_each_piece_is_written(source: Hot) -> None:
    file = Writes()
    source.pipe(cc.print_text(10.0, file)).subscribe()
    source.send("a", "b")
    assert [text for _, text in file.log] == ["a", "b"]


def test_a_negative_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        cc.print_text(-1)
    with pytest.raises(ValueError, match="must not be negative"):
        cc.print_text(float("nan"))


def test_on_the_running_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        file, source = Writes(loop.time), Hot()
        subscription = source.pipe(cc.print_text(0.05, file)).subscribe()
        source.send("a", "b")
        await asyncio.sleep(0.01)
        source.send("c")
        await asyncio.sleep(1.0)
        source.send("d", "e")
        subscription.dispose()
        assert [(round(at, 6), text) for at, text in file.log] == [
            (0, "a"),
            (0.05, "bc"),
            (1.01, "d"),
            (1.01, "e"),
        ]
        assert loop.timers == 0

    run_virtually(main())


def test_it_never_waits_on_a_loop_of_another_thread() -> None:
    """The loop at the time of subscribing need not be the one the items come on."""

    async def main() -> list[str]:
        asyncio.get_running_loop().set_debug(True)  # then call_later checks its thread
        file, source, errors = Writes(), Hot(), list[BaseException]()
        source.pipe(cc.print_text(0.05, file), cc.buffer_text(0.05)).subscribe()

        def send() -> None:
            try:
                source.send("a", "b")
                source.complete()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        thread.join()
        assert errors == []
        return [text for _, text in file.log]

    assert asyncio.run(main()) == ["a", "b"]


# -- what -----------------------------------------------------------------------------------------------


def printed(items: list[Any], **kwargs: Any) -> str:
    file = io.StringIO()
    gathered(within_subscribe(items).pipe(cc.print_text(file=file, **kwargs)))
    return file.getvalue()


def test_it_prints_what_text_gives_and_nothing_more() -> None:
    items = [
        said("a"),
        ThinkingChunk("hm", 1, message_id="m"),
        said("b", 2),
        said("s", 3, "x", agent="t"),
        result(),
    ]
    assert printed(items) == "a\n\nb"
    assert printed(items, agents="all") == "a\n\nb\n\ns"
    assert printed(items, agents="t") == "s"
    assert printed([result("from the command")]) == "from the command"


def test_a_retraction_is_marked_where_printed_text_is_taken_back() -> None:
    mark = "\n[the text above was cut off and does not stand; what replaces it follows]\n"
    assert printed(RETRACTED_TURN) == f"gone for good{mark}\n\nstands"
    last = [said("gone"), RetractedChunk((0,))]
    assert printed(last) == "gone\n[the text above was cut off and does not stand]\n"


@pytest.mark.parametrize(
    "items",
    [
        [ThinkingChunk("hm", 0), RetractedChunk((0,))],
        [said("a"), ThinkingChunk("hm", 1), RetractedChunk((1,), ("t",), True)],
        [said("a"), RetractedChunk((-1,), ("t",), True)],
        [said("a"), said("s", 1, agent="t"), RetractedChunk((1,), agent="t")],
        [said("a", turn=0), result(turn=0), ThinkingChunk("hm", 0, turn=1), RetractedChunk((0,), turn=1)],
    ],
    ids=[
        "thinking",
        "thinking after text",
        "a tool call",
        "an agent not shown",
        "a number of an earlier turn",
    ],
)
def test_no_mark_where_nothing_printed_is_taken_back(items: list[Any]) -> None:
    assert "[" not in printed(items)


# -- where ----------------------------------------------------------------------------------------------


def test_standard_output_is_looked_up_at_the_first_write(
    source: Hot, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = source.pipe(cc.print_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        pipe.subscribe()
    source.send("hello")
    source.complete()
    assert capsys.readouterr().out == "hello"


def test_a_file_that_is_false() -> None:
    class Empty(Writes):
        def __len__(self) -> int:
            return 0

    file = Empty()
    gathered(within_subscribe(["a"]).pipe(cc.print_text(file=file)))
    assert file.text == "a"


def test_a_console_s_file() -> None:
    console = Console(file=io.StringIO(), width=10)
    gathered(
        within_subscribe(["[bold]long ", "words, unchanged[/bold]"]).pipe(cc.print_text(file=console.file))
    )
    assert console.file.getvalue() == "[bold]long words, unchanged[/bold]"  # type: ignore[attr-defined]


@contextmanager
def live_display() -> Iterator[tuple[Progress, io.StringIO]]:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, color_system=None, legacy_windows=False)
    with Progress(console=console, auto_refresh=False) as progress:
        progress.add_task("working", total=10)
        yield progress, screen


def shown(screen: io.StringIO) -> list[str]:
    """The lines on a terminal, after its control sequences."""
    lines, column = [""], 0
    text = screen.getvalue()
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", text):
        if part == "\n":
            lines.append("")
            column = 0
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            if part.endswith("A"):
                lines = lines[: len(lines) - int(part[2:-1] or 1)]
                lines = lines or [""]
            elif part.endswith("K"):
                lines[-1] = ""
        elif part:
            lines[-1] = lines[-1][:column] + part
            column += len(part)
    return [line.rstrip() for line in lines]


def test_beside_a_progress_bar() -> None:
    """rich stands in for standard output then, and ends the line at each flush: so it gets whole lines."""
    pieces = ["# Tit", "le\n\nSome [red] te", "xt, in ", "pieces.\nLast [bold]", " line"]
    with live_display() as (bar, screen):
        advance = cc.tap_text(lambda text: bar.advance(bar.task_ids[0]))
        gathered(within_subscribe(pieces).pipe(advance, cc.print_text(0)))
        bar.refresh()
    lines = [line for line in shown(screen) if line and not line.startswith("working")]
    assert lines == ["# Title", "Some [red] text, in pieces.", "Last [bold] line"]


def test_a_final_newline_beside_a_progress_bar() -> None:
    with live_display() as (bar, screen):
        printer = Printer(None, 0.05, Timer(None))
        printer.write("a")
        printer.write("b")
        printer.flush()
        printer.flush()
        printer.end_line()
        bar.console.print("after")
    assert [line for line in shown(screen) if not line.startswith("working")][:2] == ["ab", "after"]


# -- what breaks ----------------------------------------------------------------------------------------


def test_a_closed_pipe_costs_nothing_but_the_printing(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as pipe:
        seen = gathered(within_subscribe(["a\n", "b\n", "c\n"]).pipe(cc.print_text(0, pipe)))
        with pytest.raises(BrokenPipeError):
            pipe.flush()
        try:
            pipe.close()
        except BrokenPipeError:
            pass
    assert seen == ["a\n", "b\n", "c\n"]
    assert not caplog.records, "a reader that left is nothing to report"


class Failing(Writes):
    """A file with one method that raises."""

    def __init__(self, method: str, error: BaseException) -> None:
        super().__init__()
        self.calls = 0

        def fail(*args: Any) -> Any:
            self.calls += 1
            raise error

        setattr(self, method, fail)


@pytest.mark.parametrize("method", ["write", "flush"])
def test_a_file_that_fails_is_left_alone(method: str, caplog: pytest.LogCaptureFixture) -> None:
    file = Failing(method, Broken("disk full"))
    seen = gathered(within_subscribe(["a", "b", "c"]).pipe(cc.print_text(0, file)))
    assert seen == ["a", "b", "c"]
    assert file.calls == 1
    (record,) = caplog.records
    assert record.name == "rxccsdk"
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Broken)


def test_a_keyboard_interrupt_passes() -> None:
    source, file = Hot(), Failing("write", KeyboardInterrupt())
    source.pipe(cc.print_text(0, file)).subscribe()
    with pytest.raises(KeyboardInterrupt):
        source.send("a")


def test_the_owner_of_a_printer_is_told_once_of_its_failure() -> None:
    told: list[Exception] = []
    printer = Printer(Failing("write", Broken()), 0, Timer(None), told.append)
    printer.write("a")
    printer.write("b")
    printer.flush()
    printer.end_line()
    assert [type(error) for error in told] == [Broken]
    assert not printer.wrote


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_file_that_cannot_show_every_character_shows_the_others(encoding: str) -> None:
    data = io.BytesIO()
    file = io.TextIOWrapper(data, encoding=encoding, newline="")
    gathered(within_subscribe(["naïve ", "日本 ", "\ud800 ok"]).pipe(cc.print_text(0, file)))
    shown = data.getvalue().decode(encoding)
    assert shown.startswith("na")
    assert shown.endswith("? ok")
    assert len(shown) == len("naïve 日本 ? ok")


def test_a_closed_file(caplog: pytest.LogCaptureFixture) -> None:
    file = io.StringIO()
    file.close()
    assert gathered(within_subscribe(["a", "b"]).pipe(cc.print_text(0, file))) == ["a", "b"]
    assert len(caplog.records) == 1


def test_a_printer_upstream_prints_what_is_taken_downstream() -> None:
    file = io.StringIO()
    rx.of("a", "b", "c").pipe(cc.print_text(0, file), ops.take(2)).subscribe()
    assert file.getvalue() == "ab"


def test_no_newline_is_written_but_by_end_line() -> None:
    file = io.StringIO()
    printer = Printer(file, 0, Timer(None))
    printer.write("a")
    printer.flush()
    assert file.getvalue() == "a"
    printer.end_line()
    assert file.getvalue() == "a\n"


def test_who_leaves_while_a_retraction_is_marked_hears_no_more_of_it() -> None:
    heard: list[Any] = []
    source = Hot()

    class Leaving(Writes):
        def write(self, text: str) -> int:
            written = super().write(text)
            if "does not stand" in text:
                subscription.dispose()
            return written

    file = Leaving(lambda: 0.0)
    subscription = source.pipe(cc.print_text(0, file=file), cc.tap_chunks(heard.append)).subscribe()
    source.send(said("a"), RetractedChunk((0,), (), False))
    assert heard == [said("a")]
