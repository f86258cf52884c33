"""Answering what the agent asks, where it asks it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.chunks import AskChunk, DecisionChunk
from rxccsdk.errors import ControlError, SessionClosedError
from rxccsdk.session.asks import AskAnswer, Deny, permission_result
from rxccsdk.session.hot import HotChunks
from rxccsdk.session.talk import Talk
from rxccsdk.session.turn import Turn
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.sink import Sink

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")

Decide = Callable[[AskChunk], Awaitable[AskAnswer | None] | AskAnswer | None]


def answer_asks(f: Decide) -> Keeping:
    """Answer the agent's questions with what a function decides, and pass the stream on unchanged.

        T  Ask  Decision  ToolResult  |
        T  Ask  Decision  ToolResult  |      f(Ask) gives Allow()

    Needs `SessionOptions(ask="stream")`. `f` is called once for each question that waits: not for those that
    were decided when a late subscriber comes, nor for those of a recording, which has its own answers. Where
    it raises, or its answer does not fit the question, the agent is denied with those words, and the error is
    logged with its traceback.

    Args:
        f: given an `AskChunk`, returns `Allow(...)`, `Deny(...)`, for a question a dict of answers, or `None`
            to leave it to somebody else; sync or async. It may take as long as it wants. What it awaits is
            cancelled when the question is withdrawn, or answered by somebody else, and at dispose.

    At a `RetractedChunk`: nothing.

    Raises:
        TypeError: at the first answer, where the pipe does not begin with a turn or with `session.chunks`:
            put it before operators of reactivex.

    Example:
        >>> import reactivex as rx
        >>> from rxccsdk import AskChunk, Deny, TextChunk
        >>> rx.of(TextChunk("Hi")).pipe(answer_asks(lambda ask: Deny("not today"))).run().text
        'Hi'
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            running: dict[str, asyncio.Task[None]] = {}
            talk_of = _way_back(source)

            def on_next(item: Any) -> None:
                downstream.on_next(item)  # first: whoever watches sees the question before its decision
                if isinstance(item, AskChunk) and not downstream.subscriber.stopped:
                    ask(item)
                elif isinstance(item, DecisionChunk):
                    cancel(item.ask_id)

            def ask(question: AskChunk) -> None:
                talk = talk_of()
                if talk is not None and not talk.waits(question):
                    return
                try:
                    decided = f(question)
                except Exception as error:
                    decided = _denial(error)
                if inspect.isawaitable(decided):
                    task = asyncio.get_running_loop().create_task(_later(decided, question, talk, fail))
                    running[question.id] = task
                    task.add_done_callback(lambda _: running.pop(question.id, None))
                elif decided is not None:
                    _give(decided, question, talk, fail)

            def fail(error: Exception) -> None:
                downstream.on_error(error)

            def cancel(ask_id: str) -> None:
                task = running.pop(ask_id, None)
                if task is not None and task is not asyncio.current_task():
                    task.cancel()

            def dispose() -> None:
                for ask_id in tuple(running):
                    cancel(ask_id)

            return Handlers(on_next, dispose=dispose)

        return Stage(source, attach)

    return operator


def _way_back(source: Observable[Any]) -> Callable[[], Talk | None]:
    """Return what finds the session that the pipe begins with, once it is open."""
    root = source.root if isinstance(source, Stage) else source

    def talk() -> Talk | None:
        with suppress(SessionClosedError):
            if isinstance(root, Turn):
                return root._conductor.talk
            if isinstance(root, HotChunks):
                return root._talk()
        return None

    return talk


async def _later(
    decided: Awaitable[AskAnswer | None],
    question: AskChunk,
    talk: Talk | None,
    fail: Callable[[Exception], None],
) -> None:
    try:
        answer = await decided
    except Exception as error:
        answer = _denial(error)
    if answer is not None:
        _give(answer, question, talk, fail)


def _give(
    answer: AskAnswer, question: AskChunk, talk: Talk | None, fail: Callable[[Exception], None]
) -> None:
    if talk is None:
        fail(TypeError("answer_asks() must come first in a pipe of a turn or of session.chunks."))
        return
    try:
        response = permission_result(question, answer)
    except (TypeError, ValueError) as error:
        response = permission_result(question, _denial(error))
    with suppress(ControlError, SessionClosedError):  # decided meanwhile: somebody was faster
        talk.answer(question, response)


def _denial(error: Exception) -> Deny:
    _log.error("the function of answer_asks raised; the agent is denied", exc_info=error)
    return Deny(f"The program that decides about this failed: {error!r}")
