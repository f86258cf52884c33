"""What does not belong on a command line goes through files: long texts, and what may hold secrets.

Linux takes 128 KiB an argument, and shows every process's arguments to everybody.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

_LONGEST = 100_000 if os.name == "posix" else 8_000  # bytes of one argument

_FILE_FLAGS = {
    "--system-prompt": "--system-prompt-file",
    "--append-system-prompt": "--append-system-prompt-file",
    "--settings": "--settings",
    "--mcp-config": "--mcp-config",
}


class TextFiles:
    """The files of one CLI's command line, readable by their owner only. They live until `close`."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def replace(self, argv: Sequence[str]) -> list[str]:
        """Return the command line with files for long texts and for MCP servers' configurations."""
        replaced = list(argv)
        for place, (flag, value) in enumerate(pairwise(argv)):
            if flag not in _FILE_FLAGS:
                continue
            has_headers = flag == "--mcp-config" and value.lstrip().startswith("{")
            if has_headers or len(value.encode()) > _LONGEST:
                replaced[place : place + 2] = [_FILE_FLAGS[flag], self._write(f"{place}{flag}", value)]
        return replaced

    def close(self) -> None:
        """Remove them."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _write(self, name: str, text: str) -> str:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="rxccsdk-"))  # mode 0700
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)
