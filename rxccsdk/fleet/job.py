"""One prompt on the machine that answers it: a session, its log, and what observers say to it."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Literal

from rxccsdk.errors import RxccError, SessionClosedError
from rxccsdk.fleet.dispatch import BEGIN, Dispatch, Taken, withdrawal
from rxccsdk.fleet.spec import Spec
from rxccsdk.fleet.transcripts import Keeper
from rxccsdk.fleet.writer import LogRecorder, LogWriter
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn
from rxccsdk.text.leave import finished
from rxccsdk.transport import Exit
from rxccsdk.transport.cli import CliTransport
from rxccsdk.transport.recorder import header
from rxccsdk.transport.turn_log import LogError, OvertakenError
from rxccsdk.wire.frames import decode
from rxccsdk.wire.system import OWN_NOTICE

_log = logging.getLogger("rxccsdk")

_SOON = 0.005  # seconds between two looks at whether the prompt is written


class Job:
    """Answers a prompt that this machine has taken.

    Args:
        dispatch: Redis.
        taken: the prompt.
        worker: this machine's name.
        lease: seconds after which it counts as lost when it gives no sign.
        keep: seconds for which the turn can be read when it is over.
    """

    def __init__(self, dispatch: Dispatch, taken: Taken, worker: str, lease: float, keep: float) -> None:
        self.taken = taken
        self._dispatch = dispatch
        self._worker = worker
        self._lease = lease
        self._keep = keep
        self._writer = LogWriter(dispatch.log, taken.job, self.abandon)
        self._session: ClaudeSession | None = None
        self._turn: Turn | None = None
        self._backend = ""
        self._is_over = False
        self._stopped: str | None = None  # why
        self._withdrawn: bytes | None = None  # the notice by which it was, before the CLI had it
        self._opening: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def run(self, base: SessionOptions) -> None:
        """Answer it, unless somebody has begun to before.

        Args:
            base: what this machine gives to all its sessions.

        Raises:
            LogError: Redis was not there for too long.
        """
        text = await self._dispatch.spec(self.taken.job)
        made = self._make(text, base) if text is not None else None
        if made is not None and await self._begin():
            failure = made if isinstance(made, Exit) else await self._answer(*made)
            await self._writer.flush()
            if failure is None and self._writer.failure is not None:
                failure = Exit(
                    f"{self._worker} could not write on: {self._writer.failure}", kind="connection"
                )
            await self._dispatch.end(self.taken.job, failure, self._keep)
        elif made is not None and not await self._dispatch.is_held(self.taken.job):
            # A beginning that arrived when its machine had already been taken for lost: nobody answers.
            words = "The machine that had the prompt was lost when it began."
            await self._dispatch.end(self.taken.job, Exit(words, kind="connection"), self._keep)
        await self._dispatch.done(self.taken.entry)

    def interrupt(self, why: str) -> None:
        """Stop what runs: it ends as interrupted. What has not begun does not begin."""
        self._stopped = why
        if self._opening is not None:
            self._opening.cancel()
        if self._turn is not None and self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._turn._end_early(why))

    def abandon(self, why: LogError) -> None:
        """Stop what runs: this machine has the prompt no more."""
        if self._stopped is None:
            _log.warning("%s gives up the prompt %s: %s", self._worker, self.taken.job, why)
        self.interrupt(str(why))

    def _make(self, text: str, base: SessionOptions) -> tuple[ClaudeSession, Spec] | Exit:
        """Return what is to be run, or why it cannot be."""
        try:
            spec = Spec.model_validate_json(text)
            options = spec.session_options(base)
            transport = _JobTransport(options, LogRecorder(self._writer), self.taken.job)
        except (ValueError, TypeError, RxccError) as error:
            return Exit(f"{self._worker} cannot run it: {error}")
        self._session = ClaudeSession(options)
        self._session._make_transport = lambda: transport
        self._backend = transport.backend
        return self._session, spec

    async def _begin(self) -> bool:
        """Begin the log, which whoever is the first can do; return whether that was us."""
        takes_asks = self._session is not None and self._session.options.ask == "stream"
        # Its entry is in it, too: this machine may have the prompt twice.
        mine = {"worker": self._worker, "entry": self.taken.entry, "lease": self._lease}
        first = {**header(self._backend, takes_asks), **mine}
        try:
            await self._dispatch.log.append(self.taken.job, BEGIN, json.dumps(first).encode() + b"\n")
        except OvertakenError:
            return False
        return True

    async def _answer(self, session: ClaudeSession, spec: Spec) -> Exit | None:
        """Run the session; return what went wrong with it."""
        keeper = Keeper(self._dispatch.transcripts, session.options)
        loop = asyncio.get_running_loop()
        keeping = loop.create_task(self._keep_transcript(session, keeper))
        listening = loop.create_task(self._listen(session))
        try:
            if session.options.resume is not None:
                await keeper.bring(session.options.resume)
            await self._open(session)
            try:
                await self._run_turn(session, spec)
            finally:
                await session.aclose()
        except RxccError as error:
            if self._withdrawn is not None:
                self._writer.put(withdrawal(self.taken.job, self._withdrawn))
                return None
            kind: Literal["crashed", "connection"] = "crashed" if self._stopped is None else "connection"
            return Exit(f"{error.args[0]} ({self._worker})", error.exit_code, error.stderr, kind)
        finally:
            self._is_over = True
            listening.cancel()
            await asyncio.wait([keeping, listening])
        return None

    async def _open(self, session: ClaudeSession) -> None:
        """Start the CLI, unless, or until, all is stopped or the prompt is taken back."""
        self._opening = asyncio.get_running_loop().create_task(session.open())
        if self._is_to_stop():
            self._opening.cancel()
        await asyncio.wait([self._opening])
        if self._opening.cancelled() or (self._is_to_stop() and self._opening.exception() is None):
            await session.aclose()
            raise SessionClosedError(f"The prompt was not sent: {self._stopped}.")
        self._opening.result()

    def _is_to_stop(self) -> bool:
        return self._stopped is not None or self._withdrawn is not None

    async def _keep_transcript(self, session: ClaudeSession, keeper: Keeper) -> None:
        """Keep the transcript of the session, as soon as the CLI has named it."""
        while session.session_id is None and not self._is_over:  # noqa: ASYNC110
            await asyncio.sleep(_SOON)
        if (kept := session.session_id) is not None:
            try:
                await keeper.keep(kept, lambda: self._is_over, self._dispatch.forget_transcript)
            except RxccError as error:
                _log.warning("other machines cannot go on with the session %s: %s", kept, error)

    async def _run_turn(self, session: ClaudeSession, spec: Spec) -> None:
        """Ask, and wait for the end of the turn, and of those that its messages become."""
        self._turn = turn = session.stream(
            spec.prompt,
            on_dispose="finish",
            replay=False,
            timeout=spec.timeout,
            max_output_tokens=spec.max_output_tokens,
        )
        await finished(turn)
        while turn._follower is not None and self._stopped is None:
            self._turn = turn = turn._follower
            await finished(turn)

    async def _listen(self, session: ClaudeSession) -> None:
        """Do what observers say."""
        try:
            async for line in self._dispatch.words(self.taken.job):
                frame = decode(line) or {}
                is_interrupt = frame.get("type") == OWN_NOTICE
                if is_interrupt and self._turn is None:
                    self._withdraw(line)
                    return
                while self._turn is None or self._turn.index is None:  # noqa: ASYNC110
                    await asyncio.sleep(_SOON)
                if is_interrupt:
                    kind, why = str(frame.get("kind")), str(frame.get("detail"))
                    session._exchange.interrupt_turn(self._turn, why, kind)
                elif session.status == "open":
                    session._exchange.talk.relay(frame, line)
        except RxccError as error:
            _log.warning("nobody can talk to the prompt %s any more: %s", self.taken.job, error)

    def _withdraw(self, notice: bytes) -> None:
        """Take the prompt back: the CLI does not have it yet."""
        self._withdrawn = notice
        if self._opening is not None:
            self._opening.cancel()


class _JobTransport(CliTransport):
    """A CLI whose prompt has the job's id."""

    def __init__(self, options: SessionOptions, recorder: LogRecorder, job: str) -> None:
        super().__init__(options, recorder)
        self._job = job

    def prompt_id(self, prompt: object) -> str:  # type: ignore[override]
        """Return the job's id."""
        return self._job
