"""Data out of what the agent writes, while it still writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter
from reactivex import Observable, abc

from rxccsdk.chunks import Chunk, RetractedChunk
from rxccsdk.errors import StructureError
from rxccsdk.operators.readings import ArrayItems, GrowingValue, Reading
from rxccsdk.operators.reduce import turn_of
from rxccsdk.operators.written import CalledInput, WrittenText
from rxccsdk.session.structure import OUTPUT_TOOL
from rxccsdk.text.flow import Handlers, Stage
from rxccsdk.text.sink import Sink

_M = TypeVar("_M")
_M_co = TypeVar("_M_co", covariant=True)


class Structuring(Protocol[_M_co]):
    """An operator that reads chunks or text. A protocol, because mypy infers no alias inside a pipe."""

    def __call__(self, source: Observable[Chunk] | Observable[str], /) -> Observable[_M_co]: ...


def parse_json(model: type[_M] | TypeAdapter[_M], tool: str | None = None) -> Structuring[_M]:
    r"""Emit ever more complete instances of a model while the agent writes its JSON.

        T'{"city": "Par'   T'is", "sq'   T'km": 105'   T'.4}'   |
        M(city="Par")      M(city="Paris")             M(city="Paris", sqkm=105.4) |

    Every instance is validated; nothing comes before the required fields are there. Until the end each one
    goes on from the one before: a string grows where any string would be valid, so that a date or a
    `Literal` comes when it is whole; a number or literal comes when it cannot grow any more. The last one is
    the whole JSON, validated. Of a long JSON not every piece makes an instance, so that the work stays in
    proportion to its length.

    The JSON may stand in prose or in a code fence. It is the first object or array of the text that fits the
    model; where the session has `SessionOptions(output=...)`, it is what the agent hands in. With `tool` it
    is the input of the first call that fits: a call that does not is answered with an error and made again.
    Where an instance was emitted of what then does not fit after all, the next value starts over. The main
    agent's text, or its calls, are read. Works on `str` streams too.

    Args:
        model: a pydantic model, dataclass, `TypedDict` or `list[...]`, or a `TypeAdapter` of any of these.
        tool: read the input of this tool instead of the text.

    Fails with `StructureError`, which has the text, where nothing fits. That is known at the end of the
    source, not before: what does not fit may yet be taken back.

    At a `RetractedChunk`: where it takes back text or input that was read, it starts over with what stands.

    Example:
        >>> import reactivex as rx
        >>> from pydantic import BaseModel
        >>> class City(BaseModel):
        ...     name: str
        ...     people: int | None = None
        >>> pieces = rx.of('Here: {"name": "Pa', 'ris", "peo', 'ple": 21', '03} Voila.')
        >>> pieces.pipe(parse_json(City)).subscribe(print).dispose()
        name='Pa' people=None
        name='Paris' people=None
        name='Paris' people=2103
    """
    adapter = _adapter(model)

    def operator(source: Observable[Chunk] | Observable[str]) -> Observable[_M]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            turn = turn_of(source)
            has_output = turn is not None and turn._output is not None
            read = OUTPUT_TOOL if tool is None and has_output else tool
            return _handlers(source, downstream, read, lambda: GrowingValue(adapter))

        return Stage(source, attach)

    return operator


def elements(model: type[_M] | TypeAdapter[_M]) -> Structuring[_M]:
    r"""Emit each item of a JSON array, validated, as soon as it is complete.

        T'[{"n": 1}, {"'   T'n": 2}'   T']'   |
        M(n=1)             M(n=2)             |

    The array may stand in prose, in a code fence or in an object: it is the first array of the text's first
    JSON that has one, if its first item fits. The main agent's text is read. Works on `str` streams too.

    Args:
        model: of one item: a pydantic model, dataclass, `TypedDict` or other type, or a `TypeAdapter`.

    Fails with `StructureError`, which has the text, where an item does not fit, the array is not complete,
    or there is none. That is known at the end of the source, not before: it may yet be taken back.

    At a `RetractedChunk`: where it takes back text that was read, it starts over with what stands; items that
    stand are not emitted again, items of what replaces the text are.

    Example:
        >>> import reactivex as rx
        >>> rx.of('The primes: [2, 3', ', 5] and so', ' on.').pipe(elements(int)).subscribe(print).dispose()
        2
        3
        5
    """
    adapter = _adapter(model)

    def operator(source: Observable[Chunk] | Observable[str]) -> Observable[_M]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            return _handlers(source, downstream, None, lambda: ArrayItems(adapter))

        return Stage(source, attach)

    return operator


def _adapter(model: Any) -> TypeAdapter[Any]:
    return model if isinstance(model, TypeAdapter) else TypeAdapter(model)


def _handlers(
    source: Observable[Any],
    downstream: Sink,
    tool: str | None,
    begin: Callable[[], Reading[_M]],
) -> Handlers:
    """Feed what is written to a reading; begin a new one where something of it is taken back."""
    text = WrittenText() if tool is None else CalledInput(tool)
    reading = begin()

    def on_next(item: Any) -> None:
        nonlocal reading
        if isinstance(item, RetractedChunk):
            kept = text.retract(item)
            if kept is not None:
                before, reading = reading, begin()
                reading.replaces(before, kept)
                downstream.emit(reading.feed("".join(text.pieces)))
            return
        if text.begins_anew(item) and reading.fault() is not None:
            text.clear()
            reading = begin()
        piece = text.take(item)
        if piece:
            downstream.emit(reading.feed(piece))

    def on_completed() -> None:
        fault = reading.fault()
        if fault is None:
            downstream.on_completed()
        else:
            downstream.on_error(_error(fault))

    def _error(fault: str) -> StructureError:
        turn = turn_of(source)
        partial = turn.response if turn is not None else None
        error = StructureError(fault, text="".join(text.pieces), partial=partial)
        error.__cause__ = reading.cause
        return error

    return Handlers(on_next, lambda: reading.rest(), None, on_completed)
