"""Writing a turn into its log: every line once and in order, or an end that is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk.fleet.writer import LogWriter
from rxccsdk.transport.turn_log import Entry, EntryId, LogError, OvertakenError


class Log:
    """A log in memory, which takes so many turns of the loop for each append and fails at one of them."""

    def __init__(
        self, delays: list[int], fails_at: int | None = None, error: Exception | None = None
    ) -> None:
        self.entries: list[Entry] = []
        self._delays = delays
        self._fails_at = fails_at
        self._error = error

    async def append(self, key: str, id: EntryId, data: bytes) -> None:
        for _ in range(self._delays[len(self.entries) % len(self._delays)]):
            await asyncio.sleep(0)
        if self._error is not None and len(self.entries) == self._fails_at:
            raise self._error
        self.entries.append(Entry(id, data))

    async def trim(self, key: str, before: EntryId | None = None) -> None:
        raise NotImplementedError

    def read(self, key: str, after: EntryId | None = None, *, follow: bool = True) -> AsyncGenerator[Entry]:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


@given(
    bursts=st.lists(st.lists(st.binary(max_size=8), max_size=5), max_size=8),
    pauses=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    delays=st.lists(st.integers(0, 4), min_size=1, max_size=4),
)
def test_every_line_is_kept_once_and_in_order(
    bursts: list[list[bytes]], pauses: list[int], delays: list[int]
) -> None:
    log, failures = Log(delays), list[LogError]()

    async def write() -> None:
        writer = LogWriter(log, "turn", failures.append)
        for number, burst in enumerate(bursts):
            for line in burst:
                writer.put(line + b"\n")
            for _ in range(pauses[number % len(pauses)]):
                await asyncio.sleep(0)
        await writer.flush()

    asyncio.run(write())
    assert b"".join(entry.data for entry in log.entries) == b"".join(it + b"\n" for b in bursts for it in b)
    ids = [entry.id for entry in log.entries]
    assert ids == [EntryId(0, 1 + number) for number in range(len(ids))]
    assert not failures


@pytest.mark.parametrize(
    "error", [LogError("full"), OvertakenError("late"), ValueError("no"), OSError(28, "")]
)
async def test_a_log_with_a_gap_does_not_go_on(error: Exception) -> None:
    log, failures = Log([1], fails_at=1, error=error), list[LogError]()
    writer = LogWriter(log, "turn", failures.append)
    for number in range(4):
        writer.put(b"%d\n" % number)
        await asyncio.wait_for(writer.flush(), 10)
    assert [entry.data for entry in log.entries] == [b"0\n"]
    assert failures == [writer.failure]
    assert isinstance(writer.failure, LogError)
