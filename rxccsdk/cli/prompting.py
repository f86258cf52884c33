"""Where a prompt is typed: prompt_toolkit's editor, with a history and as many lines as it takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

_PROMPT = FormattedText([("bold ansicyan", "› ")])
_HELD_BACK = "Ctrl+D ends the chat"


class Prompter:
    """Reads prompts. Enter sends, Alt+Enter begins a line; arrows and Ctrl+R find earlier prompts.

    Args:
        commands: what Tab completes, and what each does.
    """

    def __init__(self, commands: Mapping[str, str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            _PROMPT,
            multiline=True,
            prompt_continuation="  ",
            history=kept_history(),
            key_bindings=_keys(),
            completer=_Commands(commands),
            complete_while_typing=False,
            enable_suspend=True,
            reserve_space_for_menu=4,
        )

    async def read(self, begun: str = "") -> str | None:
        """Return the next prompt; `None` at the end (Ctrl+D). Ctrl+C throws away what is typed.

        Args:
            begun: what stands there already, to be edited.
        """
        hint = ""
        while True:
            try:
                text = await self._session.prompt_async(
                    default=begun,
                    placeholder=FormattedText([("ansibrightblack", hint)]),
                    handle_sigint=False,
                    set_exception_handler=False,
                )
            except EOFError:
                return None
            except KeyboardInterrupt:
                text, hint = "", _HELD_BACK
            begun = ""
            if text.strip():
                return text


class _Commands(Completer):
    def __init__(self, commands: Mapping[str, str]) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Complete the name of a command."""
        typed = document.text_before_cursor
        if typed.startswith("/"):
            for name, about in self._commands.items():
                if name.startswith(typed):
                    yield Completion(name, -len(typed), display_meta=about)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def kept_history() -> History:
    """Return the prompts of earlier chats, from a file that only its owner reads; none where it cannot be."""
    try:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        file = state / "rxccsdk" / "chat-history"
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600))
    except (OSError, RuntimeError):  # no such place, or no home
        return InMemoryHistory()
    return FileHistory(file)
