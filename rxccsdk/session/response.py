"""The value types of a response: text, tools and figures of a turn."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, computed_field, model_validator

# The fold makes them without validating, so their validators are built only where somebody validates:
# building them was most of what importing this package cost.
_ON_USE = ConfigDict(defer_build=True)


ErrorKind = Literal[
    "interrupted",
    "timeout",
    "max_turns",
    "budget",
    "output_tokens",
    "rate_limit",
    "overloaded",
    "auth",
    "billing",
    "request",
    "server",
    "connection",
    "blocked",
    "structure",
    "execution",
    "crashed",
    "closed",
]
"""Why a turn did not succeed. "blocked": a hook said no; "structure": the answer does not fit its schema."""


class Tokens(BaseModel):
    """The tokens of a turn, sub-agents included."""

    model_config = _ON_USE

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


class ResponseMetadata(BaseModel):
    """The figures of a turn. What the CLI did not say is `None`.

    Readable as attributes, as `metadata["name"]` and as `metadata.get("name")`.
    """

    model_config = ConfigDict(defer_build=True, protected_namespaces=())

    session_id: str | None = None
    total_cost_usd: float | None = None
    cost_usd: float | None = None
    duration_ms: int | None = None
    num_turns: int | None = None
    usage: dict[str, Any] | None = None
    model_usage: dict[str, Any] | None = None
    tokens: Tokens | None = None
    api_error_status: int | None = None
    model: str | None = None
    backend: str | None = None
    subtype: str | None = None
    stop_reason: str | None = None
    terminal_reason: str | None = None
    permission_denials: list[dict[str, Any]] = Field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a figure, or `default` where there is none of that name, or the CLI did not say it."""
        value = getattr(self, name) if name in type(self).model_fields else None
        return default if value is None else value


class ToolUse(BaseModel):
    """A tool call and what came of it. `seconds` is from the call to its result."""

    model_config = _ON_USE

    id: str
    name: str
    input: dict[str, Any]
    agent: str | None = None
    result: Any = None
    is_error: bool = False
    finished: bool = False
    seconds: float | None = None


class SessionResponse(BaseModel):
    """A turn, reduced.

    Attributes:
        content: the main agent's text, a blank line between blocks; only what stood.
        metadata: the figures.
        error: `None`, or in words why the turn did not succeed.
        error_kind: `None`, or for programs: see `ErrorKind`.
        tool_uses: the tool calls in order, sub-agents' ones too, with their results.
        warnings: what went wrong beside the answer, denied tools among it.
        structured: what the CLI validated against a schema, where one was given.
        retryable: whether the same prompt may succeed when it is sent again.
        resets_at: when the limit that the turn ran into is lifted, in seconds since the epoch.
    """

    model_config = _ON_USE

    metadata: ResponseMetadata = Field(default_factory=ResponseMetadata)
    error: str | None = None
    error_kind: ErrorKind | None = None
    tool_uses: list[ToolUse] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    structured: Any = None
    retryable: bool = False
    resets_at: float | None = None
    _pieces: Iterable[str] = ()
    _parsed: Any = None

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def content(self) -> str:
        """The main agent's text, joined when it is first read."""
        return "".join(self._pieces)

    @property
    def parsed(self) -> Any:
        """The instance of `SessionOptions(output=Model)`; `None` where nothing fits it."""
        return self._parsed

    @computed_field  # type: ignore[prop-decorator]
    @property
    def success(self) -> bool:
        """Whether the turn ended well."""
        return self.error is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SessionResponse):
            return NotImplemented
        return self.model_dump() == other.model_dump()  # however the content is held

    @model_validator(mode="wrap")
    @classmethod
    def _accept_content(
        cls, data: Any, handler: ModelWrapValidatorHandler[SessionResponse]
    ) -> SessionResponse:
        """Accept a dumped response: `content` is computed, so it is no field of its own."""
        response = handler(data)
        if isinstance(data, dict) and isinstance(data.get("content"), str):
            response._pieces = (data["content"],)
        return response
