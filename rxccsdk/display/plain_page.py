"""Plain text: what a display writes where there is no terminal, or one that cannot do more."""

from __future__ import annotations

import contextlib
import io

from rich.console import Console, RenderableType
from rich.text import Text

from rxccsdk.display.page import Speaker
from rxccsdk.text.harmless import harmless
from rxccsdk.text.printing import encodable


class PlainPage:
    """Any text file: no styling, no cursor movement, text as it comes.

    Lines of other speakers wait until the open row ends; a speaker with a label writes whole lines.

    Args:
        console: its `file` is written to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: Speaker | None = None  # whose row the file ends with
        self._waiting: dict[Speaker, tuple[int, str]] = {}
        self._held: list[str] = []
        self._blank = True

    def start(self) -> None:
        pass

    def stop(self) -> None:
        if self._open is not None:
            self._end_row()
        for speaker in tuple(self._waiting):
            self.close(speaker)

    def write(self, speaker: Speaker, text: str, depth: int) -> None:
        if speaker == Speaker("", None):
            self._out(text)
            self._open = speaker
            if text.endswith("\n"):
                self._open = None
                self._release()
            return
        _, row = self._waiting.pop(speaker, (depth, ""))
        *lines, rest = (row + text).split("\n")
        for line in lines:
            self._full_line(_plain(speaker, depth, line))
        self._waiting[speaker] = (depth, rest)

    def close(self, speaker: Speaker) -> None:
        if self._open == speaker:
            self._end_row()
        depth, row = self._waiting.pop(speaker, (0, ""))
        if row:
            self._full_line(_plain(speaker, depth, row))

    def is_open(self, speaker: Speaker) -> bool:
        return self._open == speaker or speaker in self._waiting

    def peek(self, speaker: Speaker, text: str, depth: int) -> None:
        pass

    def line(self, speaker: Speaker, text: Text, depth: int, end: str = "") -> None:
        self.close(speaker)
        self._full_line(_plain(speaker, depth, text.plain + end))

    def lines(self, speaker: Speaker, text: Text, depth: int, indent: int, most: int) -> None:
        self.line(speaker, Text(" " * indent + text.plain), depth)

    def gap(self) -> None:
        if self._open is not None:
            self._end_row()
        if not self._blank:
            self._out("\n")
        self._blank = True

    def pause(self, question: str) -> contextlib.AbstractContextManager[None]:
        if self._open is not None:
            self._end_row()
        self._out(question)
        return contextlib.nullcontext()

    def signal(self, sequence: str) -> None:
        pass

    def flush(self) -> None:
        pass

    def show(self, renderable: RenderableType) -> None:
        if self._open is not None:
            self._end_row()
        unstyled = Console(file=io.StringIO(), width=self._console.width, color_system=None, highlight=False)
        with unstyled.capture() as capture:
            unstyled.print(renderable, soft_wrap=isinstance(renderable, Text))
        self._out("\n".join(harmless(line).rstrip() for line in capture.get().split("\n")))

    def _full_line(self, line: str) -> None:
        if self._open is None:
            self._out(line + "\n")
        else:
            self._held.append(line)

    def _end_row(self) -> None:
        self._open = None
        self._out("\n")
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for line in held:
            self._out(line + "\n")

    def _out(self, text: str) -> None:
        if not text:
            return
        file = self._console.file
        try:
            file.write(text)
        except UnicodeEncodeError:
            file.write(encodable(text, file))
        file.flush()
        self._blank = text.endswith("\n\n") or (text == "\n" and self._blank)


def _plain(speaker: Speaker, depth: int, text: str) -> str:
    label = f"{speaker.label} | " if speaker.label else ""
    return label + "| " * depth + text
