"""Sessions for tests: one records a cassette fit for version control, one replays it for the same prompts.

The `claude_cassette` fixture of `rxccsdk.testing.plugin` is built on them. Nothing here needs pytest.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rxccsdk.chunks import Frame
from rxccsdk.errors import CassetteError
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.session import ClaudeSession
from rxccsdk.transport import Transport
from rxccsdk.transport.cassette import read_cassette
from rxccsdk.transport.player import CassettePlayer

# Fields of `system/init` that describe the machine and its user, and that no replay needs.
_LISTS = ("agents", "mcp_servers", "plugins", "skills", "slash_commands", "terminal_slash_commands")
_NAMES = ("memory_paths", "messaging_socket_path", "output_file")
_MAX_DATA = 120  # characters of data shown in a diff


class Neutral:
    """Remove from a recording what is specific to the machine and its user.

    Paths are replaced by neutral ones, also where the CLI writes them with dashes. The control frames are
    removed, because they name the account; so are the lists of what the user has installed. A path that the
    model streamed in several pieces is not recognized.

    Args:
        places: Directories, and the neutral path of each.

    Example:
        >>> Neutral({Path("/srv/work"): "/home/user"}).text("See /srv/work/a.py, not /srv/workshop")
        'See /home/user/a.py, not /srv/workshop'
    """

    def __init__(self, places: Mapping[Path, str]) -> None:
        self._places: dict[str, str] = {}
        for place, name in places.items():
            for path in {str(place.absolute()), str(place.resolve())} - {os.path.abspath("/")}:
                self._places.setdefault(path, name)
        # The CLI keeps the files of a project in a directory named by its path, with dashes.
        dashed = {
            re.sub(r"[^a-zA-Z0-9]", "-", path): name.replace("/", "-") for path, name in self._places.items()
        }
        paths, folders = (
            "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"
            for names in (self._places, dashed)
        )
        self._places |= dashed
        self._pattern = re.compile(rf"(?<![\w.-])(?:{paths})(?![\w-])|(?<=/)(?:{folders})(?!\w)")

    def text(self, text: str) -> str:
        """Return a text with neutral paths."""
        return self._pattern.sub(lambda match: self._places[match[0]], text)

    def value(self, value: Any) -> Any:
        """Return a JSON value with neutral paths."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name: self.value(item) for name, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value

    def cassette(self, lines: str) -> str:
        """Return the lines of a cassette, neutral."""
        # Not splitlines: the text of the model may contain other line separators.
        kept = map(self._entry, lines.rstrip("\n").split("\n"))
        return "".join(f"{line}\n" for line in kept if line is not None)

    def _entry(self, line: str) -> str | None:
        entry: dict[str, Any] = json.loads(line)
        frame: Frame = entry.get("in") or entry.get("out") or {}
        if str(frame.get("type")).startswith("control_"):
            return None
        for name in _NAMES:
            frame.pop(name, None)
        if frame.get("subtype") == "init":
            frame.update({name: [] for name in _LISTS if name in frame})
        neutral = json.dumps(self.value(entry), ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate cannot be encoded: keep its escape.
        return re.sub(r"[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", neutral)


class RecordingSession(ClaudeSession):
    """A real session that writes a cassette when it is closed. An existing one is kept until then.

    Args:
        path: The cassette.
        options: The options of the session.
        neutral: What to remove from the cassette.

    Attributes:
        kept: Whether the cassette was written: not if nothing in it can be played.
    """

    def __init__(self, path: Path, options: SessionOptions, neutral: Neutral) -> None:
        self.path = path
        self.kept = False
        self._neutral = neutral
        self._draft = path.with_name(f"{path.name}.recording")
        super().__init__(options.model_copy(update={"record": self._draft}))

    async def open(self) -> None:
        """Start the CLI and the recording."""
        self._draft.parent.mkdir(parents=True, exist_ok=True)
        await super().open()

    async def aclose(self) -> None:
        """Close the session, and keep the recording if it can be played."""
        await super().aclose()
        if self._draft.exists():
            self._keep()

    def _keep(self) -> None:
        try:
            self._draft.write_bytes(self._neutral.cassette(self._draft.read_bytes().decode()).encode())
            if read_cassette(self._draft).turns:
                self._draft.replace(self.path)
                self.kept = True
        finally:
            self._draft.unlink(missing_ok=True)


class ReplayedSession(ClaudeSession):
    """A session that plays a cassette, for no other prompts than the recorded ones.

    Args:
        path: The cassette.
        options: The options of the session; those for the CLI have no effect.
        neutral: What was removed when it was recorded.
        speed: The factor by which to play faster than recorded.
        advice: What to do when a prompt differs, for the error message.

    Attributes:
        prompts: The recorded prompts.
        sent: How many of them were sent.
        problem: The first mismatch, described with a diff; `None` if there is none.

    Raises:
        CassetteError: The cassette is missing or damaged.
    """

    def __init__(
        self, path: Path, options: SessionOptions, neutral: Neutral, *, speed: float, advice: str
    ) -> None:
        super().__init__(options)
        self.path = path
        self.prompts = [turn.prompt for turn in read_cassette(path).turns]
        self.sent = 0
        self.problem: str | None = None
        self._speed = speed
        self._neutral = neutral
        self._advice = advice

    @property
    def unused(self) -> list[Any]:
        """The recorded prompts that were not sent."""
        return self.prompts[self.sent :]

    def check(self, prompt: Any) -> None:
        """Compare a prompt with the next recorded one.

        Raises:
            CassetteError: They differ, there is none, or an earlier one differed; with a diff.
        """
        __tracebackhide__ = True  # let pytest show the caller
        if self.problem is None:
            if self.sent == len(self.prompts):
                self._report(None, prompt)
            elif self._neutral.value(prompt) != (recorded := self.prompts[self.sent]):
                self._report(recorded, prompt)
        if self.problem is not None:
            raise CassetteError(self.problem)
        self.sent += 1

    def _report(self, recorded: Any, prompt: Any) -> None:
        number, count = self.sent + 1, len(self.prompts)
        if recorded is None:
            what = f"has {count} {'prompt' if count == 1 else 'prompts'}; this is number {number}"
        else:
            what = f"was recorded with another prompt {number} of {count}"
        before, after = _lines(recorded), _lines(self._neutral.value(prompt))
        diff = difflib.unified_diff(before, after, "recorded", "sent", lineterm="", n=5)
        self.problem = f"The cassette {self.path} {what}:\n\n" + "\n".join(diff) + f"\n\n{self._advice}"

    def _cli_transport(self) -> Transport:
        return _CheckedPlayer(self.path, self._speed, self.check)


class _CheckedPlayer(CassettePlayer):
    """Plays the next turn only for the prompt it was recorded with."""

    def __init__(self, path: Path, speed: float, check: Callable[[Any], None]) -> None:
        super().__init__(path, speed)
        self._check = check

    def prompt_id(self, prompt: object) -> str:
        __tracebackhide__ = True
        self._check(prompt)
        return super().prompt_id(prompt)


def _lines(prompt: Any) -> list[str]:
    """Return a prompt as lines for a diff, with trailing whitespace visible and long data shortened."""
    if prompt is None:
        return []
    if not isinstance(prompt, str):
        prompt = json.dumps(_shortened(prompt), ensure_ascii=False, indent=2)
    return [re.sub(r"[ \t\r]+$", _visible, line) for line in prompt.split("\n")]


def _visible(spaces: re.Match[str]) -> str:
    return repr(spaces[0])[1:-1].replace(" ", "·")


def _shortened(value: Any) -> Any:
    """Return a JSON value with long data, such as an image, replaced by its beginning and a hash."""
    if isinstance(value, dict):
        return {
            name: _shortened_data(item) if name == "data" else _shortened(item)
            for name, item in value.items()
        }
    return [_shortened(item) for item in value] if isinstance(value, list) else value


def _shortened_data(data: Any) -> Any:
    if not isinstance(data, str) or len(data) <= _MAX_DATA:
        return data
    digest = hashlib.sha256(data.encode()).hexdigest()[:12]
    return f"{data[:24]}... ({len(data)} characters, SHA-256 {digest})"
