"""The CLI's transcript of a session, kept in a log, so that another machine can go on with the session."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from rxccsdk.session.options import SessionOptions
from rxccsdk.transport.tail import lines
from rxccsdk.transport.transcripts import folder_of
from rxccsdk.transport.turn_log import EntryId, LogError, TurnLog


class Keeper:
    """Brings a session's transcript from its log to this machine, and what is added to it there back.

    Args:
        log: has the transcripts, by the ids of their sessions. An entry is a line.
        options: of the session: they say where the CLI has its transcripts.
    """

    def __init__(self, log: TurnLog, options: SessionOptions) -> None:
        self._log = log
        self._folder = folder_of(options.cwd or Path.cwd(), {**os.environ, **options.env})
        self._of: str | None = None  # the session whose transcript was brought here
        self._known = 0  # its lines that the log has
        self._next = 0  # the number of the log's next entry

    async def bring(self, session: str) -> None:
        """Write a session's transcript here, unless what is here is the same or goes on from it.

        Raises:
            LogError: the log cannot be read, or the file not be written.
        """
        there = [entry async for entry in self._log.read(session, follow=False)]
        self._of, self._known = session, len(there)
        self._next = there[-1].id.number + 1 if there else 0
        path, text = self._folder / f"{session}.jsonl", b"".join(entry.data for entry in there)
        try:
            if there and not (path.exists() and path.read_bytes().startswith(text)):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                new = path.with_suffix(f".{os.getpid()}")
                new.touch(mode=0o600)
                new.write_bytes(text)
                new.replace(path)
        except OSError as error:
            raise LogError(f"The transcript of {session} cannot be written: {error}") from error

    async def keep(
        self, session: str, ended: Callable[[], bool], grown: Callable[[str], Awaitable[None]]
    ) -> None:
        """Put what the CLI adds to the transcript into the log, until it has ended.

        Args:
            session: its id.
            ended: says that nothing is added any more.
            grown: called with the id when the log has more of it, the first time and at the end.

        Raises:
            LogError: it cannot be read or written, or another machine goes on with the same session.
        """
        if session != self._of:
            self._known = self._next = 0
        number = 0
        try:
            async for line in lines(self._folder / f"{session}.jsonl", ended=ended):
                number += 1
                if number > self._known and line.startswith(b"{"):
                    await self._log.append(session, EntryId(0, self._next), line)
                    self._next += 1
                    if number == self._known + 1:
                        await grown(session)
            await grown(session)
        except (OSError, ValueError) as error:
            raise LogError(f"The transcript of {session} cannot be kept: {error}") from error
