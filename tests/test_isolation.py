"""What a callback raises ends what it should, and nothing else: each kind, out of each place (law 6)."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions
from claude_code_sdk import ClaudeCodeOptions
from reactivex import Observable
from reactivex import operators as ops

from rxccsdk import Chunk, ClaudeSession, SessionOptions, TextChunk
from rxccsdk import operators as cc
from rxccsdk.testing import ScriptedCli, assert_clean, steps, text_turn

ORDINARY: list[type[BaseException]] = [ValueError]
ENDS_ITS_SUBSCRIBER: list[type[BaseException]] = [asyncio.CancelledError, GeneratorExit]
GOES_ON_TO_THE_LOOP: list[type[BaseException]] = [KeyboardInterrupt, SystemExit]

WORDS = "one two three"

Raise = Callable[[Any], Any]
Pipe = Callable[[Observable[Chunk], Raise], Observable[Any]]


class BrokenFile(io.StringIO):
    def __init__(self, fail: Raise) -> None:
        super().__init__()
        self._fail = fail

    def write(self, text: str) -> int:
        self._fail(text)
        return len(text)


WATCHING: dict[str, Pipe] = {
    "tap_chunks": lambda turn, fail: turn.pipe(cc.tap_chunks(fail)),
    "tap_text": lambda turn, fail: turn.pipe(cc.tap_text(fail)),
    "print_text": lambda turn, fail: turn.pipe(cc.print_text(0, BrokenFile(fail))),
    "tap_chunks, further down": lambda turn, fail: turn.pipe(cc.by_word(), cc.tap_chunks(fail)),
}
"""Callbacks that only watch."""

DECIDING: dict[str, Pipe] = {
    "map": lambda turn, fail: turn.pipe(cc.text(), ops.map(fail)),
    "filter": lambda turn, fail: turn.pipe(cc.text(), ops.filter(fail)),
}
"""Callbacks that decide what is emitted."""


def raising(kind: type[BaseException]) -> Raise:
    def fail(_: Any) -> None:
        raise kind("out of a callback")

    return fail


class Seen:
    """What one subscriber got."""

    def __init__(self, source: Observable[Any]) -> None:
        self.items: list[Any] = []
        self.errors: list[Exception] = []
        self.completed = False
        source.subscribe(self.items.append, self.errors.append, self._complete)

    def _complete(self) -> None:
        self.completed = True

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.items if isinstance(item, TextChunk))


@pytest.fixture
def options(tmp_path: Path) -> Any:
    with ScriptedCli(tmp_path / "cli", [text_turn(WORDS, pieces=5)] * 2) as cli:
        yield SessionOptions(cli_path=cli.path, backend="claude-code-sdk")


async def beside(options: SessionOptions, pipe: Pipe, kind: type[BaseException]) -> tuple[Seen, Seen, Any]:
    """Subscribe a callback that raises beside one that does not; return both, and the next turn's answer."""
    async with ClaudeSession(options) as session:
        turn = session.stream("go")
        broken, other = Seen(pipe(turn, raising(kind))), Seen(turn)
        await turn.wait()
        while not other.completed:
            await asyncio.sleep(0)
        return broken, other, await session.query("again")


@pytest.mark.parametrize("place", WATCHING)
async def test_an_exception_of_what_watches_costs_nothing(
    options: SessionOptions, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "rxccsdk"):
        broken, other, after = await beside(options, WATCHING[place], ValueError)
    assert broken.text == other.text == WORDS
    assert broken.completed
    assert after.content == WORDS
    traces = [record for record in caplog.records if record.exc_info]
    assert len(traces) == 1, "the traceback once; then a count"


@pytest.mark.parametrize("place", DECIDING)
async def test_an_exception_of_what_decides_is_its_subscriber_s_error(
    options: SessionOptions, place: str
) -> None:
    broken, other, after = await beside(options, DECIDING[place], ValueError)
    assert [type(error) for error in broken.errors] == [ValueError]
    assert other.text == after.content == WORDS


@pytest.mark.parametrize("kind", ENDS_ITS_SUBSCRIBER)
@pytest.mark.parametrize("place", [*WATCHING, *DECIDING])
async def test_a_cancellation_out_of_a_callback_ends_its_subscriber_and_no_other(
    options: SessionOptions, place: str, kind: type[BaseException]
) -> None:
    broken, other, after = await beside(options, {**WATCHING, **DECIDING}[place], kind)
    assert not broken.completed
    assert len(broken.errors) == 1
    assert kind.__name__ in str(broken.errors[0])
    assert other.text == after.content == WORDS


def observers(fail: Raise, *, handles_errors: bool) -> dict[str, dict[str, Any]]:
    """What `subscribe` is given, by what raises in it."""
    handler = {"on_error": lambda error: None} if handles_errors else {}
    return {
        "on_next": {"on_next": fail, **handler},
        "on_completed": {"on_completed": lambda: fail(None), **handler},
        "on_error": {"on_error": fail, "on_next": raising(asyncio.CancelledError)},
    }


@pytest.mark.parametrize("kind", [*ORDINARY, *ENDS_ITS_SUBSCRIBER])
@pytest.mark.parametrize("handles_errors", [True, False])
@pytest.mark.parametrize("raises", ["on_next", "on_completed", "on_error"])
async def test_an_observer_that_raises_costs_no_other(
    options: SessionOptions,
    raises: str,
    handles_errors: bool,
    kind: type[BaseException],
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = observers(raising(kind), handles_errors=handles_errors)[raises]
    async with ClaudeSession(options) as session:
        turn = session.stream("go")
        turn.subscribe(**given)
        session.chunks.subscribe(**given)
        other, hot = Seen(turn), Seen(session.chunks)
        await turn.wait()
        assert (await turn.pipe(cc.to_response())).content == other.text == hot.text == WORDS
        assert (await session.query("again")).content == WORDS
    assert hot.completed
    traces = [record for record in caplog.records if record.exc_info]
    assert len(traces) <= 2, "one for each of the two"
    if kind is ValueError:
        assert len(traces) == 2


@pytest.mark.parametrize("kind", [*ORDINARY, *ENDS_ITS_SUBSCRIBER])
@pytest.mark.parametrize("operator", [cc.tap_text, cc.tap_chunks])
async def test_what_is_raised_while_an_async_callback_waits_costs_nothing(
    options: SessionOptions, operator: Any, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_later(_: Any) -> None:
        await asyncio.sleep(0)
        raise kind("out of a callback")

    broken, other, after = await beside(options, lambda turn, _: turn.pipe(operator(fail_later)), kind)
    while not broken.completed:
        await asyncio.sleep(0)
    assert broken.text == other.text == after.content == WORDS
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.parametrize("kind", [*ORDINARY, *ENDS_ITS_SUBSCRIBER])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_progress_callback_that_raises_is_a_warning(
    options: SessionOptions, kind: type[BaseException], is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_later(text: str) -> None:
        await asyncio.sleep(0)
        raise kind("out of a callback")

    async with ClaudeSession(options) as session:
        callback = fail_later if is_async else raising(kind)
        response = await session.query("go", progress_callback=callback)
        assert response.content == WORDS
        assert any(kind.__name__ in warning for warning in response.warnings)
        assert len([record for record in caplog.records if record.exc_info]) == 1
        assert (await session.query("again")).content == WORDS


def async_raising(fail: Raise) -> Callable[[Any], Any]:
    async def fail_later(item: Any) -> None:
        await asyncio.sleep(0)
        fail(item)

    return fail_later


async def tap_async(session: ClaudeSession, fail: Raise) -> None:
    await session.stream("go").pipe(cc.tap_text(async_raising(fail)))


async def observe_chunks(session: ClaudeSession, fail: Raise) -> None:
    session.chunks.subscribe(fail)
    await session.stream("go")


async def observe_end(session: ClaudeSession, fail: Raise) -> None:
    turn = session.stream("go")
    turn.subscribe(on_completed=lambda: fail(None))
    await turn.pipe(ops.delay(5.0))


async def query_with_progress(session: ClaudeSession, fail: Raise) -> None:
    await session.query("go", progress_callback=fail)


async def query_with_async_progress(session: ClaudeSession, fail: Raise) -> None:
    await session.query("go", progress_callback=async_raising(fail))


USES = (tap_async, observe_chunks, observe_end, query_with_progress, query_with_async_progress)


def ends_the_program(
    options: SessionOptions, use: Callable[[ClaudeSession], Awaitable[Any]], kind: type[BaseException]
) -> None:
    pids: list[int] = []

    async def program() -> None:
        async with ClaudeSession(options) as session:
            pids.append(session._exchange._transport._process._transport.get_pid())  # type: ignore[attr-defined]
            await use(session)

    with assert_clean(), pytest.raises(kind):
        asyncio.run(program())
    assert not Path(f"/proc/{pids[0]}").exists()


@pytest.mark.parametrize("kind", GOES_ON_TO_THE_LOOP)
@pytest.mark.parametrize("place", [*WATCHING, *DECIDING])
def test_an_interrupt_out_of_an_operator_s_callback_ends_the_program_s_loop_and_the_agent(
    options: SessionOptions, place: str, kind: type[BaseException]
) -> None:
    pipe = {**WATCHING, **DECIDING}[place]
    ends_the_program(options, lambda session: pipe(session.stream("go"), raising(kind)), kind)


@pytest.mark.parametrize("kind", GOES_ON_TO_THE_LOOP)
@pytest.mark.parametrize("use", USES)
def test_an_interrupt_out_of_any_other_callback_does_the_same(
    options: SessionOptions, use: Callable[[ClaudeSession, Raise], Awaitable[Any]], kind: type[BaseException]
) -> None:
    ends_the_program(options, lambda session: use(session, raising(kind)), kind)


class StderrFile(io.StringIO):
    def __init__(self, fail: Raise) -> None:
        super().__init__()
        self._fail = fail

    def write(self, text: str) -> int:
        self._fail(text.strip())
        return len(text)


def with_stderr(backend: str, callback: Raise) -> Any:
    if backend == "claude-agent-sdk":
        return ClaudeAgentOptions(stderr=callback)
    return ClaudeCodeOptions(debug_stderr=StderrFile(callback), extra_args={"debug-to-stderr": None})


@pytest.mark.parametrize("kind", [*ORDINARY, *ENDS_ITS_SUBSCRIBER])
async def test_a_stderr_callback_that_raises_is_called_no_more(
    tmp_path: Path, backend: str, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []

    def fail(line: str) -> None:
        said.append(line)
        raise kind("no room")

    loud = steps().stderr("one\ntwo\n")
    with ScriptedCli(tmp_path / "cli", [text_turn(WORDS)], on_start=loud) as cli:
        options = SessionOptions(cli_path=cli.path, sdk_options=with_stderr(backend, fail))
        async with ClaudeSession(options) as session:
            assert (await session.query("go")).content == WORDS
    assert said == ["one"]
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.parametrize("kind", GOES_ON_TO_THE_LOOP)
def test_an_interrupt_out_of_a_stderr_callback_ends_the_program(
    tmp_path: Path, backend: str, kind: type[BaseException]
) -> None:
    loud = steps(*text_turn(WORDS)).stderr("one\ntwo\n").pause(20)
    with ScriptedCli(tmp_path / "cli", [loud]) as cli:
        options = SessionOptions(cli_path=cli.path, sdk_options=with_stderr(backend, raising(kind)))

        async def use(session: ClaudeSession) -> None:
            await session.query("go")
            await asyncio.sleep(20)

        ends_the_program(options, use, kind)
