"""The strategies generate legal turns, and every rare kind of turn."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rxccsdk import (
    Chunk,
    MessageChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TextChunk,
    ToolResultChunk,
    ToolUseChunk,
    UserChunk,
)
from rxccsdk.testing.strategies import INTERRUPTION_NOTE, RESUME_NOTE, pieces, texts, turns


@given(chunks=turns())
def test_turns_are_legal(chunks: list[Chunk]) -> None:
    assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
    assert all(before.at <= after.at for before, after in pairwise(chunks))
    assert [type(chunk) for chunk in chunks].count(ResultChunk) == 1
    assert isinstance(chunks[-1], ResultChunk)
    first_seen: list[int] = []
    for chunk in chunks:
        block = getattr(chunk, "block", None)
        if block is not None and block not in first_seen:
            first_seen.append(block)
    assert first_seen == list(range(len(first_seen)))
    open_messages: set[str | None] = set()
    called: set[str] = set()
    for chunk in chunks:
        if isinstance(chunk, MessageChunk):
            assert (chunk.message_id in open_messages) == (chunk.event != "start")
            if chunk.event == "start":
                open_messages.add(chunk.message_id)
            elif chunk.event == "stop":
                open_messages.remove(chunk.message_id)
        elif isinstance(chunk, RetractedChunk):
            assert chunk.message_id in open_messages
            assert chunk.blocks
            assert all(block in first_seen or block == -1 for block in chunk.blocks)
        elif isinstance(chunk, ToolUseChunk):
            called.add(chunk.id)
        elif isinstance(chunk, ToolResultChunk):
            assert chunk.tool_use_id in called
    assert not open_messages


@given(chunks=turns(retractions=False, sub_agents=0))
def test_what_can_be_left_out(chunks: list[Chunk]) -> None:
    assert not any(isinstance(chunk, RetractedChunk) for chunk in chunks)
    assert {chunk.agent for chunk in chunks} == {None}


@given(data=st.data(), text=texts())
def test_pieces_join_and_the_first_shows_something(data: st.DataObject, text: str) -> None:
    cut = data.draw(pieces(text))
    assert "".join(cut) == text
    assert all(cut)
    assert cut[0].strip()


def test_every_odd_turn_comes_up() -> None:
    seen: set[str] = set()

    @settings(max_examples=200, phases=[Phase.generate], derandomize=True, database=None)
    @given(chunks=turns())
    def look(chunks: list[Chunk]) -> None:
        kinds = {type(chunk).__name__ for chunk in chunks}
        seen.update(kinds)
        main = [chunk for chunk in chunks if chunk.agent is None]
        notes = [chunk.text for chunk in chunks if isinstance(chunk, UserChunk) and chunk.synthetic]
        retracted = [chunk for chunk in chunks if isinstance(chunk, RetractedChunk)]
        reasons = [chunk.stop_reason for chunk in chunks if isinstance(chunk, MessageChunk)]
        systems = [chunk.subtype for chunk in chunks if isinstance(chunk, SystemChunk)]
        agents = {chunk.agent for chunk in chunks} - {None}
        end = chunks[-1]
        assert isinstance(end, ResultChunk)
        for name, there in {
            "resume": RESUME_NOTE in notes,
            "interruption": INTERRUPTION_NOTE in notes,
            "resume after a retraction": any(
                isinstance(first, RetractedChunk)
                and isinstance(third, UserChunk)
                and third.text == RESUME_NOTE
                for first, _, third in zip(main, main[1:], main[2:], strict=False)
            ),
            "max_tokens": "max_tokens" in reasons,
            "retry": "api_retry" in systems,
            "replaced": any(chunk.replaced for chunk in retracted),
            "not replaced": any(not chunk.replaced for chunk in retracted),
            "a tool call that never began": any(-1 in chunk.blocks for chunk in retracted),
            "two agents": len(agents) == 2,
            "no text": not any(isinstance(chunk, TextChunk) for chunk in chunks) and bool(end.result),
            "no cost": end.total_cost_usd is None,
            "failed": end.is_error,
        }.items():
            if there:
                seen.add(name)

    look()
    missing = {
        *(kind.__name__ for kind in Chunk.__subclasses__() if kind.__module__ == Chunk.__module__),
        *("resume", "interruption", "resume after a retraction", "max_tokens", "retry", "replaced"),
        *("not replaced", "a tool call that never began", "two agents", "no text", "no cost", "failed"),
    } - seen
    assert not missing
