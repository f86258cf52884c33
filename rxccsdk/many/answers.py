"""Many prompts: asked a few at a time, each answered once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from math import inf
from pathlib import Path
from typing import Literal

from reactivex import abc
from reactivex.disposable import Disposable

from rxccsdk.errors import CLINotFoundError, RxccError
from rxccsdk.many.answer import Answer, Retry
from rxccsdk.many.journal import Journal, keys
from rxccsdk.many.pool import Pool
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.prompt import Prompt, checked_prompt
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.structure import put_parsed
from rxccsdk.session.turn import Turn
from rxccsdk.text.clock import Timer, call_on, running_loop
from rxccsdk.text.hot import Hot
from rxccsdk.text.leave import finished, iterate
from rxccsdk.text.sink import Sink

_log = logging.getLogger("rxccsdk")

_LOST = 3  # sessions that a prompt may lose before it is sent
_LEAST = 0.0001  # USD: the CLI takes no budget of nothing


def ask_all(
    prompts: Iterable[Prompt],
    options: SessionOptions | None = None,
    *,
    at_once: int = 3,
    timeout: float | None = None,
    retry: Retry | None = None,
    max_budget_usd: float | None = None,
    journal: Path | str | None = None,
) -> Answers:
    """Ask many prompts, a few at a time, each in a session of its own.

    The first subscription begins, once. Each prompt's `Answer` comes at its end, in the order of the ends;
    one that ends badly is an `Answer` with an `error`, and costs the others nothing. Late subscribers get
    all answers from the first. When the last one leaves, what runs is interrupted and nothing more is sent.
    It completes when all sessions are closed. The next session is started ahead, so that a prompt need not
    wait for its CLI: at most `at_once` answer, and one more waits.

    Args:
        prompts: each text, or a list of content blocks.
        options: what to start each session with.
        at_once: how many are answered at the same time.
        timeout: seconds a prompt may take; it is then interrupted, with `error_kind="timeout"`.
        retry: sends again, in a new session, what is `retryable`, and only that. It waits on the scheduler
            given to `subscribe`, else on the running loop. `None` sends each once.
        max_budget_usd: of all together, what the journal has included. Once it is spent, no prompt is sent
            any more: those left have an `Answer` with `error_kind="budget"`. No single one may cost more than
            is left when its session is started.
        journal: a file for the answers. The same call goes on where it stopped, also after a crash: what the
            journal has the answer of is not asked again. What did not succeed is.

    Raises:
        TypeError: a prompt is neither text nor a list of content blocks, or `prompts` is one text.
        ValueError: a prompt is empty, a number is none, or the options name a file to record to.

    Errors: `CLINotFoundError`; `RxccError` where the journal cannot be used.

    Example:
        async for answer in ask_all(["One?", "Two?"], at_once=2, retry=Retry()):
            print(answer.index, answer.response.content)
    """
    return answers_of(
        prompts,
        options,
        ClaudeSession,
        at_once=at_once,
        timeout=timeout,
        retry=retry,
        max_budget_usd=max_budget_usd,
        journal=journal,
    )


def answers_of(
    prompts: Iterable[Prompt],
    options: SessionOptions | None,
    make: Callable[[SessionOptions], ClaudeSession],
    *,
    at_once: int,
    timeout: float | None,
    retry: Retry | None,
    max_budget_usd: float | None,
    journal: Path | str | None,
) -> Answers:
    """Ask many prompts, each in a session that `make` makes; see `ask_all`."""
    if isinstance(prompts, str):
        raise TypeError("ask_all takes many prompts: pass a list, or use rxccsdk.ask for one.")
    if at_once < 1:
        raise ValueError(f"at_once must be positive, not {at_once!r}.")
    for name, value in (("timeout", timeout), ("max_budget_usd", max_budget_usd)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, not {value!r}.")
    chosen = options or SessionOptions()
    if chosen.record is not None:
        raise ValueError("ask_all has a session for each prompt, and `record` names one file.")
    return Answers(
        [checked_prompt(prompt) for prompt in prompts],
        chosen,
        make,
        at_once=at_once,
        timeout=timeout,
        retry=retry or Retry(tries=1),
        budget=inf if max_budget_usd is None else max_budget_usd,
        journal=Journal(Path(journal)) if journal is not None else None,
    )


class Answers(Hot[Answer]):
    """The answers to many prompts, as an Observable; made by `ask_all`.

    Attributes:
        started: each turn as it begins. Hot; it starts nothing, and ends with the answers.
    """

    def __init__(
        self,
        prompts: list[Prompt],
        options: SessionOptions,
        make: Callable[[SessionOptions], ClaudeSession],
        *,
        at_once: int,
        timeout: float | None,
        retry: Retry,
        budget: float,
        journal: Journal | None,
    ) -> None:
        super().__init__("ask_all", keep=True)
        self.started: Hot[Turn] = Hot("ask_all().started")
        self._prompts = prompts
        self._keys = keys(prompts)
        self._options = options
        self._make = make
        self._at_once = at_once
        self._timeout = timeout
        self._retry = retry
        self._budget = budget
        self._journal = journal
        self._spent = 0.0
        self._unsent: deque[int] = deque()
        self._turns: dict[Turn, int] = {}  # that run, and of which prompt
        self._stopped = False
        self._waits: set[asyncio.Future[None]] = set()  # for another try
        self._pool = Pool(self._session, self._to_send)
        self._scheduler: abc.SchedulerBase | None = None
        self._main: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    def __aiter__(self) -> AsyncGenerator[Answer, None]:
        return iterate(self)

    def index_of(self, turn: Turn) -> int:
        """Return of which prompt a turn is that runs, by its place."""
        return self._turns[turn]

    @property
    def status(self) -> Literal["pending", "running", "completed"]:
        """How far it is."""
        if self._main is None:
            return "pending"
        return "completed" if self._ended else "running"

    async def interrupt(self) -> None:
        """Send nothing more, and interrupt what runs: that comes as answers. Return when all has ended."""
        self._stopped = True
        self._unsent.clear()
        for wait in list(self._waits):
            wait.cancel()
        await asyncio.gather(*(turn.interrupt() for turn in list(self._turns)))
        if self._main is not None:
            await asyncio.wait([self._main])

    # -- subscribers --------------------------------------------------------------------------------------

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put all answers into the sink, from the first, and begin where nobody has."""
        loop = running_loop()
        if self._main is None:
            if loop is None:
                raise RuntimeError("ask_all needs a running event loop: subscribe, or await it, inside one.")
            self._scheduler = scheduler
            self._main = loop.create_task(self._run())
            self._main.add_done_callback(self._finish)
        joined, main = super()._connect(sink, scheduler), self._main

        def leave() -> None:
            joined.dispose()
            if not self._sinks and not main.done():
                call_on(main.get_loop(), self._leave)

        return Disposable(leave)

    def _leave(self) -> None:
        self._stopped = True
        if self._main is not None and not self._ended:
            self._main.cancel()

    # -- the work -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Ask all prompts; return when all sessions are closed."""
        try:
            if self._journal is not None:
                self._journal.open()
            self._take_from_journal()
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._at_once, len(self._unsent))):
                    group.create_task(self._work())
        except ExceptionGroup as failures:
            self._failure = failures.exceptions[0]
        except Exception as error:
            self._failure = error
        finally:
            self._stopped = True
            # A second cancellation must not leave a CLI behind.
            self._closing = asyncio.get_running_loop().create_task(self._close())
            await asyncio.shield(self._closing)

    def _finish(self, main: asyncio.Task[None]) -> None:
        self.started._end()
        self._end(self._failure)

    async def _close(self) -> None:
        await self._pool.close()
        if self._journal is not None:
            self._journal.close()

    def _take_from_journal(self) -> None:
        """Give the answers that the journal has; the other prompts are to be sent."""
        if self._journal is not None:
            self._spent = self._journal.spent
        for index, prompt in enumerate(self._prompts):
            known = self._journal.answered(self._keys[index]) if self._journal is not None else None
            if known is None:
                self._unsent.append(index)
                continue
            response, tries = known
            if self._options.output is not None:
                put_parsed(response, self._options.output)
            self._send(Answer(index, prompt, None, response, tries))

    async def _work(self) -> None:
        """Ask one prompt after the other."""
        while self._unsent and not self._stopped:
            await self._ask(self._unsent.popleft())

    async def _ask(self, index: int) -> None:
        """Ask a prompt until it is answered, or is not to be asked again."""
        tries, lost, cost, turn = 0, 0, 0.0, None
        while True:
            if self._spent >= self._budget:
                words = f"Not sent: max_budget_usd={self._budget} is spent (${self._spent:.4f})."
                response = SessionResponse(error=words, error_kind="budget")
                break
            try:
                session = await self._pool.take()
            except CLINotFoundError:
                raise
            except RxccError as error:
                response = SessionResponse(error=str(error), error_kind="crashed")
                break
            if self._stopped or self._spent >= self._budget:
                self._pool.drop(session)
                if self._stopped:
                    return
                continue
            turn = session.stream(self._prompts[index], timeout=self._timeout)
            response = await self._answered(index, turn, session)
            if turn.index is None and response.error_kind == "closed" and lost < _LOST and not self._stopped:
                lost += 1  # its CLI died while it waited: nothing was sent
                continue
            tries += turn.index is not None
            paid = response.metadata.cost_usd or 0.0
            cost += paid
            self._spent += paid
            wait = None if self._stopped else self._retry.wait(tries, response)
            if wait is None:
                break
            await self._wait(wait)
            if self._stopped:
                break
        self._end_of(Answer(index, self._prompts[index], turn, response, tries), cost)

    async def _answered(self, index: int, turn: Turn, session: ClaudeSession) -> SessionResponse:
        """Ask in a turn, and return its response, however it ends."""
        self._turns[turn] = index
        try:
            self.started._send(turn)
            await finished(turn)
        except RxccError:
            pass  # the response says what it was
        finally:
            del self._turns[turn]
            self._pool.drop(session)
        return turn.response

    async def _wait(self, seconds: float) -> None:
        """Wait before another try, until it is time or all is stopped."""
        is_time: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = Timer(self._scheduler)

        def come() -> None:
            if not is_time.done():
                is_time.set_result(None)

        timer.start(seconds, come)
        self._waits.add(is_time)
        try:
            await asyncio.wait([is_time])
        finally:
            timer.stop()
            self._waits.discard(is_time)

    def _end_of(self, answer: Answer, cost: float) -> None:
        """Note an answer in the journal, and send it."""
        if self._journal is not None and answer.tries:
            try:
                self._journal.write(answer, self._keys[answer.index], cost)
            except (OSError, ValueError, TypeError) as error:
                _log.error("the journal cannot be written; the answers go on", exc_info=error)
                answer.response.warnings.append(f"not in the journal: {error}")
        self._send(answer)

    def _to_send(self) -> int:
        return 0 if self._stopped or self._spent >= self._budget else len(self._unsent)

    def _session(self) -> ClaudeSession:
        """Make a session that may cost no more than what is left."""
        options = self._options
        left = min(self._budget - self._spent, options.max_budget_usd or inf)
        if left < inf and getattr(options.sdk_options, "max_budget_usd", None) is None:
            options = options.model_copy(update={"max_budget_usd": max(left, _LEAST)})
        return self._make(options)
