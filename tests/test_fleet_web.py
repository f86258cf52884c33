"""Turns of the fleet on the web: a client may come to a machine that has not read its turn."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxccsdk.fleet import Fleet
from rxccsdk.testing import interrupted, steps, text_turn
from rxccsdk.web import sse
from tests.conftest import Scripted
from tests.proxy import Proxy
from tests.redis_server import RedisServer
from tests.test_fleet import long_turn, working
from tests.web_server import Event, client, events, serving


def app_of(fleet: Fleet, **options: Any) -> Starlette:
    async def watch(request: Request) -> Response:
        turn = await fleet.turn(request.path_params["id"])
        return sse(turn, request.headers.get("last-event-id"), **options)

    return Starlette(routes=[Route("/{id}", watch)])


async def test_a_prompt_that_waits_keeps_no_client_waiting_for_an_answer(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    """Nor can it say yet whether a client's last id is one of its own."""
    async with Fleet(redis_server.url) as fleet:
        job = await fleet.submit("hi")
        async with serving(app_of(fleet, heartbeat=0.05)) as address, client(address) as http:
            found: list[Event] = []
            async with AsyncExitStack() as stack:
                async for event in events(http, f"/{job}", last="another/0/end"):
                    if not found:
                        await stack.enter_async_context(working(redis_server.url, scripted().options))
                    found.append(event)
    assert found[0].name == "comment"
    assert [event.data["status"] for event in found if event.name == "end"] == ["completed"]
    assert [event.data["seq"] for event in found if event.name == "message"][:2] == [0, 1]


async def test_a_browser_goes_on_at_another_machine_where_it_was(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    """That one knows nothing of the turn before it has read it: not even the session's name."""
    options = scripted(steps(*text_turn("Hello from afar", pieces=4))).options
    async with working(redis_server.url, options), Fleet(redis_server.url) as fleet:
        job = await fleet.submit("hi")
        path = f"/{job}"
        async with serving(app_of(fleet)) as address, client(address) as http:
            whole = [event async for event in events(http, path)]
            for place, event in enumerate(whole[:-1]):
                rest = [event async for event in events(http, path, last=event.id)]
                assert rest == whole[place + 1 :]
            for foreign in ("another/0/3", "another/0/end", "another/end", f"{whole[-1].id}x"):
                assert whole == [event async for event in events(http, path, last=foreign)], foreign
            assert (await http.get(path, headers={"last-event-id": str(whole[-1].id)})).status_code == 204


@pytest.mark.parametrize("how", ["it closes its fleet", "it is cut off"])
async def test_a_client_of_a_machine_that_cannot_read_on_goes_on_at_another(
    redis_server: RedisServer, scripted: Scripted, how: str
) -> None:
    """Nothing says to it that this was the end: it was not."""
    frames = text_turn("Hello from afar", pieces=4)
    options = scripted(steps(*frames[:5]).pause(2.0).frame(*frames[5:])).options
    async with (
        working(redis_server.url, options),
        Proxy(redis_server.port) as line,
        Fleet(f"redis://127.0.0.1:{line.port}", patience=0.2) as weak,
        Fleet(redis_server.url) as other,
        serving(app_of(weak)) as here,
        serving(app_of(other)) as there,
        client(here) as http,
        client(there) as again,
    ):
        job = await other.submit("hi")
        seen: list[Event] = []
        async for event in events(http, f"/{job}"):
            seen.append(event)
            if "text" in event.data:
                if how == "it is cut off":
                    line.refuses = True
                    line.cut()
                else:
                    await weak.aclose()
        assert "end" not in [event.name for event in seen]
        rest = [event async for event in events(again, f"/{job}", last=seen[-1].id)]
        assert seen + rest == [event async for event in events(again, f"/{job}")]
        assert (rest[-1].name, rest[-1].data["status"]) == ("end", "completed")
        line.heal()


async def test_an_end_without_a_number_is_of_no_turn_that_waits(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    async with working(redis_server.url, scripted().options), Fleet(redis_server.url) as fleet:
        job = await fleet.submit("hi")
        async with serving(app_of(fleet)) as address, client(address) as http:
            found = [event async for event in events(http, f"/{job}", last="-/None/end")]
    assert [event.data["seq"] for event in found if event.name == "message"][:2] == [0, 1]


async def test_a_client_goes_on_at_another_machine_while_the_turn_runs(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    options = scripted(long_turn(), on_interrupt=interrupted()).options
    async with working(redis_server.url, options), Fleet(redis_server.url) as fleet:
        job = await fleet.submit("hi")
        async with serving(app_of(fleet)) as address, client(address) as http:

            async def read(last: str | None = None) -> list[Event]:
                """Read to the last of its words."""
                found: list[Event] = []
                async with aclosing(events(http, f"/{job}", last)) as stream:
                    async for event in stream:
                        found.append(event)
                        words = [it for it in found if "text" in it.data]
                        if event.data["seq"] == until or len(words) == 2:
                            return found
                raise AssertionError("it ended")

            until = -1
            whole = await read()
            until = whole[-1].data["seq"]
            assert await read(whole[-2].id) == whole[-1:]
            for foreign in ("another/0/3", "another/0/end"):
                assert await read(foreign) == whole
        await (await fleet.turn(job)).interrupt()
