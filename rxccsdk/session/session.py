"""A Claude Code session: prompts go in one after the other, each answered by a turn."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from reactivex import Observable

from rxccsdk.chunks import AskChunk, Chunk
from rxccsdk.errors import ControlError, RxccError, SessionClosedError
from rxccsdk.session.asks import AskAnswer, permission_result
from rxccsdk.session.branching import Place
from rxccsdk.session.controls import Controls
from rxccsdk.session.exchange import Exchange
from rxccsdk.session.options import ProgressCallback, SessionOptions
from rxccsdk.session.prompt import Prompt, checked_prompt
from rxccsdk.session.query import answer
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn
from rxccsdk.text.clock import on_loop
from rxccsdk.transport import Transport
from rxccsdk.transport.player import CassettePlayer
from rxccsdk.transport.recorder import FileRecorder
from rxccsdk.transport.sdk import continues
from rxccsdk.wire.connection import FAR_ID, OWN_ID, Connection

_COST = re.compile(r"\$([0-9.]+)")
SessionStatus = Literal["new", "open", "closed", "crashed"]

_ANSWER_WITHIN = 30.0  # seconds for the answer to a control request


class ClaudeSession(Controls):
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
        self._make_transport: Callable[[], Transport] | None = None
        self._before_open: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._exchange = Exchange(self.options.interrupt_timeout)

    def __del__(self) -> None:
        exchange = self.__dict__.get("_exchange")  # not there where `__init__` raised
        if exchange is not None and exchange.is_open:
            words = "A ClaudeSession was dropped while it was open: use `async with`, or `await aclose()`."
            warnings.warn(words, ResourceWarning, source=self, stacklevel=2)
            exchange.close_soon()

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
        session._make_transport = lambda: CassettePlayer(Path(cassette), speed)
        return session

    @property
    def session_id(self) -> str | None:
        """The session's id, from `open()` on; `/clear` gives it a new one.

        Where an earlier session is continued or forked it is `None` until the CLI has named it.
        """
        return self._exchange.session_id

    @property
    def status(self) -> SessionStatus:
        """How far it is: `new`, `open`, `closed` by somebody, or `crashed`: its CLI is gone."""
        if self._exchange.loop is None:
            return "new"
        if self._exchange.is_open:
            return "open"
        return "closed" if self._exchange.has_closed else "crashed"

    @property
    def pid(self) -> int | None:
        """The process id of the CLI; `None` before `open()`, and of a recording."""
        talk = self._exchange._talk
        return talk.pid if talk is not None else None

    @property
    def chunks(self) -> Observable[Chunk]:
        """Every chunk as it arrives, in or outside a turn. Hot: it starts and keeps nothing, completes when
        the session closes and fails when it crashes."""
        return self._exchange.chunks

    def stream(
        self,
        prompt: Prompt,
        *,
        on_dispose: Literal["interrupt", "finish"] = "interrupt",
        replay: bool = True,
        max_output_tokens: int | None = None,
        timeout: float | None = None,
        linger: float = 0.0,
    ) -> Turn:
        """Make a turn for a prompt. Nothing is sent before somebody subscribes to it.

        Args:
            prompt: text, or a list of content blocks (text, image) as the Messages API spells them.
            on_dispose: what happens when the last subscriber leaves early: "interrupt" stops the turn,
                "finish" lets it run to its end.
            replay: keep the chunks for late subscribers; without, memory stays flat and late subscribers see
                what is still to come.
            max_output_tokens: interrupt the turn once its messages have used more than this.
            timeout: interrupt it once it has taken so many seconds; its `error_kind` is then "timeout". Time
                in which the agent waits for an answer of yours does not count.
            linger: seconds to wait for another subscriber when the last one has left, before that counts.

        Raises:
            TypeError: the prompt is neither text nor a list of content blocks.
            ValueError: the prompt is empty, a content block is malformed, or a time is none.
        """
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be positive, not {timeout!r}.")
        if not linger >= 0:
            raise ValueError(f"linger must not be negative, not {linger!r}.")
        return Turn(
            self._exchange,
            checked_prompt(prompt),
            on_dispose=on_dispose,
            replay=replay,
            max_output_tokens=max_output_tokens,
            timeout=timeout,
            linger=linger,
            output=self.options.output,
            session=self,
        )

    async def query(
        self,
        prompt: Prompt,
        stream: bool | None = None,
        progress_callback: ProgressCallback | None = None,
    ) -> SessionResponse:
        """Ask, wait, and return the whole answer; print it live if asked to. Silent by default.

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

    def at(self, turn: Turn) -> Place:
        """Return a turn of this session as the place where another one begins: `session.at(turn).fork()`."""
        return Place(self, turn)

    async def interrupt(self) -> None:
        """Stop what the agent is doing. Returns when the running turn has ended; at once when idle."""
        await on_loop(self._exchange.loop, self._exchange.interrupt)

    async def answer(self, ask: AskChunk, answer: AskAnswer) -> None:
        """Answer a question of the agent, which came as an `AskChunk`. A `DecisionChunk` follows.

        Args:
            ask: the chunk.
            answer: `Allow(...)` or `Deny(...)`; for a question also the answers, by the texts of what is
                asked: a label, several labels, or words of one's own.

        Raises:
            ControlError: it was answered before, or withdrawn; the error says which.
            SessionClosedError: the session is not open.
            TypeError: it is no answer.
            ValueError: it does not fit the question.

        Example:
            async for chunk in session.stream("Tidy up"):
                if isinstance(chunk, AskChunk):
                    await session.answer(chunk, Deny("not here"))
        """
        response, talk = permission_result(ask, answer), self._exchange.talk

        async def give() -> None:
            talk.answer(ask, response)

        await on_loop(self._exchange.loop, give)

    async def stop_task(self, task_id: str) -> None:
        """Stop a command or sub-agent, in the background or not. One that is over is no error.

        Args:
            task_id: as a `TaskChunk` names it.

        Raises:
            ControlError: the CLI refuses it.
            SessionClosedError: the session is not open.
        """
        await self.control("stop_task", task_id=task_id)

    async def cost_so_far(self) -> float | None:
        """Ask what the session has cost until now, in USD, also while a turn runs.

        An estimate of the CLI's; what a turn did cost is in its response. `None` where nothing knows: an
        older CLI, a recording, a session that is not open.
        """
        try:
            answer = await self.control("get_session_cost")
        except (ControlError, SessionClosedError):
            return None
        found = _COST.search(str(answer.get("text")))
        return float(found[1]) if found is not None else None

    async def control(self, subtype: str, /, **fields: Any) -> dict[str, Any]:
        """Send a control request of the CLI's protocol, and return its answer; also while a turn runs.

        Args:
            subtype: what is asked, as the CLI names it: "get_settings", "read_file", ...
            fields: what belongs to it.

        Raises:
            ControlError: the CLI refuses it, does not know it, or gives no answer within 30 s.
            SessionClosedError: the session is not open.

        Example:
            version = await session.control("get_binary_version")
        """
        talk = self._exchange.talk
        return await on_loop(self._exchange.loop, partial(talk.control, subtype, fields, _ANSWER_WITHIN))

    async def open(self) -> None:
        """Start the CLI. `async with session:` does it for you.

        Raises:
            CLINotFoundError: there is no CLI, or it cannot be executed.
            SessionCrashedError: it ended before it was ready, or was not ready in time.
        """
        if self._exchange.loop is not None:
            raise RuntimeError("A session is opened once: make a new ClaudeSession.")
        if self._before_open is not None:
            await self._before_open()
        transport, options = (self._make_transport or self._cli_transport)(), self.options
        base_cost = None if continues(options) else 0.0
        connection = Connection(
            keep_raw=options.keep_raw,
            base_cost=base_cost,
            now=transport.time(),
            ids=f"{FAR_ID}{uuid4().hex}-" if transport.echoes else OWN_ID,
        )
        await self._exchange.open(transport, connection, options.tool_output)

    async def aclose(self) -> None:
        """Interrupt the running turn, end the CLI and all it started. Bounded, whatever they do."""
        await on_loop(self._exchange.loop, self._exchange.close)

    async def __aenter__(self) -> ClaudeSession:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _cli_transport(self) -> Transport:
        if sys.platform == "win32":
            raise RxccError("rxccsdk runs agents on Linux and macOS. On Windows, use it inside WSL.")
        from rxccsdk.transport.cli import CliTransport

        recorder = FileRecorder(Path(self.options.record)) if self.options.record is not None else None
        return CliTransport(self.options, recorder)
