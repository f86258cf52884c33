"""The agent's questions to its user: which wait, and what becomes of each.

They come as `can_use_tool` control requests, and their answers go back as control responses. A recording has
both, so that an answer that comes in is our own of back then.
"""

from __future__ import annotations

from typing import Any, Literal

from rxccsdk.chunks import Frame

_KINDS: dict[str, Literal["question", "plan"]] = {"AskUserQuestion": "question", "ExitPlanMode": "plan"}
Decision = Literal["allow", "deny", "withdrawn"]


class Asks:
    """The questions that wait for an answer, each with the turn it belongs to, in their order."""

    def __init__(self) -> None:
        self._open: dict[str, int | None] = {}
        self._decided: dict[str, Decision] = {}

    def put(self, frame: Frame, turn: int | None) -> tuple[Any, ...] | None:
        """Note a control request; return the fields of its `AskChunk`, or `None` where it is no question."""
        request = frame.get("request")
        if not isinstance(request, dict) or request.get("subtype") != "can_use_tool":
            return None
        request_id, given = str(frame.get("request_id")), request.get("input")
        tool, call = str(request.get("tool_name")), request.get("tool_use_id")
        suggestions = request.get("permission_suggestions")
        self._open[request_id] = turn
        return (
            request_id,
            _KINDS.get(tool, "permission"),
            tool,
            call if isinstance(call, str) else None,
            given if isinstance(given, dict) else {},
            tuple(s for s in suggestions if isinstance(s, dict)) if isinstance(suggestions, list) else (),
        )

    def waits(self, ask_id: str) -> bool:
        """Whether a question waits for its answer."""
        return ask_id in self._open

    def decision(self, ask_id: str) -> Decision | None:
        """Return what became of a question; `None` where it waits, or is none."""
        return self._decided.get(ask_id)

    def decide(self, ask_id: str, decision: Decision) -> int | None:
        """Note what became of a question that waits; return its turn."""
        self._decided[ask_id] = decision
        return self._open.pop(ask_id)

    def left(self, turn: int | None) -> list[str]:
        """Return the questions of a turn that wait."""
        return [ask_id for ask_id, of in self._open.items() if of == turn]


def outcome(response: Any) -> tuple[Decision, str | None]:
    """Return what an answer decides, and its words."""
    if not isinstance(response, dict) or response.get("behavior") != "allow":
        message = response.get("message") if isinstance(response, dict) else None
        return "deny", message if isinstance(message, str) else None
    given = response.get("updatedInput")
    answers = given.get("answers") if isinstance(given, dict) else None
    if not isinstance(answers, dict):
        return "allow", None
    return "allow", "; ".join(f"{question} {answer}" for question, answer in answers.items())
