"""The events of a turn for any number of clients: each reads the turn's log at its own pace."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from weakref import WeakKeyDictionary

from rxccsdk.chunk_json import to_json
from rxccsdk.chunks import Chunk
from rxccsdk.session.turn import Turn
from rxccsdk.text.leave import Wake

_AT_ONCE = 256  # chunks that are read for a client and not yet sent
_KEPT = 4096  # events that are kept as bytes: whoever is not far behind needs no new ones
_UNNAMED = "-"  # stands for a session that the CLI has not named yet


async def batches(turn: Turn, seq: int = -1) -> AsyncGenerator[Sequence[Chunk], None]:
    """Yield the chunks after one, as many as are there, until the turn has ended, well or badly.

    The turn's log is the buffer: whoever is slow holds no more than one batch, and keeps nobody waiting.

    Args:
        turn: the turn; reading subscribes to it.
        seq: the last chunk seen; -1 where none was.

    Raises:
        ValueError: the turn keeps no log (`replay=False`).
    """
    if not turn._replay:
        raise ValueError("A turn with replay=False keeps no log for clients that reconnect.")
    log, wake, ended = turn._log, Wake(), False

    def end(error: Exception | None = None) -> None:
        nonlocal ended
        ended = True
        wake.set()

    place = max(seq + 1, 0)
    subscription = turn.subscribe(lambda chunk: wake.set(), end, end)
    try:
        while True:
            wake.clear()
            is_last = ended
            with log.lock:
                chunks = log.read(place, _AT_ONCE) if place < log.length else ()
            if chunks:
                place += len(chunks)
                yield chunks
            elif is_last:
                return
            else:
                await wake.wait()
    finally:
        subscription.dispose()


class Events:
    """A turn's chunks as server-sent events with ids, each made once for all clients."""

    def __init__(self, turn: Turn) -> None:
        self._session: str | None = None
        self._made: OrderedDict[int, bytes] = OrderedDict()
        self._conductor = turn._conductor

    @staticmethod
    def of(turn: Turn) -> Events:
        """Return the ones of a turn."""
        return _events.get(turn) or _events.setdefault(turn, Events(turn))

    @property
    def session(self) -> str:
        """The session's name in the ids. It stays, also where `/clear` gives the session a new id."""
        self._session = self._session or self._conductor.session_id
        return self._session or _UNNAMED

    def of_chunk(self, chunk: Chunk) -> bytes:
        """Return a chunk's event."""
        event = self._made.get(chunk.seq)
        if event is None:
            cursor = f"{self.session}/{chunk.turn}/{chunk.seq}"
            event = f"id: {cursor}\ndata: {to_json(chunk)}\n\n".encode()
            self._made[chunk.seq] = event
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return event

    def seen(self, turn: Turn, last_event_id: str | None) -> int | None:
        """Return the `seq` that an event id stands for; `None` where it is of another turn, or no id."""
        session, _, place = (last_event_id or "").partition("/")
        index, _, seq = place.partition("/")
        if session not in (self.session, _UNNAMED) or index != str(turn.index):
            return None
        return int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 10 else None


_events: WeakKeyDictionary[Turn, Events] = WeakKeyDictionary()
