"""What is asked of another machine: a prompt, and those options that mean the same there."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from rxccsdk.session.options import SessionOptions
from rxccsdk.session.prompt import Prompt

_ELSEWHERE = {
    "cli_path": "which CLI runs is the worker's business: rxccsdk serve --cli PATH",
    "continue_conversation": "which session is the newest differs by machine: name it with resume",
    "record": "the fleet's log has it all: fleet.turn(id) plays it again",
    "sdk_options": "objects of the SDK cannot travel: give them to the workers, Worker(options=...)",
    "survive": "an agent of the fleet outlives this process anyway",
}
_HERE = {"keep_raw", "output", "progress_callback", "stream_output"}


class Spec(BaseModel):
    """A prompt as it travels.

    Attributes:
        prompt: what is asked.
        options: the options that were set, as JSON has them.
        resume_at: the message of the earlier session to go on from.
        timeout: seconds it may take, from when a machine has begun.
        max_output_tokens: it is interrupted once its messages have used more than this.
    """

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt
    options: dict[str, Any]
    resume_at: str | None = None
    timeout: float | None = None
    max_output_tokens: int | None = None

    @classmethod
    def of(
        cls,
        prompt: Prompt,
        options: SessionOptions,
        *,
        timeout: float | None = None,
        max_output_tokens: int | None = None,
    ) -> Spec:
        """Make it.

        Raises:
            ValueError: an option means nothing on another machine.
        """
        chosen = options.model_fields_set
        for name, why in _ELSEWHERE.items():
            if name in chosen and getattr(options, name):
                raise ValueError(f"SessionOptions({name}=...) does not go to another machine: {why}.")
        fields = options.model_dump(mode="json", include=chosen - _HERE - set(_ELSEWHERE))
        if options.output_schema is not None:
            fields["output"] = options.output_schema
        return cls(
            prompt=prompt,
            options=fields,
            resume_at=options.resume_at,
            timeout=timeout,
            max_output_tokens=max_output_tokens,
        )

    def session_options(self, base: SessionOptions) -> SessionOptions:
        """Return the options for a session on this machine.

        Args:
            base: what this machine gives to all its sessions; what the prompt brings goes before.

        Raises:
            ValueError: they do not go together.
        """
        ours = {name: getattr(base, name) for name in base.model_fields_set}
        env = {**base.env, **self.options.get("env", {})}
        options = SessionOptions(**{**ours, **self.options, "env": env})
        options._resume_at = self.resume_at
        return options
