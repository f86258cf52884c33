"""The code in what the agent writes, while it still writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from reactivex import Observable

from rxccsdk.chunks import Chunk, RetractedChunk, TextChunk
from rxccsdk.operators.fences import Event, Fences
from rxccsdk.operators.replay import Keep, Opening, Replay
from rxccsdk.text.pieces import Pieces, same_block


class CodeBlock(Replay[str]):
    """The code of one fenced block, piece by piece, from its beginning for each subscriber.

    Attributes:
        language: the first word of what stands behind the opening fence, "" where there is none.
        info: all that stands there.
        retracted: text that it was made of was taken back: it does not stand.
    """

    def __init__(self, info: str, keep: Keep) -> None:
        super().__init__(keep)
        self.info = info
        self.language = info.split()[0] if info else ""
        self.retracted = False


class FindingCode(Protocol):
    """An operator that reads chunks or text. A protocol, because mypy infers no alias inside a pipe."""

    def __call__(self, source: Observable[Chunk] | Observable[str], /) -> Observable[CodeBlock]: ...


def code_blocks() -> FindingCode:
    r"""Emit each fenced code block of the main agent's text, its code a stream while it is written.

        T"See:\n```py\nx ="   T" 1\n"   T"```\nDone"   |
                       B                               |      B: -"x ="--" 1\n"--|

    Fences are CommonMark's: of backticks or tildes, three or more, in lists and quotes too, indented or not.
    The code comes without the fences and the opening one's indentation, with its line ends as they are; a
    piece of a line waits only as long as it may be the closing fence. A block that is not closed ends with
    the text block it is in, or the text that continues it. A `CodeBlock` replays to late subscribers. A
    subscriber of it that raises is logged. The source stays subscribed until those who subscribed to a block
    have left, too. Works on `str` streams too.

    At a `RetractedChunk`: a block that has text it takes back gets `retracted=True` and, if open, completes;
    what of an open one stands begins a new block, as does what replaces it.

    Example:
        >>> import reactivex as rx
        >>> from reactivex import operators as ops
        >>> text = rx.of("See:\n``", "`py\nx =", " 1\n``", "`\nDone.")
        >>> code = text.pipe(code_blocks(), ops.flat_map(lambda block: block), ops.map(repr))
        >>> code.subscribe(print).dispose()
        'x ='
        ' 1\n'
    """

    def operator(source: Observable[Chunk] | Observable[str]) -> Observable[CodeBlock]:
        return Opening(source, _CodeReader)

    return operator


class _CodeReader:
    """Opens a stream for each block, and remembers the text, so that some of it can be taken back."""

    def __init__(self, emit: Callable[[CodeBlock], None], keep: Keep) -> None:
        self._emit = emit
        self._keep = keep
        self._pieces = Pieces()
        self._fences = Fences()
        self._text: list[tuple[Any, str, bool]] = []  # its turn and block, a piece, whether it goes on
        self._length = 0
        self._last: TextChunk | None = None  # the last text
        self._open: CodeBlock | None = None
        self._closed: list[tuple[CodeBlock, int]] = []  # and how much text there was when it was

    def take(self, item: Any) -> None:
        if isinstance(item, RetractedChunk):
            self._pieces.of(item)
            self._retract(item)
            self._last = None
            return
        if same_block(self._last, item):
            if item.text:
                self._read((item.turn, item.block), item.text, True)
            return
        piece = self._pieces.of(item)
        if not piece:
            return
        if isinstance(item, TextChunk):
            # With a separator before it, it is a text of its own: an open fence does not reach into it.
            self._last = item
            self._read((item.turn, item.block), item.text, len(piece) == len(item.text))
        else:
            self._read(None, piece, True)

    def _read(self, place: Any, text: str, goes_on: bool) -> None:
        self._text.append((place, text, goes_on))
        self._length += len(text)
        if not goes_on:
            events = self._fences.end()
            self._fences = Fences()
            self._emit_events(events)
        events = self._fences.feed(text)
        if events:
            self._emit_events(events)

    def _emit_events(self, events: list[Event]) -> None:
        for place, (kind, text) in enumerate(events):
            if kind == "open":
                self._open = CodeBlock(text, self._keep)
                try:
                    self._emit(self._open)
                except Exception:  # where an observer raises at one, the code goes on all the same
                    self._emit_events(events[place + 1 :])
                    raise
            elif self._open is not None and kind == "code":
                self._open._push(text)
            elif self._open is not None:
                self._closed.append((self._open, self._length))
                self._open._end()
                self._open = None

    def _retract(self, chunk: RetractedChunk) -> None:
        gone = {(chunk.turn, block) for block in chunk.blocks}
        first = next((place for place, (block, _, _) in enumerate(self._text) if block in gone), None)
        if first is None:
            return
        before, after = self._text[:first], self._text[first:]
        self._text = before
        self._length = sum(len(text) for _, text, _ in before)
        for block, length in self._closed:
            block.retracted = block.retracted or length > self._length
        self._closed = [(block, length) for block, length in self._closed if length <= self._length]
        if self._open is not None:
            self._open.retracted = True
            self._open._end()
            self._open = None
        self._fences = Fences()
        # What stands before is read again, silently; only the block it leaves open is to be emitted again.
        events: list[Event] = []
        for _, text, goes_on in before:
            if not goes_on:
                events += self._fences.end()
                self._fences = Fences()
            events += self._fences.feed(text)
        opened = max((place for place, (kind, _) in enumerate(events) if kind == "open"), default=0)
        if self._fences.is_open:
            self._emit_events(events[opened:])
        for block, text, goes_on in after:
            if block not in gone:
                self._read(block, text, goes_on)

    def flush(self) -> None:
        self._emit_events(self._fences.end())
