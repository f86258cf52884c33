"""The events of a turn, made once for any number of clients."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakKeyDictionary

from rxccsdk.chunk_json import to_json
from rxccsdk.chunks import Chunk
from rxccsdk.session.since import session_id_of
from rxccsdk.session.turn import Turn
from rxccsdk.web.words import event, status_of

_KEPT = 4096  # events that are kept as bytes: whoever is not far behind needs no new ones
_UNNAMED = "-"  # stands for a session that the CLI has not named yet


class Events:
    """A turn's chunks as server-sent events with ids, each made once for all clients."""

    def __init__(self, turn: Turn) -> None:
        self._session: str | None = None
        self._made: OrderedDict[int, bytes] = OrderedDict()
        self._session_id = session_id_of(turn)
        self._end: int | None = None  # the place behind the last chunk, once a client was told of it

    @staticmethod
    def of(turn: Turn) -> Events:
        """Return the ones of a turn."""
        return _events.get(turn) or _events.setdefault(turn, Events(turn))

    @property
    def session(self) -> str:
        """The session's name in the ids. It stays, also where `/clear` gives the session a new id."""
        self._session = self._session or self._session_id()
        return self._session or _UNNAMED

    def of_chunk(self, chunk: Chunk) -> bytes:
        """Return a chunk's event."""
        made = self._made.get(chunk.seq)
        if made is None:
            cursor = f"{self.session}/{chunk.turn}/{chunk.seq}"
            made = f"id: {cursor}\ndata: {to_json(chunk)}\n\n".encode()
            self._made[chunk.seq] = made
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made

    def of_end(self, turn: Turn, place: int) -> bytes:
        """Return the last event, whose id says that its client has all."""
        self._end = place
        return event("end", status_of(turn), f"{self.session}/{turn.index}/{place}")

    def is_end(self, seq: int | None) -> bool:
        """Return whether a client that names this place has the last event, too."""
        return seq is not None and seq == self._end

    def seen(self, turn: Turn, last_event_id: str | None) -> int | None:
        """Return the `seq` that an event id stands for; `None` where it is of another turn, or no id."""
        session, _, place = (last_event_id or "").partition("/")
        index, _, seq = place.partition("/")
        if session not in (self.session, _UNNAMED) or index != str(turn.index):
            return None
        return int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 10 else None


_events: WeakKeyDictionary[Turn, Events] = WeakKeyDictionary()
