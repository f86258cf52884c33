"""Keys that steer a replay: pause, speed, and from turn to turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rxccsdk.cli.codes import SUCCESS
from rxccsdk.cli.running import Ending
from rxccsdk.display.live import LiveDisplay
from rxccsdk.transport.player import CassettePlayer

_FASTEST, _SLOWEST = 64.0, 1 / 8


class ReplayKeys:
    """What the keys do to the replay.

    Args:
        ending: ends it.
        speed: how many times faster than recorded it begins.

    Attributes:
        speed: how many times faster it plays now.
        wanted: the turn to go back to, if somebody wants that.
    """

    def __init__(self, ending: Ending, speed: float) -> None:
        self.speed = speed
        self.wanted: int | None = None
        self._ending = ending
        self._number = 0
        self._player: CassettePlayer | None = None

    @asynccontextmanager
    async def heard(self, display: LiveDisplay | None) -> AsyncIterator[None]:
        """Hear the keys meanwhile, where there is a terminal."""
        if display is None or display.plain:
            yield
            return
        hearing = asyncio.get_running_loop().create_task(self._hear(display))
        try:
            yield
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])

    def begin(self, number: int, player: CassettePlayer) -> None:
        """Steer this turn from now on."""
        self._number, self._player = number, player

    def take_wanted(self) -> int | None:
        """Return the turn to go back to, once."""
        wanted, self.wanted = self.wanted, None
        return wanted

    def status(self) -> str:
        """Return what the live row says."""
        state = "❚❚ paused" if self._player is not None and self._player.is_paused else "▶"
        return f"{state} {self.speed:g}x · space pauses · ↑ ↓ speed · ← → turns · q ends"

    async def _hear(self, display: LiveDisplay) -> None:
        async for key in display.keys(self.status):
            self._press(key)

    def _press(self, key: str) -> None:
        player = self._player
        if player is None:
            return
        if key == " ":
            player.resume() if player.is_paused else player.pause()
        elif key in ("up", "+"):
            self.speed = player.speed = min(_FASTEST, self.speed * 2)
        elif key in ("down", "-"):
            self.speed = player.speed = max(_SLOWEST, self.speed / 2)
        elif key in ("right", "n"):
            player.hurry()
        elif key in ("left", "p"):
            self.wanted = max(1, self._number - 1)
            player.hurry()
        elif key == "q":
            self._ending.stop(SUCCESS)
