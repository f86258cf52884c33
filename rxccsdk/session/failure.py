"""Why a turn did not succeed: for programs a kind, for people words."""

from __future__ import annotations

from typing import Any

from rxccsdk.chunks import ResultChunk
from rxccsdk.errors import RxccError, SessionClosedError, SessionCrashedError
from rxccsdk.transport import Exit

RETRYABLE = frozenset(("rate_limit", "overloaded", "server", "connection"))
"""The kinds after which the same prompt may succeed."""

_BY_STATUS = {
    400: "request",
    401: "auth",
    402: "billing",
    403: "auth",
    404: "request",
    413: "request",
    429: "rate_limit",
    529: "overloaded",
}


def failure(result: ResultChunk, api_error: str | None) -> tuple[str, str] | tuple[None, None]:
    """Return the kind and the words of a result that is no success.

    Args:
        result: how the turn ended.
        api_error: what the API said last, where it refused.
    """
    if not result.is_error:
        return None, None
    if (result.terminal_reason or "").startswith("aborted"):
        return "interrupted", "The turn was interrupted."
    kind = _kind(result, api_error)
    return kind, _words(result, api_error)


def _kind(result: ResultChunk, api_error: str | None) -> str:
    status = result.api_error_status
    if result.subtype == "error_max_turns":
        return "max_turns"
    if result.subtype.startswith("error_max_budget"):
        return "budget"
    if result.terminal_reason == "hook_stopped":
        return "blocked"
    if status is not None:
        return _BY_STATUS.get(status, "server" if status >= 500 else "request")
    if result.subtype == "error_max_structured_output_retries":
        return "structure"
    if result.terminal_reason == "api_error" or result.subtype == "success" or api_error:
        words = f"{api_error} {_words(result, api_error)}"
        return "connection" if "connect" in words.lower() else "server"
    return "execution"


def _words(result: ResultChunk, api_error: str | None) -> str:
    words = "; ".join(result.errors) or result.result or api_error
    if words:
        return words
    if result.api_error_status is not None:
        return f"API error {result.api_error_status}"
    if result.subtype == "success":
        return "The turn failed, and the CLI does not say why."
    return f"The agent failed during the turn ({result.subtype})."


def failed_servers(servers: Any) -> list[str]:
    """Return, in words, which of the MCP servers that `init` lists did not start."""
    found = [server for server in servers if isinstance(server, dict)] if isinstance(servers, list) else []
    failed = [str(server.get("name")) for server in found if server.get("status") == "failed"]
    return [f"The MCP server {name} did not start; session.mcp_status() says why." for name in failed]


def bad_start(exit: Exit, result: ResultChunk) -> SessionCrashedError:
    """Return the error of a CLI that ended before its first prompt, with a result that says why."""
    words = "; ".join(result.errors) or result.result or result.subtype
    message = f"The CLI ended before it was ready: {words}"
    return SessionCrashedError(message, exit_code=exit.code, stderr=exit.stderr)


def not_sent(exit: Exit) -> SessionClosedError:
    """Return the error of a prompt that was still waiting when the CLI ended."""
    words = f"The session has ended, this prompt was not sent. {exit.describe()}"
    return SessionClosedError(words, exit_code=exit.code, stderr=exit.stderr)


def copied(error: RxccError) -> RxccError:
    """Return the same error for another subscriber: none sees another's partial response or traceback."""
    return type(error)(str(error.args[0]), exit_code=error.exit_code, stderr=error.stderr)
