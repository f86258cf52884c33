"""A durable log: what a turn wrote, for whoever reads on, on whatever machine, after whatever crash."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from rxccsdk.errors import RxccError


class LogError(RxccError):
    """A durable log cannot be read or written."""


class OvertakenError(LogError):
    """An entry came too late: one with its id, or a later one, was there before it."""


class EntryId(NamedTuple):
    """Where an entry stands in its log. Ids increase; what is between them does not matter.

    Example:
        >>> str(EntryId(0, 7)), EntryId.of("0-7") < EntryId.of("1-0")
        ('0-7', True)
    """

    turn: int
    number: int

    def __str__(self) -> str:
        return f"{self.turn}-{self.number}"

    @classmethod
    def of(cls, text: str) -> EntryId:
        """Read what `str` of an id has written."""
        turn, _, number = text.partition("-")
        return cls(int(turn), int(number))


class Entry(NamedTuple):
    """What was appended at once."""

    id: EntryId
    data: bytes


class TurnLog(Protocol):
    """Logs by their keys: to append to, to read on from any place, and to forget the beginning of.

    The increasing ids are what makes it safe. To append the same entry again does nothing, so whoever does
    not know whether an entry was kept appends it again; and of two writers who append with the same id one
    comes too late, and knows.
    """

    async def append(self, key: str, id: EntryId, data: bytes) -> None:
        r"""Append an entry. It is kept when this returns; the same again does nothing.

        Args:
            key: which log; any text.
            id: after those of all entries before.
            data: whole lines, each a JSON object, as a cassette has them, each with its "\n".

        Raises:
            OvertakenError: there is another entry with this id, or one with a later id.
            LogError: it cannot be written.
            ValueError: the data is of another shape.
        """

    def read(self, key: str, after: EntryId | None = None, *, follow: bool = True) -> AsyncGenerator[Entry]:
        """Yield the entries after one, in order, each once: those that are there, then those that come.

        Args:
            key: which log; it need not be there yet.
            after: the last one seen; `None` reads from the first that is left.
            follow: wait for more; without, end behind the last one that is there.

        Raises:
            LogError: it cannot be read.
        """

    async def trim(self, key: str, before: EntryId | None = None) -> None:
        """Forget the entries before this one, but for the last: ids go on from it.

        Args:
            key: which log.
            before: the first entry to keep; `None` forgets the whole log, ids included.

        Raises:
            LogError: it cannot be written.
        """

    async def aclose(self) -> None:
        """Leave nothing open."""


def checked(data: bytes) -> bytes:
    r"""Return the data if it can be appended.

    Raises:
        ValueError: it is empty, has no "\n" at its end, or a line in it is no object.
    """
    if not data.endswith(b"\n"):
        raise ValueError("An entry has one or more whole lines.")
    for line in data[:-1].split(b"\n"):
        if not (line.startswith(b"{") and line.endswith(b"}")) or line.startswith(MARK):
            raise ValueError(f"A line of an entry is a JSON object as cassettes have them, not {line[:60]!r}")
    return data


MARK = b'{"rxccsdk_entry":"'
"""How the last line of an entry begins in a file: with its id."""
