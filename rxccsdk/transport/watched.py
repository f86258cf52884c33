"""The transcript of a session that somebody else runs: which it is, and what is written to it."""

from __future__ import annotations

import asyncio
import heapq
import json
import os
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path

from rxccsdk.chunks import Frame
from rxccsdk.errors import RxccError
from rxccsdk.transport.tail import Tail
from rxccsdk.transport.transcripts import newest_first, projects, session_paths
from rxccsdk.wire.frames import decode

_EVERY = 0.1  # seconds between two looks
_AT_ONCE = 100  # lines, before others get their turn
_LONGEST_SHOWN = 2000  # bytes of a line that is no frame
_NAMED = 5  # sessions in a message
_META = ".meta.json"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a session's transcript, decoded; `agent`: the tool call of the sub-agent whose line it is."""

    frame: Frame
    agent: str | None


def find_transcript(session: str | None, cwd: Path | str) -> Path:
    """Find a session's transcript.

    Args:
        session: its id, or how it begins; `None` for the folder's newest.
        cwd: the folder. A session that is none of its own is looked for in all others.

    Raises:
        RxccError: there is no such session, or more than one.
    """
    own = session_paths(cwd)
    if session is None:
        if not own:
            folder = os.path.realpath(cwd)
            raise RxccError(
                f"There is no session in this folder: {folder} (one is there from its first prompt on)"
            )
        return own[0]
    found = _beginning_with(session, own)
    if not found:
        found = _beginning_with(session, newest_first(projects().glob("*/*.jsonl")))
    if not found:
        raise RxccError(f"There is no session {session!r}.")
    names = sorted({path.stem for path in found})
    if len(names) > 1:
        shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        raise RxccError(f"{len(names)} sessions begin with {session!r}: {shown}")
    return found[0]


async def follow(path: Path) -> AsyncGenerator[Line | None, None]:
    """Follow a session's transcript and its sub-agents', in the order of time.

    Args:
        path: the session's.

    Yields:
        Each line, and `None` at the end of each look.

    Raises:
        OSError: it cannot be read.
    """
    tail, agents = Tail(path), _SubAgents(path.with_suffix("") / "subagents")
    try:
        while True:
            # The session's own comes first: what it has of an agent, that agent's has before it.
            looks = [_look(tail, None), *(_look(*agent) for agent in agents.find())]
            for count, (_, line) in enumerate(heapq.merge(*looks, key=lambda stamped: stamped[0])):
                yield line
                if count % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            yield None
            await asyncio.sleep(_EVERY)
    finally:
        tail.close()


def _beginning_with(session: str, paths: list[Path]) -> list[Path]:
    return [path for path in paths if session and path.stem.startswith(session)]


class _SubAgents:
    """Finds the transcripts of a session's sub-agents as they appear, and whose they are.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, tuple[Tail, str] | None] = {}  # by the name of what says whose it is

    def find(self) -> list[tuple[Tail, str]]:
        """Return all there are, each with the tool call that started it."""
        try:
            names = os.listdir(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        for name in names:
            if name.endswith(_META) and name not in self._found:
                self._read(name)
        return [agent for agent in self._found.values() if agent is not None]

    def _read(self, name: str) -> None:
        try:
            about = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return  # it is being written
        call = about.get("toolUseId") if isinstance(about, dict) else None
        path = self._folder / f"{name.removesuffix(_META)}.jsonl"
        self._found[name] = (Tail(path), call) if isinstance(call, str) else None  # the CLI's own business


def _look(tail: Tail, agent: str | None) -> Iterator[tuple[str, Line]]:
    """Yield the lines there are now, each with its time."""
    stamp = ""
    for whole in tail.reads():
        for text in whole:
            words = text.strip(b"\0 \r\t")  # a machine that crashed leaves zeros
            if not words:
                continue
            frame = decode(words)
            if frame is None:
                frame = {"type": "not_json", "line": words[:_LONGEST_SHOWN].decode("utf-8", "replace")}
            stamp = str(frame.get("timestamp") or stamp)
            yield stamp, Line(frame, agent)
    if agent is not None:
        tail.close()  # there may be hundreds, and few of them write
