"""The toolkit call: unchanged, silent by default, live on request."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from typing import Any

import pytest

from rxccsdk import SessionCrashedError, SessionOptions
from rxccsdk.testing import reply, steps, text_turn, turn
from tests.conftest import Scripted
from tests.test_scripted_cli import half_a_message

pytestmark = pytest.mark.usefixtures("no_leftovers")

TWO_BLOCKS = turn(reply("Hello, ").text("world"), reply("Bye."))
WORDS = "Hello, world\n\nBye."


async def test_silent_by_default(scripted: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    async with scripted(TWO_BLOCKS) as session:
        response = await session.query("go")
    assert response.content == WORDS
    assert response.success
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("option", "argument", "prints"),
    [(True, None, True), (False, True, True), (True, False, False), (False, False, False)],
)
async def test_stream_output_and_the_argument_that_wins(
    scripted: Scripted, capsys: pytest.CaptureFixture[str], option: bool, argument: bool | None, prints: bool
) -> None:
    async with scripted(TWO_BLOCKS, session={"stream_output": option}) as session:
        await session.query("go", stream=argument)
    assert capsys.readouterr().out == (WORDS + "\n" if prints else "")


async def test_the_callback_gets_the_same_pieces(scripted: Scripted) -> None:
    ours: list[str] = []
    theirs: list[str] = []
    async with scripted(TWO_BLOCKS, TWO_BLOCKS, session={"progress_callback": ours.append}) as session:
        await session.query("go")
        await session.query("again", progress_callback=theirs.append)
    assert "".join(ours) == "".join(theirs) == WORDS
    assert len(ours) > 2


async def test_text_is_printed_while_it_arrives(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    page = io.StringIO()
    monkeypatch.setattr(sys, "stdout", page)
    plan = steps(*half_a_message("live ")).silence()
    async with scripted(plan) as session:
        asking = asyncio.create_task(session.query("go", stream=True))
        async with asyncio.timeout(5):
            while page.getvalue() != "live ":
                await asyncio.sleep(0.001)
        await session.interrupt()
        response = await asking
    assert response.error_kind == "interrupted"
    assert page.getvalue() == "live \n"


async def test_an_async_callback_runs_in_order_and_is_waited_for(scripted: Scripted) -> None:
    got: list[str] = []

    async def slow(piece: str) -> None:
        await asyncio.sleep(0.002)
        got.append(piece)

    async with scripted(TWO_BLOCKS) as session:
        await session.query("go", progress_callback=slow)
    assert "".join(got) == WORDS


async def test_a_callback_that_raises_is_logged_listed_and_called_again(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def bad(piece: str) -> None:
        calls.append(piece)
        raise ZeroDivisionError("oops")

    async with scripted(TWO_BLOCKS) as session:
        with caplog.at_level(logging.ERROR, logger="rxccsdk"):
            response = await session.query("go", progress_callback=bad)
    assert response.content == WORDS
    assert "".join(calls) == WORDS
    assert any("ZeroDivisionError('oops')" in warning for warning in response.warnings)
    assert caplog.records[0].exc_info is not None


async def test_a_closed_pipe_costs_the_printing_only(scripted: Scripted, monkeypatch: Any) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    async with scripted(TWO_BLOCKS) as session:
        response = await session.query("go", stream=True)
    assert response.content == WORDS
    assert response.warnings == ["printing stopped: BrokenPipeError()"]


async def test_a_broken_session_raises_with_the_partial_response(
    scripted: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    async with scripted(steps(*half_a_message("half ")).exit(3)) as session:
        with pytest.raises(SessionCrashedError) as caught:
            await session.query("go", stream=True)
    assert caught.value.partial is not None
    assert caught.value.partial.content == "half "
    assert capsys.readouterr().out == "half \n"


async def test_many_queries_at_once_are_answered_in_order(scripted: Scripted) -> None:
    async with scripted(*(text_turn(f"answer {n}") for n in range(5))) as session:
        answers = await asyncio.gather(*(session.query(f"prompt {n}") for n in range(5)))
    assert [answer.content for answer in answers] == [f"answer {n}" for n in range(5)]


def test_the_toolkits_options_keep_their_names() -> None:
    options = SessionOptions(stream_output=True, progress_callback=print)
    assert options.stream_output
    assert options.progress_callback is print
