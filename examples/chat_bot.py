"""A chat bot's answer: messages of at most 2,000 characters, edited while it is written, every 0.8 s at most.

Run it: python examples/chat_bot.py "What is in this folder?"
"""

import asyncio
import sys

from reactivex import of
from reactivex import operators as ops

from rxccsdk import ClaudeSession
from rxccsdk import operators as cc


class Channel:
    """Where the bot talks. Put the calls of your chat's library in here."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def show(self, text: str) -> None:
        """Send the pages that are new, and edit those that have changed."""
        for number, page in enumerate(await of(text).pipe(cc.pages(limit=2000), ops.to_list())):
            if number == len(self.messages):
                self.messages.append(page)
            elif page != self.messages[number]:
                self.messages[number] = page


async def main(prompt: str) -> None:
    channel = Channel()
    async with ClaudeSession() as session:
        await session.stream(prompt).pipe(cc.tap_latest(channel.show, every=0.8))
    print(*channel.messages, sep="\n--\n")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What is in this folder?"))
