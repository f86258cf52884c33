"""The proxy the tests make lines bad with: each fault is what it says, and it heals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.proxy import Proxy

_LIMIT = 1 << 20  # bytes of a line

pytestmark = pytest.mark.usefixtures("no_leftovers")


class Line:
    """A client of a server that answers each line in capitals."""

    def __init__(self, proxy: Proxy, received: list[bytes]) -> None:
        self.proxy = proxy
        self.received = received
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Callable[[bytes], asyncio.Task[bytes]]:
        """Connect; return what sends a line, and then gives what comes up to the next line's end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port, limit=_LIMIT)
        self._writers.append(writer)

        async def ask(line: bytes) -> bytes:
            writer.write(line + b"\n")
            return await reader.readline()

        return lambda line: asyncio.create_task(ask(line))

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def line(no_leftovers: None) -> AsyncIterator[Line]:
    async with _line() as line:
        yield line


@asynccontextmanager
async def _line() -> AsyncIterator[Line]:
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                received.append(line)
                writer.write(line.upper())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=_LIMIT)
    try:
        async with Proxy(server.sockets[0].getsockname()[1]) as proxy:
            line = Line(proxy, received)
            yield line
            line.close()
    finally:
        server.close()
        await server.wait_closed()


async def test_what_is_sent_arrives_and_so_do_replies(line: Line) -> None:
    first, second = await line.connect(), await line.connect()
    assert [await first(b"a"), await second(b"b"), await first(b"c" * 200_000)] == [
        *(b"A\n", b"B\n", b"C" * 200_000 + b"\n")
    ]
    assert line.proxy.connections == 2


async def test_a_cut_resets_all_connections(line: Line) -> None:
    first, second = await line.connect(), await line.connect()
    assert await first(b"a") + await second(b"b") == b"A\nB\n"
    line.proxy.cut()
    for ask in (first, second):
        with pytest.raises(ConnectionError):
            await ask(b"a")
    assert await (await line.connect())(b"c") == b"C\n"


async def test_replies_are_cut_in_the_middle_and_what_they_answer_is_done(line: Line) -> None:
    ask = await line.connect()
    line.proxy.cut_replies_after(3)
    assert await ask(b"a") == b"A\n"
    assert await ask(b"bcd") == b"B"
    assert line.received == [b"a\n", b"bcd\n"]
    again = await line.connect()
    assert await again(b"bcd") == b"BCD\n"
    line.proxy.cut_replies_after(0)
    assert await again(b"e") == b""
    assert line.received[-1] == b"e\n"


async def test_a_black_hole_lets_nothing_pass_until_it_is_over(line: Line) -> None:
    ask = await line.connect()
    assert await ask(b"a") == b"A\n"
    line.proxy.is_black_hole = True
    asked = [ask(b"b"), (await line.connect())(b"c")]
    assert not (await asyncio.wait(asked, timeout=0.1))[0]
    assert line.received == [b"a\n"]
    line.proxy.is_black_hole = False
    assert [await each for each in asked] == [b"B\n", b"C\n"]


async def test_what_a_black_hole_held_arrives_although_its_sender_has_gone(line: Line) -> None:
    ask = await line.connect()
    assert await ask(b"a") == b"A\n"
    line.proxy.is_black_hole = True
    asked = ask(b"b")
    await asyncio.wait([asked], timeout=0.1)
    asked.cancel()
    line.close()
    line.proxy.heal()
    while line.received != [b"a\n", b"b\n"]:
        await asyncio.sleep(0.01)


async def test_a_black_hole_can_be_cut(line: Line) -> None:
    ask = await line.connect()
    assert await ask(b"a") == b"A\n"
    line.proxy.is_black_hole = True
    asked = ask(b"b")
    await asyncio.wait([asked], timeout=0.1)
    line.proxy.cut()
    with pytest.raises(ConnectionError):
        await asked
    line.proxy.heal()
    assert line.received == [b"a\n"]


async def test_what_is_delayed_comes_in_order(line: Line) -> None:
    ask = await line.connect()
    line.proxy.delay = 0.05
    begun = asyncio.get_running_loop().time()
    assert await ask(b"a") + await ask(b"b") == b"A\nB\n"
    assert asyncio.get_running_loop().time() - begun >= 4 * 0.05
    line.proxy.heal()
    assert line.proxy.delay == 0


async def test_connections_can_be_refused(line: Line) -> None:
    kept = await line.connect()
    assert await kept(b"a") == b"A\n"
    line.proxy.refuses = True
    with pytest.raises(ConnectionError):
        await (await line.connect())(b"b")
    assert await kept(b"c") == b"C\n"
    line.proxy.heal()
    assert await (await line.connect())(b"d") == b"D\n"


async def test_where_no_server_is_connections_are_reset(no_leftovers: None) -> None:
    async with Proxy(9) as proxy:
        line = Line(proxy, [])
        with pytest.raises(ConnectionError):
            await (await line.connect())(b"a")
        line.close()
