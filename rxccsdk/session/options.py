"""What a session is started with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from rxccsdk.session.structure import schema_of
from rxccsdk.transport.sdk import continues, sdk_option_names

Backend = Literal["auto", "claude-code-sdk", "claude-agent-sdk"]


def _as_path(path: str | Path) -> Path:
    return Path(path)


PathOrStr = Annotated[str | Path, AfterValidator(_as_path)]
ProgressCallback = Callable[[str], Awaitable[Any] | Any]


class SessionOptions(BaseModel):
    """Options of a session. An unknown name is an error. Environment variables are not shown in its `repr`.

    Attributes:
        stream_output: `query()` prints the answer to standard output while it arrives.
        progress_callback: called by `query()` with each piece of text; may be async.
        model: the model's name or alias; `None` leaves the choice to the CLI.
        system_prompt: replaces Claude Code's own system prompt; `None` keeps it, with both SDKs.
        cwd: the agent's working directory; `None` is this process's.
        max_turns: how many model calls one prompt may take.
        max_budget_usd: ends the session's work when it has cost this much, in USD, over all its turns.
        allowed_tools: tools that need no permission.
        disallowed_tools: tools the agent cannot use.
        permission_mode: "default", "acceptEdits", "plan", "bypassPermissions", ...
        resume: the id of an earlier session to go on with; see `rxccsdk.sessions`.
        continue_conversation: go on with the newest session of `cwd`.
        fork: leave that earlier session as it is, and go on in a new one; see also `ClaudeSession.at`.
        env: environment variables for the CLI, over those of this process.
        cli_path: the CLI to run; `None` finds one as the SDK does.
        partial_messages: text comes token by token; without, a whole block at a time.
        keep_raw: chunks keep the frame they were made from.
        record: a file to write a cassette to, see `ClaudeSession.replay`.
        connect_timeout: seconds the CLI may take to start.
        interrupt_timeout: seconds the CLI may take to answer an interrupt before it is ended.
        backend: which SDK to use; "auto" takes `claude-agent-sdk` where it is installed.
        survive: let the agent go on when this process dies; without, it is ended, however the process dies.
        tool_output: ask so often, in seconds, what running commands wrote: `ToolOutputChunk`s; `None` does
            not ask.
        output: a pydantic model, or the JSON schema of an object, that the answer is to fit: then the
            response has `structured` and `parsed`.
        ask: who decides about permissions, questions and plans: "sdk" leaves them to
            `sdk_options.can_use_tool` and the CLI's own rules; "stream" makes each an `AskChunk` that waits
            for `session.answer`, however long.
        sdk_options: a `ClaudeCodeOptions` or `ClaudeAgentOptions` for everything else, such as hooks, MCP
            servers and `can_use_tool`. It decides the backend.

    Example:
        >>> SessionOptions(model="haiku", max_turns=3).stream_output
        False
    """

    # What is wrong with `env` is said without its values: they are secrets.
    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, frozen=True, hide_input_in_errors=True
    )

    stream_output: bool = False
    progress_callback: ProgressCallback | None = None
    model: str | None = None
    system_prompt: str | None = None
    cwd: PathOrStr | None = None
    max_turns: int | None = Field(default=None, ge=1)
    max_budget_usd: float | None = Field(default=None, gt=0)
    allowed_tools: list[str] | None = None
    disallowed_tools: list[str] | None = None
    permission_mode: str | None = None
    resume: str | None = None
    continue_conversation: bool = False
    fork: bool = False
    env: dict[str, str] = Field(default_factory=dict, repr=False)
    cli_path: PathOrStr | None = None
    partial_messages: bool = True
    keep_raw: bool = False
    record: PathOrStr | None = None
    connect_timeout: float = Field(default=60.0, gt=0)
    interrupt_timeout: float = Field(default=5.0, gt=0)
    backend: Backend = "auto"
    survive: bool = False
    tool_output: float | None = Field(default=None, gt=0)
    output: Any = None
    ask: Literal["sdk", "stream"] = "sdk"
    sdk_options: Any = Field(default=None, repr=False)
    _resume_at: str | None = PrivateAttr(default=None)  # the message of the earlier session to go on from

    @property
    def resume_at(self) -> str | None:
        """The message of the earlier session that the new one goes on from; see `ClaudeSession.at`."""
        return self._resume_at

    @model_validator(mode="after")
    def _check_what_it_continues(self) -> SessionOptions:
        if self.resume is not None and self.continue_conversation:
            raise ValueError(
                "resume names an earlier session and continue_conversation takes the newest: set one."
            )
        if self.fork and not continues(self):
            raise ValueError("fork needs a session to fork: set resume or continue_conversation, too.")
        return self

    @field_validator("output")
    @classmethod
    def _check_output(cls, output: Any) -> Any:
        if output is not None:
            schema_of(output)
        return output

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """The JSON schema of `output`."""
        return schema_of(self.output) if self.output is not None else None

    @model_validator(mode="before")
    @classmethod
    def _say_where_it_goes(cls, given: Any) -> Any:
        unknown = [name for name in given if name not in cls.model_fields] if isinstance(given, dict) else []
        if unknown:
            words = " ".join(_unknown_option(str(name), list(cls.model_fields)) for name in unknown)
            raise PydanticCustomError("extra_forbidden", "{words}", {"words": words})
        return given


def _unknown_option(name: str, known: list[str]) -> str:
    """Say what to do about an option that is none of ours."""
    for options, names in sdk_option_names():
        if name in names:
            return f"`{name}` is an option of the SDK: pass sdk_options={options}({name}=...)."
    close = get_close_matches(name, known, n=1)
    hint = f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(known)}."
    return f"There is no option `{name}`. {hint}"
