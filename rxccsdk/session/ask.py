"""One prompt with a session of its own."""

from __future__ import annotations

import asyncio

from rxccsdk.errors import RxccError, SessionCrashedError
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.prompt import Prompt, checked_prompt
from rxccsdk.session.query import answer
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.talk import Talk
from rxccsdk.session.turn import Turn
from rxccsdk.text.clock import running_loop
from rxccsdk.transport import Exit


def ask(prompt: Prompt, options: SessionOptions | None = None) -> Turn:
    """Make a turn that brings its own session: opened at the first subscription, closed at the end.

    The turn completes when its session is closed, so that nothing is left running behind it.

    Args:
        prompt: text, or a list of content blocks.
        options: what to start the session with.

    Example:
        print((await ask("What is in this folder?").pipe(cc.to_response())).content)
    """
    output = options.output if options is not None else None
    return Turn(OneShot(ClaudeSession(options)), checked_prompt(prompt), output=output)


def run(prompt: Prompt, options: SessionOptions | None = None) -> SessionResponse:
    """Ask one prompt, from code without an event loop, and wait for the whole answer.

    Args:
        prompt: text, or a list of content blocks.
        options: `stream_output` and `progress_callback` work as in `ClaudeSession.query`.

    Raises:
        RuntimeError: inside a running event loop.
        RxccError: the session broke; `.partial` has the response so far.

    Example:
        print(run("What is in this folder?").content)
    """
    if running_loop() is not None:
        raise RuntimeError(
            "rxccsdk.run() would block the running event loop: use "
            "`await rxccsdk.ask(prompt).pipe(cc.to_response())` or `await session.query(prompt)`."
        )
    chosen = options or SessionOptions()
    turn = ask(prompt, chosen)

    async def main() -> SessionResponse:
        return await answer(turn, chosen.stream_output, chosen.progress_callback)

    return asyncio.run(main())


class OneShot:
    """Conducts one turn: opens its session before the prompt, closes it after the result."""

    def __init__(self, session: ClaudeSession) -> None:
        self._session = session
        self._exchange = session._exchange
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Task[None] | None = None
        self._is_starting = False
        self._withdrawn = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        self._loop = self._loop or running_loop()
        return self._loop

    @property
    def session_id(self) -> str | None:
        return self._exchange.session_id

    @property
    def exit(self) -> Exit | None:
        return self._exchange.exit

    @property
    def warnings(self) -> list[str]:
        return self._exchange.warnings

    @property
    def talk(self) -> Talk:
        return self._exchange.talk

    def enqueue(self, turn: Turn) -> None:
        assert self._loop is not None
        self._opening = self._loop.create_task(self._open(turn))

    def withdraw(self, turn: Turn) -> None:
        was_withdrawn, self._withdrawn = self._withdrawn, True
        if self._opening is None or self._opening.done():
            self._exchange.withdraw(turn)
        elif self._is_starting and not was_withdrawn:
            self._opening.cancel()  # a CLI may never get ready

    def interrupt_turn(self, turn: Turn, why: str, kind: str = "interrupt") -> None:
        self._exchange.interrupt_turn(turn, why, kind)

    async def _open(self, turn: Turn) -> None:
        if self._withdrawn:
            self._exchange.withdraw(turn)
            return
        self._is_starting = True
        try:
            await self._session.open()
        except asyncio.CancelledError:
            if not self._withdrawn:
                raise
        except Exception as error:
            if not isinstance(error, RxccError):
                error = SessionCrashedError(f"The session could not be opened: {error!r}")
            turn._finish("failed", error=error, because=("crashed", str(error)))
            return
        if self._withdrawn:
            await self._session.aclose()
            self._exchange.withdraw(turn)
            return
        turn._hold_end(self._close)
        self._exchange.enqueue(turn)

    async def _close(self) -> None:
        if not self._exchange.has_closed:  # whoever else closes it waits for the turn
            await self._session.aclose()
