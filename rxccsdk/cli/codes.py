"""How the command ends: its exit codes, and the words `--help` has for them."""

from __future__ import annotations

SUCCESS = 0
BAD_TURN = 1
USAGE = 2
NOT_READY = 3

EXIT_CODES = """\b
Exit codes:
  0    success
  1    the turn ended badly: an error, a limit, a crash, a stall
  2    wrong usage, or a file that cannot be used
  3    no Claude Code CLI, or not logged in: see `rxccsdk doctor`
  130  interrupted with Ctrl+C (143: ended by SIGTERM)
"""


class CommandError(Exception):
    """What ends a command: said on standard error, without a traceback.

    Args:
        message: what is wrong, and what to do about it.
        code: the exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
