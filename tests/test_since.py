"""A client that reconnects reads on where it stopped."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxccsdk import Chunk, TextChunk, Turn, cassettes
from rxccsdk.session.session import ClaudeSession
from rxccsdk.testing import reply
from tests.conftest import Real


async def test_a_client_that_left_reads_on_live(real: Real) -> None:
    script = [reply("One two three. ").tool("Bash", {"command": "true", "description": "x"}), reply("Four.")]
    async with real(script, allowed_tools=["Bash"]) as session:
        turn: Turn = session.stream("go", linger=30)
        seen: list[Chunk] = []
        first_text = asyncio.Event()

        def read(chunk: Chunk) -> None:
            seen.append(chunk)
            if isinstance(chunk, TextChunk):
                first_text.set()

        subscription = turn.subscribe(read)
        async with asyncio.timeout(30):
            await first_text.wait()
        subscription.dispose()
        left_at = seen[-1].seq
        seen += await turn.since(left_at).pipe(ops.to_list())
        assert [chunk.seq for chunk in seen] == list(range(len(seen)))
        assert turn.status == "completed"
        assert seen == await turn.pipe(ops.to_list())


@given(places=st.lists(st.integers(-1, 400), max_size=5))
def test_wherever_it_stopped_nothing_is_lost_and_nothing_comes_twice(places: list[int]) -> None:
    async def check() -> None:
        async with ClaudeSession.replay(cassettes.AGENT, speed=float("inf")) as session:
            turn = session.stream("again")
            whole = await turn.pipe(ops.to_list())
            for place in places:
                rest = await turn.since(place).pipe(ops.to_list())
                assert [chunk.seq for chunk in whole[: place + 1] + rest] == list(range(len(whole)))

    asyncio.run(check())
