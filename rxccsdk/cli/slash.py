"""What can be typed in a chat that is no prompt: `/copy`, `/save`, `/model`, `/context`, `/rewind`, ..."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from rxccsdk.display.wording import one_line
from rxccsdk.errors import ControlError, RxccError, SessionClosedError
from rxccsdk.session.session import ClaudeSession
from rxccsdk.text.harmless import harmless

if TYPE_CHECKING:
    from rxccsdk.cli.conversation import Chat, Said

COMMANDS = {
    "/copy": "the last answer, as Markdown, into the clipboard",
    "/save": "the conversation, as Markdown, into a file: /save FILE",
    "/model": "which models there are; another one: /model NAME",
    "/context": "what fills the context",
    "/rewind": "the prompts so far; back to before one, and the files, too: /rewind NUMBER",
    "/help": "this",
}
_KEYS = {
    "Enter": "sends",
    "Alt+Enter": "begins a line",
    "Esc, Ctrl+C": "interrupt the agent; what it said stays",
    "Up, Ctrl+R": "earlier prompts, also of other chats",
    "Ctrl+D": "ends the chat",
}
_LONGEST = 60  # characters of a prompt in a list


def is_command(line: str) -> bool:
    """Return whether a line is one of ours. Other words with a slash are the CLI's: `/compact`, `/clear`."""
    return line.split(maxsplit=1)[:1] in ([name] for name in COMMANDS)


class Commands:
    """The commands of a chat."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._saved: set[Path] = set()
        self._known: dict[str, Callable[[str], Awaitable[None]]] = {
            "/copy": self._copy,
            "/save": self._save,
            "/model": self._model,
            "/context": self._context,
            "/rewind": self._rewind,
            "/help": self._help,
        }

    async def run(self, line: str) -> bool:
        """Do what a line says, if it is a command; return whether it is. What goes wrong is said."""
        if not is_command(line):
            return False
        name, _, argument = line.strip().partition(" ")
        try:
            await self._known[name](argument.strip())
        except (ControlError, SessionClosedError, OSError) as error:
            self._complain(str(error))
        return True

    async def _copy(self, argument: str) -> None:
        answers = [answer for said in self._chat.said if (answer := said.turn.response.content)]
        if not answers:
            self._complain("there is no answer to copy yet")
            return
        self._chat.copy(answers[-1])
        self._note(f"{len(answers[-1])} characters given to the terminal for its clipboard")

    async def _save(self, argument: str) -> None:
        if not self._chat.said:
            self._complain("there is nothing to save yet")
            return
        file = argument or f"chat-{(self._chat.session.session_id or 'unnamed')[:8]}.md"
        try:
            self._write(Path(file), transcript(self._chat.said))
        except FileExistsError:
            self._complain(f"{file} is there already: give another name")
        else:
            self._note(f"saved as {file}")

    def _write(self, file: Path, text: str) -> None:
        """Write a file that is new, or was written by this chat."""
        file = file.expanduser().absolute()
        mode = "w" if file in self._saved else "x"
        with file.open(mode, encoding="utf-8", errors="replace") as opened:
            opened.write(text)
        self._saved.add(file)

    async def _model(self, argument: str) -> None:
        if argument:
            await self._chat.session.set_model(argument)
            self._note(f"{argument} answers from now on")
            return
        table = Table.grid(padding=(0, 2))
        for model in await self._chat.session.models():
            table.add_row(one_line(model.name), Text(one_line(model.description), "dim"))
        self._chat.say(table)

    async def _context(self, argument: str) -> None:
        usage = await self._chat.session.context_usage()
        table = Table.grid(padding=(0, 2))
        for part in usage.categories:
            style = "" if part.kind == "used" else "dim"
            share = f"{part.tokens / usage.most:.1%}" if usage.most else ""
            table.add_row(
                Text(one_line(part.name), style), Text(f"{part.tokens:,}", style), Text(share, style)
            )
        self._chat.say(Text(f"{usage.tokens:,} of {usage.most:,} tokens, {usage.share:.0%}", "bold"))
        self._chat.say(table)

    async def _rewind(self, argument: str) -> None:
        said = self._chat.said
        if self._chat.runs:
            self._complain("the agent works: stop it first, with Esc")
        elif not said:
            self._complain("there is nothing to go back to yet")
        elif not argument:
            for number, one in enumerate(said, 1):
                self._chat.say(Text(f"{number:3}  {one_line(one.prompt, _LONGEST)}"))
            self._note("/rewind NUMBER goes back to before that prompt")
        elif not argument.isdecimal() or not 1 <= int(argument) <= len(said):
            self._complain(f"there are the prompts 1 to {len(said)}")
        else:
            await self._go_back(int(argument) - 1)

    async def _go_back(self, index: int) -> None:
        """Take a prompt and all that followed it back; put it where it can be edited."""
        chat, taken = self._chat, self._chat.said[index]
        old = chat.session
        if index:
            before = chat.said[index - 1]
            new = before.session.at(before.turn).fork()
        elif chat.options.resume or chat.options.continue_conversation:
            self._complain("this is where the earlier session was taken up: begin a new chat instead")
            return
        else:
            new = ClaudeSession(chat.options)
        try:
            await chat.go_on_in(new)
        except RxccError as error:
            await new.aclose()
            self._complain(f"it cannot go back: {error}")
            return
        try:
            files = (await old.rewind_files(taken.turn)).files
        except (ControlError, SessionClosedError) as error:
            self._complain(f"files stay as they are: {error}")
        else:
            self._note(f"{len(files)} file{'' if len(files) == 1 else 's'} put back")
        await old.aclose()
        del chat.said[index:]
        chat.begun = taken.prompt

    async def _help(self, argument: str) -> None:
        table = Table.grid(padding=(0, 2))
        for name, about in (*_KEYS.items(), *COMMANDS.items()):
            table.add_row(Text(name, "bold"), about)
        self._chat.say(table)
        self._note("What you type while the agent works reaches it at its next step.")
        self._note("Other words with a slash, such as /compact, are the CLI's own.")

    def _note(self, words: str) -> None:
        self._chat.say(Text(harmless(words), "dim"))

    def _complain(self, words: str) -> None:
        self._chat.say(Text(f"! {harmless(words)}", "yellow"))


def transcript(said: list[Said]) -> str:
    """Return a conversation as Markdown."""
    parts = []
    for one in said:
        response = one.turn.response
        parts += ["## Prompt", one.prompt, "## Answer", response.content]
        if response.error:
            parts.append(f"*{response.error}*")
    return "\n\n".join(part for part in parts if part) + "\n"
