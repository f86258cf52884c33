"""Where a blank line stands between two blocks of text: told by hand, and against a slow reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from rxccsdk import (
    Chunk,
    MessageChunk,
    RetractedChunk,
    SystemChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk.session.fold import ResponseFold
from rxccsdk.testing.strategies import INTERRUPTION_NOTE, RESUME_NOTE, turns
from rxccsdk.text.pieces import Pieces, Separators
from tests.operator_laws import naive_text, result, said, without_retractions

RESUME = UserChunk(RESUME_NOTE, True)


def start(id: str) -> Chunk:
    return MessageChunk("start", message_id=id)


def stop(id: str) -> Chunk:
    return MessageChunk("stop", message_id=id)


def ended(id: str, reason: str = "end_turn") -> Chunk:
    return MessageChunk("delta", None, reason, message_id=id)


def thought(block: int, id: str) -> Chunk:
    return ThinkingChunk("hm", block, message_id=id)


def called(block: int, id: str) -> Chunk:
    return ToolUseChunk("t", "Bash", {}, block, message_id=id)


# The chunks, what stands between the blocks, and so the content. Retracted text is "gone".
STORIES: dict[str, tuple[list[Chunk], str]] = {
    "one block in pieces": ([said("a"), said("b")], "ab"),
    "neighbours in one message": ([said("a", 0), said("b", 1)], "ab"),
    "two messages": ([said("a", 0, "m"), said("b", 1, "n")], "a\n\nb"),
    "thinking between": ([said("a", 0), thought(1, "m"), said("b", 2)], "a\n\nb"),
    "a tool call between": ([said("a", 0), called(1, "m"), said("b", 2)], "a\n\nb"),
    "redacted thinking between": (
        [said("a", 0), UnknownChunk("redacted_thinking", {}, message_id="m"), said("b", 1)],
        "a\n\nb",
    ),
    "frames that are no content between": (
        [said("a", 0), UnknownChunk("new", {}), SystemChunk("status", {}), said("b", 1)],
        "ab",
    ),
    "such frames where no message has an id": (
        [said("a", 0, None), UnknownChunk("new", {}), said("b", 1, None)],
        "ab",
    ),
    "a sub-agent between": ([said("a", 0), said("s", 1, "x", agent="t"), said("b", 0)], "ab"),
    "a sub-agent's thinking between": (
        [said("a", 0), ThinkingChunk("hm", 1, agent="t", message_id="x"), said("b", 2)],
        "ab",
    ),
    "an id that comes again": ([start("m"), said("a", 0), stop("m"), start("m"), said("b", 1)], "a\n\nb"),
    "max_tokens": (
        [said("a", 0, "m"), ended("m", "max_tokens"), UserChunk("Go on.", True), said("b", 1, "n")],
        "ab",
    ),
    "max_tokens, then thinking first": (
        [
            said("a", 0),
            ended("m", "max_tokens"),
            UserChunk("Go on.", True),
            thought(1, "n"),
            said("b", 2, "n"),
        ],
        "ab",
    ),
    "max_tokens, then a tool call first": (
        [
            said("a", 0),
            ended("m", "max_tokens"),
            UserChunk("Go on.", True),
            called(1, "n"),
            said("b", 2, "n"),
        ],
        "a\n\nb",
    ),
    "a person's words are no note": (
        [said("a", 0), ended("m", "max_tokens"), UserChunk("Go on."), said("b", 1, "n")],
        "a\n\nb",
    ),
    "a resume note": ([said("a", 0, "m"), RESUME, said("b", 1, "n")], "ab"),
    "a resume note, only once": ([said("a", 0), RESUME, said("b", 1, "n"), said("c", 2, "o")], "ab\n\nc"),
    "an interruption note": (
        [said("a", 0), RESUME, UserChunk(INTERRUPTION_NOTE, True), said("b", 1, "n")],
        "a\n\nb",
    ),
    "what was cut had no text yet": (
        # "Let me look." [tool] | thinking, cut | the answer: it goes on from the thinking.
        [said("a", 0, "m"), called(1, "m"), thought(2, "n"), stop("n"), RESUME, said("b", 3, "o")],
        "a\n\nb",
    ),
    "what was cut had no text that stands": (
        [
            *(said("a", 0, "m"), start("n"), thought(1, "n"), said("gone", 2, "n")),
            *(RetractedChunk((2,), (), True, message_id="n"), stop("n"), RESUME, said("b", 3, "o")),
        ],
        "a\n\nb",
    ),
    "what was cut ended in redacted thinking": (
        [said("a", 0, "m"), UnknownChunk("redacted_thinking", {}, message_id="n"), RESUME, said("b", 1, "o")],
        "a\n\nb",
    ),
    "what was cut had redacted thinking before and after its text": (
        [
            UnknownChunk("redacted_thinking", {}, message_id="m"),
            *(said("a", 0, "m"), UnknownChunk("redacted_thinking", {}, message_id="m"), RESUME),
            said("b", 1, "n"),
        ],
        "a\n\nb",
    ),
    "thinking after the text was cut off": (
        [
            *(start("m"), said("a", 0, "m"), thought(1, "m")),
            *(RetractedChunk((1,), (), True, message_id="m"), stop("m"), RESUME, said("b", 2, "n")),
        ],
        "ab",
    ),
    "cut twice": ([said("a", 0, "m"), RESUME, thought(1, "n"), RESUME, said("b", 2, "o")], "ab"),
    "what continued is retracted": (
        [
            *(said("a", 0, "m"), RESUME, start("n"), said("gone", 1, "n")),
            *(RetractedChunk((1,), (), True, message_id="n"), stop("n"), said("b", 2, "o")),
        ],
        "ab",
    ),
    "what continued is retracted, with a tool call": (
        [
            *(said("a", 0, "m"), RESUME, start("n"), said("gone", 1, "n")),
            ToolInputChunk("t", "Bash", "{", 2, message_id="n"),
            *(RetractedChunk((1, 2), ("t",), True, message_id="n"), stop("n"), said("b", 3, "o")),
        ],
        "ab",
    ),
    "a tool call that would have continued is retracted": (
        [
            *(said("a", 0, "m"), RESUME, start("n")),
            ToolInputChunk("t", "Bash", "{", 1, message_id="n"),
            *(RetractedChunk((1,), ("t",), True, message_id="n"), stop("n"), said("b", 2, "o")),
        ],
        "ab",
    ),
    "a tool call without any input is retracted": (
        [
            *(said("a", 0, "m"), start("n"), RetractedChunk((-1,), ("t",), True, message_id="n")),
            *(stop("n"), start("o"), said("b", 1, "o")),
        ],
        "a\n\nb",
    ),
    "the first block is retracted": (
        [
            *(start("m"), said("gone", 0, "m"), RetractedChunk((0,), (), True, message_id="m"), stop("m")),
            *(start("n"), said("b", 1, "n")),
        ],
        "b",
    ),
    "all is retracted and the result says it": (
        [said("gone", 0, "m"), RetractedChunk((0,), message_id="m"), result("b")],
        "b",
    ),
    "two blocks are retracted, one after the other": (
        [
            *(said("a", 0, "m"), start("n"), said("gone", 1, "n"), RetractedChunk((1,)), stop("n")),
            *(start("o"), said("gone", 2, "o"), RetractedChunk((2,)), stop("o"), said("b", 3, "p")),
            said("c", 4, "q"),
        ],
        "a\n\nb\n\nc",
    ),
    "no text at all": ([result("from the command")], "from the command"),
    "no text and no success": ([result("words", is_error=True)], ""),
}


def content(chunks: list[Chunk]) -> str:
    fold = ResponseFold()
    for chunk in chunks:
        fold.add(chunk)
    return fold.response().content


def joined(chunks: list[Chunk], **kwargs: Any) -> str:
    pieces = Pieces(**kwargs)
    return "".join(pieces.of(chunk) or "" for chunk in chunks)


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_content(story: str) -> None:
    chunks, expected = STORIES[story]
    assert content(chunks) == expected


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_pieces(story: str) -> None:
    chunks, expected = STORIES[story]
    if without_retractions(chunks):
        assert joined(chunks) == expected


@given(chunks=turns())
def test_content_is_what_the_reference_says(chunks: list[Chunk]) -> None:
    assert content(chunks) == naive_text(chunks)


@given(chunks=turns(retractions=False))
def test_pieces_are_what_the_reference_says(chunks: list[Chunk]) -> None:
    assert joined(chunks) == naive_text(chunks)
    for agent in {chunk.agent for chunk in chunks if chunk.agent is not None}:
        assert joined(chunks, agents=agent) == naive_text(chunks, agent)


@given(chunks=turns())
def test_all_agents_are_there_in_order(chunks: list[Chunk]) -> None:
    texts = [chunk.text for chunk in chunks if type(chunk) is type(said(""))]
    if texts:
        assert joined(chunks, agents="all", separator="").startswith("".join(texts))


def test_a_separator_of_ones_own() -> None:
    assert joined([said("a", 0, "m"), said("b", 1, "n")], separator=" | ") == "a | b"


def test_agents_that_take_turns_are_kept_apart() -> None:
    chunks: list[Chunk] = [
        said("a", 0, "m"),
        RESUME,
        said("s", 1, "x", agent="t"),
        said("b", 2, "n"),
    ]
    assert joined(chunks, agents="all") == "a\n\ns\n\nb"
    assert joined(chunks) == "ab"
    assert joined(chunks, agents="t") == "s"


def test_one_turn_after_the_other() -> None:
    """In `session.chunks`, where block numbers begin anew with each turn."""
    chunks: list[Chunk] = [
        said("a", 0, "m", turn=0),
        said("", 0, "m", turn=0),
        RESUME,
        result(turn=0),
        said("b", 0, "n", turn=1),
        result(turn=1),
    ]
    assert joined(chunks) == "a\n\nb"


def test_what_a_retraction_takes_back() -> None:
    separators = Separators()
    separators.joins(said("a", 3))
    assert separators.retracts(RetractedChunk((3,)))
    assert not separators.retracts(RetractedChunk((2, 4)))
    separators.pass_over(ToolResultChunk("t", "x"))
    assert separators.retracts(RetractedChunk((2, 3)))
    separators.pass_over(result())
    assert not separators.retracts(RetractedChunk((3,))), "of another turn"
