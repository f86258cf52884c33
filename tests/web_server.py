"""The web app on loopback, with clients for it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from rxccsdk import Chunk, from_json

TOKEN = "the-secret"


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app at a free port of loopback; give its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=2)
    )
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(30):
        while not server.started:
            await asyncio.wait({task}, timeout=0.01)
            if task.done():
                task.result()
                raise AssertionError("the app did not start")
    listening = server.servers[0].sockets[0]
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)  # a client that stalls is soon noticed
    port = listening.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def client(address: str, token: str = TOKEN) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@dataclass(frozen=True)
class Event:
    name: str
    id: str | None
    data: Any

    @property
    def chunk(self) -> Chunk:
        return from_json(json.dumps(self.data))


async def events(http: httpx.AsyncClient, path: str, last: str | None = None) -> AsyncGenerator[Event, None]:
    """Yield the events that a server sends, and comments as events named so."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with http.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        name, data, place = "message", "", None
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            if line.startswith(":"):
                yield Event("comment", None, line)
            elif field == "event":
                name = value
            elif field == "id":
                place = value
            elif field == "data":
                data += value
            elif not line and data:
                yield Event(name, place, json.loads(data))
                name, data, place = "message", "", None
