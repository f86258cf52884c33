"""A turn that another machine runs: its log in, words to it out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import groupby
from typing import Any

from redis.exceptions import RedisError

from rxccsdk.chunks import Frame
from rxccsdk.errors import RxccError
from rxccsdk.fleet.dispatch import END, KEEP, Dispatch, lost
from rxccsdk.fleet.spec import Spec
from rxccsdk.transport import Exit, Left, Lost, Receive
from rxccsdk.transport.cassette import read_line
from rxccsdk.transport.turn_log import Entry
from rxccsdk.wire.frames import decode
from rxccsdk.wire.system import OWN_NOTICE

_log = logging.getLogger("rxccsdk")

_LOOK = 5.0  # seconds between two looks at a prompt that waits
_SOON = 1.0  # seconds between two looks at a turn that is to stop
_AWAY = 0.5  # seconds that Redis may take to answer
_GRACE = 5.0  # seconds for what is still to be said when nobody listens any more
_LEFT = "Here nobody reads it any more."
_FORGOTTEN = "Redis has forgotten the prompt: it was over long ago, or Redis was emptied or restarted."
_CUT = "The turn's log ends without its result."
_DEAF = "The machine that has the prompt did not obey the interrupt."


class RemoteTransport:
    """A transport whose CLI is run by a machine of the fleet.

    What all observers of a turn read is its log, with what any of them has said to its machine in it, so all
    make the same chunks of it.

    Args:
        dispatch: Redis.
        job: the prompt's id.
        takes_asks: the agent's questions are in the stream.
        is_owner: it asks; without, it reads what somebody else has asked.

    Attributes:
        backend: the SDK that the machine uses, once it has begun.
        spec: what is asked; to be set before the prompt is written.
    """

    session_id: str | None = None
    pid: int | None = None
    is_live = True
    echoes = True
    warnings: list[str] = []  # noqa: RUF012

    def __init__(self, dispatch: Dispatch, job: str, *, takes_asks: bool, is_owner: bool) -> None:
        self.backend = "fleet"
        self.takes_asks = takes_asks
        self.spec: Spec | None = None
        self._dispatch = dispatch
        self._job = job
        self._is_owner = is_owner
        self._is_sent = False
        self._has_begun = False
        self._entry = ""  # by which a machine has the prompt, once it has begun
        self._lease = 0.0  # seconds after which a machine that gives no sign is lost
        self._is_to_stop = asyncio.Event()
        self._zero: float | None = None  # when the prompt was written, in the log's time
        self._now = 0.0
        self._receive: Receive
        self._lost: Lost
        self._exit: Exit | None = None  # how the CLI ended, by the log
        self._is_lost = False
        self._words: asyncio.Queue[Callable[[], Coroutine[Any, Any, None]] | None] = asyncio.Queue()
        self._saying: list[asyncio.Task[None]] = []  # what is begun of it is also done
        self._reading: list[asyncio.Task[None]] = []

    def time(self) -> float:
        """Return the seconds from the prompt to the line that is being read."""
        return self._now

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Take what is read from now on; a prompt can be written at once."""
        self._receive, self._lost = receive, lost

    def prompt_id(self, prompt: object) -> str:
        """Return the prompt's id.

        Raises:
            RxccError: it is a second prompt.
        """
        if self._is_sent:
            raise RxccError("Each prompt of the fleet is a turn of its own: fleet.stream(prompt).")
        return self._job

    def write(self, data: bytes) -> None:
        """Send the prompt, and what is said to the CLI. What a line of our own says already is not sent."""
        frame = decode(data) or {}
        if frame.get("type") == "user":
            if not self._is_sent:
                self._begin()
        elif (frame.get("request") or {}).get("subtype") != "interrupt":
            self._say(data)

    def record(self, line: bytes) -> None:
        """Send a line of our own: the machine puts it among the CLI's, and does what it says."""
        self._say(line)

    def hand_to_sdk(self, frame: Frame) -> None:
        """Do nothing: the machine's SDK has it."""

    async def terminate(self, exit: Exit) -> None:
        """End the turn although its machine does not. What has ended here only goes on."""
        if not self._is_lost:
            await self._end(Exit(_DEAF, kind="connection"))

    async def close(self) -> None:
        """Say what is still to be said, and read no more."""
        self._words.put_nowait(None)
        await _over(self._saying, _GRACE)
        tasks = [*self._saying, *self._reading]
        for task in tasks:
            task.cancel()
        await _over(tasks, None)

    def leave(self) -> None:
        """Read no more, without stopping the turn."""
        self._lose(Left(_LEFT))

    # -- inside -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._is_sent = True
        loop = asyncio.get_running_loop()
        self._saying.append(loop.create_task(self._send()))
        self._reading.append(loop.create_task(self._read()))

    def _say(self, line: bytes) -> None:
        self._words.put_nowait(lambda: self._say_now(line))

    async def _say_now(self, line: bytes) -> None:
        """Say it to the machine; an interrupt that comes before there is one takes the prompt back."""
        is_interrupt = (decode(line) or {}).get("type") == OWN_NOTICE
        if is_interrupt and not self._has_begun and await self._dispatch.withdraw(self._job, line, KEEP):
            return
        await self._dispatch.say(self._job, line)
        if is_interrupt:
            self._is_to_stop.set()

    async def _send(self) -> None:
        """Send the prompt, then what is to be said, in order."""
        try:
            if self._is_owner and self.spec is not None:
                await self._dispatch.submit(self._job, self.spec.model_dump_json())
            self._reading.append(asyncio.get_running_loop().create_task(self._watch()))
            while (say := await self._words.get()) is not None:
                await say()
        except Exception as error:
            self._fail(error)

    async def _watch(self) -> None:
        """End the turn when its machine is gone, and no other one is there to say so.

        Another machine does after one lease. Who reads leaves it a second one, unless the turn is to stop.
        """
        while not self._is_lost:
            await self._until_next_look()
            leases = 1 if self._is_to_stop.is_set() else 2
            with suppress(RxccError, RedisError):  # whoever reads says so
                if await self._dispatch.redis.wait() > _AWAY:
                    continue  # no machine could give a sign
                if await self._dispatch.is_forgotten(self._job):
                    self._lose(Exit(_FORGOTTEN, kind="connection"))
                elif self._entry and await self._dispatch.idle(self._entry) > leases * self._lease:
                    ending = self._end(lost(self._lease))
                    self._saying.append(asyncio.get_running_loop().create_task(ending))
                    return

    async def _until_next_look(self) -> None:
        if not self._is_to_stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease / 2 or _LOOK):
                    await self._is_to_stop.wait()
        if self._is_to_stop.is_set():
            await asyncio.sleep(_SOON)  # Redis may just have come back: a machine gives its sign first

    async def _end(self, exit: Exit) -> None:
        try:
            await self._dispatch.end(self._job, exit, KEEP)
            if self._entry:
                await self._dispatch.done(self._entry)  # then its machine, if it comes back, has it no more
        except (RxccError, RedisError) as error:
            self._lose(Left(f"{exit.reason} {error}", kind=exit.kind))

    async def _read(self) -> None:
        try:
            async for entry in self._dispatch.log.read(self._job):
                self._take(entry)
                if entry.id >= END:
                    self._lose(self._exit or Exit(_CUT))
                    return
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End the turn here: nothing more can be said, or read."""
        if not isinstance(error, RxccError | RedisError):
            _log.error("a turn of the fleet cannot be read; it ends here", exc_info=error)
        self._lose(Left(str(error) or repr(error), kind="connection"))

    def _take(self, entry: Entry) -> None:
        self._has_begun = True
        lines: list[tuple[float, bytes]] = []
        for text in entry.data.removesuffix(b"\n").split(b"\n"):
            line = read_line(text)
            if line is None:
                self._take_header(text)
            elif line.exit is not None:
                self._exit = self._exit or line.exit
            elif line.sent is not None:
                self._take_sent(line.t, bytes(line.sent), lines)
            elif line.received is not None and self._zero is not None:  # before the prompt: no part of it
                lines.append((line.t, bytes(line.received)))
        for time, those in groupby(lines, lambda line: line[0]):
            self._now = time - (self._zero or 0.0)
            self._receive(b"".join(line + b"\n" for _, line in those))

    def _take_header(self, text: bytes) -> None:
        header = decode(text) or {}
        if "rxccsdk_cassette" in header:
            self.backend = str(header.get("sdk"))
            self._entry, self._lease = str(header.get("entry") or ""), float(header.get("lease") or 0.0)

    def _take_sent(self, time: float, line: bytes, lines: list[tuple[float, bytes]]) -> None:
        """Take what was written to the CLI: the prompt begins the turn, an answer stands in it."""
        kind = (decode(line) or {}).get("type")
        if kind == "user" and self._zero is None:
            self._zero = time
        elif kind == "control_response" and self.takes_asks:
            lines.append((time, line))

    def _lose(self, exit: Exit) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._lost(exit)


async def _over(tasks: list[asyncio.Task[None]], seconds: float | None) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
