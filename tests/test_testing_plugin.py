"""The pytest plugin, from the outside: each test runs pytest in a subprocess."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from rxccsdk import (
    CassetteError,
    ClaudeSession,
    SessionCrashedError,
    SessionOptions,
    cassettes,
)
from rxccsdk.testing import ScriptedCli, steps, text_turn
from rxccsdk.testing.cassettes import Neutral, RecordingSession, ReplayedSession

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent.parent
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest with the plugin on test files: `run("--record-cassettes", test_it="...")`."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path]))
    options = "-p no:cacheprovider -p rxccsdk.testing.plugin -o asyncio_mode=auto"
    monkeypatch.setenv("PYTEST_ADDOPTS", f"{options} -o asyncio_default_fixture_loop_scope=function")

    def run(*arguments: str, **files: str) -> pytest.RunResult:
        if files:
            pytester.makepyfile(**files)
        return pytester.runpytest_subprocess(*arguments, timeout=60)

    return run


REAL = """
import os
import pytest
import rxccsdk
from rxccsdk import ClaudeSession, SessionCrashedError, SessionOptions
from rxccsdk.testing import reply, steps, text_turn

async def ask(prompt, options):
    async with ClaudeSession(options) as session:
        return (await session.query(prompt)).content

def test_sync(loopback_api, claude_options, monkeypatch):
    api = loopback_api([reply("I look. ").tool("Bash", {"command": "pwd"}), reply("Done.")])
    options = claude_options(api, allowed_tools=["Bash"], max_turns=3)
    response = rxccsdk.run("go", options)
    assert response.content == "I look. \\n\\nDone."
    assert response.tool_uses[0].result == str(options.cwd)
    assert api.requests[0].prompt == "go"

async def test_pytest_asyncio(loopback_api, claude_options):
    assert await ask("hi", claude_options(loopback_api([reply("Hello")]))) == "Hello"

@pytest.mark.anyio
async def test_anyio(scripted_cli):
    assert await ask("hi", SessionOptions(cli_path=scripted_cli(text_turn("Hi.")).path)) == "Hi."

@pytest.fixture
def anyio_backend():
    return "asyncio"

def test_a_crash(scripted_cli):
    cli = scripted_cli(steps(*text_turn("half")[:6]).stderr("out of memory").exit(3))
    with pytest.raises(SessionCrashedError, match="out of memory"):
        rxccsdk.run("hi", SessionOptions(cli_path=cli.path))
    assert scripted_cli().path != cli.path

def test_the_environment_is_clean(monkeypatch, claude_cli):
    assert os.access(claude_cli, os.X_OK)
    assert "ANTHROPIC_SECRET" not in os.environ
    assert os.environ["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert "pytest" in os.environ["HOME"]
    monkeypatch.setenv("ANTHROPIC_SECRET", "mine")

def test_the_environment_is_back():
    assert os.environ["ANTHROPIC_SECRET"] == "the machine's"

def test_no_other_api(claude_options):
    with pytest.raises(ValueError, match="not an http:// URL on loopback"):
        claude_options("https://api.example.com")
"""


def test_the_fixtures_with_the_real_cli(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_SECRET", "the machine's")
    result = run(test_real=REAL)
    result.assert_outcomes(passed=7)


def test_what_is_missing_and_what_is_wrong_is_said(run: Run) -> None:
    result = run(
        "-rs",
        conftest="""
        import os, rxccsdk.testing
        rxccsdk.testing.bundled_cli = lambda: None
        os.environ["PATH"] = "/"
        """,
        test_it="""
        import contextlib, urllib.error, urllib.request

        def test_real(claude_cli): pass
        def test_options(loopback_api, claude_options): pass
        def test_scripted(scripted_cli, claude_cassette): pass

        def test_script(loopback_api):
            def script(request):
                raise LookupError("no such reply")
            request = urllib.request.Request(loopback_api(script).url + "/v1/messages", b"{}", method="POST")
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(request)
        """,
    )
    result.assert_outcomes(passed=2, skipped=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_script*",
            "*LookupError: no such reply*",
            "SKIPPED*no Claude Code CLI is installed: `pip install claude-agent-sdk`*",
        ]
    )


def test_it_says_what_it_offers(run: Run) -> None:
    run("--help").stdout.fnmatch_lines(["Claude Code sessions (rxccsdk):", "  --record-cassettes *"])


BOT = """
import asyncio, os
import pytest
from rxccsdk import RxccError, SessionOptions
from rxccsdk.testing import clean_environment, environment

OPTIONS = SessionOptions(cli_path=os.environ.get("CLI", "/nowhere"))

async def bot(session, *prompts):
    # A program that handles errors, as good programs do.
    answers = []
    async with session:
        for prompt in prompts:
            try:
                answers.append((await session.query(prompt)).content)
            except RxccError as error:
                answers.append("Sorry.")
    return answers
"""
LONG = "Be brief.\n\nWhat is it?\nAnd why?"
RECORDED = f"""
class TestBot:
    @pytest.mark.parametrize("name", ["a/b"])
    def test_sync(self, claude_cassette, name):
        assert asyncio.run(bot(claude_cassette(OPTIONS), {LONG!r}, "Second")) == ["One.", "Two."]

async def test_two(claude_cassette, tmp_path):
    assert await bot(claude_cassette(OPTIONS), f"Read {{tmp_path}}/a") == ["One."]
    assert await bot(claude_cassette(OPTIONS), "Second") == ["One."]

@pytest.fixture
async def session(claude_cassette):
    async with claude_cassette(OPTIONS) as session:
        yield session

async def test_fixture(session):
    assert (await session.query([{{"type": "text", "text": "Hi "}}])).content == "One."

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(claude_cassette):
    assert await bot(claude_cassette(OPTIONS), "Hi") == ["One."]
"""
CHANGED = f"""
class TestBot:
    @pytest.mark.parametrize("name", ["a/b"])
    def test_sync(self, claude_cassette, name):
        asyncio.run(bot(claude_cassette(OPTIONS), {LONG.replace("why", "who")!r}, "Second"))

async def test_two(claude_cassette, tmp_path):
    assert await bot(claude_cassette(OPTIONS), f"Read {{tmp_path}}/b") == ["One."]

async def test_fixture(claude_cassette):
    async with claude_cassette(OPTIONS) as session:
        await session.query([{{"type": "text", "text": "Hi"}}])

async def test_anyio(claude_cassette):
    await bot(claude_cassette(OPTIONS), "Hi", "there")
"""
FEWER = f"""
class TestBot:
    @pytest.mark.parametrize("name", ["a/b"])
    def test_sync(self, claude_cassette, name):
        asyncio.run(bot(claude_cassette(OPTIONS), {LONG!r}))

async def test_missing(claude_cassette):
    claude_cassette(OPTIONS)

async def test_damaged(claude_cassette):
    claude_cassette(OPTIONS)

async def test_record(claude_cassette, tmp_path):
    with pytest.raises(ValueError, match="decides what is recorded"):
        claude_cassette(OPTIONS.model_copy(update={{"record": tmp_path / "mine.jsonl"}}))
"""


def test_cassettes(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ScriptedCli(tmp_path / "cli", [text_turn("One."), text_turn("Two.")]) as cli:
        monkeypatch.setenv("CLI", str(cli.path))
        result = run("--record-cassettes", test_bot=BOT + RECORDED)
        monkeypatch.delenv("CLI")
    result.assert_outcomes(passed=4)
    recorded = pytester.path / "cassettes"
    result.stdout.fnmatch_lines(
        [
            "recorded cassettes/test_bot/TestBot.test_sync[[]a-b[]]-????????.jsonl",
            "recorded cassettes/test_bot/test_two.jsonl",
            "recorded cassettes/test_bot/test_two-2.jsonl",
            "recorded cassettes/test_bot/test_fixture.jsonl",
            "recorded cassettes/test_bot/test_anyio[[]asyncio[]].jsonl",
        ]
    )
    assert len([*recorded.rglob("*")]) == 6, "and no draft is left"
    whole = "".join(path.read_text() for path in recorded.rglob("*.jsonl"))
    assert "Read /home/user/tmp/a" in whole
    assert str(pytester.path.parent) not in whole
    assert "control_re" not in whole

    for other in ("changed", "fewer"):
        shutil.copytree(recorded / "test_bot", recorded / f"test_{other}")
    (recorded / "test_changed/test_anyio[asyncio].jsonl").rename(recorded / "test_changed/test_anyio.jsonl")
    damaged = (recorded / "test_bot/test_fixture.jsonl").read_text()
    (recorded / "test_fewer/test_damaged.jsonl").write_text(damaged.replace('"in":', '"in', 1))
    result = run("-rA", test_bot=BOT + RECORDED, test_changed=BOT + CHANGED, test_fewer=BOT + FEWER)
    result.assert_outcomes(passed=6, failed=6, warnings=1)
    # Where the program hid the error the diff is the failure; where the test failed anyway it is a note.
    result.stdout.fnmatch_lines(
        [
            "The cassette *test_sync*.jsonl was recorded with another prompt 1 of 2:",
            "",
            "--- recorded",
            "+++ sent",
            "@@ -1,4 +1,4 @@",
            " Be brief.",
            " What is it?",
            "-And why?",
            "+And who?",
            "",
            "Record it again with: pytest --record-cassettes 'test_changed.py::TestBot::test_sync[[]a/b[]]'",
            "E*AssertionError: assert *Sorry*",
            "E*The cassette *test_two.jsonl was recorded with another prompt 1 of 1:",
            "E*-Read /home/user/tmp/a",
            "E*+Read /home/user/tmp/b",
            "E*CassetteError: The cassette *test_fixture.jsonl was recorded with another prompt 1 of 1:",
            'E*-    "text": "Hi "',
            'E*+    "text": "Hi"',
            "The cassette *test_anyio.jsonl has 1 prompt; this is number 2:",
            "+there",
            "There is no cassette *cassettes/test_fewer/test_missing.jsonl.",
            "Record it with: pytest --record-cassettes test_fewer.py::test_missing",
            "*test_damaged.jsonl, line *: this is no recorded frame: *",
            "Record it again with: pytest --record-cassettes test_fewer.py::test_damaged",
            "*UnusedTurnsWarning: *test_sync*.jsonl: 1 of 2 recorded turns not asked for, first 'Second'. *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*During handling*")


async def test_a_recording_that_cannot_be_played_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "cassette.jsonl"
    path.write_text("old")
    with ScriptedCli(tmp_path / "cli") as cli:
        session = RecordingSession(path, SessionOptions(cli_path=cli.path), Neutral({}))
        async with session:
            pass
    assert not session.kept
    assert path.read_text() == "old"
    assert [name for name in os.listdir(tmp_path) if "cassette" in name] == ["cassette.jsonl"]


async def test_a_crash_can_be_recorded(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/cassette.jsonl"
    crash = steps(*text_turn("Half an answer")[:5]).stderr(f"no file {tmp_path}/x").exit(3)
    with ScriptedCli(tmp_path / "cli", [crash]) as cli:
        options = SessionOptions(cli_path=cli.path, cwd=tmp_path)
        neutral = Neutral({tmp_path: "/home/user/project"})
        recording = RecordingSession(path, options, neutral)
        with pytest.raises(SessionCrashedError):
            await ask(recording)
    assert recording.kept
    replayed = ReplayedSession(path, options, neutral, speed=float("inf"), advice="")
    with pytest.raises(SessionCrashedError, match="no file /home/user/project/x"):
        await ask(replayed)
    assert replayed.problem is None


@pytest.mark.parametrize("text", ["a\u2028b\x85c\x0cd", "\ud83d alone", "日本 \\ud83d \"'", "a\r\nb"])
async def test_any_text_survives_a_recording(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cassette.jsonl"
    with ScriptedCli(tmp_path / "cli", [text_turn(text)]) as cli:
        live = await ask(RecordingSession(path, SessionOptions(cli_path=cli.path), Neutral({})))
    replayed = await ask(ReplayedSession(path, SessionOptions(), Neutral({}), speed=float("inf"), advice=""))
    assert replayed == live
    assert len(live) == len(text)


async def ask(session: ClaudeSession) -> str:
    async with session:
        return (await session.query("Hi")).content


async def test_options_for_output_count_in_a_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = SessionOptions(stream_output=True, cli_path=Path("/nowhere"))
    replayed = ReplayedSession(cassettes.ANSWER, options, Neutral({}), speed=float("inf"), advice="")
    async with replayed:
        await replayed.query(replayed.prompts[0])
    assert capsys.readouterr().out.startswith("Backpressure is")
    assert replayed.unused == []


def test_images_are_told_apart_without_being_shown(tmp_path: Path) -> None:
    def image(data: str) -> list[dict[str, object]]:
        source = {"type": "base64", "media_type": "image/png", "data": data}
        return [{"type": "image", "source": source}]

    replayed = ReplayedSession(cassettes.ANSWER, SessionOptions(), Neutral({}), speed=1, advice="Again.")
    replayed.prompts = [image("A" * 10_000)]
    with pytest.raises(CassetteError) as failure:
        replayed.check(image("A" * 9_999 + "B"))
    assert len(str(failure.value)) < 1000
    assert str(failure.value).count("AAAAAAAA... (10000 characters, SHA-256 ") == 2


@pytest.mark.parametrize(
    ("text", "neutral"),
    [
        ("see /srv/me/work/a.py.", "see /home/user/project/a.py."),
        ("/srv/me/work", "/home/user/project"),
        ("/srv/me/work.", "/home/user/project."),
        ("/srv/me/working /mnt/srv/me/work", "/home/user/working /mnt/srv/me/work"),
        (
            "/srv/me/.claude/projects/-srv-me-work/memory",
            "/home/user/.claude/projects/-home-user-project/memory",
        ),
        ("/srv/me/.claude/projects/-srv-me-work-b", "/home/user/.claude/projects/-home-user-project-b"),
        ("run -srv-me", "run -srv-me"),
        ("nothing / here", "nothing / here"),
    ],
)
def test_paths_become_neutral(text: str, neutral: str) -> None:
    places = {Path("/srv/me"): "/home/user", Path("/srv/me/work"): "/home/user/project", Path("/"): "/root"}
    assert Neutral(places).value({"a": [text, 1, None]}) == {"a": [neutral, 1, None]}


def test_nothing_to_make_neutral() -> None:
    assert Neutral({Path("/"): "/home/user"}).text("/ or /srv") == "/ or /srv"


def test_an_unrelated_run_imports_nothing_but_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pathlib, sys\n"
        "def test_it(tmp_path): pass\n"
        "def test_modules(): pathlib.Path('modules').write_text('\\n'.join(sys.modules))\n"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    def modules(*options: str) -> set[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True)
        return set((tmp_path / "modules").read_text().split())

    added = modules("-p", "rxccsdk.testing.plugin") - modules()
    assert added == {"rxccsdk", "rxccsdk.testing", "rxccsdk.testing.plugin"}


def test_the_warning_in_a_filter_imports_no_session() -> None:
    # pytest resolves the classes named in `filterwarnings` in every run.
    code = "import sys; from rxccsdk.testing import UnusedTurnsWarning; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    own = {name for name in done.stdout.split() if name.startswith("rxccsdk")}
    assert own == {"rxccsdk", "rxccsdk.testing", "rxccsdk.testing.claude_cassette"}


def test_pytest_finds_the_plugin_where_rxccsdk_is_installed() -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"rxccsdk.testing.plugin": "rxccsdk.testing.plugin"}
