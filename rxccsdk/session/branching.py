"""Earlier sessions, and going on from an earlier turn."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxccsdk.errors import ControlError
from rxccsdk.transport.transcripts import transcripts

if TYPE_CHECKING:
    from rxccsdk.session.options import SessionOptions
    from rxccsdk.session.session import ClaudeSession
    from rxccsdk.session.turn import Turn

_CONTINUED = {"resume": None, "continue_conversation": False, "fork_session": False, "session_id": None}
_FLAGS = {"resume", "r", "continue", "c", "fork-session", "resume-session-at", "session-id"}


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """An earlier session.

    Attributes:
        session_id: what `SessionOptions(resume=...)` takes.
        title: the title somebody gave it, or what it is about in a few words.
        first_prompt: what it began with, where that is known.
        modified: when it was written to last.
        cwd: the folder it worked in.
        git_branch: the branch it worked on.
        size: of its transcript, in bytes.
    """

    session_id: str
    title: str
    first_prompt: str | None
    modified: datetime
    cwd: Path | None
    git_branch: str | None
    size: int | None


def sessions(cwd: Path | str | None = None, *, limit: int | None = None) -> list[SessionInfo]:
    """Return the earlier sessions of a folder, the newest first.

    Args:
        cwd: the folder the agent worked in; `None` is this process's.
        limit: at most so many.

    Example:
        newest = rxccsdk.sessions(limit=1)[0]
        async with ClaudeSession(SessionOptions(resume=newest.session_id)) as session:
            ...
    """
    find: Callable[[Path | str, int | None], Sequence[Any]] = transcripts
    if importlib.util.find_spec("claude_agent_sdk") is not None:
        from rxccsdk.transport._claude_agent import earlier_sessions as find
    return [
        SessionInfo(
            session_id=info.session_id,
            title=info.custom_title or info.summary,
            first_prompt=info.first_prompt,
            modified=datetime.fromtimestamp(info.last_modified / 1000, UTC),
            cwd=Path(info.cwd) if info.cwd else None,
            git_branch=info.git_branch,
            size=info.file_size,
        )
        for info in find(cwd or Path.cwd(), limit)
    ]


class Place:
    """A turn of a session, to go on from in another direction. `ClaudeSession.at` makes it."""

    def __init__(self, session: ClaudeSession, turn: Turn) -> None:
        self._session = session
        self._turn = turn

    def fork(self, *, rewind_files: bool = False) -> ClaudeSession:
        """Make a session that knows the conversation up to this turn's end, and nothing after it.

        The session it comes from goes on as it was. Both work in the same folder.

        Args:
            rewind_files: when the new session opens, put the files back to what they were after this turn.
                Needs `enable_file_checkpointing` in the SDK's options, and the old session to be open; only
                what the agent's own tools edited goes back.

        Returns:
            A session that is not open yet, with the same options; it writes no cassette.

        Raises:
            ControlError: the turn is none of this session's, was not sent or is not over; the conversation
                was compacted since; or a recording played it. When the session opens: the files cannot be
                put back.

        Example:
            async with session.at(turn).fork() as branch:
                print((await branch.query("And if it were in Rust?")).content)
        """
        session, turn = self._session, self._turn
        if turn._session is not session:
            raise ControlError("This turn is of another session.")
        if turn.index is None or turn.uuid is None or turn.status in ("pending", "running"):
            raise ControlError("Only from a turn that is over can a session go on.")
        if session.pid is None or session.session_id is None:
            raise ControlError("A recording cannot be continued: it has no conversation that the CLI knows.")
        mark = turn._mark
        if mark.is_lost:
            raise ControlError(
                "The conversation was compacted since: the CLI has only a summary of this turn."
            )
        conversation = mark.session_id or session.session_id
        branch = type(session)(continued(session.options, conversation, mark.message or turn.uuid))
        following = session._exchange.prompts[turn.index + 1 : turn.index + 2]
        if rewind_files and following:

            async def put_back() -> None:
                await session._rewind(following[0], dry_run=False)

            branch._before_open = put_back
        return branch


def continued(options: SessionOptions, session_id: str, message: str) -> SessionOptions:
    """Return the options of a session that goes on from a message of an earlier one."""
    changed: dict[str, Any] = {
        "resume": session_id,
        "fork": True,
        "continue_conversation": False,
        "record": None,
        "sdk_options": _not_continued(options.sdk_options),
    }
    branch = options.model_copy(update=changed)
    branch._resume_at = message
    return branch


def _not_continued(given: Any) -> Any:
    """Return the SDK's options without what they say about an earlier session."""
    if not is_dataclass(given) or isinstance(given, type):
        return given
    known = {field.name for field in fields(given)}
    values: dict[str, Any] = {name: value for name, value in _CONTINUED.items() if name in known}
    extra: dict[str, Any] = getattr(given, "extra_args", {})
    values["extra_args"] = {name: value for name, value in extra.items() if name not in _FLAGS}
    return replace(given, **values)
