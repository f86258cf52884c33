"""Many machines: prompts to whichever is free, turns to whoever watches, over Redis.

from rxccsdk.fleet import Fleet, Worker
"""

from __future__ import annotations

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
