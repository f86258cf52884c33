"""A chat in the terminal with Textual: type a prompt, read the answer while it is written.

Run it: python examples/textual_chat.py
"""

from textual import work
from textual.app import App, ComposeResult
from textual.widgets import Input

from rxccsdk import ClaudeSession
from rxccsdk.display.textual import TurnView


class Chat(App[None]):
    """One session, one view, one line to type in."""

    def compose(self) -> ComposeResult:
        yield TurnView()
        yield Input(placeholder="Ask something")

    async def on_mount(self) -> None:
        self.session = ClaudeSession()
        await self.session.open()
        self.query_one(Input).focus()

    async def on_unmount(self) -> None:
        await self.session.aclose()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.clear()
        self.ask(event.value)

    @work
    async def ask(self, prompt: str) -> None:
        await self.query_one(TurnView).show(self.session.stream(prompt))


if __name__ == "__main__":
    Chat().run()
