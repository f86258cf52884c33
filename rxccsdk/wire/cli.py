"""The real thing: the CLI's process, with an SDK to answer its questions.

The SDK gets the control frames only: with them hooks, permissions and MCP servers work as ever. Every other
frame goes straight to the session, whole and at a fraction of the cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from typing import Any

from rxccsdk.chunks import Frame
from rxccsdk.errors import RxccError, SessionClosedError, SessionCrashedError
from rxccsdk.wire import Exit, Lost, Receive
from rxccsdk.wire.cassette import Recorder
from rxccsdk.wire.deltas import DeltaRun
from rxccsdk.wire.launch import LaunchOptions, SdkDriver
from rxccsdk.wire.process import CliProcess
from rxccsdk.wire.reading import FrameReader

_log = logging.getLogger("rxccsdk")

_FOR_THE_SDK = frozenset(
    ("control_request", "control_response", "control_cancel_request", "transcript_mirror")
)
_OWN_ID = "rxccsdk-"  # how the ids of our own requests begin: their answers are none of the SDK's
_COST = re.compile(r"\$([0-9.]+)")
_ANSWER_WITHIN = 5.0  # seconds for what is only good to know
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class CliWire:
    """A session's wire to the CLI.

    Args:
        options: the session's options.
        recorder: writes a cassette of all that passes, or `None`.
    """

    def __init__(self, options: LaunchOptions, recorder: Recorder | None = None) -> None:
        self.session_id: str | None = options.resume or str(uuid.uuid4())
        self._options = options
        self._recorder = recorder
        self._driver = _driver(options, self.session_id)
        self.backend = self._driver.name
        self._transport = ControlTransport(self)
        self._process = CliProcess(self._on_data, self._on_end, self._driver.on_stderr)
        self._reader = FrameReader(runs=not options.keep_raw, heard=None if recorder is None else self._note)
        self._pump: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._early: list[Frame | DeltaRun] = []  # before it was ready: a bad start is explained in them
        self._receive: Receive = self._early.extend
        self._lost: Lost = _ignore
        self._requests = 0
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._ending = False
        self._exit: Exit | None = None
        self._closed = asyncio.Event()

    time = staticmethod(time.monotonic)

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Start the CLI and wait until it has answered the SDK's `initialize`.

        Raises:
            CLINotFoundError: there is no CLI, or it cannot be executed.
            SessionCrashedError: it ended before it was ready, or took longer than `connect_timeout`.
        """
        argv, env = self._driver.command(), self._driver.environment()
        await self._process.start(
            argv, self._driver.options.cwd, env, getattr(self._driver.options, "user", None)
        )
        if self._recorder is not None:
            self._recorder.open(self.backend)
        self._ready = asyncio.get_running_loop().create_future()
        self._pump = asyncio.get_running_loop().create_task(self._run_sdk())
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                await self._ready
        except TimeoutError:
            seconds = self._options.connect_timeout
            raise SessionCrashedError(
                f"The CLI did not get ready within {seconds:g} s. Is {argv[0]} the Claude Code CLI? "
                f"A slow machine needs a longer SessionOptions(connect_timeout=...)."
            ) from None
        self._receive, self._lost = receive, lost
        if self._early:
            receive(self._early)
        if self._exit is not None:  # it ended just when it had got ready
            lost(self._exit)

    def send(self, prompt: str | list[dict[str, Any]]) -> str:
        """Write a prompt; give the uuid it was sent with."""
        prompt_id = str(uuid.uuid4())
        message = {"role": "user", "content": prompt}
        self._write(
            {
                "type": "user",
                "uuid": prompt_id,
                "session_id": "",
                "message": message,
                "parent_tool_use_id": None,
            }
        )
        return prompt_id

    def interrupt(self) -> None:
        """Ask the agent to stop what it does."""
        with contextlib.suppress(SessionClosedError):
            self._request("interrupt")

    async def cost_so_far(self) -> float | None:
        """Ask what the session has cost, in USD, as the CLI estimates it while a turn runs.

        Older CLIs do not know the question; then it is `None`.
        """
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        try:
            request_id = self._request("get_session_cost")
        except SessionClosedError:
            return None
        self._answers[request_id] = answer
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                response = await answer
        except TimeoutError:
            return None
        finally:
            self._answers.pop(request_id, None)
        told = _COST.search(str((response.get("response") or {}).get("text")))
        return float(told[1]) if told is not None else None

    async def terminate(self) -> None:
        """End the CLI although it does not answer."""
        self._ending = True
        await self._process.end(at_once=True)

    async def close(self) -> None:
        """End the CLI, all it started, and the SDK's side of it."""
        self._ending = True
        try:
            await self._process.end()
        finally:
            self._closed.set()
            self._transport.finish()
            if self._pump is not None:
                # Before it was ready, the SDK waits a minute for an answer that cannot come.
                await asyncio.wait([self._pump], timeout=5.0 if self._is_ready() else 0.0)
                self._pump.cancel()
                await asyncio.wait([self._pump])
            if self._recorder is not None:
                self._recorder.close()

    def write_control(self, line: str) -> None:
        """Pass on what the SDK writes."""
        frame = self._driver.rewrite(json.loads(line))
        self._write(frame)

    # -- inside -------------------------------------------------------------------------------------------

    def _request(self, subtype: str) -> str:
        """Write a control request of our own; give its id."""
        self._requests += 1
        request_id = f"{_OWN_ID}{self._requests}"
        self._write({"type": "control_request", "request_id": request_id, "request": {"subtype": subtype}})
        return request_id

    def _is_ready(self) -> bool:
        ready = self._ready
        return ready is not None and ready.done() and not ready.cancelled() and ready.exception() is None

    def _write(self, frame: Frame) -> None:
        line = _to_json(frame).encode()
        try:
            self._process.write(line + b"\n")
        except ConnectionError as error:
            raise SessionClosedError("The CLI takes no more input.") from error
        if self._recorder is not None:
            self._recorder.sent(line, self.time())

    def _on_data(self, data: bytes) -> None:
        self._receive(self._session_frames(self._reader.read(data)))

    def _session_frames(self, frames: Iterable[Frame | DeltaRun]) -> Iterator[Frame | DeltaRun]:
        """Hand the SDK its frames; the others are the session's."""
        for frame in frames:
            if isinstance(frame, dict) and frame.get("type") in _FOR_THE_SDK:
                self._control(frame)
            else:
                yield frame

    def _note(self, line: bytes, frame: Frame) -> None:
        if self._recorder is not None:
            self._recorder.received(line, self.time(), frame)

    def _control(self, frame: Frame) -> None:
        if frame["type"] == "control_response":
            response = frame.get("response") or {}
            request_id = response.get("request_id")
            if str(request_id).startswith(_OWN_ID):
                answer = self._answers.pop(str(request_id), None)
                if answer is not None and not answer.done():
                    answer.set_result(response)
                return
            if (
                self._transport.initialize_id == request_id
                and self._ready is not None
                and not self._ready.done()
            ):
                if response.get("subtype") == "error":
                    self._ready.set_exception(SessionCrashedError(f"The CLI refused to start: {response}"))
                else:
                    self._ready.set_result(None)
        self._transport.hand_over(frame)

    def _on_end(self, exit: Exit) -> None:
        self._exit = exit
        self._receive(self._session_frames(self._reader.flush()))
        if self._recorder is not None and not self._ending:
            self._recorder.ended(exit, self.time())
        self._transport.finish()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result({})
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(
                SessionCrashedError(
                    f"The CLI ended before it was ready: {_last_words(self._early) or exit.describe()}",
                    exit_code=exit.code,
                    stderr=exit.stderr,
                )
            )
        self._lost(exit)

    async def _run_sdk(self) -> None:
        """Own the SDK's side, from its connect to its disconnect: it must be one task."""
        try:
            async for _ in self._driver.query(self._no_prompts(), self._transport):
                pass
        except Exception as error:
            if self._gone_before_ready(error):
                return
            if self._ready is not None and not self._ready.done():
                self._ready.set_exception(
                    error if isinstance(error, RxccError) else SessionCrashedError(f"The SDK failed: {error}")
                )
            elif not self._closed.is_set():
                _log.error("the SDK's side of the session failed", exc_info=error)
        except asyncio.CancelledError:
            if not self._closed.is_set():
                await self._process.kill()  # the loop is being torn down under an open session
            raise

    def _gone_before_ready(self, error: BaseException | None) -> bool:
        """Whether the SDK only found that the CLI hears nothing any more: its end, which is due, says why."""
        while error is not None and not isinstance(error, SessionClosedError):
            error = error.__cause__ or error.__context__
        return error is not None and not self._is_ready()

    async def _no_prompts(self) -> AsyncGenerator[Frame, None]:
        # Prompts are written by `send`; the SDK must only believe that more may come.
        await self._closed.wait()
        return
        yield {}


class ControlTransport:
    """What the SDK takes for its transport: it sees the control frames and nothing else."""

    def __init__(self, wire: CliWire) -> None:
        self._wire = wire
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._finished = False
        self.initialize_id: str | None = None

    def hand_over(self, frame: Frame) -> None:
        """Give the SDK a frame."""
        self._frames.put_nowait(frame)

    def finish(self) -> None:
        """Tell the SDK that no more comes."""
        self._finished = True
        self._frames.put_nowait(None)

    async def connect(self) -> None:
        """Nothing to do: the process runs."""

    async def write(self, data: str) -> None:
        """Pass on what the SDK writes, and note which request starts the session."""
        for line in data.splitlines():
            frame = json.loads(line)
            if self.initialize_id is None and (frame.get("request") or {}).get("subtype") == "initialize":
                self.initialize_id = frame["request_id"]
            self._wire.write_control(line)

    async def read_messages(self) -> AsyncIterator[Frame]:
        """Yield the control frames until the session closes."""
        while (frame := await self._frames.get()) is not None:
            yield frame

    async def close(self) -> None:
        """Nothing to do: the wire ends the process."""

    async def end_input(self) -> None:
        """Nothing to do: the session decides when no more input comes."""

    def is_ready(self) -> bool:
        """Whether the SDK may write."""
        return not self._finished


def _driver(options: LaunchOptions, session_id: str) -> SdkDriver:
    """Choose the SDK: the one `sdk_options` is of, the one that was named, or the one that is there."""
    name: str = options.backend
    if options.sdk_options is not None:
        module = type(options.sdk_options).__module__.partition(".")[0]
        named = {"claude_agent_sdk": "claude-agent-sdk", "claude_code_sdk": "claude-code-sdk"}.get(module)
        if named is None:
            raise TypeError(
                "sdk_options must be a ClaudeCodeOptions (claude-code-sdk) or a ClaudeAgentOptions "
                f"(claude-agent-sdk), not {type(options.sdk_options).__name__}."
            )
        if name not in ("auto", named):
            raise ValueError(f"backend={name!r} contradicts sdk_options, which belong to {named}.")
        name = named
    elif name == "auto":
        has_agent_sdk = importlib.util.find_spec("claude_agent_sdk") is not None
        name = "claude-agent-sdk" if has_agent_sdk else "claude-code-sdk"
    if name == "claude-agent-sdk":
        if importlib.util.find_spec("claude_agent_sdk") is None:
            raise RxccError("claude-agent-sdk is not installed: pip install 'rxccsdk[agent]'.")
        from rxccsdk.wire.claude_agent import ClaudeAgentDriver

        return ClaudeAgentDriver(options, session_id)
    from rxccsdk.wire.claude_code import ClaudeCodeDriver

    return ClaudeCodeDriver(options, session_id)


def _last_words(frames: list[Frame | DeltaRun]) -> str:
    """Why the CLI would not start, as its `result` frame says it."""
    for frame in reversed(frames):
        if isinstance(frame, dict) and frame.get("type") == "result":
            errors = frame.get("errors") or [frame.get("result") or frame.get("subtype")]
            return "; ".join(str(error) for error in errors)
    return ""


def _ignore(exit: Exit) -> None:
    return None
