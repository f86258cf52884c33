"""HTTP errors of the loopback Messages API."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class HttpError:
    """An error response: status, error type and message, and `retry-after` in seconds."""

    status: int
    type: str
    message: str
    retry_after: float | None = None

    @property
    def body(self) -> bytes:
        """The JSON body in the format of the Messages API."""
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
    """Return an error response for a scripted API.

    Args:
        status: The HTTP status. 400, 401, 429, 500 and 529 have a default type and message.
        type: The error type of the Messages API.
        message: The error message.
        retry_after: Seconds, for the `retry-after` header.

    Example:
        >>> http_error(529).type
        'overloaded_error'
    """
    default_type, default_message = _ERRORS.get(status, ("api_error", f"HTTP status {status}"))
    return HttpError(
        status,
        default_type if type is None else type,
        default_message if message is None else message,
        retry_after,
    )
