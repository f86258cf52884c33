"""Where views write: standard output with all that can become of it, and the library's log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from rxccsdk.cli.codes import BAD_TURN, CommandError
from rxccsdk.display.live import LiveDisplay
from rxccsdk.display.progress_table import ProgressTable
from rxccsdk.text.harmless import escaped
from rxccsdk.text.printing import encodable


class Output:
    """Standard output, for text and for JSON. A reader that is gone ends the command, quietly.

    Args:
        on_closed: called once when the reader is gone.
    """

    encoding = "utf-8"

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed
        self.closed = False
        self.failure: OSError | None = None
        self.ends_line = True

    def write(self, text: str) -> None:
        """Write and flush."""
        if self.closed or not text:
            return
        try:
            try:
                sys.stdout.write(text)
            except UnicodeEncodeError:
                sys.stdout.write(encodable(text, sys.stdout))
            sys.stdout.flush()
            self.ends_line = text.endswith("\n")
        except OSError as error:
            self._fail(error)

    def write_json(self, line: str) -> None:
        """Write a line in UTF-8, whatever the locale is."""
        if self.closed:
            return
        try:
            sys.stdout.buffer.write(escaped(line).encode("utf-8", "replace") + b"\n")
            sys.stdout.buffer.flush()
        except OSError as error:
            self._fail(error)

    def flush(self) -> None:
        """Nothing: each write does."""

    def end_line(self) -> None:
        """End the line, if one is open."""
        if not self.ends_line:
            self.write("\n")

    def check(self) -> None:
        """Raise what kept it from being written; that the reader has gone away is no failure.

        Raises:
            CommandError: the disk is full, for one.
        """
        if self.failure is not None:
            raise CommandError(f"cannot write the answer: {self.failure.strerror}", BAD_TURN)

    def _fail(self, error: OSError) -> None:
        self.closed = True
        self.failure = None if isinstance(error, BrokenPipeError) else error
        self._on_closed()


class LogNotes(logging.Handler):
    """What the library logs becomes a note of the display, instead of breaking into its lines."""

    def __init__(self, display: LiveDisplay | ProgressTable | None) -> None:
        super().__init__(logging.WARNING)
        self._display = display

    def __enter__(self) -> None:
        logging.getLogger("rxccsdk").addHandler(self)

    def __exit__(self, *exc_info: object) -> None:
        logging.getLogger("rxccsdk").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Show it."""
        if self._display is not None:
            self._display.note(f"! {record.getMessage()}", "yellow")
