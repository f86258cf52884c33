"""A scripted Messages API on loopback, for the real CLI to call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias

from rxccsdk.testing.http_errors import HttpError, http_error
from rxccsdk.testing.isolation import is_loopback
from rxccsdk.testing.replies import Reply, reply
from rxccsdk.testing.request import Request
from rxccsdk.testing.server import ApiServer, Exchange

Script: TypeAlias = Sequence[Reply | HttpError] | Callable[[Request], Reply | HttpError]
_Responder: TypeAlias = Callable[[Request], Reply | HttpError]


class LoopbackApi:
    """A scripted Messages API on 127.0.0.1. As a context manager it closes at the end of the block.

    A list of replies answers the requests of the main agent in order, including those of turns the CLI
    injects. Requests of sub-agents get `agents`; side requests (`Request.is_title_or_side_request`) get
    `side`. A callable script gets every request except side requests, one at a time. If it raises, the
    response has status 418, and the exception is appended to `errors` and raised at the end of the block.

    Args:
        script: The replies, or a callable that returns one for a `Request`.
        agents: The same for sub-agents. By default a callable script answers them too; with a list they get
            a short text.
        side: The same for side requests. By default they get a short text that fits all of them.
        host: The loopback address to listen on.

    Raises:
        ValueError: `host` is not a loopback address.

    Example:
        >>> with LoopbackApi([reply("Hello")]) as api:
        ...     api.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(
        self,
        script: Script,
        *,
        agents: Script | None = None,
        side: Script | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"{host!r} is not a loopback address: a scripted API must not be reachable")
        self.errors: list[Exception] = []
        self._main = _responder(script)
        if agents is not None:
            self._agents = _responder(agents)
        else:
            self._agents = self._main if callable(script) else _AGENT_RESPONDER
        self._side = _SIDE_RESPONDER if side is None else _responder(side)
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._script_lock = threading.Lock()
        self._server = ApiServer(host, self._exchange, self.errors.append)

    @property
    def url(self) -> str:
        """The base URL, for `ANTHROPIC_BASE_URL`."""
        return self._server.url

    @property
    def requests(self) -> list[Request]:
        """A copy of all message requests so far, side requests included, in order of arrival."""
        with self._lock:
            return list(self._requests)

    def close(self) -> None:
        """Stop the server and all replies in progress, and wait for its threads. Idempotent."""
        self._server.close()

    def __enter__(self) -> LoopbackApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        # An exception of the block takes precedence: the script's error may have caused it.
        if error is None and self.errors:
            raise self.errors[0]

    def _exchange(self, body: dict[str, Any], headers: Mapping[str, str]) -> Exchange:
        with self._lock:
            request = Request(len(self._requests), body, headers)
            self._requests.append(request)
        return Exchange(f"msg_{request.index}", request.model, self._answer(request))

    def _answer(self, request: Request) -> Reply | HttpError:
        respond = self._agents if request.is_subagent else self._main
        if request.is_title_or_side_request:
            respond = self._side
        try:
            with self._script_lock:
                answer = respond(request)
            if not isinstance(answer, Reply | HttpError):
                raise TypeError(f"a script must return a Reply or an HttpError, not {answer!r}")
            if isinstance(answer, Reply):
                _ = answer.body  # A reply that cannot be encoded is an error of the script too.
            return answer
        except Exception as error:
            self.errors.append(error)
            # The CLI does not retry a 418. After a 400 it retries five times, each time with fewer features.
            return http_error(418, "api_error", f"the script of this test raised {error!r}")


def _responder(script: Script) -> _Responder:
    if callable(script):
        return script
    replies = list(script)
    remaining = iter(replies)
    exhausted = reply(f"The test's script is over: all of its {len(replies)} replies were served.")
    return lambda _: next(remaining, exhausted)


def _constant(answer: Reply) -> _Responder:
    return lambda _: answer


_AGENT_RESPONDER = _constant(reply("The sub-agent is done."))
# Without these tags the CLI asks for the summary of a conversation twice.
_SIDE_RESPONDER = _constant(reply("<analysis>nothing</analysis><summary>a short conversation</summary>"))
