"""An app with one session: prompts go in, everybody who has the token watches, answers and steers."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rxccsdk.errors import ControlError, RxccError
from rxccsdk.session.asks import Allow, AskAnswer, Deny
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.session import ClaudeSession
from rxccsdk.web.conversation import Conversation
from rxccsdk.web.guard import Guard
from rxccsdk.web.sse import HEARTBEAT, PATIENCE, EventStream, events_of, sse

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LARGEST = 1 << 20  # bytes of a request
_PAGE = {"/": "page.html", "/page.js": "page.js", "/markdown.js": "markdown.js", "/page.css": "page.css"}
_KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


def create_app(
    options: SessionOptions | None = None,
    *,
    token: str | None = None,
    hosts: Sequence[str] = LOOPBACK,
    linger: float = 60.0,
    heartbeat: float = HEARTBEAT,
    patience: float = PATIENCE,
) -> Starlette:
    """Make an app (ASGI) with one session of Claude Code, which starts and ends with it.

    `/` is a page to talk to it: open `/#token=...`. Every other request carries the token as
    `Authorization: Bearer ...`; bodies and answers are JSON.

    | request | what it does |
    | --- | --- |
    | `POST /turns` `{"prompt": ...}` | sends a prompt; `{"turn": n}` |
    | `GET /turns` | the turns so far, with prompt and status |
    | `GET /turns/{n}/events` | a turn's events, as `sse` sends them |
    | `GET /events` | all turns, one after the other: the event `turn`, then the turn's own; `aside` is what background agents ask |
    | `POST /turns/{n}/interrupt` | stops a turn |
    | `POST /turns/{n}/steer` `{"text": ...}` | sends a message into it |
    | `POST /asks/{id}` | answers: `{"allow": true}`, `{"allow": true, "remember": true}`, `{"deny": "why"}`, `{"answers": {...}}` |

    Args:
        options: what to start the session with; with `ask="stream"` the page puts the agent's questions.
        token: the secret of those who may use it; one is made where none is given: `app.state.token`.
        hosts: the names by which this server may be called, without ports; those of loopback.
        linger: seconds until the agent is interrupted when nobody watches any more.
        heartbeat: seconds between two signs of life on a connection.
        patience: seconds after which a client that takes nothing is dropped.

    Raises:
        ValueError: the token is empty.

    Example:
        uvicorn.run(create_app(SessionOptions(cwd=".", ask="stream"), token=secret), host="127.0.0.1")
    """  # noqa: E501 - a row of a table
    if token is not None and not token.strip():
        raise ValueError("The token is empty: give a secret, or none to have one made.")
    secret = token if token is not None else secrets.token_urlsafe(24)
    session = ClaudeSession(options)
    talk = Conversation(session, linger)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with session:
            talk.begin()
            yield

    app = Starlette(
        routes=[*_page_routes(), *_routes(talk, heartbeat, patience)],
        middleware=[Middleware(Guard, token=secret, hosts=hosts, public=tuple(_PAGE))],
        lifespan=lifespan,
    )
    app.state.token = secret
    return app


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _routes(talk: Conversation, heartbeat: float, patience: float) -> list[Route]:
    async def post(request: Request) -> Response:
        return JSONResponse({"turn": talk.ask(await _field(request, "prompt"))}, 201)

    async def turns(request: Request) -> Response:
        return JSONResponse([talk.described(number) for number in range(len(talk.turns))])

    async def turn_events(request: Request) -> Response:
        turn = talk.turn(request.path_params["number"])
        return sse(turn, request.headers.get("last-event-id"), heartbeat=heartbeat, patience=patience)

    async def events(request: Request) -> Response:
        found = _watched(talk, request.headers.get("last-event-id"))
        return EventStream(found, heartbeat, patience)

    async def interrupt(request: Request) -> Response:
        await talk.turn(request.path_params["number"]).interrupt()
        return JSONResponse(talk.described(request.path_params["number"]))

    async def steer(request: Request) -> Response:
        turn = talk.turn(request.path_params["number"])
        steered = await turn.steer(await _field(request, "text"))
        return JSONResponse({"outcome": str(steered), "turn": talk.number_of(steered.turn)})

    async def answer(request: Request) -> Response:
        ask = talk.asks.get(request.path_params["id"])
        if ask is None:
            raise LookupError("The agent does not ask that, or has its answer.")
        await talk.session.answer(ask, _answer(await _body(request), ask.suggestions))
        return JSONResponse({})

    return [
        Route("/turns", _spoken(post), methods=["POST"]),
        Route("/turns", _spoken(turns)),
        Route("/turns/{number:int}/events", _spoken(turn_events)),
        Route("/turns/{number:int}/interrupt", _spoken(interrupt), methods=["POST"]),
        Route("/turns/{number:int}/steer", _spoken(steer), methods=["POST"]),
        Route("/asks/{id}", _spoken(answer), methods=["POST"]),
        Route("/events", _spoken(events)),
    ]


async def _watched(talk: Conversation, last_event_id: str | None) -> AsyncGenerator[bytes, None]:
    """Yield the events of all turns, from the one that an event id is of."""
    number, seq = talk.place(last_event_id)
    told = 0  # asides
    with talk.watching():
        while True:
            await talk.has(number, told)
            if number < len(talk.turns):
                yield talk.announcement(number)
                async with aclosing(events_of(talk.turns[number], seq)) as events:
                    async for piece in events:
                        new = talk.asides[told:]
                        told += len(new)
                        yield piece + b"".join(new)
                number, seq = number + 1, -1
            else:
                new = talk.asides[told:]
                told += len(new)
                yield b"".join(new)


def _spoken(handler: Handler) -> Handler:
    """Say in words, as JSON, what is wrong with a request."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except LookupError as error:
            return JSONResponse({"error": str(error.args[0])}, 404)
        except ControlError as error:
            return JSONResponse({"error": str(error)}, 409)
        except RxccError as error:
            return JSONResponse({"error": str(error)}, 503)

    return handle


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > _LARGEST:
            raise ValueError("The request is too large.")
    found = json.loads(data or b"{}")
    if not isinstance(found, dict):
        raise ValueError("The request is no JSON object.")
    return found


async def _field(request: Request, name: str) -> str:
    value = (await _body(request)).get(name)
    if not isinstance(value, str):
        raise ValueError(f"The request needs a text as {name!r}.")
    return value


def _answer(given: dict[str, Any], suggestions: Sequence[dict[str, Any]]) -> AskAnswer:
    if isinstance(given.get("answers"), dict):
        answers: dict[str, Any] = given["answers"]
        return answers
    if isinstance(given.get("deny"), str):
        return Deny(given["deny"]) if given["deny"].strip() else Deny()
    if given.get("allow") is True:
        edited = given.get("input")
        remember = suggestions if given.get("remember") is True else ()
        return Allow(input=edited if isinstance(edited, dict) else None, remember=remember)
    raise ValueError("An answer has `allow`, `deny` or `answers`.")


def _page_routes() -> list[Route]:
    def route(path: str, name: str) -> Route:
        text = (files("rxccsdk.web") / name).read_text(encoding="utf-8")
        kind = _KINDS[name.rpartition(".")[2]]

        async def serve(request: Request) -> Response:
            return Response(text, media_type=kind)

        return Route(path, serve)

    return [route(path, name) for path, name in _PAGE.items()]
