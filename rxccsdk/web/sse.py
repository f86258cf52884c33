"""A turn as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from rxccsdk.session.since import batches, check_log, is_cut_off
from rxccsdk.session.turn import Turn
from rxccsdk.text.leave import Wake
from rxccsdk.web.feed import Events

HEARTBEAT = 15.0
PATIENCE = 30.0
_FAREWELL = 1.0
_NAMED = 2.0  # seconds to wait for a session's name
_OF_CONTENT = (b"content-type", b"content-length")


def sse(
    turn: Turn,
    last_event_id: str | None = None,
    *,
    heartbeat: float = HEARTBEAT,
    patience: float = PATIENCE,
) -> Response:
    """Return a response that sends a turn's chunks as they come, each as an event with an id.

    An event's data is `to_json(chunk)`, its id `session/turn/seq`. A client that reconnects says the last id
    it has (browsers do so by themselves, in `Last-Event-ID`) and gets what comes after it. The last event is
    named `end`; its data has the turn's `status`, `error`, `error_kind` and `retryable`. Whoever comes back
    with its id gets 204, at which an `EventSource` asks no more. There is no `end` where only this server can
    read the turn no further: a client that comes back may be let go on elsewhere. A client that takes nothing
    for longer than `patience` is dropped; it may come back by its id, and neither the turn nor another client
    waits for it.

    Subscribing is what the client does: when the last one leaves, the turn is interrupted after its `linger`.

    Args:
        turn: the turn; it must keep its log (`replay=True`, the default).
        last_event_id: the header `Last-Event-ID` of the request.
        heartbeat: seconds between two comments that keep the connection open while nothing comes.
        patience: seconds a client may take for what was sent to it.

    Raises:
        ValueError: the turn keeps no log.

    Example:
        async def watch(request: Request) -> Response:
            return sse(turns[request.path_params["name"]], request.headers.get("last-event-id"))
    """
    check_log(turn)
    events = Events.of(turn)
    if events.has_all(turn, last_event_id):
        return Response(status_code=204)
    seen = events.seen(turn, last_event_id)
    if seen is None and events.may_be_of(last_event_id):
        return _OnceNamed(turn, last_event_id, heartbeat, patience)
    return EventStream(events_of(turn, -1 if seen is None else seen), heartbeat, patience)


async def events_of(turn: Turn, seq: int) -> AsyncGenerator[bytes, None]:
    """Yield the events of a turn after one, as many at a time as are there, and its end.

    Where only this reader ends there is none: a client that comes back may be let go on elsewhere.
    """
    events = Events.of(turn)
    async with aclosing(batches(turn, seq)) as found:
        async for chunks in found:
            yield b"".join(map(events.of_chunk, chunks))
    if not is_cut_off(turn):
        yield events.of_end(turn)


async def _once_named(turn: Turn, last_event_id: str | None) -> AsyncGenerator[bytes, None]:
    """Yield the events after an id as soon as the session's name says whether it is of this turn."""
    events = Events.of(turn)
    async with aclosing(batches(turn)) as held:  # to the end: leaving could interrupt the turn
        async for _ in held:
            if not events.may_be_of(last_event_id):
                break
        seen = events.seen(turn, last_event_id)
        async with aclosing(events_of(turn, -1 if seen is None else seen)) as found:
            async for piece in found:
                yield piece


class EventStream(EventSourceResponse):
    """Events, with heartbeats, for a client that may be slow."""

    def __init__(self, events: AsyncIterator[bytes], heartbeat: float, patience: float) -> None:
        super().__init__(events, ping=heartbeat, send_timeout=patience)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_whole = False

        async def send_and_note(message: Message) -> None:
            nonlocal is_whole
            await send(message)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await super().__call__(scope, receive, send_and_note)
            if not is_whole:  # the server ends: the client is told so, if it listens
                with suppress(TimeoutError):
                    async with asyncio.timeout(_FAREWELL):
                        await send({"type": "http.response.body", "body": b""})
        except SendTimeoutError:
            pass  # it is dropped; the server closes the connection
        finally:
            if isinstance(self._events, AsyncGenerator):
                await self._events.aclose()


class _OnceNamed(EventStream):
    """Events for a client whose id only the session's name can tell from another turn's.

    That it has all already, it has to be told at once. So the first word waits for the name, not for long: a
    turn may wait for an hour.
    """

    def __init__(self, turn: Turn, last_event_id: str | None, heartbeat: float, patience: float) -> None:
        super().__init__(_once_named(turn, last_event_id), heartbeat, patience)
        self._turn = turn
        self._last_event_id = last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        events, named = Events.of(self._turn), Wake()

        def look(_: object = None) -> None:
            if not events.may_be_of(self._last_event_id):
                named.set()

        def end(_: object = None) -> None:
            named.set()

        held = self._turn.subscribe(look, end, end)  # until it is read: leaving could interrupt the turn
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_NAMED):
                    await named.wait()
            if events.has_all(self._turn, self._last_event_id):
                await self._answer_nothing(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            held.dispose()

    async def _answer_nothing(self, scope: Scope, receive: Receive, send: Send) -> None:
        nothing = Response(status_code=204, background=self.background)
        nothing.raw_headers += [it for it in self.raw_headers if it[0] not in _OF_CONTENT]
        await nothing(scope, receive, send)
