"""Requests that the loopback Messages API refuses as a whole."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class HttpError:
    """A request refused as a whole: status, error type and message, `retry-after` in seconds."""

    status: int
    type: str
    message: str
    retry_after: float | None = None

    @property
    def body(self) -> bytes:
        """The JSON body of the answer, as the Messages API spells errors."""
        error = {"type": self.type, "message": self.message}
        return json.dumps({"type": "error", "error": error}).encode()


_ERRORS = {
    400: ("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    401: ("authentication_error", "invalid x-api-key"),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


def http_error(
    status: int,
    type: str | None = None,
    message: str | None = None,
    retry_after: float | None = None,
) -> HttpError:
    """Refuse a request as a whole.

    Args:
        status: The HTTP status; 400, 401, 429, 500 and 529 bring their usual type and message.
        type: The error type of the Messages API.
        message: The words.
        retry_after: Seconds the client has to wait.

    Example:
        >>> http_error(529).type
        'overloaded_error'
    """
    usual_type, usual_message = _ERRORS.get(status, ("api_error", f"HTTP status {status}"))
    return HttpError(
        status,
        usual_type if type is None else type,
        usual_message if message is None else message,
        retry_after,
    )
