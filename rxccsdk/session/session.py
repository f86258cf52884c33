"""A Claude Code session: prompts go in one after the other, each answered by a turn."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from reactivex import Observable

from rxccsdk.chunks import Chunk, Frame, NoticeChunk, ResultChunk, Stretch
from rxccsdk.errors import RxccError, SessionClosedError, SessionCrashedError
from rxccsdk.session.hot import Hot
from rxccsdk.session.options import ProgressCallback, SessionOptions
from rxccsdk.session.prompt import Prompt, checked_prompt
from rxccsdk.session.query import answer
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.stretch import stretches
from rxccsdk.session.turn import Turn
from rxccsdk.wire import Exit, Wire
from rxccsdk.wire.cassette import CassettePlayer, Recorder
from rxccsdk.wire.deltas import DeltaRun
from rxccsdk.wire.parser import Parser, Scope
from rxccsdk.wire.routing import Router

_log = logging.getLogger("rxccsdk")


class ClaudeSession:
    """A conversation with Claude Code, and an Observable of all it says.

    Args:
        options: what to start it with; `None` for the defaults.

    Example:
        async with ClaudeSession(SessionOptions(cwd=".")) as session:
            turn = session.stream("Explain this repository")
            async for piece in turn.pipe(cc.text(), cc.to_async_iterator()):
                print(piece, end="", flush=True)
    """

    def __init__(self, options: SessionOptions | None = None) -> None:
        self.options = options or SessionOptions()
        self._make_wire: Callable[[], Wire] = self._make_cli_wire
        self._wire: Wire | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session_id: str | None = self.options.resume
        self._router = Router()
        self._parser = Parser(keep_raw=self.options.keep_raw, base_cost=None if self.options.resume else 0.0)
        self._outside = Scope(None)
        self._scope = self._outside
        self._queue: deque[Turn] = deque()
        self._running: Turn | None = None
        self._arrived: list[list[Chunk]] = []  # for the running turn, in this read
        self._turns = 0
        self._opened_at = self._prompted_at = 0.0
        self._interrupting = False
        self._escalation: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._last_result_failed = False
        self._exit: Exit | None = None
        self._closed = False
        self._hot = Hot()

    @classmethod
    def replay(cls, cassette: Path | str, speed: float = 1.0) -> ClaudeSession:
        """Make a session that plays a recording instead of asking the CLI.

        The nth `stream()` plays the nth recorded turn, whatever its prompt.

        Args:
            cassette: a file written with `SessionOptions(record=...)`.
            speed: how many times faster than it was recorded; `float("inf")` waits for nothing.

        Raises:
            CassetteError: when the session is opened, if the file is missing or damaged; it names the line.

        Example:
            async with ClaudeSession.replay("answer.jsonl", speed=10) as session:
                print((await session.query("anything")).content)
        """
        if not speed > 0:
            raise ValueError(f"speed must be positive, not {speed!r}")
        session = cls()
        session._make_wire = lambda: CassettePlayer(Path(cassette), speed)
        return session

    # -- for users ----------------------------------------------------------------------------------------

    @property
    def session_id(self) -> str | None:
        """The session's id: known from the start, and again after `/clear` gave it a new one."""
        return self._session_id

    @property
    def chunks(self) -> Observable[Chunk]:
        """Every chunk as it arrives, in or outside a turn. Hot: it starts and keeps nothing, completes when
        the session closes and fails when it crashes."""
        return self._hot

    def stream(
        self,
        prompt: Prompt,
        *,
        on_dispose: Literal["interrupt", "finish"] = "interrupt",
        replay: bool = True,
        max_output_tokens: int | None = None,
    ) -> Turn:
        """Make a turn for a prompt. Nothing is sent before somebody subscribes to it.

        Args:
            prompt: text, or a list of content blocks (text, image) as the Messages API spells them.
            on_dispose: what happens when the last subscriber leaves early: "interrupt" stops the turn,
                "finish" lets it run to its end.
            replay: keep the chunks for late subscribers; without, memory stays flat and those who come
                late see what is still to come.
            max_output_tokens: interrupt the turn once its messages have used more than this.

        Raises:
            TypeError: the prompt is neither text nor a list of content blocks.
            ValueError: the prompt is empty, or a content block is malformed.
        """
        return Turn(
            self,
            checked_prompt(prompt),
            on_dispose=on_dispose,
            replay=replay,
            max_output_tokens=max_output_tokens,
        )

    async def query(
        self,
        prompt: Prompt,
        stream: bool | None = None,
        progress_callback: ProgressCallback | None = None,
    ) -> SessionResponse:
        """Ask, wait, and give the whole answer; print it live if asked to. Silent by default.

        Args:
            prompt: as for `stream()`.
            stream: whether to print the text to standard output as it arrives, then one newline; `None`
                leaves it to `SessionOptions.stream_output`.
            progress_callback: called with each piece of text; may be async. `None` leaves it to
                `SessionOptions.progress_callback`.

        Returns:
            The response. A turn that ended badly has its `error` set and its partial content.

        Raises:
            RxccError: the session broke; `.partial` has the response so far.

        Example:
            response = await session.query("Summarise README.md", stream=True)
        """
        turn = self.stream(prompt)
        printing = self.options.stream_output if stream is None else stream
        return await answer(turn, printing, progress_callback or self.options.progress_callback)

    async def interrupt(self) -> None:
        """Stop what the agent is doing. Returns when the running turn has ended; at once when idle."""
        if self._running is not None:
            self.interrupt_turn(self._running, "session.interrupt() was called")
            await self._running.wait()
        elif self._wire is not None and self._router.has_background_work and not self._closed:
            self._wire.interrupt()

    async def cost_so_far(self) -> float | None:
        """Ask what the session has cost until now, in USD, also while a turn runs.

        An estimate of the CLI's; what a turn did cost is in its response. `None` where nothing knows: an
        older CLI, a recording, a session that is not open.
        """
        if self._wire is None or self._closed or self._exit is not None:
            return None
        return await self._wire.cost_so_far()

    async def __aenter__(self) -> ClaudeSession:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def open(self) -> None:
        """Start the CLI. `async with session:` does it for you.

        Raises:
            CLINotFoundError: there is no CLI, or it cannot be executed.
            SessionCrashedError: it ended before it was ready, or was not ready in time.
        """
        if self._wire is not None or self._closed:
            raise RuntimeError("A session is opened once: make a new ClaudeSession.")
        self._loop = asyncio.get_running_loop()
        wire = self._make_wire()
        self._wire = wire
        self._opened_at = wire.time()
        try:
            await wire.open(self._receive, self._lost)
        except BaseException:
            self._closed = True
            await wire.close()
            raise
        self._session_id = wire.session_id or self._session_id

    async def aclose(self) -> None:
        """Interrupt the running turn, end the CLI and all it started. Bounded, whatever they do."""
        if self._wire is None:
            return
        self._closed = True
        closed = SessionClosedError("The session was closed before this prompt was sent.")
        while self._queue:
            turn = self._queue.popleft()
            turn.finish("failed", error=_copy(closed), because=("closed", str(closed)))
        running = self._running
        if running is not None:
            self.interrupt_turn(running, "the session was closed")
            await running.wait()
        elif self._router.has_background_work:
            self._wire.interrupt()
        try:
            if self._ending is not None:
                await asyncio.shield(self._ending)
        finally:
            await self._wire.close()
            self._hot.complete()

    # -- for turns (see turn.Conductor) -------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop the session was opened on."""
        return self._loop

    def enqueue(self, turn: Turn) -> None:
        """Write the turn's prompt as soon as the turns before it are over."""
        if self._closed or self._wire is None:
            error: RxccError = SessionClosedError("The session is closed.")
            turn.finish("failed", error=error, because=("closed", str(error)))
        elif self._exit is not None:
            self._fail_unsent(turn)
        else:
            self._queue.append(turn)
            self._send_later()

    def withdraw(self, turn: Turn) -> None:
        """Take back a turn whose prompt was not written: it never is."""
        if turn in self._queue:
            self._queue.remove(turn)
        turn.finish("interrupted", because=("interrupted", "The turn was ended before it was sent."))

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        """Note in the turn why it is stopped, and stop it."""
        if turn is not self._running or self._interrupting or self._wire is None or self._loop is None:
            return
        if self._router.turn is None:
            return  # its result is being told: who leaves at it does not leave early
        self._interrupting = True
        at = self._wire.time() - self._prompted_at
        notice = NoticeChunk(kind, why, turn=turn.index, seq=self._scope.next_seq(), at=at)
        self._escalation = self._loop.call_later(self.options.interrupt_timeout, self._escalate)
        self._wire.interrupt()
        self._arrived.append([notice])
        self._hot.tell([notice])
        self._flush()

    # -- prompts out --------------------------------------------------------------------------------------

    def _make_cli_wire(self) -> Wire:
        from rxccsdk.wire.cli import CliWire

        recorder = Recorder(self.options.record) if self.options.record is not None else None
        return CliWire(self.options, recorder)

    def _send_later(self) -> None:
        # Not at once: who leaves in the same breath has sent nothing.
        if self._loop is not None:
            self._loop.call_soon(self._send_next)

    def _send_next(self) -> None:
        if self._running is not None or not self._queue or self._router.busy or self._wire is None:
            return
        if self._exit is not None or self._closed:
            return
        turn = self._queue.popleft()
        try:
            uuid = self._wire.send(turn.prompt)
        except RxccError as error:
            turn.finish("failed", error=error, because=("closed", str(error)))
            self._send_later()
            return
        index = self._turns
        self._turns += 1
        self._prompted_at = self._wire.time()
        self._scope = Scope(index)
        self._running = turn
        self._router.begin(index, uuid)
        turn.begin(index, self._wire.backend)

    # -- frames in ----------------------------------------------------------------------------------------

    def _receive(self, frames: Iterable[Frame | DeltaRun]) -> None:
        """Take the frames of one read. If we cannot, the session is lost, and whoever waits is told."""
        if self._exit is not None:
            return
        try:
            self._take(frames)
        except Exception as error:
            _log.error("reading the CLI's output failed; the session ends", exc_info=error)
            self._flush()
            self._lost(Exit(f"Reading the CLI's output failed: {error!r}. This is a defect of rxccsdk."))

    def _take(self, frames: Iterable[Frame | DeltaRun]) -> None:
        """Route, parse, publish."""
        assert self._wire is not None
        router, parser = self._router, self._parser
        scope, now = self._scope, self._wire.time()
        at = now - self._prompted_at
        for frame in frames:
            waiting = not router.started
            if router.route(frame) is None:
                chunks = parser.parse(frame, self._outside, now - self._opened_at)
            else:
                chunks = parser.parse(frame, scope, at)
                self._arrive(chunks)
            if self._hot.watched:
                self._hot.tell(chunks)
            if isinstance(frame, DeltaRun):
                continue  # it says words and changes nothing
            if router.ended:
                self._end_turn(frame)
            elif waiting and router.started and self._interrupting:
                self._wire.interrupt()  # the first one came while the prompt still waited
            if frame.get("type") in ("system", "conversation_reset"):
                self._note_session_id(frame)
        self._flush()
        if self._queue and not router.busy:
            self._send_later()

    def _arrive(self, chunks: list[Chunk]) -> None:
        """Put what arrived for the running turn with what arrived before it, in this read."""
        arrived = self._arrived
        if not arrived or isinstance(chunks, Stretch) or isinstance(arrived[-1], Stretch):
            arrived.append(chunks)
        else:
            arrived[-1] += chunks

    def _flush(self) -> None:
        """Hand the turn what arrived for it."""
        if self._arrived and self._running is not None:
            self._running.push(self._taken())

    def _taken(self) -> list[Sequence[Chunk]]:
        arrived, self._arrived = self._arrived, []
        return [part for chunks in arrived for part in stretches(chunks)]

    def _note_session_id(self, frame: Frame) -> None:
        if frame.get("subtype") in (None, "init"):
            self._session_id = frame.get("new_session_id") or frame.get("session_id") or self._session_id

    def _end_turn(self, frame: Frame) -> None:
        """The turn's result came, or the CLI dropped its prompt."""
        turn, self._running = self._running, None
        arrived = self._taken()
        interrupted, self._interrupting = self._interrupting, False
        if self._escalation is not None:
            self._escalation.cancel()
            self._escalation = None
        assert turn is not None, "the router ends only a turn that was begun"
        result = arrived[-1][-1] if arrived else None
        if isinstance(result, ResultChunk):
            aborted = (result.terminal_reason or "").startswith("aborted")
            stopped = aborted or (interrupted and result.is_error)
            self._last_result_failed = result.is_error
            turn.finish("interrupted" if stopped else "completed", arrived)
        elif frame.get("type") == "result":
            self._parser.abandon()
            words = f"The CLI's result could not be read: {frame}"
            turn.finish("completed", arrived, because=("execution", words))
        else:
            self._parser.abandon()
            words = "The turn was interrupted before it began."
            turn.finish("interrupted", arrived, because=("interrupted", words))
        self._send_later()

    # -- endings ------------------------------------------------------------------------------------------

    def _escalate(self) -> None:
        """The CLI does not answer the interrupt: end it."""
        if self._wire is not None and self._loop is not None and self._ending is None:
            self._ending = self._loop.create_task(self._wire.terminate())

    def _lost(self, exit: Exit) -> None:
        """The CLI is gone, or its output is."""
        if self._exit is not None:
            return
        self._exit = exit
        turn, self._running = self._running, None
        self._router.abandon()
        self._parser.abandon()
        if self._escalation is not None:
            self._escalation.cancel()
        crash = SessionCrashedError(exit.describe(), exit_code=exit.code, stderr=exit.stderr)
        if turn is not None:
            if self._interrupting:
                words = "The CLI did not answer the interrupt and was ended."
                turn.finish("interrupted", because=("interrupted", words))
            else:
                turn.finish("failed", error=crash, because=("crashed", exit.describe()))
        while self._queue:
            self._fail_unsent(self._queue.popleft())
        gone = exit.code is not None  # else it closed its output and lives on, of no use to anybody
        if not gone and self._ending is None and self._loop is not None and self._wire is not None:
            self._ending = self._loop.create_task(self._wire.terminate())
        if self._closed or self._interrupting or (self._last_result_failed and exit.code == 1):
            self._hot.complete()
        else:
            self._hot.fail(_copy(crash))

    def _fail_unsent(self, turn: Turn) -> None:
        assert self._exit is not None
        words = f"The session has ended, this prompt was not sent. {self._exit.describe()}"
        error = SessionClosedError(words, exit_code=self._exit.code, stderr=self._exit.stderr)
        turn.finish("failed", error=error, because=("closed", words))


def _copy(error: RxccError) -> RxccError:
    """The same error for another subscriber, so that none sees another's partial response or traceback."""
    return type(error)(str(error.args[0]), exit_code=error.exit_code, stderr=error.stderr)
