"""Taking from the stream what one wants to see."""

from __future__ import annotations

from collections.abc import Callable
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
from rxccsdk.session.prose import Pieces

_C = TypeVar("_C", bound=Chunk)


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
        def wrap(observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None) -> Sink[Chunk]:
            on_next = Pieces(separator, agents).listener(observer.on_next)
            if settled:
                return _settled(on_next, observer)
            return Sink(on_next, observer.on_error, observer.on_completed)

        return Stage(source, wrap)

    return operator


def _settled(pass_on: Callable[[Chunk], None], observer: abc.ObserverBase[str]) -> Sink[Chunk]:
    """Hold everything while a message streams, so that what is retracted was never passed on."""
    held: list[Chunk] = []
    stopped = False
    open_messages: set[tuple[str | None, str | None]] = set()

    def release() -> None:
        released = held[:]
        held.clear()
        for chunk in released:
            if not stopped:
                pass_on(chunk)

    def on_next(chunk: Chunk) -> None:
        if isinstance(chunk, MessageChunk):
            message = (chunk.agent, chunk.message_id)
            if chunk.event == "start":
                open_messages.add(message)
            elif chunk.event == "stop":
                open_messages.discard(message)
        elif isinstance(chunk, RetractedChunk):
            gone = set(chunk.blocks)
            held[:] = [c for c in held if not (isinstance(c, TextChunk) and c.block in gone)]
        held.append(chunk)
        if not open_messages:
            release()

    def on_error(error: Exception) -> None:
        release()
        if not stopped:
            observer.on_error(error)

    def on_completed() -> None:
        release()
        if not stopped:
            observer.on_completed()

    def stop() -> None:  # also from inside an on_next, while more is being released
        nonlocal stopped
        stopped = True

    return Sink(on_next, on_error, on_completed, stop)


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

    def operator(source: Observable[Any]) -> Observable[_C]:
        def wrap(observer: abc.ObserverBase[_C], scheduler: abc.SchedulerBase | None) -> Sink[Any]:
            emit = observer.on_next

            def on_next(chunk: Any) -> None:
                if isinstance(chunk, classes):
                    emit(chunk)

            return Sink(on_next, observer.on_error, observer.on_completed)

        return Stage(source, wrap)

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

    def operator(source: Observable[Chunk]) -> Observable[str]:
        def wrap(observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None) -> Sink[Chunk]:
            emit = observer.on_next
            last: ThinkingChunk | None = None

            def on_next(chunk: Chunk) -> None:
                nonlocal last
                if isinstance(chunk, ThinkingChunk) and (everyone or chunk.agent == agent):
                    goes_on = last is None or (last.block == chunk.block and last.turn == chunk.turn)
                    last = chunk
                    emit(chunk.text if goes_on else separator + chunk.text)

            return Sink(on_next, observer.on_error, observer.on_completed)

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
        def wrap(
            observer: abc.ObserverBase[ToolUseChunk | ToolProgressChunk | ToolResultChunk],
            scheduler: abc.SchedulerBase | None,
        ) -> Sink[Chunk]:
            emit = observer.on_next

            def on_next(chunk: Chunk) -> None:
                if isinstance(chunk, (ToolUseChunk, ToolProgressChunk, ToolResultChunk)) and (
                    everyone or chunk.agent == agent
                ):
                    emit(chunk)

            return Sink(on_next, observer.on_error, observer.on_completed)

        return Stage(source, wrap)

    return operator
