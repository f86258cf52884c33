"""A Messages API on loopback that answers from a script, for the real CLI to talk to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias

from rxccsdk.testing.environment import is_loopback
from rxccsdk.testing.http_errors import HttpError, http_error
from rxccsdk.testing.replies import Reply, reply
from rxccsdk.testing.request import Request
from rxccsdk.testing.server import ApiServer, Exchange

Script: TypeAlias = Sequence[Reply | HttpError] | Callable[[Request], Reply | HttpError]
Choose: TypeAlias = Callable[[Request], Reply | HttpError]


class LoopbackApi:
    """A scripted Messages API on 127.0.0.1; as a context manager it runs for the block.

    A list of replies answers the requests of the main agent in order, those of turns the CLI injects
    included; sub-agents get `agents`, and what the CLI asks on the side (`Request.is_title_or_side_request`)
    gets `side`. A callable gets every request but those on the side, one at a time. An exception it raises
    answers the request with status 418, is kept in `errors`, and is raised again at the end of the block.

    Args:
        script: The replies, or a callable that picks one for a `Request`.
        agents: The same for the requests of sub-agents; a list without it leaves them a short text.
        side: The same for requests on the side; by default they get a short text that suits all of them.
        host: The address to listen on; only loopback is allowed.

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
        self._main = _choose(script)
        self._agents = self._main if callable(script) else _AGENT
        if agents is not None:
            self._agents = _choose(agents)
        self._side = _SIDE if side is None else _choose(side)
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
        """All requests for messages so far, those on the side too, in the order of their arrival; a copy."""
        with self._lock:
            return list(self._requests)

    def close(self) -> None:
        """End the server and every reply under way, at once, and wait for its threads. May be repeated."""
        self._server.close()

    def __enter__(self) -> LoopbackApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        # A failed assertion of the test shows more than the script's error that may have caused it.
        if error is None and self.errors:
            raise self.errors[0]

    def _exchange(self, body: dict[str, Any], headers: Mapping[str, str]) -> Exchange:
        with self._lock:
            request = Request(len(self._requests), body, headers)
            self._requests.append(request)
        return Exchange(f"msg_{request.index}", request.model, self._answer(request))

    def _answer(self, request: Request) -> Reply | HttpError:
        choose = self._agents if request.is_subagent else self._main
        if request.is_title_or_side_request:
            choose = self._side
        try:
            with self._script_lock:
                answer = choose(request)
            if not isinstance(answer, Reply | HttpError):
                raise TypeError(f"a script answers with a Reply or an HttpError, not {answer!r}")
            if isinstance(answer, Reply):
                _ = answer.body  # What cannot be encoded is a mistake of the script too.
            return answer
        except Exception as error:
            self.errors.append(error)
            # A status the CLI gives up at: after 400 it asks five times more, each time with fewer features.
            return http_error(418, "api_error", f"the script of this test raised {error!r}")


def _choose(script: Script) -> Choose:
    if callable(script):
        return script
    replies = list(script)
    left = iter(replies)
    over = reply(f"The test's script is over: all of its {len(replies)} replies were served.")
    return lambda _: next(left, over)


def _always(answer: Reply) -> Choose:
    return lambda _: answer


_AGENT = _always(reply("The sub-agent is done."))
# Without these tags the CLI asks for the summary of a conversation twice.
_SIDE = _always(reply("<analysis>nothing</analysis><summary>a short conversation</summary>"))
