"""A machine of the fleet: takes as many prompts as it can answer at once, and says that it lives."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError

from rxccsdk.errors import RxccError
from rxccsdk.fleet.dispatch import KEEP, Dispatch, lost
from rxccsdk.fleet.job import Job
from rxccsdk.session.options import SessionOptions
from rxccsdk.transport.redis_client import PatientRedis
from rxccsdk.transport.turn_log import LogError

_log = logging.getLogger("rxccsdk")

_GONE = 4  # leases after which a machine is none of the fleet's any more
_LEAST = 20.0  # seconds; who waits for prompts gives a sign every other second
_PAUSE = 1.0  # seconds before Redis is asked again, when it was not there


class Worker:
    """Answers prompts of the fleet on this machine.

    Args:
        url: of Redis.
        at_once: how many prompts it answers at the same time; each takes a CLI, some 220 MB and more.
        options: what all its sessions get; what a prompt brings goes before.
        lease: seconds after which a machine that gives no sign counts as lost. The same for all machines.
        keep: seconds for which a turn can be read when it is over.
        name: of this machine.

    Raises:
        ValueError: a number is none, or the URL.

    Example:
        await Worker("redis://localhost", at_once=4).run()
    """

    def __init__(
        self,
        url: str,
        *,
        at_once: int = 4,
        options: SessionOptions | None = None,
        lease: float = 15.0,
        keep: float = KEEP,
        name: str | None = None,
    ) -> None:
        if at_once < 1:
            raise ValueError(f"at_once must be positive, not {at_once!r}.")
        for what, seconds in (("lease", lease), ("keep", keep)):
            if not seconds > 0:
                raise ValueError(f"{what} must be positive, not {seconds!r}.")
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._dispatch = Dispatch(PatientRedis(url, patience=lease))
        self._at_once = at_once
        self._options = options or SessionOptions()
        self._lease = lease
        self._keep = keep
        self._jobs: dict[asyncio.Task[None], Job] = {}
        self._is_free = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def running(self) -> int:
        """How many prompts it answers now."""
        return len(self._jobs)

    def stop(self) -> None:
        """Take no more prompts; `run` returns when those that run are answered."""
        self._stopping.set()

    def interrupt(self) -> None:
        """Take no more, and stop what runs: it ends as interrupted."""
        self.stop()
        for job in self._jobs.values():
            job.interrupt("the worker was stopped")

    async def run(self) -> None:
        """Answer prompts until `stop` is called. When it is cancelled, what runs is interrupted.

        Raises:
            LogError: Redis cannot be reached when it begins.
        """
        await self._dispatch.left(self.name, self._lease)  # is it there?
        where = self._dispatch.redis.where
        _log.info("%s takes prompts from %s, %d at once", self.name, where, self._at_once)
        loop = asyncio.get_running_loop()
        keeping = [loop.create_task(self._again(self._renew, self._lease / 3))]
        keeping.append(loop.create_task(self._again(self._bury, self._lease / 2)))
        taking = loop.create_task(self._again(self._take, 0.0))
        try:
            await self._stopping.wait()
            taking.cancel()
            await asyncio.wait([taking])
            while self._jobs:
                await asyncio.wait(list(self._jobs))
        finally:
            await self._close([taking, *keeping])

    # -- inside -------------------------------------------------------------------------------------------

    async def _take(self) -> None:
        """Take prompts, as many as there is room for."""
        while len(self._jobs) >= self._at_once:
            self._is_free.clear()
            await self._is_free.wait()
        for taken in await self._dispatch.take(self.name, self._at_once - len(self._jobs)):
            job = Job(self._dispatch, taken, self.name, self._lease, self._keep)
            task = asyncio.get_running_loop().create_task(job.run(self._options))
            self._jobs[task] = job
            task.add_done_callback(self._note_end)
            _log.info("%s begins; %d of %d run", taken.job, len(self._jobs), self._at_once)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        job = self._jobs.pop(task)
        self._is_free.set()
        _log.info("%s is over; %d of %d run", job.taken.job, len(self._jobs), self._at_once)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the prompt %s was not ended", job.taken.job, exc_info=error)

    async def _renew(self) -> None:
        """Say that what runs is being answered; give up what others have taken over."""
        jobs = list(self._jobs.values())
        try:
            ours = await self._dispatch.renew(self.name, [job.taken.entry for job in jobs])
        except LogError as error:
            for job in jobs:
                job.abandon(error)  # others take us for lost
            raise
        for job in jobs:
            if job.taken.entry not in ours and job in self._jobs.values():
                job.abandon(LogError("another machine has taken it over, or a reader has ended it"))

    async def _bury(self) -> None:
        """End the turns of machines that are lost; what they had not begun is another's."""
        if await self._dispatch.redis.wait() > _PAUSE:
            return  # nobody could give a sign
        for taken in await self._dispatch.left(self.name, self._lease):
            if any(job.taken.entry == taken.entry for job in self._jobs.values()):
                continue  # we were slow ourselves
            if not await self._dispatch.has_begun(taken.job):
                await self._dispatch.give_back(taken)
                continue
            await self._dispatch.end(taken.job, lost(self._lease), self._keep)
            await self._dispatch.done(taken.entry)
        await self._dispatch.sweep(max(_GONE * self._lease, _LEAST))

    async def _again(self, what: Callable[[], Coroutine[Any, Any, None]], seconds: float) -> None:
        """Do something again and again, whatever Redis does."""
        while True:
            try:
                await what()
                await asyncio.sleep(seconds)
            except Exception as error:
                is_ours = not isinstance(error, RxccError | RedisError)
                _log.warning("%s: %s", self.name, error, exc_info=error if is_ours else None)
                await asyncio.sleep(_PAUSE)

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop what runs, and leave the fleet."""
        self.interrupt()
        while self._jobs:
            await asyncio.wait(list(self._jobs))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        try:
            await self._dispatch.leave(self.name)
        except RxccError:
            pass  # it is known as a machine without prompts
        await self._dispatch.aclose()
