"""The CLI's transcripts of earlier sessions, for where no SDK reads them."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEAD = _TAIL = 65_536  # bytes: a transcript may have hundreds of megabytes
_NAME = 200  # characters of a folder's name, before the CLI cuts it and adds a hash
_PROMPT = 200  # characters of a first prompt that are shown
_SUB_AGENT = "agent-"  # how older CLIs name the transcripts that they put beside the session's
_COMMAND = re.compile(r"<command-name>(.*?)</command-name>")
_NOT_TYPED = re.compile(
    r"<(local-command-\w+|session-start-hook|tick|goal|ide_\w+)>|\[Request interrupted by"
)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcript says of its session, named as claude-agent-sdk names it; `last_modified` in ms."""

    session_id: str
    summary: str
    last_modified: int
    file_size: int | None
    custom_title: str | None
    first_prompt: str | None
    git_branch: str | None
    cwd: str | None


def transcripts(cwd: Path | str, limit: int | None) -> list[Transcript]:
    """Read the transcripts of a folder, the newest first. What cannot be read is left out."""
    folder = os.path.realpath(cwd)
    paths, is_cut = _paths(folder)
    found = [read for path in paths if (read := _read(path)) and (not is_cut or read.cwd == folder)]
    found.sort(key=lambda it: it.last_modified, reverse=True)
    return found[:limit]


def projects(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the CLI keeps its transcripts: in a folder for each one that it worked in."""
    return Path(environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude") / "projects"


def folder_of(cwd: Path | str, environ: Mapping[str, str]) -> Path:
    """Return where a CLI that works in a folder, with this environment, keeps its transcripts."""
    name, is_cut = _name(os.path.realpath(cwd))
    there = projects(environ)
    return next(there.glob(f"{name}-*"), there / name) if is_cut else there / name


def _name(folder: str) -> tuple[str, bool]:
    """Return how the CLI names a folder's transcripts, and whether it puts a hash behind that."""
    name = re.sub("[^a-zA-Z0-9]", "-", folder)
    return name[:_NAME], len(name) > _NAME


def _paths(folder: str) -> tuple[Iterator[Path], bool]:
    """Find a folder's transcripts, and whether those of others, whose names begin alike, are among them."""
    name, is_cut = _name(folder)
    return projects().glob(f"{name}-*/*.jsonl" if is_cut else f"{name}/*.jsonl"), is_cut


def session_paths(cwd: Path | str) -> list[Path]:
    """Find the transcripts of a folder's sessions, the one that was written to last first."""
    folder = os.path.realpath(cwd)
    paths, is_cut = _paths(folder)
    own = (path for path in paths if not path.stem.startswith(_SUB_AGENT))
    if is_cut:
        own = (path for path in own if (read := _read(path)) and read.cwd == folder)
    return newest_first(own)


def newest_first(paths: Iterable[Path]) -> list[Path]:
    """Sort files by when they were written to; leave out those that are gone."""
    written: list[tuple[int, Path]] = []
    for path in paths:
        with contextlib.suppress(OSError):
            written.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(written, reverse=True)]


def _read(path: Path) -> Transcript | None:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            head = list(_entries(file.read(_HEAD)))
            file.seek(max(0, about.st_size - _TAIL))
            tail = list(_entries(file.read()))
    except OSError:
        return None
    if next((it["isSidechain"] for it in head if "isSidechain" in it), False):
        return None  # a sub-agent's
    first, newest = _first_prompt(head), [*reversed(tail), *reversed(head)]
    title = _text("customTitle", newest) or _text("aiTitle", newest)
    summary = title or _text("lastPrompt", newest) or _text("summary", newest) or first
    if summary is None:
        return None  # nobody said anything in it
    return Transcript(
        session_id=path.stem,
        summary=summary,
        last_modified=int(about.st_mtime * 1000),
        file_size=about.st_size,
        custom_title=title,
        first_prompt=first,
        git_branch=_text("gitBranch", newest),
        cwd=_text("cwd", head),
    )


def _entries(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield what is whole: the first line and the last may be cut."""
    for line in data.split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _text(name: str, entries: Iterable[dict[str, Any]]) -> str | None:
    return next((text for it in entries if isinstance(text := it.get(name), str) and text), None)


def _first_prompt(entries: Iterable[dict[str, Any]]) -> str | None:
    command = None
    for entry in entries:
        if entry.get("type") != "user" or entry.get("isMeta") or entry.get("isCompactSummary"):
            continue
        for text in _texts(entry.get("message")):
            words = " ".join(text.splitlines()).strip()
            if called := _COMMAND.search(words):
                command = command or called[1]
            elif words and not _NOT_TYPED.match(words):
                return words if len(words) <= _PROMPT else words[:_PROMPT].rstrip() + "…"
    return command


def _texts(message: Any) -> list[str]:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [content]
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return [text for text in texts if isinstance(text, str)]
