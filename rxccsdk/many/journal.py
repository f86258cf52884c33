"""What was answered, in a file that outlives a crash."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import Counter
from io import FileIO
from pathlib import Path
from typing import Any

from rxccsdk.errors import RxccError
from rxccsdk.many.answer import Answer
from rxccsdk.session.prompt import Prompt
from rxccsdk.session.response import SessionResponse

_VERSION = 1


class Journal:
    """Lines of JSON, one for each prompt that came to an end.

    A prompt is found again by what it says, and where several say the same, by their order. Of a line that a
    crash cut short nothing counts.

    Args:
        path: the file; it is made where it is missing.

    Attributes:
        spent: what all of it has cost, in USD.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.spent = 0.0
        self._answered: dict[tuple[str, int], tuple[SessionResponse, int]] = {}
        self._file: FileIO | None = None

    def open(self) -> None:
        """Read what is there, and keep others out until it is closed.

        Raises:
            RxccError: it cannot be read or written, is no journal, or another program writes it.
        """
        try:
            self._file = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(self._file)
        except BlockingIOError as error:
            self.close()
            raise RxccError(f"{self._path} is written by another program now.") from error
        except OSError as error:
            self.close()
            raise RxccError(f"Cannot open the journal {self._path}: {error.strerror}.") from error
        except RxccError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def answered(self, key: tuple[str, int]) -> tuple[SessionResponse, int] | None:
        """Return the response to a prompt that succeeded, and after how many tries."""
        return self._answered.get(key)

    def write(self, answer: Answer, key: tuple[str, int], cost: float) -> None:
        """Add a line. It is on the disk when this returns.

        Args:
            answer: what became of a prompt.
            key: what the prompt is found by.
            cost: of all tries, in USD.

        Raises:
            OSError: it cannot be written.
        """
        assert self._file is not None
        line = {
            "v": _VERSION,
            "index": answer.index,
            "prompt": answer.prompt,
            "again": key[1],
            "tries": answer.tries,
            "cost_usd": cost,
            "response": answer.response.model_dump(),
        }
        data = json.dumps(line, default=str).encode("ascii") + b"\n"
        while data:
            data = data[self._file.write(data) or 0 :]
        os.fsync(self._file.fileno())

    def _read(self, file: FileIO) -> None:
        whole = 0  # bytes of whole lines
        data = file.readall()
        for number, line in enumerate(data.splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                break
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise RxccError(f"{self._path}, line {number}: not a line of a journal.") from error
            whole += len(line)
        file.truncate(whole)
        file.seek(whole)

    def _take(self, line: dict[str, Any]) -> None:
        if line["v"] != _VERSION:
            raise ValueError(line["v"])
        self.spent += float(line["cost_usd"])
        response = SessionResponse.model_validate(line["response"])
        if response.success:
            self._answered[_digest(line["prompt"]), int(line["again"])] = response, int(line["tries"])


def keys(prompts: list[Prompt]) -> list[tuple[str, int]]:
    """Return what each prompt is found by: a digest, and how many before it are the same."""
    seen: Counter[str] = Counter()
    found = []
    for prompt in prompts:
        digest = _digest(prompt)
        found.append((digest, seen[digest]))
        seen[digest] += 1
    return found


def _digest(prompt: Prompt) -> str:
    return hashlib.sha256(json.dumps(prompt, sort_keys=True).encode("ascii")).hexdigest()
