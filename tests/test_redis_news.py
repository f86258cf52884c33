"""One connection for all who read streams on: each has every entry, whenever it joins, however slow it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rxccsdk.transport import redis_news
from rxccsdk.transport.redis_news import News, order


class Stream:
    """A Redis with one stream, whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, dict[bytes, bytes]]] = []
        self.asked: list[dict[str, str]] = []
        self._let_go = asyncio.Semaphore(0)

    async def do(self, command: Callable[[Any], Awaitable[Any]]) -> Any:
        return await command(self)

    def add(self, number: int) -> None:
        self.entries.append((b"0-%d" % number, {b"d": b"%d" % number}))

    def answer(self) -> None:
        """Let one who waits have what there is now."""
        self._let_go.release()

    async def xread(self, wanted: dict[str, str], **how: Any) -> Any:
        self.asked.append(dict(wanted))
        await self._let_go.acquire()
        after = wanted.get("s")
        found = [it for it in self.entries if after is not None and order(it[0].decode()) > order(after)]
        return [(b"s", found)] if found else []

    async def xadd(self, *args: Any, **how: Any) -> None: ...

    async def expire(self, *args: Any) -> None: ...

    async def delete(self, *args: Any) -> None: ...

    async def is_asked(self, times: int) -> dict[str, str]:
        while len(self.asked) < times:
            await asyncio.sleep(0)
        return self.asked[times - 1]


async def test_who_joins_behind_the_others_misses_nothing() -> None:
    """An answer on its way may begin behind what the one who joins has seen."""
    stream = Stream()
    news = News(stream)  # type: ignore[arg-type]
    ahead, behind = news.after("s", "0-2"), news.after("s", "0-1")
    first = asyncio.ensure_future(anext(ahead))
    assert (await stream.is_asked(1))["s"] == "0-2"
    second = asyncio.ensure_future(anext(behind))
    await asyncio.sleep(0)
    for number in (2, 3):
        stream.add(number)
    stream.answer()
    assert (await first)[0] == "0-3"
    assert (await stream.is_asked(2))["s"] == "0-1"
    stream.answer()
    assert [(await second)[0], (await anext(behind))[0]] == ["0-2", "0-3"]
    await news.aclose()


async def test_who_is_slow_is_read_for_again_when_it_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_news, "_AHEAD", 2)
    stream = Stream()
    news = News(stream)  # type: ignore[arg-type]
    reading = news.after("s", "0-0")
    first = asyncio.ensure_future(anext(reading))
    await stream.is_asked(1)
    for number in (1, 2, 3):
        stream.add(number)
    stream.answer()
    assert "s" not in await stream.is_asked(2)
    stream.add(4)
    assert [(await first)[0], (await anext(reading))[0], (await anext(reading))[0]] == ["0-1", "0-2", "0-3"]
    last = asyncio.ensure_future(anext(reading))
    await asyncio.sleep(0)
    stream.answer()  # the bell
    assert (await stream.is_asked(3))["s"] == "0-3"
    stream.answer()
    assert (await last)[0] == "0-4"
    await news.aclose()
