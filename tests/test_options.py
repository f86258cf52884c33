"""Options: what they are told apart by, what they keep to themselves, and which session they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions
from claude_code_sdk import ClaudeCodeOptions
from pydantic import ValidationError

from rxccsdk import ClaudeSession, RxccError, SessionOptions
from rxccsdk.testing import text_turn
from rxccsdk.transport.sdk import settled_session_id
from tests.conftest import Scripted

SECRET = "sk-ant-a-secret"
ID = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


def test_the_environment_is_not_shown() -> None:
    options = SessionOptions(
        env={"ANTHROPIC_API_KEY": SECRET}, sdk_options=ClaudeAgentOptions(env={"ANTHROPIC_API_KEY": SECRET})
    )
    assert SECRET not in f"{options!r}{options}"
    assert options.env == {"ANTHROPIC_API_KEY": SECRET}


@pytest.mark.parametrize(
    "given",
    [
        {"env": {"ANTHROPIC_API_KEY": [SECRET]}},
        {"env": {5: SECRET}},
        {"env": SECRET},
        {"env": {"ANTHROPIC_API_KEY": SECRET}, "unknown": 1},
        {"env": {"ANTHROPIC_API_KEY": SECRET}, "max_turns": 0},
    ],
)
def test_an_error_does_not_show_it(given: Any) -> None:
    with pytest.raises(ValidationError) as error:
        SessionOptions(**given)
    assert SECRET not in f"{error.value!r}{error.value}"


@pytest.mark.parametrize(
    "name", ["can_use_tool", "hooks", "mcp_servers", "agents", "fork_session", "settings"]
)
def test_an_sdks_option_is_sent_to_the_sdk(name: str) -> None:
    with pytest.raises(ValidationError, match=rf"pass sdk_options=Claude\w+Options\({name}=...\)"):
        SessionOptions(**{name: None})


def test_other_names() -> None:
    with pytest.raises(ValidationError, match=r"Did you mean `allowed_tools`\?"):
        SessionOptions(allowed_tool=["Bash"])  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="There are: stream_output, progress_callback, model,"):
        SessionOptions(xyz=1)  # type: ignore[call-arg]


def test_paths_are_text_or_paths() -> None:
    given = SessionOptions(cwd=".", record="x.jsonl", cli_path="/usr/bin/claude")
    assert given == SessionOptions(cwd=Path(), record=Path("x.jsonl"), cli_path=Path("/usr/bin/claude"))
    assert isinstance(given.cwd, Path)


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"resume": ID}, ID),
        ({"resume": "the title of a session"}, None),
        ({"sdk": {"resume": ID}}, ID),
        ({"sdk": {"continue_conversation": True}}, None),
        ({"sdk": {"extra_args": {"continue": None}}}, None),
        ({"sdk": {"extra_args": {"session-id": ID}}}, ID),
        ({"resume": ID, "sdk": {"extra_args": {"fork-session": None}}}, None),
        ({"resume": ID, "sdk": {"extra_args": {"fork-session": None, "session-id": OTHER}}}, OTHER),
    ],
)
async def test_the_session_id_is_known_or_none(
    scripted: Scripted, options: dict[str, Any], known: str | None
) -> None:
    given = dict(options)
    of_the_sdk = given.pop("sdk", None)
    if of_the_sdk is not None:
        make: Any = ClaudeCodeOptions if scripted.backend == "claude-code-sdk" else ClaudeAgentOptions
        given["sdk_options"] = make(**of_the_sdk)
    session = scripted(text_turn("fine"), session=given)
    assert session.session_id is None
    async with session:
        assert session.session_id == known
        response = await session.query("go")
        assert session.session_id == response.metadata.session_id != None  # noqa: E711
    assert ("--session-id" in " ".join(scripted.cli.argv)) is ("session-id" in str(options))


async def test_a_fork_of_its_own_options(scripted: Scripted) -> None:
    if scripted.backend == "claude-code-sdk":
        return  # it has no such option
    session = {"sdk_options": ClaudeAgentOptions(resume=ID, fork_session=True)}
    async with scripted(text_turn("fine"), session=session) as forked:
        assert forked.session_id is None


async def test_a_new_sessions_id_is_known(scripted: Scripted) -> None:
    async with scripted(text_turn("fine")) as session:
        assert session.session_id is not None
        assert session.session_id in " ".join(scripted.cli.argv)


@pytest.mark.parametrize(
    ("argv", "known"),
    [
        (["claude"], None),
        (["claude", "--session-id", ID], ID),
        (["claude", f"--session-id={ID}"], ID),
        (["claude", "--resume"], None),
        (["claude", "--resume", "--verbose"], None),
        (["claude", "-r", ID, "--verbose"], ID),
        (["claude", "-c"], None),
        (["claude", f"--resume={ID}", "--fork-session"], None),
    ],
)
def test_what_a_command_line_settles(argv: list[str], known: str | None) -> None:
    assert settled_session_id(argv) == known


async def test_where_there_is_no_support_it_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(RxccError, match="Linux and macOS"):
        await ClaudeSession().open()
