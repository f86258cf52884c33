"""A TCP proxy on loopback whose line can be made bad while it is used."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType

_PIECE = 1 << 16  # bytes of a read


class Proxy:
    """Hands on to a server what clients send, and back; an async context manager.

    What is set takes effect at once, also for connections that are there.

    Args:
        port: where the server listens, on loopback.

    Attributes:
        port: where the proxy listens.
        delay: seconds by which each piece is late, in both directions.
        refuses: new connections are closed as soon as they are made.
        connections: how many were made so far.

    Example:
        async with Proxy(server.port) as proxy:
            proxy.cut_replies_after(100)
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._lines: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._server: asyncio.Server | None = None
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._reply_bytes: int | None = None
        self.port = 0
        self.delay = 0.0
        self.refuses = False
        self.connections = 0

    @property
    def is_black_hole(self) -> bool:
        """Whether nothing passes, although connections stay and new ones are made."""
        return not self._is_open.is_set()

    @is_black_hole.setter
    def is_black_hole(self, is_one: bool) -> None:
        """Hold what comes. When it is over, what was held passes, as packets that are sent again do.

        So a command may be done long after its client has given up, and asked again elsewhere.
        """
        if is_one:
            self._is_open.clear()
        else:
            self._is_open.set()

    def cut(self) -> None:
        """Reset all connections, with what is under way in them."""
        for line, writers in self._lines.items():
            for writer in writers:
                _reset(writer)
            line.cancel()

    def cut_replies_after(self, size: int) -> None:
        """Let so many more bytes of the server's pass, then end the connection they are on. Once.

        Args:
            size: in bytes, over all connections; with 0, a command is done, and nothing of its reply comes.
        """
        self._reply_bytes = size

    def heal(self) -> None:
        """Let everything pass again."""
        self.delay, self.refuses, self._reply_bytes = 0.0, False, None
        self.is_black_hole = False

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        while self._lines:
            self.cut()
            await asyncio.wait(self._lines)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuses:
            _reset(writer)
            return
        line = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._lines[line] = [writer]
        line.add_done_callback(self._lines.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client with the server until one of them has enough, or the line is cut."""
        writers, ways = [writer], []
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
            writers.append(back)
            me = asyncio.current_task()
            assert me is not None
            self._lines[me] = writers
            ways = [
                asyncio.create_task(self._hand_on(reader, back)),
                asyncio.create_task(self._hand_on(there, writer, are_replies=True)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            _reset(writer)  # the server is not there
        finally:
            for way in ways:
                way.cancel()
            for each in writers:
                each.close()

    async def _hand_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, are_replies: bool = False
    ) -> None:
        """Hand on one way's bytes to their end."""
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._is_open.wait()
                if are_replies and self._reply_bytes is not None:
                    if len(data) > self._reply_bytes:
                        writer.write(data[: self._reply_bytes])
                        self._reply_bytes = None
                        return
                    self._reply_bytes -= len(data)
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a router that forgot it does: with a reset, not with an end."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
