"""Putting the agent's questions to the person at the keyboard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markdown import Markdown
from rich.text import Text

from rxccsdk.chunks import AskChunk
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.wording import call_in_words, one_line
from rxccsdk.session.asks import Allow, AskAnswer, Deny
from rxccsdk.text.harmless import harmless

_LONGEST = 2000  # characters of an input that are shown
_WHERE = {
    "session": "for this session",
    "localSettings": "in this project, for you",
    "projectSettings": "in this project, for everybody",
    "userSettings": "in all your projects",
}


class Person:
    """Answers the agent's questions by asking who sits at the terminal. Give `decide` to `cc.answer_asks`.

    Args:
        display: shows the question, and reads the line that answers it.

    Example:
        with LiveDisplay() as display:
            source = session.stream("Tidy up").pipe(cc.answer_asks(Person(display).decide))
            await source.pipe(cc.tap_chunks(display.show), cc.to_response())
    """

    def __init__(self, display: LiveDisplay) -> None:
        self._display = display

    async def decide(self, ask: AskChunk) -> AskAnswer:
        """Ask until there is an answer. Where standard input has ended, the agent is denied."""
        try:
            if ask.kind == "question":
                return await self._question(ask)
            return await self._permission(ask)
        except EOFError:
            return Deny("Nobody is at the keyboard to answer.")

    async def _permission(self, ask: AskChunk) -> Allow | Deny:
        self._show(ask)
        rules = suggestion_in_words(ask.suggestions)
        if rules:
            self._display.print(Text(f"  always would allow: {rules}", "dim"))
        while True:
            always = ", [a]lways" if rules else ""
            line = await self._display.ask(f"Allow it? [y]es{always}, [n]o, n REASON >")
            word, _, reason = line.strip().partition(" ")
            if word.lower() in ("y", "yes"):
                return Allow()
            if word.lower() in ("a", "always") and rules:
                return Allow(remember=ask.suggestions)
            if word.lower().rstrip(",:;") in ("n", "no"):
                return Deny(reason.strip()) if reason.strip() else Deny()
            self._say(f"{'y, a or n' if rules else 'y or n'}, please: nothing happens before you answer.")

    def _show(self, ask: AskChunk) -> None:
        if ask.kind == "plan":
            plan = str(ask.input.get("plan") or "The agent has written it above, or into its file of plans.")
            self._display.print(Text("? The plan:", "bold yellow"))
            self._display.print(Markdown(harmless(plan)))
            return
        words = call_in_words(ask.input)
        name = one_line(ask.tool_name, 60)
        self._display.print(Text.assemble(("? ", "bold yellow"), (name, "bold"), f" {words}".rstrip()))
        rest = {key: value for key, value in ask.input.items() if one_line(str(value)) != words}
        for key, value in rest.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            shown = harmless(text[:_LONGEST]) + (" …" if len(text) > _LONGEST else "")
            rest_of_it = shown.replace("\n", "\n    ")
            self._display.print(Text(f"  {one_line(str(key), 40)}: {rest_of_it}", "dim"))

    async def _question(self, ask: AskChunk) -> dict[str, str | Sequence[str]]:
        answers: dict[str, str | Sequence[str]] = {}
        for question in ask.input.get("questions") or ():
            if isinstance(question, Mapping):
                answers[str(question.get("question"))] = await self._choice(question)
        return answers

    async def _choice(self, question: Mapping[str, Any]) -> str | list[str]:
        """Ask one question; options are chosen by number or name, anything else is an answer in words."""
        found = question.get("options")
        options = [o for o in found if isinstance(o, Mapping)] if isinstance(found, list) else []
        labels = [str(option.get("label")) for option in options]
        several = question.get("multiSelect") is True
        self._display.print(
            Text.assemble(("? ", "bold yellow"), (one_line(str(question.get("question"))), "bold"))
        )
        for number, option in enumerate(options, 1):
            about = one_line(str(option.get("description") or ""))
            label = one_line(labels[number - 1], 100)
            self._display.print(Text.assemble(f"  {number} {label}", (f"  {about}" if about else "", "dim")))
        how = "numbers with commas" if several else "a number"
        while True:
            line = (await self._display.ask(f"Your answer ({how}, or your own words) >")).strip()
            parts = [part.strip() for part in line.split(",")] if several else [line]
            if all(part.isdigit() for part in parts):
                if not all(1 <= int(part) <= len(labels) for part in parts):
                    self._say(f"There are the numbers 1 to {len(labels)}.")
                    continue
                chosen = [labels[int(part) - 1] for part in parts]
                return chosen if several else chosen[0]
            if line:
                return line

    def _say(self, words: str) -> None:
        self._display.print(Text(words, "yellow"))


def suggestion_in_words(suggestions: Sequence[Mapping[str, Any]]) -> str:
    """Return what remembering these suggestions would allow, "" where there is none.

    Example:
        >>> rule = {"toolName": "Bash", "ruleContent": "git push:*"}
        >>> suggestion_in_words([{"type": "addRules", "rules": [rule], "destination": "session"}])
        'Bash(git push:*) for this session'
    """
    parts = []
    for suggestion in suggestions:
        where = _WHERE.get(str(suggestion.get("destination")), "")
        if suggestion.get("type") == "setMode":
            what = f"mode {suggestion.get('mode')}"
        elif suggestion.get("type") == "addDirectories":
            what = "work in " + ", ".join(map(str, suggestion.get("directories") or ()))
        else:
            rules = suggestion.get("rules")
            what = (
                ", ".join(_rule(rule) for rule in rules if isinstance(rule, Mapping))
                if isinstance(rules, list)
                else ""
            )
        if what:
            parts.append(f"{what} {where}".rstrip())
    return one_line("; ".join(parts))


def _rule(rule: Any) -> str:
    if not isinstance(rule, Mapping):
        return str(rule)
    content = rule.get("ruleContent")
    return f"{rule.get('toolName')}({content})" if content else str(rule.get("toolName"))
