"""Taking from the stream what one wants to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    RetractedChunk,
    TextChunk,
    ThinkingChunk,
    ToolOutputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.text.flow import Handlers, Operator, Stage
from rxccsdk.text.pieces import Pieces, same_block
from rxccsdk.text.sink import Sink

_C = TypeVar("_C", bound=Chunk)

_TOOLS = (ToolUseChunk, ToolProgressChunk, ToolResultChunk)


def text(separator: str = "\n\n", agents: str = "main", settled: bool = False) -> Operator[Chunk, str]:
    r"""Emit the text, piece by piece, as `str`.

        T"Hel"  T"lo"  [tool]  T"Done"  |
        "Hel"   "lo"           "\n\nDone"  |

    Joined, the pieces are `response.content`. A separator travels with the piece after it. A turn that
    succeeds without any text, as one of the CLI's own commands does, emits the text of its result.

    Args:
        separator: what stands between two blocks, except neighbours in one message and a message that was
            cut and is continued.
        agents: "main", "all", or the id of one sub-agent (the tool call that started it).
        settled: hold each message's text until the message ends, and leave out what was retracted.

    At a `RetractedChunk`: without `settled` the abandoned text was already passed on; with it, it never is.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk
        >>> rx.of(TextChunk("Hel", block=0), TextChunk("lo", block=0)).pipe(text()).subscribe(print).dispose()
        Hel
        lo
    """

    def operator(source: Observable[Chunk]) -> Observable[str]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            piece_of, emit = Pieces(separator, agents).of, downstream.on_next

            def on_next(chunk: Chunk) -> None:
                if piece := piece_of(chunk):
                    emit(piece)

            if not settled:
                return Handlers(on_next)
            held = _Unsettled()

            def pieces(chunks: Sequence[Chunk]) -> Iterator[str]:
                return filter(None, map(piece_of, chunks))

            def hold(chunk: Chunk) -> None:
                downstream.emit(pieces(held.add(chunk)))

            return Handlers(hold, lambda: pieces(held.rest()))

        return Stage(source, attach)

    return operator


class _Unsettled:
    """Holds everything while a message streams, so that what is retracted is never passed on."""

    def __init__(self) -> None:
        self._held: list[Chunk] = []
        self._open_messages: set[tuple[str | None, str | None]] = set()

    def add(self, chunk: Chunk) -> Sequence[Chunk]:
        """Take a chunk; return those that are settled."""
        if isinstance(chunk, MessageChunk):
            message = (chunk.agent, chunk.message_id)
            if chunk.event == "start":
                self._open_messages.add(message)
            elif chunk.event == "stop":
                self._open_messages.discard(message)
        elif isinstance(chunk, RetractedChunk):
            gone = set(chunk.blocks)
            self._held = [c for c in self._held if not (isinstance(c, TextChunk) and c.block in gone)]
        self._held.append(chunk)
        return () if self._open_messages else self.rest()

    def rest(self) -> list[Chunk]:
        """Return all that is held."""
        released, self._held = self._held, []
        return released


def of_type(*classes: type[_C]) -> Operator[Any, _C]:
    """Let through the chunks of these classes only.

        T  Use  T  Result  |
           Use             |      of_type(ToolUseChunk)

    Args:
        classes: one or more chunk classes.

    At a `RetractedChunk`: nothing special; it passes where it was asked for.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk, UserChunk
        >>> rx.of(UserChunk("go on"), TextChunk("I do")).pipe(of_type(TextChunk)).run().text
        'I do'
    """
    if not classes:
        raise TypeError("of_type() needs at least one chunk class, as in of_type(ToolUseChunk).")
    kinds = classes if len(classes) > 1 else classes[0]  # checked sooner than a tuple of one

    def operator(source: Observable[Any]) -> Observable[_C]:
        return _filtered(source, lambda chunk: isinstance(chunk, kinds))

    return operator


def thinking(separator: str = "\n\n", agents: str = "main") -> Operator[Chunk, str]:
    r"""Emit the thinking, piece by piece, as `str`.

        Th"Hm"  Th", so"  T"Hello"  Th"And"  |
        "Hm"    ", so"              "\n\nAnd" |

    A separator travels with the piece after it. Thinking that the API redacted has no text.

    Args:
        separator: what stands between two blocks.
        agents: "main", "all", or the id of one sub-agent (the tool call that started it).

    At a `RetractedChunk`: nothing; the abandoned thinking was already passed on.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import ThinkingChunk
        >>> turn = rx.of(ThinkingChunk("Hm", 0), ThinkingChunk("And", 1))
        >>> turn.pipe(thinking(" / ")).subscribe(print).dispose()
        Hm
         / And
    """

    everyone, agent = agents == "all", None if agents == "main" else agents

    def operator(source: Observable[Chunk]) -> Observable[str]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            last: ThinkingChunk | None = None
            emit = downstream.on_next

            def on_next(chunk: Chunk) -> None:
                nonlocal last
                if isinstance(chunk, ThinkingChunk) and (everyone or chunk.agent == agent):
                    joins = last is None or same_block(last, chunk)
                    last = chunk
                    emit(chunk.text if joins else separator + chunk.text)

            return Handlers(on_next)

        return Stage(source, attach)

    return operator


def tools(agents: str = "all") -> Operator[Chunk, ToolUseChunk | ToolProgressChunk | ToolResultChunk]:
    """Let through the calls of tools, their progress and their results.

        T  Input  Use  T  Progress  Result  |
                  Use     Progress  Result  |

    Args:
        agents: "all", "main", or the id of one sub-agent (the tool call that started it).

    At a `RetractedChunk`: nothing; a call that it takes back was never complete, so it did not pass.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import TextChunk, ToolUseChunk
        >>> rx.of(TextChunk("I look"), ToolUseChunk("t1", "Bash", {})).pipe(tools()).run().name
        'Bash'
    """

    everyone, agent = agents == "all", None if agents == "main" else agents

    def operator(
        source: Observable[Chunk],
    ) -> Observable[ToolUseChunk | ToolProgressChunk | ToolResultChunk]:
        def wanted(chunk: Any) -> bool:
            return isinstance(chunk, _TOOLS) and (everyone or chunk.agent == agent)

        return _filtered(source, wanted)

    return operator


def tool_output(tool_use_id: str | None = None) -> Operator[Chunk, str]:
    r"""Emit what running commands write, as `str`, while they run.

        Use  Out"1\n"  Out"2\n"  Result  |
             "1\n"     "2\n"             |

    Needs `SessionOptions(tool_output=...)`. Bytes that the CLI had no more when it was asked are named in
    their place.

    Args:
        tool_use_id: the call of one command; `None` takes all.

    At a `RetractedChunk`: nothing.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import ToolOutputChunk
        >>> rx.of(ToolOutputChunk("toolu_1", "task", "12 passed")).pipe(tool_output()).run()
        '12 passed'
    """

    def operator(source: Observable[Chunk]) -> Observable[str]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            emit = downstream.on_next

            def on_next(chunk: Chunk) -> None:
                if isinstance(chunk, ToolOutputChunk) and tool_use_id in (None, chunk.tool_use_id):
                    gap = f"[... {chunk.skipped:,} bytes ...]\n" if chunk.skipped else ""
                    emit(gap + chunk.text)

            return Handlers(on_next)

        return Stage(source, attach)

    return operator


def _filtered(source: Observable[Any], wanted: Callable[[Any], bool]) -> Observable[Any]:
    """Return the items of a source that are wanted."""

    def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
        emit = downstream.on_next

        def on_next(item: Any) -> None:
            if wanted(item):
                emit(item)

        return Handlers(on_next)

    return Stage(source, attach)
