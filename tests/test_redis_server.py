"""The Redis server the tests run: what it has acknowledged it has, after whatever end."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as NotAnswered

from tests.redis_server import RedisServer


def test_what_it_acknowledged_is_there_after_a_kill(redis_server: RedisServer) -> None:
    with Redis.from_url(redis_server.url) as redis:
        for number in range(100):
            redis.xadd("a", {"n": number})
    redis_server.restart()
    with Redis.from_url(redis_server.url) as redis:
        assert [int(fields[b"n"]) for _, fields in redis.xrange("a")] == list(range(100))


def test_it_stands_still_and_goes_on(redis_server: RedisServer) -> None:
    with Redis.from_url(redis_server.url, socket_timeout=0.1, retry=None) as redis:
        assert redis.ping()
        redis_server.pause()
        with pytest.raises(NotAnswered):
            redis.ping()
        redis_server.resume()
    with Redis.from_url(redis_server.url) as redis:
        assert redis.ping()


def test_it_ends_while_it_stands_still(redis_server: RedisServer) -> None:
    redis_server.pause()
    redis_server.stop()
    redis_server.start()
    with Redis.from_url(redis_server.url) as redis:
        assert redis.ping()
