"""Many machines (extra `redis`): prompts to whichever is free, turns to whoever watches. And durable logs.

from rxccsdk.fleet import Fleet, Worker
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxccsdk.fleet.fleet import Fleet
    from rxccsdk.fleet.worker import Worker
    from rxccsdk.transport.file_log import FileLog
    from rxccsdk.transport.redis_client import PatientRedis
    from rxccsdk.transport.redis_log import RedisLog
    from rxccsdk.transport.turn_log import Entry, EntryId, LogError, OvertakenError, TurnLog

__all__ = [
    "Entry",
    "EntryId",
    "FileLog",
    "Fleet",
    "LogError",
    "OvertakenError",
    "PatientRedis",
    "RedisLog",
    "TurnLog",
    "Worker",
]

# Logs in files need no Redis.
_HOMES = {
    "Fleet": "rxccsdk.fleet.fleet",
    "Worker": "rxccsdk.fleet.worker",
    "FileLog": "rxccsdk.transport.file_log",
    "PatientRedis": "rxccsdk.transport.redis_client",
    "RedisLog": "rxccsdk.transport.redis_log",
    **dict.fromkeys(
        ("Entry", "EntryId", "LogError", "OvertakenError", "TurnLog"), "rxccsdk.transport.turn_log"
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        words = f"{name} needs the extra `redis`: pip install 'rxccsdk[redis]'"
        raise ImportError(words, name="redis") from error
