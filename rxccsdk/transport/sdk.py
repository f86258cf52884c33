"""What differs between the SDKs, and how our options and theirs come together."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import itertools
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rxccsdk.chunks import Frame
from rxccsdk.errors import RxccError

_O = TypeVar("_O")

SDK_ENVIRONMENT = {
    # Frames that say when the agent waits for a permission, and when it is idle.
    "CLAUDE_CODE_SDK_READS_SESSION_STATE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "sdk-py",
}


class LaunchOptions(Protocol):
    """The options of a session that concern its CLI: see `SessionOptions`."""

    @property
    def model(self) -> str | None: ...
    @property
    def system_prompt(self) -> str | None: ...
    @property
    def cwd(self) -> Path | str | None: ...
    @property
    def max_turns(self) -> int | None: ...
    @property
    def max_budget_usd(self) -> float | None: ...
    @property
    def allowed_tools(self) -> list[str] | None: ...
    @property
    def disallowed_tools(self) -> list[str] | None: ...
    @property
    def permission_mode(self) -> str | None: ...
    @property
    def resume(self) -> str | None: ...
    @property
    def continue_conversation(self) -> bool: ...
    @property
    def fork(self) -> bool: ...
    @property
    def resume_at(self) -> str | None: ...
    @property
    def env(self) -> dict[str, str]: ...
    @property
    def cli_path(self) -> Path | str | None: ...
    @property
    def partial_messages(self) -> bool: ...
    @property
    def keep_raw(self) -> bool: ...
    @property
    def connect_timeout(self) -> float: ...
    @property
    def backend(self) -> str: ...
    @property
    def survive(self) -> bool: ...
    @property
    def output_schema(self) -> dict[str, Any] | None: ...
    @property
    def ask(self) -> str: ...
    @property
    def sdk_options(self) -> Any: ...


class SdkTransport(Protocol):
    """What the SDKs call a transport."""

    async def connect(self) -> None: ...
    async def write(self, data: str) -> None: ...
    def read_messages(self) -> AsyncIterator[Frame]: ...
    async def close(self) -> None: ...
    def is_ready(self) -> bool: ...
    async def end_input(self) -> None: ...


class SdkDriver(Protocol):
    """What differs between the SDKs. One private module each implements it."""

    @property
    def name(self) -> str:
        """The name of the SDK's package."""

    @property
    def options(self) -> Any:
        """The SDK's own options, ours put in."""

    def command(self) -> list[str]:
        """Return the command line the SDK would start."""

    async def environment(self) -> dict[str, str]:
        """Return the environment it would start it in."""

    def query(self, prompts: AsyncGenerator[Frame, None], transport: SdkTransport) -> AsyncIterator[Any]:
        """Return the SDK's own `query()`, over our transport."""

    def rewrite(self, frame: Frame) -> Frame:
        """Mend what the SDK writes to the CLI, where today's CLI expects something else."""

    def on_stderr(self, line: str) -> None:
        """Pass a line of standard error to where the SDK's options ask for it."""


def sdk_option_names() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the name of each installed SDK's options, and theirs."""
    for module, options in (
        ("claude_agent_sdk", "ClaudeAgentOptions"),
        ("claude_code_sdk", "ClaudeCodeOptions"),
    ):
        if importlib.util.find_spec(module) is not None:
            fields = dataclasses.fields(getattr(importlib.import_module(module), options))
            yield options, frozenset(field.name for field in fields)


def merged(given: _O, ours: dict[str, Any], **always: Any) -> _O:
    """Put our options into the SDK's.

    Args:
        given: the SDK's options, as the user gave them, or its defaults.
        ours: the options of `SessionOptions` by the SDK's names; `None` and `{}` are not set.
        always: what is set whatever was given.

    Raises:
        ValueError: an option is set in both places.
    """
    defaults = type(given)()
    values = {name: value for name, value in ours.items() if value is not None and value != {}}
    for name in values:
        if getattr(given, name) != getattr(defaults, name):
            raise ValueError(
                f"{name} is set in SessionOptions and in sdk_options: set it in one of them, not in both."
            )
    changed: _O = dataclasses.replace(given, **values, **always)  # type: ignore[type-var]
    return changed


def shared_options(options: LaunchOptions) -> dict[str, Any]:
    """Return our options that both SDKs know by the same name."""
    return {
        "model": options.model,
        "system_prompt": options.system_prompt,
        "cwd": options.cwd,
        "max_turns": options.max_turns,
        "allowed_tools": options.allowed_tools,
        "disallowed_tools": options.disallowed_tools,
        "permission_mode": options.permission_mode,
        "resume": options.resume,
        "continue_conversation": options.continue_conversation or None,
        "env": options.env,
    }


def permission_tool(options: LaunchOptions) -> dict[str, str]:
    """Return the option that makes the CLI put its questions into the stream.

    Raises:
        ValueError: the SDK's options say who answers them.
    """
    if options.ask != "stream":
        return {}
    for name in ("can_use_tool", "permission_prompt_tool_name"):
        if getattr(options.sdk_options, name, None) is not None:
            raise ValueError(
                f'ask="stream" gives the agent\'s questions to session.answer(), and sdk_options.{name} to '
                "somebody else: leave one of them out."
            )
    return {"permission_prompt_tool_name": "stdio"}


def inherited_environment(cwd: Path | str | None) -> dict[str, str]:
    """Return this process's environment, as the SDKs pass it on, and the trace it is part of."""
    # CLAUDECODE would make the CLI believe that it runs inside another one.
    env = {name: value for name, value in os.environ.items() if name != "CLAUDECODE"}
    if cwd is not None:
        env["PWD"] = str(cwd)
    if trace := trace_context():
        env.pop("TRACESTATE", None)  # of another trace
        env |= trace
    return {**SDK_ENVIRONMENT, **env, "CLAUDE_CODE_ENTRYPOINT": "sdk-py"}


def trace_context() -> dict[str, str]:
    """Return what hangs the CLI's spans under the current OpenTelemetry span, by environment variables."""
    carrier: dict[str, str] = {}
    with contextlib.suppress(Exception):  # tracing never keeps a session from starting
        from opentelemetry import propagate

        propagate.inject(carrier)
    return {name.upper(): value for name, value in carrier.items()} if "traceparent" in carrier else {}


def continues(options: LaunchOptions) -> bool:
    """Return whether the session goes on with an earlier one."""
    given = options.sdk_options
    if options.resume or options.continue_conversation:
        return True
    if getattr(given, "resume", None) or getattr(given, "continue_conversation", False):
        return True
    return not {"resume", "r", "continue", "c"}.isdisjoint(getattr(given, "extra_args", ()))


def identity(options: LaunchOptions, session_id: str) -> dict[str, str | None]:
    """Return the CLI's flags that say which session this is: a new one of this id, a fork, an earlier one."""
    flags: dict[str, str | None] = {}
    given = options.sdk_options
    if getattr(given, "session_id", None) is None and (options.fork or not continues(options)):
        flags["session-id"] = session_id
    if options.fork:
        flags["fork-session"] = None
    if options.resume_at is not None:
        flags["resume-session-at"] = options.resume_at
    return flags | getattr(given, "extra_args", {})


def settled_session_id(argv: Sequence[str]) -> str | None:
    """Return the id that a command line gives the session, or `None` where the CLI is to choose it."""
    values: dict[str, str] = {}
    for argument, following in itertools.pairwise([*argv, ""]):
        flag, equals, value = argument.partition("=")
        values[flag] = value if equals else following
    if "--session-id" in values:
        return values["--session-id"]
    if not values.keys().isdisjoint(("--fork-session", "--continue", "-c")):
        return None
    resumed = values.get("--resume", values.get("-r", ""))
    try:
        return str(uuid.UUID(resumed))
    except ValueError:
        return None  # a session's title, or nothing


def choose_driver(options: LaunchOptions, session_id: str) -> SdkDriver:
    """Return the driver of the SDK that `sdk_options` belongs to, that was named, or that is installed.

    Raises:
        RxccError: the SDK is not installed.
        TypeError: `sdk_options` are of no SDK.
        ValueError: they contradict `backend`, or set what the options set.
    """
    if _choose_backend(options) == "claude-agent-sdk":
        if importlib.util.find_spec("claude_agent_sdk") is None:
            raise RxccError("claude-agent-sdk is not installed: pip install 'rxccsdk[agent]'.")
        from rxccsdk.transport._claude_agent import ClaudeAgentDriver

        return ClaudeAgentDriver(options, session_id)
    from rxccsdk.transport._claude_code import ClaudeCodeDriver

    return ClaudeCodeDriver(options, session_id)


def _choose_backend(options: LaunchOptions) -> str:
    if options.sdk_options is not None:
        module = type(options.sdk_options).__module__.partition(".")[0]
        named = {"claude_agent_sdk": "claude-agent-sdk", "claude_code_sdk": "claude-code-sdk"}.get(module)
        if named is None:
            raise TypeError(
                "sdk_options must be a ClaudeCodeOptions (claude-code-sdk) or a ClaudeAgentOptions "
                f"(claude-agent-sdk), not {type(options.sdk_options).__name__}."
            )
        if options.backend not in ("auto", named):
            raise ValueError(f"backend={options.backend!r} contradicts sdk_options, which belong to {named}.")
        return named
    if options.backend != "auto":
        return options.backend
    has_agent_sdk = importlib.util.find_spec("claude_agent_sdk") is not None
    return "claude-agent-sdk" if has_agent_sdk else "claude-code-sdk"
