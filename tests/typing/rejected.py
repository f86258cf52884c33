"""Misuses: `mypy --strict` must find an error in each line that ends in `# error`. Never run."""

from __future__ import annotations

from reactivex import Observable

from rxccsdk import Chunk, TextChunk, ToolUseChunk, Turn, ask_all
from rxccsdk import operators as cc


def wrong_arguments(turn: Turn) -> None:
    cc.buffer_text(seconds="1")  # error
    cc.buffer_text(0.1, 10, None)  # error
    cc.buffer_text(characters=3)  # error
    cc.by_line(hold="80")  # error
    cc.by_word(chars=3)  # error
    cc.smooth(0.3, None)  # error
    cc.spans("tracer")  # error
    cc.tool_output(1)  # error
    cc.answer_asks(lambda ask: "yes")  # error
    cc.stall("60")  # error
    cc.stall(1, 2, 3, None)  # error
    cc.thinking(agents=None)  # error
    cc.tools(ToolUseChunk)  # error
    cc.by_agent("toolu")  # error
    cc.code_blocks("python")  # error
    cc.parse_json("City")  # error
    cc.parse_json(int, tool=int)  # error
    cc.elements([int])  # error
    cc.print_text(file=3)  # error
    cc.text(agents=None)  # error
    cc.text(settled="yes")  # error
    cc.of_type("TextChunk")  # error
    cc.of_type(str)  # error
    cc.of_type(TextChunk("a"))  # error
    cc.to_response(1)  # error
    cc.tap_text(print, on_error=lambda: None)  # error
    cc.tap_latest(print, "0.8")  # error
    cc.pages(limit="2000")  # error
    turn.pipe(cc.text)  # error


def wrong_callbacks(turn: Turn, callbacks: Callbacks) -> None:
    cc.tap_text(callbacks.number)  # error
    cc.tap_latest(callbacks.number)  # error
    cc.tap_text(callbacks.two)  # error
    turn.pipe(cc.tap_chunks(callbacks.text))  # error
    turn.pipe(cc.tap_chunks(callbacks.use))  # error


def wrong_order(turn: Turn, words: Observable[str]) -> None:
    words.pipe(cc.text())  # error
    words.pipe(cc.thinking())  # error
    words.pipe(cc.progress())  # error
    turn.pipe(cc.pages(), cc.to_response())  # error
    words.pipe(cc.by_agent())  # error
    turn.pipe(cc.parse_json(int), cc.code_blocks())  # error
    words.pipe(cc.to_response())  # error
    turn.pipe(cc.text(), cc.to_response())  # error
    turn.pipe(cc.to_response(), cc.text())  # error
    turn.pipe(cc.scan_response(), cc.to_response())  # error
    turn.pipe(cc.to_async_iterator(), cc.text())  # error


def wrong_many() -> None:
    ask_all([1, 2])  # error
    ask_all(["a"], at_once="3")  # error
    ask_all(["a"], retry=3)  # error


async def wrong_use(turn: Turn) -> None:
    uses: Observable[ToolUseChunk] = turn.pipe(cc.of_type(TextChunk))  # error
    numbers: Observable[int] = turn.pipe(cc.text())  # error
    async for piece in turn.pipe(cc.text()):  # error
        print(piece)
    (await turn.pipe(cc.to_response())).content = 3  # error
    print(uses, numbers, (await turn.pipe(cc.to_response())).metadata.no_such_figure)  # error


class Callbacks:
    def use(self, value: ToolUseChunk) -> None: ...

    def number(self, value: int) -> None: ...

    def two(self, a: str, b: str) -> None: ...

    def text(self, value: str) -> Chunk | None: ...
