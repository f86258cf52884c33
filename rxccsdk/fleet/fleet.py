"""The fleet, for those who ask and those who watch: a turn of another machine is a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal
from weakref import WeakSet

from rxccsdk.fleet.dispatch import Dispatch
from rxccsdk.fleet.onlooker import Onlooker
from rxccsdk.fleet.session import FleetSession
from rxccsdk.fleet.spec import Spec
from rxccsdk.many.answer import Retry
from rxccsdk.many.answers import Answers, answers_of
from rxccsdk.session.ask import OneShot
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.prompt import Prompt, checked_prompt
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn
from rxccsdk.transport.redis_client import PatientRedis

_MANY = 1000  # prompts: the queue in Redis holds any number, this side its turns


class Fleet:
    """Machines that answer prompts: each runs `rxccsdk serve --redis URL`.

    Args:
        url: of Redis, as redis-py takes it: "redis://host:6379/0", "rediss://user:password@host", "unix://...".
        patience: seconds to go on trying when Redis is not there.

    Raises:
        ValueError: the URL is none.

    Example:
        async with Fleet("redis://localhost") as fleet:
            turn = fleet.stream("Explain this repository", SessionOptions(cwd="/srv/project"))
            async for piece in turn.pipe(cc.text(), cc.to_async_iterator()):
                print(piece, end="", flush=True)
    """

    def __init__(self, url: str, *, patience: float = 30.0) -> None:
        self._dispatch = Dispatch(PatientRedis(url, patience))
        self._sessions: WeakSet[FleetSession] = WeakSet()

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def stream(
        self,
        prompt: Prompt,
        options: SessionOptions | None = None,
        *,
        on_dispose: Literal["interrupt", "finish"] = "interrupt",
        replay: bool = True,
        max_output_tokens: int | None = None,
        timeout: float | None = None,
        linger: float = 0.0,
    ) -> Turn:
        """Make a turn that some machine of the fleet answers, in a session of its own.

        Nothing is sent before somebody subscribes. Then the prompt waits until a machine is free. The turn
        is as a local one: the same chunks, operators, `steer`, `interrupt`, answers to its questions. Its
        `uuid`, known from the start, is what others watch it by: `await fleet.turn(uuid)`. When its machine
        is lost it fails with its partial response; to go on, ask again with
        `SessionOptions(resume=session_id)`.

        Args:
            prompt: text, or a list of content blocks.
            options: as for a session. `cwd` is a folder there. What cannot travel is refused.
            on_dispose: what happens when the last subscriber here leaves early.
            replay: keep the chunks for late subscribers here.
            max_output_tokens: as for `ClaudeSession.stream`.
            timeout: as for `ClaudeSession.stream`; it counts from when a machine has begun.
            linger: as for `ClaudeSession.stream`.

        Raises:
            TypeError: the prompt is neither text nor a list of content blocks.
            ValueError: the prompt is empty, or an option means nothing on another machine.
        """
        chosen = options or SessionOptions()
        session = FleetSession(self._dispatch, chosen, survives=on_dispose == "finish")
        session.prepare(prompt, timeout=timeout, max_output_tokens=max_output_tokens)
        how: Any = {"on_dispose": on_dispose, "replay": replay, "linger": linger}
        return self._turn(session, OneShot(session), checked_prompt(prompt), chosen.output, **how)

    async def submit(
        self,
        prompt: Prompt,
        options: SessionOptions | None = None,
        *,
        max_output_tokens: int | None = None,
        timeout: float | None = None,
    ) -> str:
        """Give a prompt to the fleet, and return its id when Redis has it. Nobody needs to watch it.

        Args:
            prompt: as for `stream`, as all the others.
            options: as for a session.
            max_output_tokens: as for `ClaudeSession.stream`.
            timeout: as for `ClaudeSession.stream`; it counts from when a machine has begun.

        Raises:
            LogError: Redis cannot be reached; whether it has the prompt is not known.
            TypeError: the prompt is neither text nor a list of content blocks.
            ValueError: the prompt is empty, or an option means nothing on another machine.

        Example:
            id = await fleet.submit("Explain this repository")
            response = await (await fleet.turn(id)).pipe(cc.to_response())
        """
        session = FleetSession(self._dispatch, options or SessionOptions())
        spec = session.prepare(prompt, timeout=timeout, max_output_tokens=max_output_tokens)
        await self._dispatch.submit(session.job, spec.model_dump_json())
        return session.job

    async def turn(self, id: str, *, replay: bool = True) -> Turn:
        """Return a turn that somebody has asked, here or elsewhere, to watch it from its first chunk.

        Leaving it does not stop it; `interrupt` does, and while somebody here reads it, `steer` and answers
        work as well.

        Args:
            id: its `uuid`.
            replay: keep the chunks for late subscribers here.

        Raises:
            LookupError: there is no such turn, or none any more.
            LogError: Redis cannot be reached.
        """
        text = await self._dispatch.spec(id)
        if text is None:
            raise LookupError(f"The fleet knows no turn {id!r}: it was never asked, or is forgotten.")
        spec = Spec.model_validate_json(text)
        session = FleetSession(self._dispatch, SessionOptions(**spec.options), job=id)
        how: Any = {"on_dispose": "finish", "replay": replay}
        return self._turn(session, Onlooker(session), spec.prompt, spec.options.get("output"), **how)

    def ask_all(
        self,
        prompts: Iterable[Prompt],
        options: SessionOptions | None = None,
        *,
        at_once: int = _MANY,
        timeout: float | None = None,
        retry: Retry | None = None,
        max_budget_usd: float | None = None,
        journal: Path | str | None = None,
    ) -> Answers:
        """Ask many prompts of the fleet: as `rxccsdk.ask_all`.

        How many are answered at once is decided by the machines. `retry` sends again, too, what a machine had
        begun that was lost.

        Args:
            prompts: see `ask_all`, as all the others.
            options: what each session is started with.
            at_once: how many are in the fleet at the same time.
            timeout: seconds a prompt may take, from when a machine has begun.
            retry: when to send again.
            max_budget_usd: of all together.
            journal: a file for the answers.
        """

        def make(chosen: SessionOptions) -> ClaudeSession:
            session = FleetSession(self._dispatch, chosen)
            self._sessions.add(session)
            return session

        return answers_of(
            prompts,
            options,
            make,
            at_once=at_once,
            timeout=timeout,
            retry=retry,
            max_budget_usd=max_budget_usd,
            journal=journal,
        )

    async def aclose(self) -> None:
        """Stop what was asked from here, unless with `on_dispose="finish"`, and close all connections."""
        await asyncio.gather(*(session.leave() for session in tuple(self._sessions)))
        await self._dispatch.aclose()

    def _turn(
        self, session: FleetSession, conductor: OneShot, prompt: Prompt, output: Any, **how: Any
    ) -> Turn:
        self._sessions.add(session)
        turn = Turn(conductor, prompt, output=output, session=session, **how)
        turn.uuid = session.job
        return turn
