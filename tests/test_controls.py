"""What is asked of the CLI beside prompts, and what it answers: with the real CLI, and both SDKs."""

from __future__ import annotations

import asyncio

import pytest

from rxccsdk import ClaudeSession, ControlError, SessionClosedError
from rxccsdk.testing import reply
from tests.conftest import Real


async def test_a_control_request_is_answered_between_turns_and_in_one(real: Real) -> None:
    async with real([reply("Hello").hang()]) as session:
        version = await session.control("get_binary_version")
        turn = session.stream("go")
        async with turn:
            async for _ in turn:
                break
            both = await asyncio.gather(session.control("get_binary_version"), session.control("mcp_status"))
        assert version == both[0]


async def test_what_the_cli_does_not_know_is_an_error_in_its_words(real: Real) -> None:
    async with real([reply("Hello")]) as session:
        with pytest.raises(ControlError, match=r"no_such_thing.*[Uu]nsupported control request"):
            await session.control("no_such_thing")
        assert (await session.query("go")).content == "Hello"


async def test_a_session_that_is_not_open_takes_no_control_request() -> None:
    session = ClaudeSession()
    with pytest.raises(SessionClosedError):
        await session.control("mcp_status")
