"""The CLI's process, with an SDK that answers its questions.

The SDK gets the control frames only: with them hooks, permissions and MCP servers work as ever. Every other
frame goes straight to the session.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

from rxccsdk.chunks import Frame
from rxccsdk.errors import RxccError, SessionClosedError, SessionCrashedError
from rxccsdk.transport import Exit, Lost, Receive
from rxccsdk.transport.long_texts import TextFiles
from rxccsdk.transport.process import CliProcess
from rxccsdk.transport.recorder import Recorder
from rxccsdk.transport.sdk import LaunchOptions, choose_driver, settled_session_id

_log = logging.getLogger("rxccsdk")

_SDK_GRACE = 5.0  # seconds the SDK may take to end when its transport has
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class CliTransport:
    """A session's way to the CLI and back.

    Args:
        options: the session's options.
        recorder: records all that passes, or `None`.
    """

    def __init__(self, options: LaunchOptions, recorder: Recorder | None = None) -> None:
        self.session_id: str | None = None
        self.takes_asks = options.ask == "stream"
        self.is_live = True
        self.echoes = False
        self._options = options
        self._recorder = recorder
        self._texts = TextFiles()
        self._driver = choose_driver(options, str(uuid.uuid4()))
        self.backend = self._driver.name
        self._sdk = _ControlChannel(self)
        self._process = CliProcess(
            self._on_data, self._on_end, self._driver.on_stderr, survive=options.survive
        )
        self._pump: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._receive: Receive = _ignore
        self._lost: Lost = _ignore
        self._ending = False
        self._given_up: Exit | None = None
        self._closed = asyncio.Event()

    time = staticmethod(time.monotonic)

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Start the CLI and wait until it has answered the SDK's `initialize`.

        Raises:
            CLINotFoundError: there is no CLI, or it cannot be executed.
            SessionCrashedError: it ended before it was ready, or took longer than `connect_timeout`.
        """
        argv, env = self._texts.replace(self._driver.command()), await self._driver.environment()
        self.session_id = settled_session_id(argv)
        self._receive, self._lost = receive, lost
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        await self._process.start(
            argv, self._driver.options.cwd, env, getattr(self._driver.options, "user", None)
        )
        if self._recorder is not None:
            self._recorder.open(self.backend, takes_asks=self.takes_asks)
        self._pump = loop.create_task(self._run_sdk())
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                await self._ready
        except TimeoutError:
            seconds = self._options.connect_timeout
            raise SessionCrashedError(
                f"The CLI did not get ready within {seconds:g} s. Is {argv[0]} the Claude Code CLI? "
                f"A slow machine needs a longer SessionOptions(connect_timeout=...)."
            ) from None

    @property
    def pid(self) -> int | None:
        """The CLI's process id, once it was started."""
        return self._process.pid

    def prompt_id(self, prompt: object) -> None:
        """Return `None`: any uuid will do."""

    def write(self, data: bytes) -> None:
        """Write one line to the CLI, without waiting.

        Raises:
            SessionClosedError: it takes no more input.
        """
        try:
            self._process.write(data)
        except ConnectionError as error:
            raise SessionClosedError("The CLI takes no more input.") from error
        if self._recorder is not None:
            self._recorder.sent(data, self.time())

    def record(self, line: bytes) -> None:
        """Note a line of our own among the CLI's, where the session is recorded."""
        if self._recorder is not None:
            self._recorder.added(line, self.time())

    @property
    def warnings(self) -> list[str]:
        """Why the recording has ended, if it has."""
        failure = self._recorder.failure if self._recorder is not None else None
        return [failure] if failure is not None else []

    def hand_to_sdk(self, frame: Frame) -> None:
        """Return the SDK a control frame of the CLI."""
        if frame.get("type") == "control_response":
            self._note_initialized(frame["response"])
        self._sdk.put(frame)

    async def terminate(self, exit: Exit) -> None:
        """End the CLI although it does not answer."""
        self._given_up = exit
        await self._process.end(at_once=True)

    async def close(self) -> None:
        """End the CLI, all it started, and the SDK's side of it."""
        self._ending = True
        try:
            await self._process.end()
        finally:
            self._texts.close()
            self._closed.set()
            self._sdk.finish()
            if self._pump is not None:
                # Before it was ready, the SDK waits a minute for an answer that cannot come.
                await asyncio.wait([self._pump], timeout=_SDK_GRACE if self._is_ready() else 0.0)
                self._pump.cancel()
                await asyncio.wait([self._pump])
            if self._recorder is not None:
                self._recorder.close()

    # -- inside -------------------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        ready = self._ready
        return ready is not None and ready.done() and not ready.cancelled() and ready.exception() is None

    def _note_initialized(self, response: Frame) -> None:
        if response.get("request_id") != self._sdk.initialize_id:
            return
        if response.get("subtype") == "error":
            self._fail_start(SessionCrashedError(f"The CLI refused to start: {response}"))
        elif self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _fail_start(self, error: Exception) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # looked at: who was cancelled waits no more, and that is no news

    def _on_data(self, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.received(data, self.time())
        self._receive(data)

    def _on_end(self, exit: Exit) -> None:
        end = self._given_up or exit
        if self._recorder is not None and not self._ending:
            self._recorder.ended(end, self.time())
        self._sdk.finish()
        self._lost(end)
        words = f"The CLI ended before it was ready: {exit.describe()}"
        self._fail_start(SessionCrashedError(words, exit_code=exit.code, stderr=exit.stderr))

    async def _run_sdk(self) -> None:
        """Own the SDK's side, from its connect to its disconnect: it must be one task."""
        try:
            async for _ in self._driver.query(self._no_prompts(), self._sdk):
                pass
        except Exception as error:
            if self._gone_before_ready(error):
                return
            if not self._is_ready():
                known = isinstance(error, RxccError)
                self._fail_start(error if known else SessionCrashedError(f"The SDK failed: {error}"))
            elif not self._closed.is_set():
                _log.error("the SDK's side of the session failed", exc_info=error)
        except asyncio.CancelledError:
            if not self._closed.is_set():
                await self._process.kill()  # the loop is being torn down under an open session
            raise

    def _gone_before_ready(self, error: BaseException | None) -> bool:
        """Whether the SDK only found the CLI's input closed: the CLI's end, which is due, explains why."""
        while error is not None and not isinstance(error, SessionClosedError):
            error = error.__cause__ or error.__context__
        return error is not None and not self._is_ready()

    async def _no_prompts(self) -> AsyncGenerator[Frame, None]:
        # The session writes the prompts; the SDK must only believe that more may come.
        await self._closed.wait()
        return
        yield {}

    def write_control(self, frame: Frame) -> None:
        """Write a control frame of the SDK's."""
        self.write(_to_json(self._driver.rewrite(frame)).encode() + b"\n")


class _ControlChannel:
    """What the SDK takes for its transport: it carries the control frames and nothing else."""

    def __init__(self, transport: CliTransport) -> None:
        self._transport = transport
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._finished = False
        self.initialize_id: str | None = None

    def put(self, frame: Frame) -> None:
        """Let the SDK read a frame."""
        self._frames.put_nowait(frame)

    def finish(self) -> None:
        """Let the SDK read the end."""
        self._finished = True
        self._frames.put_nowait(None)

    async def connect(self) -> None:
        """Do nothing: the process runs."""

    async def write(self, data: str) -> None:
        """Write what the SDK writes, and note which request starts the session."""
        for line in data.splitlines():
            frame = json.loads(line)
            if self.initialize_id is None and (frame.get("request") or {}).get("subtype") == "initialize":
                self.initialize_id = frame["request_id"]
            self._transport.write_control(frame)

    async def read_messages(self) -> AsyncIterator[Frame]:
        """Yield the control frames until the session closes."""
        while (frame := await self._frames.get()) is not None:
            yield frame

    async def close(self) -> None:
        """Do nothing: the transport ends the process."""

    async def end_input(self) -> None:
        """Do nothing: the session decides when no more input comes."""

    def is_ready(self) -> bool:
        """Whether the SDK may write."""
        return not self._finished


def _ignore(_: object) -> None:
    return None
