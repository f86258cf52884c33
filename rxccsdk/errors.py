"""What can go wrong with a session. A turn that only ends badly is no error: see `SessionResponse.error`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rxccsdk.session.response import SessionResponse


class RxccError(Exception):
    """A session, its CLI or a recording failed.

    Attributes:
        partial: the response so far, where a turn was running; else `None`.
        exit_code: how the CLI ended, where known (negative: by that signal).
        stderr: the last lines the CLI wrote to its standard error.
    """

    def __init__(
        self,
        message: str,
        *,
        partial: SessionResponse | None = None,
        exit_code: int | None = None,
        stderr: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.partial = partial
        self.exit_code = exit_code
        self.stderr = tuple(stderr)

    def __str__(self) -> str:
        message = super().__str__()
        if self.stderr:
            message += "\nThe CLI's last words on stderr:\n  " + "\n  ".join(self.stderr[-10:])
        return message


class CLINotFoundError(RxccError):
    """There is no Claude Code CLI to run, or it cannot be executed."""


class SessionCrashedError(RxccError):
    """The CLI died, closed its output or could not be read while it was needed."""


class SessionClosedError(RxccError):
    """The session was closed, or had ended, before this could be sent."""


class StallError(RxccError):
    """Nothing came for longer than the limit that was set."""


class ControlError(RxccError):
    """The CLI refused a control request, does not know it, or did not answer it in time."""


class CassetteError(RxccError):
    """A recording is missing, damaged, or has no such turn."""


class StructureError(RxccError, ValueError):
    """What the agent wrote does not fit the model it was to fit.

    Attributes:
        text: what it wrote.
    """

    def __init__(self, message: str, *, text: str, partial: SessionResponse | None = None) -> None:
        super().__init__(message, partial=partial)
        self.text = text
