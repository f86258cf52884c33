"""Clients of a turn's events, in a process of their own: what arrives when, and who reads nothing.

    python -m benchmarks.web_clients PORT READING STALLED COUNT

It prints as JSON the microseconds that each text took from the CLI to a client, of all texts that the CLI
wrote when everybody was there, the smallest first.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time

_STAMP = re.compile(rb'"text":"(\d+);"')
_LONGEST = 32  # bytes of the beginning of what `_STAMP` finds
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_END = b"event: end\n"
_BUFFER = 4096  # bytes that the system takes for who does not read


class Reader(asyncio.Protocol):
    """Reads events as they come, as fast as it can.

    Args:
        count: how many texts have to come.

    Attributes:
        got: of each text when it came, and when it was written.
        ended: done at the turn's end.
    """

    def __init__(self, count: int) -> None:
        self.got: list[tuple[int, int]] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count = count
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        now, data, place = time.monotonic_ns(), self._tail + data, 0
        for found in _STAMP.finditer(data):
            self.got.append((now, int(found[1])))
            place = found.end()
        self._tail = data[max(place, len(data) - _LONGEST) :]
        if _END in data and not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server closed the connection"))

    def checked(self) -> list[tuple[int, int]]:
        """Return what it got, which is everything, once and in order."""
        written = [at for _, at in self.got]
        assert len(written) == self._count, f"{len(written)} of {self._count} texts came"
        assert written == sorted(set(written)), "texts came twice, or in another order"
        return self.got


async def stalled(port: int) -> socket.socket:
    """Ask for the events, and take none."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    found.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(found, ("127.0.0.1", port))
    await loop.sock_sendall(found, _REQUEST)
    return found


async def delays(port: int, reading: int, stalling: int, count: int) -> list[float]:
    """Read a turn with so many clients."""
    loop = asyncio.get_running_loop()
    stuck = [await stalled(port) for _ in range(stalling)]
    readers = [
        (await loop.create_connection(lambda: Reader(count), "127.0.0.1", port))[1] for _ in range(reading)
    ]
    await asyncio.gather(*(reader.ended for reader in readers))
    for one in stuck:
        one.close()
    got = [reader.checked() for reader in readers]
    all_there = max(of[0][0] for of in got)
    return sorted((now - at) / 1000 for of in got for now, at in of if at > all_there)


def main() -> None:
    """Do what the arguments say."""
    print(json.dumps(asyncio.run(delays(*map(int, sys.argv[1:])))))


if __name__ == "__main__":
    main()
