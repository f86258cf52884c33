"""Following a file that grows: whole lines, each once, in order, whatever becomes of the file."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk.transport.tail import line_start, lines
from rxccsdk.wire.frames import to_line

# Long ones, too: longer than one read, and than what is known of a file's beginning.
texts = st.builds(
    lambda word, times: word * times,
    st.binary(max_size=9).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from([1, 1, 1, 40, 20_000]),
)
whole = st.lists(texts.map(lambda text: text + b"\n"), max_size=12)


class Followed:
    """A file, what somebody who follows it got so far, and its end."""

    def __init__(self, folder: Path | str, start: int = 0) -> None:
        self.path = Path(folder) / "log.jsonl"
        self.got: list[bytes] = []
        self.is_over = False
        self._start = start

    async def follow(self) -> None:
        async for line in lines(self.path, start=self._start, every=0, ended=lambda: self.is_over):
            self.got.append(line)

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    async def has(self, count: int) -> None:
        while len(self.got) < count:
            await asyncio.sleep(0)


def followed(act: Callable[[Followed], Awaitable[None]], start: int = 0) -> list[bytes]:
    """Act on a file while somebody follows it; return what they got."""

    async def run() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            log = Followed(folder, start)
            async with asyncio.timeout(20):
                task = asyncio.create_task(log.follow())
                await act(log)
                log.is_over = True
                await task
            return log.got

    return asyncio.run(run())


@given(written=whole, rest=texts, cuts=st.lists(st.tuples(st.integers(0), st.integers(0, 5))))
def test_however_it_is_written_each_line_comes_once_in_order(
    written: list[bytes], rest: bytes, cuts: list[tuple[int, int]]
) -> None:
    data = b"".join(written) + rest

    async def act(log: Followed) -> None:
        at = 0
        for cut, steps in sorted((cut % (len(data) + 1), steps) for cut, steps in cuts):
            log.write(data[at:cut])
            at = cut
            for _ in range(steps):  # looks, or parts of them
                await asyncio.sleep(0)
        log.write(data[at:])

    assert followed(act) == written


@given(old=whole, half=texts, new=whole, rest=texts, seen=st.booleans())
def test_another_file_in_its_place_is_read_after_all_that_the_old_one_had(
    old: list[bytes], half: bytes, new: list[bytes], rest: bytes, seen: bool
) -> None:
    async def act(log: Followed) -> None:
        log.write(b"".join(old) + half)
        await log.has(len(old))
        await asyncio.sleep(0)
        other = log.path.with_name("other")
        other.write_bytes(b"".join(new) + (b"" if seen else rest))
        other.replace(log.path)
        if seen:
            await log.has(len(old) + len(new))
            log.write(rest)

    assert followed(act) == [*old, *new]


@given(old=whole, half=texts, new=whole, seen=st.booleans())
def test_a_file_that_is_emptied_is_read_anew(
    old: list[bytes], half: bytes, new: list[bytes], seen: bool
) -> None:
    old, new = [b"a" + line for line in old], [b"b" + line for line in new]  # two texts

    async def act(log: Followed) -> None:
        log.write(b"".join(old) + b"a" + half)
        await log.has(len(old))
        for _ in range(8):
            await asyncio.sleep(0)
        os.truncate(log.path, 0)
        if seen:
            for _ in range(8):
                await asyncio.sleep(0)
        if seen or len(b"".join(new)) < len(b"".join(old)):  # else nothing tells that it was
            log.write(b"".join(new))

    expected = new if seen or len(b"".join(new)) < len(b"".join(old)) else []
    assert followed(act) == [*old, *expected]


@given(old=whole, half=texts, cut=st.integers(0), new=whole)
def test_a_file_that_loses_its_end_goes_on_from_there(
    old: list[bytes], half: bytes, cut: int, new: list[bytes]
) -> None:
    text = b"".join(old) + half
    cut %= len(text) + 1
    kept = text[:cut]
    if kept and not kept.endswith(b"\n"):
        new = [b"\n", *new]
    if not kept and new:
        new = [b"x\n", *new]

    async def act(log: Followed) -> None:
        log.write(text)
        await log.has(len(old))
        for _ in range(8):
            await asyncio.sleep(0)
        os.truncate(log.path, cut)
        for _ in range(8):
            await asyncio.sleep(0)
        log.write(b"".join(new))

    after = [line + b"\n" for line in (kept + b"".join(new)).split(b"\n")[:-1]]
    assert followed(act) == [*old, *after[kept.count(b"\n") :]]


@given(written=whole, passed=st.integers(0, 12))
def test_it_can_begin_at_a_later_line(written: list[bytes], passed: int) -> None:
    async def act(log: Followed) -> None:
        log.write(b"".join(written))

    async def shorter(log: Followed) -> None:
        log.write(b"one\n")

    assert followed(act, start=len(b"".join(written[:passed]))) == written[passed:]
    assert followed(shorter, start=99) == [b"one\n"]


@given(data=st.builds(b"".join, st.lists(texts | st.just(b"\n"))), before=st.integers(0))
def test_a_lines_start_is_after_the_newline_before_it(data: bytes, before: int) -> None:
    before %= len(data) + 1
    with tempfile.TemporaryFile() as file:
        file.write(data)
        assert line_start(file, before) == data.rfind(b"\n", 0, before) + 1


def test_a_file_that_is_not_there_yet_is_waited_for() -> None:
    async def act(log: Followed) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        log.write(b"one\n")
        await log.has(1)
        log.path.unlink()
        for _ in range(50):
            await asyncio.sleep(0)
        log.write(b"two\n")

    assert followed(act) == [b"one\n", b"two\n"]

    async def nothing(_: Followed) -> None:
        return

    assert followed(nothing) == []


async def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "log"):
        with pytest.raises(OSError, match="directory"):
            await anext(lines(path))


async def test_nothing_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    opened = set(os.listdir("/proc/self/fd")) if sys.platform == "linux" else set()
    following = lines(path)
    assert await anext(following) == b"one\n"
    await following.aclose()
    waiting = asyncio.create_task(anext(lines(path, start=4)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    if opened:
        assert set(os.listdir("/proc/self/fd")) == opened


async def test_memory_is_flat_and_others_get_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = b"x" * 999 + b"\n"
    path.write_bytes(line * 20_000)
    steps = 0

    async def live() -> None:
        nonlocal steps
        while True:
            steps += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(live())
    tracemalloc.start()
    count = 0
    async for _ in lines(path, ended=lambda: True):
        count += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    task.cancel()
    assert count == 20_000
    assert peak < 1_000_000
    assert steps > 100


WRITER = """
import os, sys
for number in range(10**9):
    line = b'{"n": %d, "text": "%s"}\\n' % (number, b"y" * (number % 300))
    for at in range(0, len(line), 97):
        os.write(1, line[at : at + 97])
"""


def writes(path: Path) -> Popen[bytes]:
    with path.open("ab") as file:
        return Popen([sys.executable, "-c", WRITER], stdout=file, stderr=PIPE)


async def test_a_writer_that_is_killed_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    got: list[bytes] = []
    writer = writes(path)
    async with asyncio.timeout(30):
        async for line in lines(path, every=0.001, ended=lambda: writer.poll() is not None):
            got.append(line)
            if len(got) == 500:
                writer.send_signal(signal.SIGKILL)
    assert len(got) >= 500
    assert [line.partition(b",")[0] for line in got] == [b'{"n": %d' % n for n in range(len(got))]
    assert b"".join(got) == path.read_bytes()[: len(b"".join(got))]
    assert b"\n" not in path.read_bytes()[len(b"".join(got)) :]
    assert writer.communicate()[1] == b""


async def test_frames_are_lines(tmp_path: Path) -> None:
    frame = {"text": "one\ntwo\u2028three\r"}
    (tmp_path / "log").write_bytes(to_line(frame))
    assert [line async for line in lines(tmp_path / "log", ended=lambda: True)] == [to_line(frame)]
