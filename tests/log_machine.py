"""`python -m tests.log_machine write|read HOME KEY NUMBER`: a process that writes a durable log, or reads on.

HOME is a folder, or the URL of Redis. A writer appends entries from this number on, and a reader reads those
from this number on; both without an end. Each prints a number when its entry is kept, or read.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from rxccsdk.transport.file_log import FileLog
from rxccsdk.transport.redis_client import PatientRedis
from rxccsdk.transport.redis_log import RedisLog
from rxccsdk.transport.turn_log import EntryId, TurnLog

BIG = 5
"""Each so many-th entry is so big that a kill may leave a part of it."""


def id_of(number: int) -> EntryId:
    """Return an entry's id."""
    return EntryId(0, number)


def data_of(number: int) -> bytes:
    """Return what an entry is to have."""
    line = b'{"number":%d,"text":"%s"}\n' % (number, b"x" * (100_000 if number % BIG == 0 else number))
    return line * (1 + number % 3)


async def log_at(home: str, stack: AsyncExitStack) -> TurnLog:
    """Open the log at a home, for as long as the stack is."""
    if not home.startswith("redis:"):
        return FileLog(home)
    redis = PatientRedis(home)
    stack.push_async_callback(redis.aclose)
    log = RedisLog(redis)
    stack.push_async_callback(log.aclose)
    return log


async def _run(what: str, home: str, key: str, number: int) -> None:
    async with AsyncExitStack() as stack:
        log = await log_at(home, stack)
        if what == "read":
            async for entry in log.read(key, id_of(number - 1) if number else None):
                assert entry.data == data_of(entry.id.number), entry.id
                print(entry.id.number, flush=True)
        while True:
            await log.append(key, id_of(number), data_of(number))
            print(number, flush=True)
            number += 1


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
