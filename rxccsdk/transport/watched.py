"""The transcript of a session that somebody else runs: which it is, and what is written to it."""

from __future__ import annotations

import asyncio
import heapq
import json
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
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
_PATIENCE = 20  # looks: two seconds


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
        here = ", ".join(path.stem for path in own[:_NAMED]) or "none"
        raise RxccError(f"There is no session {session!r} in {projects()}. Newest of this folder: {here}")
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
            agents.find()
            own: Iterable[tuple[str, Line]] = _look(tail, None)
            if agents.some_wait:
                own = tuple(own)
                for _, line in own:
                    agents.note_calls(line.frame)
            looks = [own, *(_look(agent.tail, agent.call) for agent in agents.ready())]
            for count, (_, line) in enumerate(heapq.merge(*looks, key=lambda stamped: stamped[0])):
                agents.note_calls(line.frame)
                yield line
                if count % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            yield None
            await asyncio.sleep(_EVERY)
    finally:
        tail.close()


def _beginning_with(session: str, paths: list[Path]) -> list[Path]:
    return [path for path in paths if session and path.stem.startswith(session)]


@dataclass(slots=True)
class _SubAgent:
    tail: Tail
    call: str
    patience: int  # looks for which its call is waited for


class _SubAgents:
    """Finds the transcripts of a session's sub-agents as they appear, and whose they are.

    A sub-agent may write before the call that started it is written down. So a new one waits for its call,
    but not for long: that may be in no transcript that is read here.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, _SubAgent | None] = {}  # by the name of the file that says whose it is
        self._calls: set[str] = set()
        self._patience = 0  # what is there from the beginning waits for nothing

    @property
    def some_wait(self) -> bool:
        """Whether one waits for its call."""
        return any(agent is not None and agent.patience for agent in self._found.values())

    def find(self) -> None:
        """Look for new ones."""
        try:
            names = os.listdir(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            names = []
        for name in names:
            if name.endswith(_META) and name not in self._found:
                self._read(name)
        self._patience = _PATIENCE

    def note_calls(self, frame: Frame) -> None:
        """Note whom a line calls."""
        message = frame.get("message") if frame.get("type") == "assistant" else None
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use":
                self._calls.add(str(block.get("id")))

    def ready(self) -> list[_SubAgent]:
        """Return those that do not wait any more."""
        found = [agent for agent in self._found.values() if agent is not None]
        for agent in found:
            agent.patience = 0 if agent.call in self._calls else max(0, agent.patience - 1)
        return [agent for agent in found if not agent.patience]

    def _read(self, name: str) -> None:
        try:
            about = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return  # it is being written
        call = about.get("toolUseId") if isinstance(about, dict) else None
        tail = Tail(self._folder / f"{name.removesuffix(_META)}.jsonl")
        # Without a call it does the CLI's own business.
        self._found[name] = _SubAgent(tail, call, self._patience) if isinstance(call, str) else None


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
