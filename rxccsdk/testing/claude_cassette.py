"""What the `claude_cassette` fixture does for one test: create its sessions, and report what differed."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from rxccsdk import ClaudeSession, SessionOptions
    from rxccsdk.testing.cassettes import Neutral, RecordingSession, ReplayedSession


class UnusedTurnsWarning(UserWarning):
    """A test did not use all turns of its cassette."""


class CassetteSessions:
    """The sessions of one test, recorded or replayed.

    Attributes:
        recorded: The sessions created so far, with `--record-cassettes`.
        replayed: The sessions created so far, without it.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._is_recording: bool = request.config.getoption("--record-cassettes")
        self.recorded: list[RecordingSession] = []
        self.replayed: list[ReplayedSession] = []

    def create(self, options: SessionOptions | None = None, *, speed: float = float("inf")) -> ClaudeSession:
        """Return a session, to be opened with `async with`.

        Args:
            options: The options of the session. In a replay those for the CLI have no effect.
            speed: The factor by which to play faster than recorded; by default without any delay.

        Raises:
            ValueError: `options` has a recording of its own.
        """
        from rxccsdk import SessionOptions
        from rxccsdk.testing.cassettes import RecordingSession

        chosen = options or SessionOptions()
        if chosen.record is not None:
            raise ValueError("claude_cassette decides what is recorded: leave SessionOptions(record=...) out")
        path = self._path(len(self.recorded) + len(self.replayed))
        neutral = self._neutral(chosen)
        if not self._is_recording:
            return self._replay(path, chosen, neutral, speed)
        recording = RecordingSession(path, chosen, neutral)
        self.recorded.append(recording)
        return recording

    def mismatch(self) -> str | None:
        """Return the description of the first prompt that is not as recorded."""
        return next((session.problem for session in self.replayed if session.problem is not None), None)

    def unused_turns(self) -> Iterator[str]:
        """Yield a description of the unused turns of each cassette."""
        for session in self.replayed:
            if session.unused:
                turns = f"{len(session.unused)} of {len(session.prompts)} recorded turns"
                first = " ".join(str(session.unused[0]).split())
                shown = first if len(first) <= 60 else f"{first[:60]}..."
                yield f"{session.path}: {turns} not asked for, first {shown!r}. {self._advice()}"

    def _replay(self, path: Path, options: SessionOptions, neutral: Neutral, speed: float) -> ClaudeSession:
        import pytest

        from rxccsdk import CassetteError
        from rxccsdk.testing.cassettes import ReplayedSession

        problem = f"There is no cassette {path}."
        if path.exists():
            try:
                session = ReplayedSession(path, options, neutral, speed=speed, advice=self._advice())
            except CassetteError as error:
                problem = str(error)
            else:
                self.replayed.append(session)
                return session
        # Outside the handler, so that the report does not show the caught exception.
        pytest.fail(f"{problem}\n\n{self._advice(again=path.exists())}", pytrace=False)

    def _neutral(self, options: SessionOptions) -> Neutral:
        from rxccsdk.testing.cassettes import Neutral

        places = {Path(options.cwd or Path.cwd()): "/home/user/project"}
        if "tmp_path" in self._request.fixturenames:
            places.setdefault(self._request.getfixturevalue("tmp_path"), "/home/user/tmp")
        return Neutral({**places, Path.home(): "/home/user"})

    def _path(self, number: int) -> Path:
        """Return `cassettes/<module>/<test>.jsonl` beside the test, numbered from a test's second session."""
        name = ".".join(self._request.node.nodeid.split("::")[1:])
        safe = re.sub(r"[^\w\[\].,=+-]", "-", name)
        if safe != name or len(safe) > 120:
            safe = f"{safe[:120]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        if number:
            safe += f"-{number + 1}"
        module = self._request.path
        return module.parent / "cassettes" / module.stem / f"{safe}.jsonl"

    def _advice(self, *, again: bool = True) -> str:
        node = self._request.config.cwd_relative_nodeid(self._request.node.nodeid)
        return f"Record it{' again' * again} with: pytest --record-cassettes {shlex.quote(str(node))}"
