"""The bot's tests: no account, no network, no plugin for coroutines.

`loopback_api`, `claude_options`, `scripted_cli` and `claude_cassette` are fixtures that rxccsdk brings.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import reactivex
from hypothesis import given, settings
from reactivex import operators as ops
from support_bot import INSTRUCTIONS, Answer, SupportBot, for_customers

from rxccsdk import Chunk, ClaudeSession, SessionOptions, SystemChunk, TextChunk, ToolUseChunk
from rxccsdk import operators as cc
from rxccsdk.testing import Marbles, assert_clean, reply, steps, strategies, text_turn


def ask(session: ClaudeSession, *questions: str) -> tuple[list[Answer], str]:
    """Ask the bot, give its answers and all it showed."""
    shown: list[str] = []

    async def main() -> list[Answer]:
        async with session:
            bot = SupportBot(session, shown.append)
            return [await bot.answer(question) for question in questions]

    with assert_clean():
        return asyncio.run(main()), "".join(shown)


def test_the_bot_looks_into_the_files(loopback_api: Any, claude_options: Any, tmp_path: Path) -> None:
    """The real CLI and its real tools; only the model is scripted."""
    order = tmp_path / "orders.txt"
    order.write_text("4711: on its way")
    api = loopback_api(
        [
            reply("Let me look. ").tool("Read", {"file_path": str(order)}),
            reply().thinking("It is on its way.").text("Your order 4711 is on its way."),
        ]
    )
    options = claude_options(api, cwd=tmp_path, system_prompt=INSTRUCTIONS, allowed_tools=["Read"])
    [answer], shown = ask(ClaudeSession(options), "Where is order 4711?")

    assert answer == Answer("Let me look. \n\nYour order 4711 is on its way.", complete=True)
    assert shown == answer.text
    first, second = api.requests
    assert first.prompt == "A customer asks:\n\nWhere is order 4711?"
    assert "bicycle shop" in first.system
    assert "4711: on its way" in str(second.tool_results)


def test_a_crash_is_no_stack_trace_for_the_customer(scripted_cli: Any) -> None:
    """What the real CLI cannot be made to do, the scripted one does."""
    half = text_turn("We open at nine and close at six", pieces=4)[:6]
    cli = scripted_cli(steps(*half).stderr("out of memory").exit(137))
    [answer], shown = ask(ClaudeSession(SessionOptions(cli_path=cli.path)), "When do you open?")

    assert answer == Answer("We open at nine ", complete=False)
    assert shown == "We open at nine \nSorry, I lost my train of thought. A colleague will write to you."


def test_a_conversation(claude_cassette: Any) -> None:
    """A session recorded once, with `pytest --record-cassettes`, and replayed ever since."""
    session = claude_cassette(SessionOptions(system_prompt=INSTRUCTIONS, max_turns=1))
    answers, _ = ask(session, "Do you repair e-bikes?", "And on Saturdays?")

    assert [answer.complete for answer in answers] == [True, True]
    assert "e-bike" in answers[0].text
    assert "Saturday" in answers[1].text


def test_customers_see_pieces_of_a_quarter_second() -> None:
    """The bot's own operator, on virtual time."""
    marbles = Marbles(
        {
            "s": SystemChunk("status", {}),
            "a": TextChunk("Your order "),
            "b": TextChunk("is on "),
            "c": TextChunk("its way."),
            "t": ToolUseChunk("toolu_1", "Read", {"file_path": "orders.txt"}),
            "A": "Your order is on ",
            "C": "its way.",
        },
        tick=0.05,
    )
    source = marbles.cold("s-a-b--t---c|")
    marbles.check(for_customers(source), "-------A----(C,|)")
    assert marbles.subscriptions(source) == [(0, 12)]


@settings(max_examples=25, deadline=None)
@given(strategies.turns(retractions=False))
def test_customers_see_the_whole_answer(chunks: list[Chunk]) -> None:
    """Whatever a turn may look like, customers miss nothing that is in the response."""
    source = reactivex.from_iterable(chunks)
    shown = for_customers(source).pipe(ops.to_list()).run()
    assert "".join(shown) == source.pipe(cc.to_response()).run().content
