"""Which tool calls were denied, and what would allow them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxccsdk.display.wording import one_line
from rxccsdk.session.denied import is_unasked, text_of_content


class Denials:
    """The denied calls of a turn.

    Args:
        permit: returns what to set to allow something, given an option's name and its value.

    Attributes:
        mode: the permission mode.
    """

    def __init__(self, permit: Callable[[str, str], str] | None) -> None:
        self.mode = ""
        self._permit = permit or _in_python
        self._remedies: dict[str, str] = {}

    def __contains__(self, call: str) -> bool:
        return call in self._remedies

    def clear(self) -> None:
        """Forget them: the turn is over."""
        self._remedies.clear()

    def note(self, denial: dict[str, Any]) -> str:
        """Note a denied call, as the CLI describes it; return what would allow it, "" where nothing would."""
        name = one_line(str(denial.get("tool_name") or "a tool"), 100)
        words = str(denial.get("message") or "")
        if self.mode == "plan":
            remedy = self._permit("permission_mode", "acceptEdits")
        elif words.startswith("Permission to use") and self.mode != "dontAsk":
            remedy = ""  # a rule denies it, and rules go before what is allowed
        else:
            remedy = self._permit("allowed_tools", name)
        self._remedies[str(denial.get("tool_use_id"))] = remedy
        return remedy

    def remedy(self, call: str, name: str) -> str:
        """Return what would allow a denied call."""
        if call not in self._remedies:
            self.note({"tool_use_id": call, "tool_name": name})
        return self._remedies[call]


def is_refusal(content: Any) -> bool:
    """Whether a failed call was refused, from its words: CLIs before `permission_denied` frames."""
    return is_unasked(text_of_content(content))


def _in_python(option: str, value: str) -> str:
    return f"{option}=[{value!r}]" if option == "allowed_tools" else f"{option}={value!r}"
