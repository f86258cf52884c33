"""The pytest plugin: fixtures to test a program that uses rxccsdk, without an account.

pytest loads it wherever rxccsdk is installed; no import or configuration is needed.

    def test_my_bot(loopback_api, claude_options):
        api = loopback_api([reply("Hello")])                       # what the model answers
        assert my_bot.greet(claude_options(api)) == "Hello"        # the real CLI calls it

| fixture | value |
| --- | --- |
| `loopback_api(script, agents=, side=)` | a running `LoopbackApi` |
| `claude_cli` | the path of the real CLI, in a clean environment; skips if none is installed |
| `claude_options(api, **options)` | `SessionOptions` for the real CLI that calls that API |
| `scripted_cli(*prompts, **plan)` | a `ScriptedCli`, for what the real one does not do on demand |
| `claude_cassette(options)` | a session: replayed, or recorded with `--record-cassettes` |

They are synchronous fixtures: tests may be functions or coroutines, under any plugin that runs those.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# pytest imports this module in every run, also in those that never use it: nothing else is imported here.
if TYPE_CHECKING:
    from rxccsdk import ClaudeSession, SessionOptions
    from rxccsdk.testing import LoopbackApi, ScriptedCli
    from rxccsdk.testing.claude_cassette import CassetteSessions

_NO_CLI = (
    "no Claude Code CLI is installed: `pip install claude-agent-sdk` brings one, "
    "and so does `npm install -g @anthropic-ai/claude-code`"
)
_UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nothing listens there
_SESSIONS: pytest.StashKey[CassetteSessions] = pytest.StashKey()
_FAILED = pytest.StashKey[bool]()
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
    """Start a scripted Messages API on loopback: `loopback_api([reply("Hello")])`.

    The arguments are those of `rxccsdk.testing.LoopbackApi`. It is closed at the end of the test, and an
    exception of its script is raised there.
    """
    from rxccsdk.testing import LoopbackApi

    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(LoopbackApi(*args, **options))


@pytest.fixture
def scripted_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ScriptedCli]]:
    """Create a CLI that plays a plan: `SessionOptions(cli_path=scripted_cli(steps().exit(3)).path)`.

    The arguments are the plans of the prompts, then the options of `rxccsdk.testing.ScriptedCli`.
    """
    from rxccsdk.testing import ScriptedCli

    with contextlib.ExitStack() as stack:

        def create(*prompts: Any, **plan: Any) -> ScriptedCli:
            folder = tmp_path_factory.mktemp("scripted_cli")
            return stack.enter_context(ScriptedCli(folder, prompts, **plan))

        yield create


@pytest.fixture
def claude_cli(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the real Claude Code CLI, and clean `os.environ` for the test.

    The CLI sees no configuration and no credentials of the machine, and reaches no API without
    `claude_options`. The test is skipped if no CLI is installed.
    """
    from rxccsdk.testing import bundled_cli, clean_environment

    program = bundled_cli() or shutil.which("claude")
    if program is None:
        pytest.skip(_NO_CLI)
    clean = clean_environment(_UNREACHABLE, tmp_path_factory.mktemp("claude"))
    # With monkeypatch, so that it is undone in the right order with what the test itself sets.
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
    """Create options for sessions of the real CLI: `claude_options(api, max_turns=2)`.

    Args (of the returned function):
        api: A `LoopbackApi`, or the URL of one.
        **options: The fields of `SessionOptions`; `cwd` defaults to an empty directory.
    """
    from rxccsdk import SessionOptions
    from rxccsdk.testing.isolation import require_loopback

    def create(api: LoopbackApi | str, **options: Any) -> SessionOptions:
        url = api if isinstance(api, str) else api.url
        require_loopback(url)
        options.setdefault("cwd", tmp_path_factory.mktemp("project"))
        options["env"] = {**options.get("env", {}), "ANTHROPIC_BASE_URL": url}
        return SessionOptions(**{"cli_path": claude_cli, **options})

    return create


@pytest.fixture
def claude_cassette(request: pytest.FixtureRequest) -> Iterator[Callable[..., ClaudeSession]]:
    """Create sessions that are recorded once and replayed from then on: `claude_cassette(options)`.

    With `--record-cassettes` it is a real session, with the CLI and account of the options, and writes
    `cassettes/<module>/<test>.jsonl` beside the test module. Paths are made neutral, and neither the account
    nor the environment is recorded; still, review the file before you commit it. Otherwise that file is
    played. A prompt that differs from the recorded one fails the test with a diff, unused turns give an
    `UnusedTurnsWarning`, and a missing cassette fails the test with the command that records it.

    Args (of the returned function):
        options: The `SessionOptions` of the session. In a replay those for the CLI have no effect.
        speed: The factor by which to play faster than recorded; by default without any delay.

    Example:
        async def test_greeting(claude_cassette):
            async with claude_cassette(SessionOptions(model="haiku")) as session:
                assert "hello" in (await session.query("Say hello")).content.lower()
    """
    from rxccsdk.testing.claude_cassette import CassetteSessions

    sessions = request.node.stash[_SESSIONS] = CassetteSessions(request)
    yield sessions.create
    kept = [session.path for session in sessions.recorded if session.kept]
    request.config.stash.setdefault(_RECORDED, []).extend(kept)
    for session in sessions.recorded:
        if not session.kept and not request.node.stash.get(_FAILED, False):
            pytest.fail(
                f"{session.path} was not recorded: the session needs a prompt, its answer and an end",
                pytrace=False,
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test whose prompt is not on its cassette, even if the program handled that error."""
    try:
        result = yield
    except BaseException as error:
        if sessions := item.stash.get(_SESSIONS, None):
            item.stash[_FAILED] = True
            mismatch = sessions.mismatch()
            if mismatch is not None and mismatch not in str(error):
                error.add_note(mismatch)
        raise
    if sessions := item.stash.get(_SESSIONS, None):
        if mismatch := sessions.mismatch():
            pytest.fail(mismatch, pytrace=False)
        from rxccsdk.testing import UnusedTurnsWarning

        for description in sessions.unused_turns():
            item.warn(UnusedTurnsWarning(description))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List the cassettes that were recorded."""
    for path in config.stash.get(_RECORDED, []):
        terminalreporter.write_line(f"recorded {os.path.relpath(path)}")
