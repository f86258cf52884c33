"""A durable log in files: what is in them, and that they are cassettes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rxccsdk import ClaudeSession
from rxccsdk.testing import init_frame, text_turn
from rxccsdk.transport.file_log import FileLog
from rxccsdk.transport.recorder import header
from rxccsdk.transport.turn_log import Entry, EntryId, LogError, OvertakenError


def entry(turn: int, number: int, *lines: object) -> Entry:
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines or ({"n": number},))
    return Entry(EntryId(turn, number), data)


async def read(log: FileLog, after: EntryId | None = None) -> list[Entry]:
    return [found async for found in log.read("a", after, follow=False)]


async def test_an_entry_comes_back_as_it_was_appended(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "logs")
    entries = [entry(0, 0), entry(0, 3, {"a": 1}, {}, {"b": "\u2028"}), entry(2, 0, {})]
    for it in entries:
        await log.append("a", *it)
    assert await read(log) == entries
    assert await read(log, EntryId(0, 3)) == entries[2:]
    assert log.path("a").stat().st_mode & 0o777 == 0o600


async def test_the_same_again_does_nothing_and_another_comes_too_late(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    for it in (entry(0, 0), entry(0, 1)):
        await log.append("a", *it)
    await log.append("a", *entry(0, 0))
    for late in (entry(0, 0, {"n": "other"}), entry(0, 1, {"n": "other"})):
        with pytest.raises(OvertakenError):
            await log.append("a", *late)
    assert await read(log) == [entry(0, 0), entry(0, 1)]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]\n", b"{}\n\n", b'{"rxccsdk_entry":"0-0"}\n', b"{}\n}{\n"])
async def test_what_is_no_lines_of_objects_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"entry"):
        await FileLog(tmp_path).append("a", EntryId(0, 0), data)
    assert not FileLog(tmp_path).path("a").exists()


@pytest.mark.parametrize("left", [b"{", b'{"n":1}\n', b'{"n":1}\n{"rxccsdk_entry":"0-1","n":2}'])
async def test_what_a_writer_that_died_has_left_is_passed_over(tmp_path: Path, left: bytes) -> None:
    log = FileLog(tmp_path)
    await log.append("a", *entry(0, 0))
    reading = log.read("a")
    assert await anext(reading) == entry(0, 0)
    with log.path("a").open("ab") as file:
        file.write(left)
    assert await read(log) == [entry(0, 0)]
    await log.append("a", *entry(0, 1))
    assert await anext(reading) == entry(0, 1)
    assert await read(log) == [entry(0, 0), entry(0, 1)]
    await reading.aclose()


async def test_what_is_trimmed_is_gone_and_its_ids_are_not(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    for number in range(5):
        await log.append("a", *entry(0, number))
    await log.trim("a", EntryId(0, 3))
    assert await read(log) == [entry(0, 3), entry(0, 4)]
    await log.trim("a", EntryId(9, 0))
    assert await read(log) == [entry(0, 4)]
    with pytest.raises(OvertakenError):
        await log.append("a", *entry(0, 2))
    await log.trim("a")
    assert await read(log) == []
    await log.append("a", *entry(0, 2))


async def test_a_reader_goes_on_where_a_log_is_trimmed(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    for number in range(3):
        await log.append("a", *entry(0, number))
    reading = log.read("a")
    assert [await anext(reading) for _ in range(3)] == [entry(0, number) for number in range(3)]
    await log.append("a", *entry(0, 3))
    await log.trim("a", EntryId(0, 4))
    await log.append("a", *entry(0, 4))
    assert [await anext(reading) for _ in range(2)] == [entry(0, 3), entry(0, 4)]
    await reading.aclose()


async def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = FileLog(tmp_path / "file")
    with pytest.raises(LogError, match="Cannot write"):
        await log.append("a", *entry(0, 0))


async def test_a_log_is_a_cassette(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    prompt = {"type": "user", "uuid": "u", "message": {"role": "user", "content": "go"}}
    frames = [init_frame(), *text_turn("Hello there", pieces=3)]
    lines = [{"t": 0.0, "out": prompt}, *({"t": 0.1, "in": frame} for frame in frames)]
    await log.append("a", *entry(0, 0, header("claude-agent-sdk", takes_asks=False)))
    for number, line in enumerate(lines, 1):
        await log.append("a", *entry(0, number, line))
    async with ClaudeSession.replay(log.path("a"), speed=float("inf")) as session:
        assert (await session.query("?")).content == "Hello there"
