"""The events of a turn, made once for any number of clients."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from weakref import WeakKeyDictionary, ref

from rxccsdk.chunk_json import to_json
from rxccsdk.chunks import Chunk
from rxccsdk.session.since import session_id_of
from rxccsdk.session.turn import Turn
from rxccsdk.web.words import event, status_of

_KEPT = 4096  # events that are kept as bytes: whoever is not far behind needs no new ones
_UNNAMED = "-"  # before the turn's own id, stands for a session that the CLI has not named yet
_END = "end"

_ALL = 1 << 40  # the `seq` of a client that has the turn's end, too


class Events:
    """A turn's chunks as server-sent events with ids, each made once for all clients."""

    def __init__(self, turn: Turn) -> None:
        self._session: str | None = None
        self._made: OrderedDict[int, bytes] = OrderedDict()
        self._session_id = session_id_of(turn)
        self._turn = ref(turn)
        self._token = secrets.token_hex(8)  # of a turn that ended before it had a uuid

    @staticmethod
    def of(turn: Turn) -> Events:
        """Return the ones of a turn."""
        return _events.get(turn) or _events.setdefault(turn, Events(turn))

    @property
    def session(self) -> str:
        """The session's name in the ids. It stays, also where `/clear` gives the session a new id."""
        self._session = self._session or self._session_id()
        return self._session or self._unnamed

    @property
    def _unnamed(self) -> str:
        turn = self._turn()
        uuid = turn.uuid if turn is not None else None
        return f"{_UNNAMED}{uuid or self._token}"

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

    def of_end(self, turn: Turn) -> bytes:
        """Return the last event, whose id says that its client has all."""
        return event("end", status_of(turn), f"{self.session}/{turn.index}/{_END}")

    def may_be_of(self, last_event_id: str | None) -> bool:
        """Return whether only the session's name, which is not known yet, can say of which turn an id is."""
        return bool(last_event_id) and self.session == self._unnamed

    def has_all(self, turn: Turn, last_event_id: str | None) -> bool:
        """Return whether a client has the turn's end, too."""
        return self.seen(turn, last_event_id) == _ALL

    def seen(self, turn: Turn, last_event_id: str | None) -> int | None:
        """Return the `seq` that an event id stands for; `None` where it is of another turn, or no id."""
        session, _, place = (last_event_id or "").partition("/")
        index, _, seq = place.partition("/")
        if (
            session not in (self.session, self._unnamed)
            or index != str(turn.index)
            or turn.status == "pending"
        ):
            return None
        if seq == _END:
            return _ALL
        return int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 10 else None


_events: WeakKeyDictionary[Turn, Events] = WeakKeyDictionary()
