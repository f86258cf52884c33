"""Taking from the stream what one wants to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import (
    Chunk,
    MessageChunk,
    RetractedChunk,
    TextChunk,
    ThinkingChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.operators.core import Operator, Sink, Stage
from rxccsdk.session.flow import Inlet
from rxccsdk.session.prose import Pieces
from rxccsdk.session.stretch import Alike, none_of, text_of

_C = TypeVar("_C", bound=Chunk)

_TOOLS = (ToolUseChunk, ToolProgressChunk, ToolResultChunk)


def text(separator: str = "\n\n", agents: str = "main", settled: bool = False) -> Operator[Chunk, str]:
    r"""Give the text, piece by piece, as `str`.

        T"Hel"  T"lo"  [tool]  T"Done"  |
        "Hel"   "lo"           "\n\nDone"  |

    Joined, the pieces are `response.content`. A separator travels with the piece after it. A turn that
    succeeds without any text, as one of the CLI's own commands does, gives the text of its result.

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
        def wrap(following: Inlet, scheduler: abc.SchedulerBase | None) -> Sink:
            pieces = Pieces(separator, agents)
            if not settled:
                return Sink(pieces.flow)
            held = _Unsettled()
            return Sink(lambda items: pieces.flow(held.flow(items)), lambda: [*pieces.flow(held.rest())])

        return Stage(source, wrap)

    return operator


class _Unsettled:
    """Holds everything while a message streams, so that what is retracted is never passed on."""

    def __init__(self) -> None:
        self._held: list[Chunk] = []
        self._open_messages: set[tuple[str | None, str | None]] = set()

    def flow(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
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
            if not self._open_messages:
                yield from self.rest()

    def rest(self) -> list[Chunk]:
        """Give all that is held."""
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
    kinds = classes if len(classes) > 1 else classes[0]  # a class is asked for sooner than a tuple of one

    def operator(source: Observable[Any]) -> Observable[_C]:
        def flow(items: Iterable[Any]) -> Iterable[_C]:
            if isinstance(items, Alike):
                return items if isinstance(items.first, kinds) else none_of(items)
            return (item for item in items if isinstance(item, kinds))

        return Stage(source, lambda following, scheduler: Sink(flow))

    return operator


def thinking(separator: str = "\n\n", agents: str = "main") -> Operator[Chunk, str]:
    r"""Give the thinking, piece by piece, as `str`.

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

    def brings_thinking(chunk: Chunk) -> bool:
        return isinstance(chunk, ThinkingChunk) and (everyone or chunk.agent == agent)

    def operator(source: Observable[Chunk]) -> Observable[str]:
        def wrap(following: Inlet, scheduler: abc.SchedulerBase | None) -> Sink:
            last: ThinkingChunk | None = None

            def flow(chunks: Iterable[Chunk]) -> Iterable[str]:
                if not isinstance(chunks, Alike):
                    return pieces(chunks)
                if not brings_thinking(chunks.first):
                    return none_of(chunks)
                coming = iter(chunks)
                return chain(pieces(islice(coming, 1)), map(text_of, coming))

            def pieces(chunks: Iterable[Any]) -> Iterator[str]:
                nonlocal last
                for chunk in chunks:
                    if brings_thinking(chunk):
                        goes_on = last is None or (last.block == chunk.block and last.turn == chunk.turn)
                        last = chunk
                        yield chunk.text if goes_on else separator + chunk.text

            return Sink(flow)

        return Stage(source, wrap)

    return operator


def tools(agents: str = "all") -> Operator[Chunk, ToolUseChunk | ToolProgressChunk | ToolResultChunk]:
    """Let through what tools are called with, how they get on and what they give back.

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
        def flow(chunks: Iterable[Any]) -> Iterable[ToolUseChunk | ToolProgressChunk | ToolResultChunk]:
            if isinstance(chunks, Alike):
                return none_of(chunks)
            told = (chunk for chunk in chunks if isinstance(chunk, _TOOLS))
            return told if everyone else (chunk for chunk in told if chunk.agent == agent)

        return Stage(source, lambda following, scheduler: Sink(flow))

    return operator
