"""Redis, for those who would rather wait for it than fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as NotAnswered

from rxccsdk.transport.turn_log import LogError

BLOCK = 2.0
"""Seconds that a read waits at the server for something to come."""

_CONNECTIONS = 1 << 16  # as many as are needed
_ANSWER = 5.0  # seconds until a command that is not answered counts as lost
_FIRST, _LONGEST = 0.02, 0.5  # seconds between two tries

_T = TypeVar("_T")


class PatientRedis:
    """A client that tries again while Redis is not there, or its connection breaks.

    What it is asked to do must do no harm when it is done twice: where a connection breaks, nobody knows
    whether the server had done it.

    Args:
        url: as redis-py takes it: "redis://localhost:6379/0", "rediss://...", "unix://...".
        patience: seconds until it gives up.

    Attributes:
        where: the URL, without its password.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, patience: float = 30.0) -> None:
        self.patience = patience
        self.where = url.rpartition("@")[2]  # without the password
        self._loop: asyncio.AbstractEventLoop | None = None  # whose the connections are
        self._redis = Redis.from_url(
            url,
            # Else those of more than 100 sessions who ask at once find Redis out of reach.
            max_connections=_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
            # Else redis-py sends by `asyncio.wait_for`, which may swallow a cancellation in Python 3.11.
            socket_timeout=None,
            socket_connect_timeout=_ANSWER,
        )

    async def do(self, command: Callable[[Redis], Awaitable[_T]]) -> _T:
        """Return what the command gives.

        Raises:
            LogError: Redis was not there for too long, or another event loop has used this client before.
            RedisError: it refuses the command.
        """
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise LogError(
                f"Redis at {self.where} was asked from another event loop before, to which the connections "
                "belong: make a Fleet, or a log, for each loop."
            )
        begun, wait = loop.time(), _FIRST
        while True:
            try:
                async with asyncio.timeout(_ANSWER):
                    return await command(self._redis)
            except AuthenticationError as error:  # for redis-py it is a connection that failed
                raise LogError(
                    f"Redis at {self.where} lets nobody in with this name and password."
                ) from error
            except ReadOnlyError:  # it was the first of its replicas, and is that no more
                await self._redis.connection_pool.disconnect(inuse_connections=False)
                if loop.time() + wait > begun + self.patience:
                    raise
            except (NotConnected, NotAnswered, OSError) as error:
                if loop.time() + wait > begun + self.patience:
                    why = str(error) or "no answer"
                    raise LogError(f"Redis at {self.where} cannot be reached: {why}") from error
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST)

    async def wait(self) -> float:
        """Wait until Redis answers; return how many seconds that took.

        Raises:
            LogError: Redis was not there for too long.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await self.do(lambda redis: redis.ping())
        return loop.time() - begun

    async def aclose(self) -> None:
        """Close all connections."""
        if self._loop is not None and self._loop.is_closed():
            return  # they went with it
        try:
            await self._redis.aclose()
        except (RedisError, OSError):
            pass  # it is gone
