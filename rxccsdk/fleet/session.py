"""A session whose only prompt is answered by another machine."""

from __future__ import annotations

from typing import Literal
from uuid import uuid4

from rxccsdk.errors import RxccError
from rxccsdk.fleet.dispatch import Dispatch
from rxccsdk.fleet.remote import RemoteTransport
from rxccsdk.fleet.spec import Spec
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.prompt import Prompt, checked_prompt
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn

_PATIENCE = 45.0  # seconds that an interrupt may take beyond what a machine gives its CLI


class FleetSession(ClaudeSession):
    """A session over the fleet.

    Args:
        dispatch: Redis.
        options: as they were given here; the machine gets those that travel.
        job: the prompt's id, where somebody else has asked it.
        survives: the turn goes on when this session is left.

    Attributes:
        job: the prompt's id.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        options: SessionOptions,
        *,
        job: str | None = None,
        survives: bool = False,
    ) -> None:
        # The machine asks for the output of tools, and ends a CLI that does not obey.
        here = {"tool_output": None, "interrupt_timeout": options.interrupt_timeout + _PATIENCE}
        super().__init__(options.model_copy(update=here))
        self._asked = options
        self._survives = survives or job is not None
        self.job = job or str(uuid4())
        self._transport = RemoteTransport(
            dispatch, self.job, takes_asks=options.ask == "stream", is_owner=job is None
        )
        self._make_transport = lambda: self._transport

    def prepare(self, prompt: Prompt, *, timeout: float | None, max_output_tokens: int | None) -> Spec:
        """Set, and return, what will be asked, and within which limits: they are kept by the machine.

        Raises:
            RxccError: it is a second prompt.
            TypeError: the prompt is neither text nor a list of content blocks.
            ValueError: the prompt is empty, a number is none, or an option means nothing on another machine.
        """
        if self._transport.spec is not None:
            raise RxccError("Each prompt of the fleet has a session of its own: fleet.stream(prompt).")
        for name, limit in (("timeout", timeout), ("max_output_tokens", max_output_tokens)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} must be positive, not {limit!r}.")
        self._transport.spec = Spec.of(
            checked_prompt(prompt), self._asked, timeout=timeout, max_output_tokens=max_output_tokens
        )
        return self._transport.spec

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
        """See `ClaudeSession.stream`."""
        self.prepare(prompt, timeout=timeout, max_output_tokens=max_output_tokens)
        return super().stream(prompt, on_dispose=on_dispose, replay=replay, linger=linger)

    async def leave(self) -> None:
        """Close it, without stopping a turn that is to survive that."""
        if self._survives and self.status == "open":
            self._transport.leave()
        await self.aclose()
