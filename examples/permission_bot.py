"""A bot that decides about what the agent asks: one edited command, one denial, one answer.

It runs the agent on the folder it is started in: `python examples/permission_bot.py "Tidy up here"`.
"""

from __future__ import annotations

import asyncio
import sys

from rxccsdk import Allow, AskChunk, ClaudeSession, Deny, SessionOptions
from rxccsdk import operators as cc


def decide(ask: AskChunk) -> Allow | Deny | dict[str, str]:
    """Answer one question of the agent."""
    if ask.kind == "plan":
        return Allow()
    if ask.kind == "question":
        return {q["question"]: q["options"][0]["label"] for q in ask.input["questions"]}
    command = str(ask.input.get("command", ""))
    if command.startswith("rm "):
        return Deny("Nothing is deleted here. Move it to trash/ instead.")
    if command.startswith("git push"):
        return Allow(input={**ask.input, "command": f"{command} --dry-run"})
    return Allow(remember=ask.suggestions[:1])


async def main(prompt: str) -> None:
    """Ask, and print what it says and what was decided."""
    async with ClaudeSession(SessionOptions(ask="stream")) as session:
        turn = session.stream(prompt)
        response = await turn.pipe(cc.answer_asks(decide), cc.print_text(), cc.to_response())
        print(f"\n{response.error or 'done'}")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Tidy up here"))
