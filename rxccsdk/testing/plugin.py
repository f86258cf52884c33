"""The pytest plugin: fixtures to test a program that uses rxccsdk, without an account.

pytest finds it where rxccsdk is installed; nothing has to be imported or configured.

    def test_my_bot(loopback_api, claude_options):
        api = loopback_api([reply("Hello")])                       # what the model answers
        assert my_bot.greet(claude_options(api)) == "Hello"        # the real CLI asks it

| fixture | gives |
| --- | --- |
| `loopback_api(script, agents=, side=)` | a running `LoopbackApi` |
| `claude_cli` | the real CLI's path, in a clean environment; skips where none is installed |
| `claude_options(api, **options)` | `SessionOptions` for the real CLI, asking that API |
| `scripted_cli(*prompts, **plan)` | a `ScriptedCli` that does what the real one cannot be made to |
| `claude_cassette(options)` | a session: replayed, or with `--record-cassettes` recorded |

They are plain fixtures, so tests may be functions or coroutines, under any plugin that runs those.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rxccsdk import ClaudeSession, SessionOptions
    from rxccsdk.testing import LoopbackApi, ScriptedCli
    from rxccsdk.testing.cassettes import RecordingSession, ReplayedSession

NO_CLI = (
    "no Claude Code CLI is installed: `pip install claude-agent-sdk` brings one, "
    "and so does `npm install -g @anthropic-ai/claude-code`"
)
_NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing answers there
_TAPES = pytest.StashKey["Tapes"]()
_RECORDED = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--record-cassettes`."""
    parser.getgroup("rxccsdk", "Claude Code sessions (rxccsdk)").addoption(
        "--record-cassettes",
        action="store_true",
        help="record the sessions of tests that use claude_cassette, with the real CLI, instead of replaying",
    )


@pytest.fixture
def loopback_api() -> Iterator[Callable[..., LoopbackApi]]:
    """Start a Messages API on loopback that answers from a script: `loopback_api([reply("Hello")])`.

    Arguments are those of `rxccsdk.testing.LoopbackApi`. It ends with the test, and what its script raised is
    raised again.
    """
    from rxccsdk.testing import LoopbackApi

    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(LoopbackApi(*args, **options))


@pytest.fixture
def scripted_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ScriptedCli]]:
    """Make a CLI that plays a plan: `SessionOptions(cli_path=scripted_cli(steps().exit(3)).path)`.

    Arguments are what it does at each prompt, then those of `rxccsdk.testing.ScriptedCli`.
    """
    from rxccsdk.testing import ScriptedCli

    with contextlib.ExitStack() as stack:

        def make(*prompts: Any, **plan: Any) -> ScriptedCli:
            folder = tmp_path_factory.mktemp("scripted_cli")
            return stack.enter_context(ScriptedCli(folder, prompts, **plan))

        yield make


@pytest.fixture
def claude_cli(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the real Claude Code CLI's path; `os.environ` is clean for the test.

    Nothing of the machine's configuration and credentials reaches it, and without `claude_options` it finds
    no API. The test is skipped where no CLI is installed.
    """
    from rxccsdk.testing import bundled_cli, clean_environment

    program = bundled_cli() or shutil.which("claude")
    if program is None:
        pytest.skip(NO_CLI)
    clean = clean_environment(_NOWHERE, tmp_path_factory.mktemp("claude"))
    # By monkeypatch, so that it is undone in the right order with what the test itself sets.
    for name in set(os.environ) - set(clean):
        if not name.startswith("PYTEST_"):
            monkeypatch.delenv(name)
    for name, value in clean.items():
        monkeypatch.setenv(name, value)
    return Path(program)


@pytest.fixture
def claude_options(
    claude_cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., SessionOptions]:
    """Make options for sessions of the real CLI: `claude_options(api, max_turns=2)`.

    Args (of what it gives):
        api: Who answers: a `LoopbackApi`, or the URL of one.
        **options: Those of `SessionOptions`; `cwd` is an empty folder if none is given.
    """
    from rxccsdk import SessionOptions
    from rxccsdk.testing.environment import require_loopback

    def make(api: LoopbackApi | str, **options: Any) -> SessionOptions:
        url = api if isinstance(api, str) else api.url
        require_loopback(url)
        options.setdefault("cwd", tmp_path_factory.mktemp("project"))
        options["env"] = {**options.get("env", {}), "ANTHROPIC_BASE_URL": url}
        return SessionOptions(**{"cli_path": claude_cli, **options})

    return make


class Tapes:
    """What `claude_cassette` gives: call it for a session."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self.recording: bool = request.config.getoption("--record-cassettes")
        self.recorded: list[RecordingSession] = []
        self.replayed: list[ReplayedSession] = []
        self.failed = False

    def __call__(
        self, options: SessionOptions | None = None, *, speed: float = float("inf")
    ) -> ClaudeSession:
        """Make a session, to be opened with `async with`.

        Args:
            options: Those of the session. For a replay only those count that do not concern the CLI.
            speed: How many times faster than recorded; by default nothing is waited for.
        """
        from rxccsdk import CassetteError, SessionOptions
        from rxccsdk.testing.cassettes import Neutral, RecordingSession, ReplayedSession

        chosen = options or SessionOptions()
        if chosen.record is not None:
            raise ValueError("claude_cassette decides what is recorded: leave SessionOptions(record=...) out")
        path = self._path(len(self.recorded) + len(self.replayed))
        places = {chosen.cwd or Path.cwd(): "/home/user/project"}
        if "tmp_path" in self._request.fixturenames:
            places.setdefault(self._request.getfixturevalue("tmp_path"), "/home/user/tmp")
        neutral = Neutral({**places, Path.home(): "/home/user"})
        if self.recording:
            recording = RecordingSession(path, chosen, neutral)
            self.recorded.append(recording)
            return recording
        problem = f"There is no cassette {path}."
        if path.exists():
            try:
                replayed = ReplayedSession(path, chosen, neutral, speed=speed, advice=self._advice())
            except CassetteError as error:
                problem = str(error)
            else:
                self.replayed.append(replayed)
                return replayed
        pytest.fail(f"{problem}\n\n{self._advice(again=path.exists())}", pytrace=False)

    def problem(self) -> str | None:
        """Return the first prompt that is not as recorded, in words."""
        return next((tape.problem for tape in self.replayed if tape.problem is not None), None)

    def unasked(self) -> Iterator[str]:
        """Return what the cassettes have and the test did not ask for, in words."""
        for tape in self.replayed:
            if tape.unasked:
                turns = f"{len(tape.unasked)} of {len(tape.prompts)} recorded turns"
                first = " ".join(str(tape.unasked[0]).split())
                shown = first if len(first) <= 60 else f"{first[:60]}..."
                yield f"{tape.path}: {turns} not asked for, first {shown!r}. {self._advice()}"

    def _path(self, number: int) -> Path:
        """`cassettes/<module>/<test>.jsonl` beside the test; a test's later sessions have a number."""
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


@pytest.fixture
def claude_cassette(request: pytest.FixtureRequest) -> Iterator[Tapes]:
    """Make sessions that are recorded once and replayed from then on: `claude_cassette(options)`.

    With `--record-cassettes` it is a real session, with whatever CLI and account the options lead to, and
    leaves `cassettes/<module>/<test>.jsonl` beside the test's module: paths are made neutral, the account and
    the environment are not in it; look at it before you check it in. Otherwise that file is played. A prompt
    that differs from the recorded one fails the test with a diff, recorded turns without a prompt give an
    `UnusedTurnsWarning`, and a missing cassette fails with the command that records it.

    Example:
        async def test_greeting(claude_cassette):
            async with claude_cassette(SessionOptions(model="haiku")) as session:
                assert "hello" in (await session.query("Say hello")).content.lower()
    """
    tapes = request.node.stash[_TAPES] = Tapes(request)
    yield tapes
    kept = [session.path for session in tapes.recorded if session.kept]
    request.config.stash.setdefault(_RECORDED, []).extend(kept)
    for session in tapes.recorded:
        if not session.kept and not tapes.failed:
            pytest.fail(
                f"{session.path} was not recorded: the session needs a prompt, its answer and an end",
                pytrace=False,
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test whose prompt is not on its cassette, also where the program caught that error."""
    try:
        result = yield
    except BaseException as error:
        if _TAPES in item.stash:
            item.stash[_TAPES].failed = True
            problem = item.stash[_TAPES].problem()
            if problem is not None and problem not in str(error):
                error.add_note(problem)
        raise
    if _TAPES in item.stash:
        if problem := item.stash[_TAPES].problem():
            pytest.fail(problem, pytrace=False)
        from rxccsdk.testing import UnusedTurnsWarning

        for words in item.stash[_TAPES].unasked():
            item.warn(UnusedTurnsWarning(words))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which cassettes were recorded."""
    for path in config.stash.get(_RECORDED, []):
        terminalreporter.write_line(f"recorded {os.path.relpath(path)}")
