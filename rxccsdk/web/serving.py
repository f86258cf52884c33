"""The app behind a server of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import quote

import uvicorn

from rxccsdk.session.options import SessionOptions
from rxccsdk.web.app import LOOPBACK, create_app

_ENDS_WITHIN = 5  # seconds for what is being sent


async def serve(
    options: SessionOptions,
    host: str,
    port: int,
    linger: float,
    token: str | None,
    tell: Callable[[str], object],
) -> None:
    """Serve a session's page until a signal ends the server.

    Args:
        options: of the session.
        host: the address to listen at.
        port: the port; 0 takes a free one.
        linger: seconds until the agent is interrupted when nobody watches.
        token: lets in whoever has it; `None` makes one.
        tell: called with the page's link when it is there.

    Raises:
        RxccError: the session cannot be opened.
    """
    app = create_app(options, token=token, hosts=(*LOOPBACK, host), linger=linger)
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=_ENDS_WITHIN,
        ws="none",
    )
    with socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    ) as bound:
        async with app.router.lifespan_context(app):  # not by uvicorn: what it raises is to be said in words
            name = f"[{host}]" if ":" in host else host
            tell(f"http://{name}:{bound.getsockname()[1]}/#token={quote(app.state.token)}")
            await uvicorn.Server(config).serve([bound])
