"""What the fleet does with Redis: prompts to machines, turns to observers, words of observers to machines.

All of it may be done twice, because a connection that breaks does not say whether the server had done it: a
prompt that stands twice in its stream is answered once, since its log can be begun once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NamedTuple
from uuid import uuid4

from redis.exceptions import RedisError, ResponseError

from rxccsdk.fleet.names import JOB, LINE, ONCE, PROMPTS, TRANSCRIPTS, TURNS, WORKERS, spec_of, talk_to
from rxccsdk.transport import Exit
from rxccsdk.transport.redis_client import BLOCK, PatientRedis
from rxccsdk.transport.redis_log import RedisLog
from rxccsdk.transport.redis_news import News
from rxccsdk.transport.turn_log import EntryId, LogError, OvertakenError
from rxccsdk.wire.frames import decode, to_line

_log = logging.getLogger("rxccsdk")

BEGIN, END = EntryId(0, 0), EntryId(1, 0)
"""The first entry of a turn's log, by which a machine takes it, and the last, after which nothing comes."""

KEEP = 3600.0
"""Seconds for which a turn that is over can be read again."""

_MONTH = 30 * 86_400  # seconds; the CLI itself keeps its transcripts so long
_AGAIN = 1.0  # seconds between two tries where Redis does not answer

_LEAVE = """
for _, it in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  if it[2] == ARGV[2] and it[4] == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
end
"""
"""Forgets a machine that has nothing: what is pending for one that is deleted is nobody's ever after."""


def lost(lease: float) -> Exit:
    """Return how a turn ends whose machine gave no sign for longer than its lease, in seconds."""
    words = f"The machine that had the prompt gave no sign for more than {lease:g} s: it is lost."
    return Exit(f"{words} Ask again; resume=session_id goes on where it was.", kind="connection")


def withdrawal(job: str, notice: bytes) -> bytes:
    """Return what a turn's log has, from its prompt on, where the prompt is taken back: the notice, and that.

    Args:
        job: the prompt's id.
        notice: the line that says why.
    """
    state = to_line({"type": "command_lifecycle", "command_uuid": job, "state": "cancelled"})
    lines = (b'{"t":0,"in":%s}\n' % line.strip() for line in (notice, state))
    return b'{"t":0,"out":{"type":"user"}}\n' + b"".join(lines)


class Taken(NamedTuple):
    """A prompt that was given to a machine: its entry in the stream, and its id."""

    entry: str
    job: str


class Dispatch:
    """Prompts, logs and words, over one client.

    Args:
        redis: the client.

    Attributes:
        log: the turns' logs, by the ids of their prompts.
        transcripts: those of the CLI, by the ids of their sessions.
    """

    def __init__(self, redis: PatientRedis) -> None:
        self.redis = redis
        self.log = RedisLog(redis, TURNS)
        self.transcripts = RedisLog(redis, TRANSCRIPTS)
        self._words = News(redis)

    async def aclose(self) -> None:
        """Read no more, and close all connections."""
        await self.log.aclose()
        await self.transcripts.aclose()
        await self._words.aclose()
        await self.redis.aclose()

    # -- for those who ask --------------------------------------------------------------------------------

    async def submit(self, job: str, spec: str) -> str:
        """Give a prompt to whichever machine is free; return its entry."""

        async def add(redis: Any) -> Any:
            async with redis.pipeline() as pipe:
                pipe.set(spec_of(job), spec, nx=True)  # what arrives when all is over must not stay
                pipe.xadd(PROMPTS, {JOB: job})
                return await pipe.execute()

        return str((await self.redis.do(add))[1].decode())

    async def spec(self, job: str) -> str | None:
        """Return what is asked; `None` where nobody knows it any more."""
        found: Any = await self.redis.do(lambda redis: redis.get(spec_of(job)))
        return found.decode() if found is not None else None

    async def say(self, job: str, line: bytes) -> None:
        """Say something to the machine that answers a prompt, or will."""
        fields: Any = {LINE: line, ONCE: uuid4().hex}

        async def add(redis: Any) -> Any:
            async with redis.pipeline() as pipe:
                pipe.xadd(talk_to(job), fields)
                pipe.expire(talk_to(job), _MONTH)  # also where the turn is over, and forgotten
                return await pipe.execute()

        await self.redis.do(add)

    async def withdraw(self, job: str, notice: bytes, keep: float) -> bool:
        """Take a prompt back that no machine has begun; return whether none had.

        Args:
            job: the prompt's id.
            notice: the line that says why.
            keep: seconds until its log is forgotten.
        """
        try:
            await self.log.append(job, BEGIN, withdrawal(job, notice))
        except OvertakenError:
            return False
        await self.end(job, None, keep)
        return True

    async def end(self, job: str, failure: Exit | None, keep: float) -> None:
        """End a prompt's log, if it has not ended. A machine that still writes to it then fails.

        Args:
            job: the prompt's id.
            failure: why it ends without the turn's result; `None` where that is there.
            keep: seconds until Redis forgets the turn.
        """
        lines = b'{"t":0,"exit":%s}\n' % json.dumps(asdict(failure)).encode() if failure is not None else b""
        with suppress(OvertakenError):
            await self.log.append(job, END, lines + b'{"t":0,"out":{"type":"rxccsdk_end"}}\n')
        await self._forget(job, keep)  # also for who has ended it, and died of it

    async def is_forgotten(self, job: str) -> bool:
        """Return whether Redis knows nothing of a prompt any more."""
        return not await self.redis.do(lambda redis: redis.exists(spec_of(job), TURNS + job))

    async def idle(self, entry: str) -> float:
        """Return how many seconds ago the machine that has a prompt gave a sign; 0 where none has it."""

        async def ask(redis: Any) -> Any:
            return await redis.xpending_range(PROMPTS, WORKERS, entry, entry, 1)

        try:
            found = await self.redis.do(ask)
        except ResponseError:
            return 0.0  # there was no machine yet
        return found[0]["time_since_delivered"] / 1000 if found else 0.0

    # -- for machines -------------------------------------------------------------------------------------

    async def take(self, worker: str, most: int) -> list[Taken]:
        """Wait a while for prompts that nobody has taken, and take them."""

        async def read(redis: Any) -> Any:
            return await redis.xreadgroup(
                WORKERS, worker, {PROMPTS: ">"}, count=most, block=int(BLOCK * 1000)
            )

        return [
            taken for _, entries in await self._in_group(read) or () for taken in await self._taken(entries)
        ]

    async def renew(self, worker: str, entries: Sequence[str]) -> set[str]:
        """Give a sign that these prompts are being answered; return those that this machine still has."""

        async def claim(redis: Any) -> Any:
            return await redis.xclaim(PROMPTS, WORKERS, worker, 0, list(entries), justid=True)

        return {entry.decode() for entry in await self._in_group(claim)} if entries else set()

    async def left(self, worker: str, lease: float) -> list[Taken]:
        """Take over the prompts whose machines have given no sign for so many seconds."""
        found: list[Taken] = []
        start = b"0-0"
        while True:  # of many entries, Redis looks at some only

            async def claim(redis: Any, start: bytes = start) -> Any:
                return await redis.xautoclaim(PROMPTS, WORKERS, worker, int(lease * 1000), start, count=100)

            start, entries, *_ = await self._in_group(claim)
            found += await self._taken(entries)
            if start == b"0-0":
                return found

    async def sweep(self, seconds: float) -> None:
        """Forget machines that have no prompt and have given no sign for so long: they were killed."""
        machines = await self._in_group(lambda redis: redis.xinfo_consumers(PROMPTS, WORKERS))
        for machine in machines:
            if not machine["pending"] and machine["idle"] > seconds * 1000:
                await self.leave(machine["name"].decode())

    async def words(self, job: str) -> AsyncGenerator[bytes, None]:
        """Yield what is said to the machine that answers a prompt, each once, whatever Redis does meanwhile.

        Whether an outage was too long, the lease decides: as long as the machine has the prompt it listens.
        """
        said: set[bytes] = set()
        last = "0-0"
        while True:
            with suppress(LogError):
                async for entry, fields in self._words.after(talk_to(job), last):
                    last = entry
                    if fields.get(ONCE) not in said:
                        said.add(fields.get(ONCE, b""))
                        yield fields.get(LINE, b"")
            await asyncio.sleep(_AGAIN)

    async def has_begun(self, job: str) -> bool:
        """Return whether some machine has begun to answer."""
        return bool(await self.redis.do(lambda redis: redis.exists(TURNS + job)))

    async def is_held(self, job: str) -> bool:
        """Return whether the entry is still pending by which a machine has begun to answer."""
        async for entry in self.log.read(job, follow=False):
            held = (decode(entry.data.partition(b"\n")[0]) or {}).get("entry")
            if held is None:
                return True  # it was withdrawn
            found: Any = await self.redis.do(
                lambda redis: redis.xpending_range(PROMPTS, WORKERS, held, held, 1)  # noqa: B023
            )
            return bool(found)
        return True  # it is over, and forgotten

    async def give_back(self, taken: Taken) -> None:
        """Let another machine take a prompt that was not begun."""
        await self.redis.do(lambda redis: redis.xadd(PROMPTS, {JOB: taken.job}))
        await self.done(taken.entry)

    async def done(self, entry: str) -> None:
        """Take a prompt out of the stream."""

        async def drop(redis: Any) -> Any:
            async with redis.pipeline() as pipe:
                pipe.xack(PROMPTS, WORKERS, entry)
                pipe.xdel(PROMPTS, entry)
                return await pipe.execute()

        await self.redis.do(drop)

    async def _forget(self, job: str, keep: float) -> None:
        async def expire(redis: Any) -> Any:
            async with redis.pipeline() as pipe:
                for key in (spec_of(job), TURNS + job, talk_to(job)):
                    pipe.pexpire(key, int(keep * 1000))
                return await pipe.execute()

        await self.redis.do(expire)

    async def forget_transcript(self, session: str) -> None:
        """Let Redis forget a transcript when nobody has gone on with its session for a month."""
        await self.redis.do(lambda redis: redis.expire(TRANSCRIPTS + session, _MONTH))

    async def leave(self, worker: str) -> None:
        """Forget a machine, unless it was given a prompt that it has not seen: that is another's soon."""
        await self._in_group(lambda redis: redis.eval(_LEAVE, 1, PROMPTS, WORKERS, worker))

    async def _in_group(self, command: Any) -> Any:
        """Do something with the group, which is made where it is not there."""
        try:
            return await self.redis.do(command)
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise LogError(f"Redis refuses it: {error}") from error
        try:
            await self.redis.do(lambda redis: redis.xgroup_create(PROMPTS, WORKERS, "0", mkstream=True))
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise LogError(f"Redis refuses it: {error}") from error
        try:
            return await self.redis.do(command)
        except RedisError as error:
            raise LogError(f"Redis refuses it: {error}") from error

    async def _taken(self, entries: Any) -> list[Taken]:
        """Return what was taken; drop what names no prompt: else each machine would get it in turn."""
        found = []
        for entry, fields in entries:
            if fields and JOB in fields:
                found.append(Taken(entry.decode(), fields[JOB].decode(errors="replace")))
            elif fields:  # of an entry that was deleted while a machine had it, Redis knows the id only
                _log.warning("an entry of %s has no field `job`; it is dropped: %s", PROMPTS, entry.decode())
                await self.done(entry.decode())
        return found
