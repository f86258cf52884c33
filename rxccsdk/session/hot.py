"""The chunks of a session, as they arrive."""

from __future__ import annotations

from collections.abc import Callable

from rxccsdk.chunks import Chunk
from rxccsdk.session.talk import Talk
from rxccsdk.text.hot import Hot


class HotChunks(Hot[Chunk]):
    """What `ClaudeSession.chunks` is.

    Args:
        talk: returns what answers the agent's questions; raises `SessionClosedError` where nothing does.
    """

    def __init__(self, talk: Callable[[], Talk]) -> None:
        super().__init__("session.chunks")
        self._talk = talk
