"""What a person, or a program, answers to the agent's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rxccsdk.chunks import AskChunk, Frame


@dataclass(frozen=True, slots=True)
class Allow:
    """Let the agent do it.

    Attributes:
        input: what the tool gets instead of the input it was called with; `None` leaves that.
        remember: rules to remember, out of the question's `suggestions`: what they allow is asked no more.

    Example:
        >>> Allow(input={"command": "ls"}).input
        {'command': 'ls'}
    """

    input: dict[str, Any] | None = None
    remember: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """Do not let the agent do it.

    Attributes:
        reason: why, in words; the agent reads them.
        interrupt: stop the whole turn.
    """

    reason: str = "The user said no."
    interrupt: bool = False


QuestionAnswers = Mapping[str, str | Sequence[str]]
"""The answers to a question, by its text: a label of its options, several of them, or free text."""

AskAnswer = Allow | Deny | QuestionAnswers


def permission_result(ask: AskChunk, answer: AskAnswer) -> Frame:
    """Return an answer as the CLI spells it.

    Raises:
        TypeError: it is no answer.
        ValueError: it does not fit the question.
    """
    if isinstance(answer, Deny):
        return {"behavior": "deny", "message": answer.reason, "interrupt": answer.interrupt}
    if isinstance(answer, Allow):
        allowed: Frame = {
            "behavior": "allow",
            "updatedInput": ask.input if answer.input is None else answer.input,
        }
        return {**allowed, "updatedPermissions": list(answer.remember)} if answer.remember else allowed
    if not isinstance(answer, Mapping):
        raise TypeError(f"An answer is Allow(...), Deny(...) or a dict of answers, not {answer!r}.")
    if ask.kind != "question":
        raise ValueError(f"This is no question but a {ask.kind}: answer it with Allow() or Deny().")
    asked = ask.input.get("questions")
    frames = [q for q in asked if isinstance(q, dict)] if isinstance(asked, list) else []
    questions = [str(question.get("question")) for question in frames]
    unknown = [question for question in answer if question not in questions]
    if unknown:
        raise ValueError(f"The agent did not ask {unknown[0]!r}. It asks: {questions}.")
    answers = {question: _words(words) for question, words in answer.items()}
    return {"behavior": "allow", "updatedInput": {**ask.input, "answers": answers}}


def _words(answer: str | Sequence[str]) -> str:
    return answer if isinstance(answer, str) else ", ".join(answer)
