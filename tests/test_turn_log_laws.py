"""Durable logs against a model, a plain dict: both homes do the same, whatever they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk.transport.file_log import FileLog
from rxccsdk.transport.redis_client import PatientRedis
from rxccsdk.transport.redis_log import RedisLog
from rxccsdk.transport.turn_log import Entry, EntryId, OvertakenError, TurnLog
from tests.redis_server import redis_server

KEYS = st.sampled_from(["a", "b", "../a", "a b%2F", "é\n", "."])
IDS = st.builds(EntryId, st.integers(0, 2), st.integers(0, 4))
_BETWEEN_BRACES = st.binary(max_size=12).filter(lambda line: b"\n" not in line)
_LINES = st.one_of(
    st.sampled_from([b"{}", b'{"n":1}', b'{ "rxccsdk_entry":"0-0"}', b"{" + b" " * 5000 + b"}"]),
    _BETWEEN_BRACES.map(lambda line: b"{%s}" % line),
).filter(lambda line: not line.startswith(b'{"rxccsdk_entry":"'))
DATA = st.lists(_LINES, min_size=1, max_size=3).map(lambda lines: b"".join(line + b"\n" for line in lines))


class Append(NamedTuple):
    key: str
    id: EntryId
    data: bytes


class Read(NamedTuple):
    key: str
    after: EntryId | None


class Trim(NamedTuple):
    key: str
    before: EntryId | None


Deed = Append | Read | Trim
DEEDS = st.lists(
    st.one_of(
        st.builds(Append, KEYS, IDS, DATA),
        st.builds(Append, KEYS, IDS, st.just(b"{}\n")),  # often the same again
        st.builds(Read, KEYS, st.none() | IDS),
        st.builds(Trim, KEYS, st.none() | IDS),
    ),
    max_size=25,
)


class Model:
    """What a log is: entries by key."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Entry]] = {}

    def append(self, key: str, entry: Entry) -> bool:
        """Append; return whether it comes in time."""
        log = self.logs.setdefault(key, [])
        if log and entry.id <= log[-1].id:
            return entry in log
        log.append(entry)
        return True

    def read(self, key: str, after: EntryId | None) -> list[Entry]:
        return [entry for entry in self.logs.get(key, []) if after is None or entry.id > after]

    def trim(self, key: str, before: EntryId | None) -> None:
        log = self.logs.get(key, [])
        self.logs[key] = [it for it in log if before is not None and (it.id >= before or it is log[-1])]


Logs = Callable[[], AbstractAsyncContextManager[TurnLog]]


@pytest.fixture(scope="module", params=["files", "redis"])
def logs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """Make empty logs, in each home."""
    folder = tmp_path_factory.mktemp("home")
    names = count()

    @asynccontextmanager
    async def in_files() -> AsyncIterator[TurnLog]:
        yield FileLog(folder / str(next(names)))

    @asynccontextmanager
    async def in_redis() -> AsyncIterator[TurnLog]:
        redis = PatientRedis(server.url)
        log = RedisLog(redis, f"{next(names)}:")
        yield log
        await log.aclose()
        await redis.aclose()

    if request.param == "files":
        yield in_files
    else:
        with redis_server(folder) as server:
            yield in_redis


@given(deeds=DEEDS)
def test_a_log_is_what_the_model_is(logs: Logs, deeds: list[Deed]) -> None:
    async def run() -> None:
        async with logs() as log:
            await _obeys_the_model(log, deeds)

    asyncio.run(run())


async def _obeys_the_model(log: TurnLog, deeds: list[Deed]) -> None:
    model = Model()
    for deed in deeds:
        match deed:
            case Append(key, id, data):
                in_time = model.append(key, Entry(id, data))
                try:
                    await log.append(key, id, data)
                    assert in_time, deed
                except OvertakenError:
                    assert not in_time, deed
            case Read(key, after):
                assert await _read(log, key, after) == model.read(key, after), deed
            case Trim(key, before):
                model.trim(key, before)
                await log.trim(key, before)
    for key, entries in model.logs.items():
        assert await _read(log, key) == entries


@given(
    entries=st.lists(st.builds(Entry, IDS, DATA), min_size=1, unique_by=lambda it: it.id).map(sorted),
    readers=st.lists(st.tuples(st.integers(0, 15), st.none() | IDS), max_size=6),
)
def test_whoever_follows_sees_each_entry_once_and_in_order(
    logs: Logs, entries: list[Entry], readers: list[tuple[int, EntryId | None]]
) -> None:
    """Readers come at any moment, and go on from any entry."""

    async def follow(log: TurnLog, after: EntryId | None) -> None:
        expected = [entry for entry in entries if after is None or entry.id > after]
        async with aclosing(log.read("a", after)) as reading:
            assert [await anext(reading) for _ in expected] == expected

    async def run() -> None:
        async with logs() as log, asyncio.TaskGroup() as following:
            for number in range(len(entries) + 1):
                for comes, after in readers:
                    if min(comes, len(entries)) == number:
                        following.create_task(follow(log, after))
                await asyncio.sleep(0)
                if number < len(entries):
                    await log.append("a", *entries[number])

    asyncio.run(run())


async def _read(log: TurnLog, key: str, after: EntryId | None = None) -> list[Entry]:
    return [entry async for entry in log.read(key, after, follow=False)]
