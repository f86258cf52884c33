"""Turns of the fleet on the web: a client may come to a machine that has not read its turn."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxccsdk.fleet import Fleet
from rxccsdk.testing import steps, text_turn
from rxccsdk.web import sse
from tests.conftest import Scripted
from tests.redis_server import RedisServer
from tests.test_fleet import working
from tests.web_server import client, events, serving


async def test_a_browser_goes_on_at_another_machine_where_it_was(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    """That one knows nothing of the turn before it has read it: not even the session's name."""
    options = scripted(steps(*text_turn("Hello from afar", pieces=4))).options
    async with working(redis_server.url, options), Fleet(redis_server.url) as fleet:

        async def watch(request: Request) -> Response:
            turn = await fleet.turn(request.path_params["id"])
            return sse(turn, request.headers.get("last-event-id"))

        job = await fleet.submit("hi")
        path = f"/{job}"
        async with serving(Starlette(routes=[Route("/{id}", watch)])) as address, client(address) as http:
            whole = [event async for event in events(http, path)]
            for place, event in enumerate(whole[:-1]):
                rest = [event async for event in events(http, path, last=event.id)]
                assert rest == whole[place + 1 :]
            assert whole == [event async for event in events(http, path, last="another/0/3")]
            assert (await http.get(path, headers={"last-event-id": str(whole[-1].id)})).status_code == 204
