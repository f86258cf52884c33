"""The terminal behind a file: how large it is, whether it is ours to paint on, and the mode we borrow."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from collections.abc import Iterator
from typing import TextIO, cast

from rich.console import Console

LOCAL_FLAGS = 3  # where `tcgetattr` has them


class Terminal:
    """What a console writes to. Where that is no real terminal, it is always ours and has no modes.

    Keys that are pressed while rows are painted must not appear among them, so `take` turns the echo off;
    all else, Ctrl+C and Ctrl+Z among it, stays as it is. `give_back` turns it on again if it was on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._file = cast(TextIO, console.file)
        self._descriptor = _descriptor(self._file)
        self._echo = False  # it was on, and we turned it off

    @property
    def key(self) -> tuple[str, int]:
        """What is the same for all files that lead to this terminal."""
        return key_of(self._file) or ("file", id(self._file))

    def size(self) -> tuple[int, int]:
        """Return its columns and rows, now."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                columns, lines = os.get_terminal_size(self._descriptor)
                if columns and lines:
                    return columns, lines
        return self._console.size

    def is_ours(self) -> bool:
        """Whether we are in its foreground: a job in the background must not paint."""
        if self._descriptor is None:
            return True
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # not our controlling terminal: no shell shares it
            return True

    def take(self) -> None:
        """Turn the echo off."""
        with attributes_of(self._descriptor) as attributes:
            if attributes and attributes[LOCAL_FLAGS] & termios.ECHO:
                attributes[LOCAL_FLAGS] &= ~termios.ECHO
                self._echo = True

    def give_back(self) -> None:
        """Turn it on again, whatever else was changed meanwhile."""
        if self._echo and self.is_ours():
            self._echo = False
            with attributes_of(self._descriptor) as attributes:
                if attributes:
                    attributes[LOCAL_FLAGS] |= termios.ECHO

    def write(self, text: str) -> None:
        """Write and flush; raises `OSError` where nobody reads any more."""
        # The class's own method: the object's may be the one that leads here.
        try:
            try:
                type(self._file).write(self._file, text)
            except UnicodeEncodeError:
                encoding = self._file.encoding or "ascii"
                type(self._file).write(self._file, text.encode(encoding, "replace").decode(encoding))
            self._file.flush()
        except ValueError as error:
            raise BrokenPipeError("the terminal's file is closed") from error


@contextlib.contextmanager
def attributes_of(descriptor: int | None) -> Iterator[list[int]]:
    """Let a terminal's attributes be changed; there are none where it is no terminal."""
    if descriptor is None:
        yield []
        return
    try:
        attributes = termios.tcgetattr(descriptor)
    except (OSError, termios.error):
        yield []
        return
    before = list(attributes)
    yield attributes
    if attributes != before:
        # Blocked, SIGTTOU does not stop us where a shell has taken the terminal this very moment.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def key_of(file: object) -> tuple[str, int] | None:
    """Return the same for all files that lead to the same terminal; `None` for what is none."""
    descriptor = _descriptor(file)
    if descriptor is None:
        return None
    with contextlib.suppress(OSError):
        return "terminal", os.fstat(descriptor).st_rdev
    return None


def _descriptor(file: object) -> int | None:
    try:
        descriptor = file.fileno()  # type: ignore[attr-defined]
        return int(descriptor) if os.isatty(descriptor) else None
    except (AttributeError, OSError, ValueError):
        return None
