"""A turn on its way to clients over HTTP: the real CLI, both SDKs, a real server on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from reactivex import operators as ops
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxccsdk import AskChunk, PromptChunk, SessionOptions, TextChunk, Turn, ask
from rxccsdk.testing import reply
from rxccsdk.web import create_app, sse
from tests.cli_versions import needs_cli
from tests.conftest import Real
from tests.web_server import TOKEN, Event, client, events, serving

TOUCH = {"command": "touch made", "description": "make a file"}


def app_of(turn: Turn, **options: Any) -> Starlette:
    async def watch(request: Request) -> Response:
        return sse(turn, request.headers.get("last-event-id"), **options)

    return Starlette(routes=[Route("/", watch)])


def chunks_of(found: list[Event]) -> list[Event]:
    return [event for event in found if event.name == "message"]


def answer_of(found: list[Event]) -> str:
    chunks = [event.chunk for event in chunks_of(found)]
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


async def test_each_chunk_is_an_event_with_an_id_and_the_end_says_how_it_ended(real: Real) -> None:
    async with real([reply("One two.")]) as session:
        turn = session.stream("go", linger=30)
        async with serving(app_of(turn)) as address, client(address) as http:
            found = [event async for event in events(http, "/")]
        chunks = await turn.pipe(ops.to_list())
        assert [event.chunk for event in chunks_of(found)] == chunks
        ids = [f"{session.session_id}/0/{place}" for place in range(len(chunks))]
        assert [event.id for event in chunks_of(found)] == ids
        assert found[-1].name == "end"
        why = {"error": None, "error_kind": None, "retryable": False}
        assert found[-1].data == {"status": "completed", **why}


async def test_a_client_that_reconnects_in_mid_turn_loses_and_repeats_nothing(real: Real) -> None:
    go = threading.Event()
    async with real([reply().text("One two three.").until(go).text("Four.")]) as session:
        turn = session.stream("go", linger=30)
        async with serving(app_of(turn)) as address, client(address) as http:
            before: list[Event] = []
            async with aclosing(events(http, "/")) as stream:
                async for event in stream:
                    before.append(event)
                    if "text" in event.data:
                        break
            go.set()
            after = [event async for event in events(http, "/", last=before[-1].id)]
            other = [event async for event in events(http, "/", last="another/0/3")]
        assert [event.data["seq"] for event in chunks_of(before + after)] == list(
            range(len(await turn.pipe(ops.to_list())))
        )
        assert chunks_of(other) == chunks_of(before + after)
        assert turn.status == "completed"


async def test_a_client_that_has_the_end_is_told_to_ask_no_more(real: Real) -> None:
    async with real([reply("One.")]) as session:
        turn = session.stream("go", linger=30)
        async with serving(app_of(turn)) as address, client(address) as http:
            found = [event async for event in events(http, "/")]
            end = found[-1].id
            assert end == f"{session.session_id}/0/end"
            assert (await http.get("/", headers={"last-event-id": end})).status_code == 204
            missed = [event async for event in events(http, "/", last=found[-2].id)]
            assert [(event.name, event.id) for event in missed] == [("end", end)]


async def test_the_end_of_another_turn_says_nothing_of_one_that_has_not_begun(real: Real) -> None:
    turn = ask("go", real.options([reply("One.")]))
    async with serving(app_of(turn)) as address, client(address) as http:
        found = [event async for event in events(http, "/", last="another/0/end")]
        assert (await http.get("/", headers={"last-event-id": str(found[-1].id)})).status_code == 204
    assert (turn.status, answer_of(found)) == ("completed", "One.")


async def test_what_an_app_adds_to_the_response_stays(real: Real) -> None:
    """Also where the response must wait for the session's name before it says anything."""
    done: list[str] = []
    turn = ask("go", real.options([reply("One.")]))

    async def watch(request: Request) -> Response:
        response = sse(turn, request.headers.get("last-event-id"))
        response.headers["X-Mine"] = "yes"
        response.background = BackgroundTask(done.append, "background")
        return response

    async with serving(Starlette(routes=[Route("/", watch)])) as address, client(address) as http:
        answers = [await http.get("/", headers={"last-event-id": "another/0/3"})]
        end = f"{turn.response.metadata.session_id}/0/end"
        answers += [await http.get("/", headers={"last-event-id": it}) for it in (end, "another/0/3")]
    assert [it.status_code for it in answers] == [200, 204, 200]
    assert [it.headers["x-mine"] for it in answers] == ["yes"] * 3
    assert done == ["background"] * 3


async def test_a_client_that_leaves_after_it_has_come_back_counts_as_leaving(real: Real) -> None:
    turn = ask("go", real.options([reply().text("One.").hang()]))
    async with serving(app_of(turn)) as address, client(address) as http, asyncio.timeout(30):
        async with aclosing(events(http, "/", last="another/0/3")) as stream:
            await anext(event async for event in stream if "text" in event.data)
        await turn.wait()
    assert turn.status == "interrupted"


async def test_an_id_from_before_the_session_had_its_name_is_of_its_turn_alone(real: Real) -> None:
    one, two = (ask("go", real.options([reply("One."), reply("Two.")])) for _ in range(2))
    async with (
        serving(app_of(one)) as here,
        serving(app_of(two)) as there,
        client(here) as http,
        client(there) as other,
    ):
        whole = [event async for event in events(http, "/")]
        unnamed = f"-{one.uuid}/0/1"
        assert [event async for event in events(http, "/", last=unnamed)] == whole[2:]
        for last in (unnamed, f"-{one.uuid}/0/end", "-/0/1", "-/None/end"):
            found = [event async for event in events(other, "/", last=last)]
            assert found[0].data["seq"] == 0, last
            assert found[-1].name == "end"


async def test_the_end_of_a_turn_that_never_began_is_of_it_alone(tmp_path: Path) -> None:
    one, two = (ask("go", SessionOptions(cli_path=tmp_path / "none")) for _ in range(2))
    async with serving(app_of(one)) as here, client(here) as http:
        (end,) = [event async for event in events(http, "/")]
        assert (end.name, end.data["status"]) == ("end", "failed")
        assert (await http.get("/", headers={"last-event-id": str(end.id)})).status_code == 204
    async with serving(app_of(two)) as there, client(there) as other:
        assert [event.name async for event in events(other, "/", last=str(end.id))] == ["end"]
        assert [event.name async for event in events(other, "/", last=str(end.id))] == ["end"]


async def test_signs_of_life_come_while_nothing_else_does(real: Real) -> None:
    go = threading.Event()
    async with real([reply().text("One.").until(go, mid_block=True)]) as session:
        turn = session.stream("go")
        async with serving(app_of(turn, heartbeat=0.05)) as address, client(address) as http:
            async for event in events(http, "/"):
                if event.name == "comment":
                    go.set()
        assert turn.status == "completed"


async def test_an_abandoned_turn_is_interrupted_after_its_linger(real: Real) -> None:
    async with real([reply().text("One.").hang()]) as session:
        turn = session.stream("go", linger=0.2)
        async with serving(app_of(turn)) as address, client(address) as http:
            async with aclosing(events(http, "/")) as stream:
                async for event in stream:
                    if "text" in event.data:
                        break
            async with asyncio.timeout(20):
                await turn.wait()
        assert turn.status == "interrupted"
        assert turn.response.content == "One."


async def test_a_turn_without_a_log_is_refused(real: Real) -> None:
    async with real([reply("One.")]) as session:
        with pytest.raises(ValueError, match="keeps no log"):
            sse(session.stream("go", replay=False))


async def test_of_fifty_clients_one_stalls_and_is_dropped_and_the_others_have_it_all(real: Real) -> None:
    """49 read to the end while one takes nothing; it comes back by its id and has the rest."""
    text = "All work and no play makes Jack a dull boy. " * 30_000
    reading = set(range(49))
    go = threading.Event()
    async with real([reply().text(text, pieces=2000).until(go).text("The end.")]) as session:
        turn = session.stream("go", linger=30)
        async with serving(app_of(turn, patience=0.5)) as address:
            slow = socket.socket()
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", int(address.rpartition(":")[2])))
            reader, writer = await asyncio.open_connection(sock=slow, limit=1024)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readline()  # it is answered; from now on it takes nothing

            async def read(place: int) -> str:
                lines = []
                async with many.stream("GET", "/") as response:
                    async for line in response.aiter_lines():
                        if line.startswith("id: "):
                            lines.append(line)
                        if len(lines) > 1000:
                            reading.discard(place)
                        if not reading:  # all are in the middle, and one of fifty stalls
                            go.set()
                return lines[-1]

            limits = httpx.Limits(max_connections=60)
            many = httpx.AsyncClient(base_url=address, limits=limits, timeout=60)
            async with many, asyncio.timeout(100):
                last = await asyncio.gather(*(read(place) for place in range(49)))
            chunks = await turn.pipe(ops.to_list())
            assert set(last) == {f"id: {session.session_id}/0/end"}

            await asyncio.sleep(1.5)  # three times its patience, however fast the others were
            data = b""
            async with asyncio.timeout(30):  # it was dropped: what it reads ends in the middle
                while piece := await reader.read(1 << 16):
                    data += piece
            writer.close()
            assert b"event: end" not in data
            at = data.rpartition(b"\nid: ")[0].rpartition(b"\nid: ")[2].partition(b"\n")[0].decode()
            seen = int(at.rpartition("/")[2])
            async with client(address) as again:
                rest = [event async for event in events(again, "/", last=at)]
            assert [event.data["seq"] for event in chunks_of(rest)] == list(range(seen + 1, len(chunks)))


# -- the app ----------------------------------------------------------------------------------------------


async def until(http: httpx.AsyncClient, kind: type[Any], path: str = "/events") -> Any:
    """The next chunk of a kind."""
    async with asyncio.timeout(30), aclosing(events(http, path)) as stream:
        async for event in stream:
            if event.name == "message" and isinstance(event.chunk, kind):
                return event.chunk
    raise AssertionError("it ended")


async def test_a_prompt_is_asked_answered_and_two_watchers_see_the_same(real: Real) -> None:
    app = create_app(real.options([reply("One."), reply("Two.")]), token=TOKEN)
    async with serving(app) as address, client(address) as http:
        assert (await http.post("/turns", json={"prompt": "first"})).json() == {"turn": 0}
        assert (await http.post("/turns", json={"prompt": "second"})).json() == {"turn": 1}

        async def watch(last: str | None = None) -> list[Event]:
            found = []
            async with asyncio.timeout(30), aclosing(events(http, "/events", last)) as stream:
                async for event in stream:
                    found.append(event)
                    if [event.name for event in found].count("end") == (2 if last is None else 1):
                        return found
            raise AssertionError("it ended")

        one, two = await asyncio.gather(watch(), watch())
        assert chunks_of(one) == chunks_of(two)
        assert answer_of(one) == "One.Two."
        prompts = [event.data["prompt"] for event in one if event.name == "turn"]
        assert prompts == ["first", "second"]
        middle = [event for event in chunks_of(one) if event.data["turn"] == 1][1]
        rest = await watch(middle.id)
        assert chunks_of(rest) == chunks_of(one)[chunks_of(one).index(middle) + 1 :]
        assert chunks_of(await watch("another/0/end"))[0] == chunks_of(one)[0]
        turns = (await http.get("/turns")).json()
        assert [(turn["number"], turn["status"]) for turn in turns] == [(0, "completed"), (1, "completed")]


@pytest.mark.parametrize("answer", [{"allow": True}, {"deny": "Not on a Sunday."}])
async def test_a_question_is_answered_once(real: Real, answer: dict[str, Any]) -> None:
    script = [reply("I try. ").tool("Bash", TOUCH), reply("Done.")]
    app = create_app(real.options(script, ask="stream"), token=TOKEN)
    async with serving(app) as address, client(address) as http:
        await http.post("/turns", json={"prompt": "go"})
        ask = await until(http, AskChunk)
        assert (await http.post(f"/asks/{ask.id}", json={})).status_code == 400
        assert (await http.post(f"/asks/{ask.id}", json=answer)).status_code == 200
        assert (await http.post(f"/asks/{ask.id}", json=answer)).status_code == 404
        found = [event async for event in events(http, "/turns/0/events")]
    assert answer_of(found) == "I try. Done."
    assert (real.folder / "project" / "made").exists() is ("allow" in answer)


async def test_a_turn_is_steered_and_another_interrupted(real: Real) -> None:
    script = [reply("I look. ").tool("Bash", TOUCH), reply("As you say."), reply("On and on.").hang()]
    app = create_app(real.options(script, ask="stream"), token=TOKEN)
    async with serving(app) as address, client(address) as http:
        await http.post("/turns", json={"prompt": "go"})
        ask = await until(http, AskChunk)
        steering = asyncio.create_task(http.post("/turns/0/steer", json={"text": "Be brief."}))
        await until(http, PromptChunk)
        await http.post(f"/asks/{ask.id}", json={"allow": True})
        assert (await steering).json() == {"outcome": "delivered", "turn": 0}
        assert (await http.post("/turns/9/interrupt")).status_code == 404

        async def ended() -> None:
            async for _ in events(http, "/turns/0/events"):
                pass

        await ended()
        refused = await http.post("/turns/0/steer", json={"text": "too late"})
        assert (refused.status_code, "over" in refused.json()["error"]) == (409, True)
        await http.post("/turns", json={"prompt": "again"})
        await until(http, TextChunk, "/turns/1/events")
        assert (await http.post("/turns/1/interrupt")).json()["status"] == "interrupted"


@needs_cli("2.1.222", "do not say what becomes of a message")
async def test_a_message_that_comes_too_late_is_a_turn_of_its_own(real: Real) -> None:
    go = threading.Event()
    script = [reply().text("One.").until(go, mid_block=True), reply("Two.")]
    async with serving(create_app(real.options(script), token=TOKEN)) as address, client(address) as http:
        await http.post("/turns", json={"prompt": "go"})
        await until(http, TextChunk)
        steering = asyncio.create_task(http.post("/turns/0/steer", json={"text": "And then?"}))
        await until(http, PromptChunk)
        go.set()
        assert (await steering).json() == {"outcome": "queued", "turn": 1}
        assert answer_of([event async for event in events(http, "/turns/1/events")]) == "Two."
        assert [turn["prompt"] for turn in (await http.get("/turns")).json()] == ["go", "And then?"]


async def test_a_client_that_stalls_does_not_keep_the_server_from_ending(
    real: Real, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "All work and no play makes Jack a dull boy. " * 30_000
    async with real([reply().text(text, pieces=1000)]) as session:
        turn = session.stream("go", linger=30)
        async with asyncio.timeout(30), serving(app_of(turn)) as address:
            slow = socket.socket()
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", int(address.rpartition(":")[2])))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await turn.wait()
        slow.close()
        assert turn.status == "completed"
    assert "Traceback" not in capfd.readouterr().err


async def test_nobody_watches_and_the_turn_is_interrupted_after_the_linger(real: Real) -> None:
    app = create_app(real.options([reply("On and on.").hang()]), token=TOKEN, linger=0.3)
    async with serving(app) as address, client(address) as http:
        await http.post("/turns", json={"prompt": "go"})
        async with asyncio.timeout(30):
            while (await http.get("/turns")).json()[0]["status"] in ("pending", "running"):
                await asyncio.sleep(0.05)
        assert (await http.get("/turns")).json()[0]["status"] == "interrupted"


async def test_only_who_has_the_token_gets_in_and_only_from_here(real: Real) -> None:
    app = create_app(real.options([reply("One.")]))
    token = app.state.token
    assert len(token) >= 32
    async with serving(app) as address, client(address, token) as http:
        page = await http.get("/", headers={"Authorization": ""})
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "<script>" not in page.text
        paths = [
            ("GET", "/turns"),
            ("GET", "/events"),
            ("POST", "/turns"),
            ("POST", "/asks/x"),
            ("GET", "/x"),
        ]
        for method, path in paths:
            for wrong in (
                "",
                "Bearer",
                "Bearer x",
                f"Basic {token}",
                f"Bearer {token}x",
                "Bearer \xfc",
            ):
                refused = await http.request(method, path, headers=[(b"Authorization", wrong.encode())])
                assert refused.status_code == 401, (path, wrong)
        assert (await http.get("/turns", headers={"Host": "evil.example"})).status_code == 421
        assert (await http.get("/", headers={"Host": "evil.example"})).status_code == 421
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://["):
            assert (await http.get("/turns", headers={"Origin": origin})).status_code == 403
        assert (await http.get("/turns", headers={"Origin": address})).status_code == 200
        large = await http.post("/turns", content=b'{"prompt": "' + b"x" * (1 << 21) + b'"}')
        assert large.status_code == 400
        for body in (b"{", b"[]", b'{"prompt": 1}', b'{"prompt": " "}', b"\xff"):
            assert (await http.post("/turns", content=body)).status_code == 400, body


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        create_app(token=token)
