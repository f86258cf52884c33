"""Going on with earlier sessions, and from earlier turns: with the real CLI, and both SDKs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions
from claude_code_sdk import ClaudeCodeOptions
from hypothesis import given
from hypothesis import strategies as st

import rxccsdk
from rxccsdk import ClaudeSession, ControlError, SessionOptions
from rxccsdk import operators as cc
from rxccsdk.session.branching import continued
from rxccsdk.testing import Reply, Request, environment, reply, text_turn
from rxccsdk.transport import _claude_agent
from rxccsdk.transport.transcripts import transcripts
from tests.conftest import Real, Scripted

pytestmark = pytest.mark.usefixtures("no_leftovers")


def knows(request: Request) -> Reply:
    """Answer with the prompts that the conversation has."""
    words = [word for word in ("one", "two", "three", "branch") if f"prompt {word}" in str(request.messages)]
    return reply(" ".join(words))


def edits(request: Request) -> Reply:
    """Write the prompt's last word into a file, then say so."""
    word = request.prompt.split()[-1]
    if f"'content': '{word}'" in str(request.messages):
        return reply("Written.")
    if word == "branch":
        return reply("Looked.")
    return reply("").tool("Write", {"file_path": "notes.txt", "content": word})


async def prompted(session: ClaudeSession, *words: str) -> list[rxccsdk.Turn]:
    turns = [session.stream(f"prompt {word}") for word in words]
    for turn in turns:
        await turn.pipe(cc.to_response())
    return turns


# -- options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fork", [False, True])
async def test_a_session_goes_on(real: Real, fork: bool) -> None:
    options = real.options(knows)
    async with ClaudeSession(options) as session:
        await prompted(session, "one")
        first = session.session_id
    async with ClaudeSession(options.model_copy(update={"resume": first, "fork": fork})) as session:
        before = session.session_id
        (turn,) = await prompted(session, "two")
        assert turn.response.content == "one two"
        assert session.session_id == before
        assert (before == first) is not fork
        assert turn.response.metadata.session_id == before


@pytest.mark.parametrize("fork", [False, True])
async def test_the_newest_session_goes_on(real: Real, fork: bool) -> None:
    options = real.options(knows)
    async with ClaudeSession(options) as session:
        await prompted(session, "one")
        first = session.session_id
    changed = options.model_copy(update={"continue_conversation": True, "fork": fork})
    async with ClaudeSession(changed) as session:
        assert (session.session_id is None) is not fork
        (turn,) = await prompted(session, "two")
        assert turn.response.content == "one two"
        assert (session.session_id == first) is not fork


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="fork needs a session"):
        SessionOptions(fork=True)
    with pytest.raises(ValueError, match="takes the newest"):
        SessionOptions(resume="x", continue_conversation=True)
    assert SessionOptions(fork=True, sdk_options=ClaudeAgentOptions(resume="x")).fork
    assert SessionOptions(fork=True, sdk_options=ClaudeCodeOptions(continue_conversation=True)).fork


# -- from a turn --------------------------------------------------------------------------------------------


async def test_a_fork_knows_the_conversation_up_to_its_turn(real: Real) -> None:
    async with real(knows) as session:
        one, two, three = await prompted(session, "one", "two", "three")
        assert three.response.content == "one two three"
        for turn, known in ((one, "one branch"), (two, "one two branch"), (three, "one two three branch")):
            async with session.at(turn).fork() as branch:
                assert branch.session_id not in (None, session.session_id)
                (answer,) = await prompted(branch, "branch")
                assert answer.response.content == known
                assert answer.response.metadata.session_id == branch.session_id
        (last,) = await prompted(session, "one")
        assert "branch" not in last.response.content


async def test_a_turn_with_tools_is_kept_whole(real: Real) -> None:
    script: list[Any] = [
        reply("I look. ").tool("Bash", {"command": "echo seen", "description": "look"}),
        reply("Looked."),
        reply("Later."),
        reply("Branched."),
    ]
    async with real(script, allowed_tools=["Bash"]) as session:
        first, _ = await prompted(session, "one", "two")
        async with session.at(first).fork() as branch:
            await prompted(branch, "branch")
    messages = str(real.api.requests[-1].messages)
    assert "seen" in messages
    assert "Looked." in messages
    assert "Later." not in messages


async def test_a_fork_of_a_fork_and_of_a_session_that_was_resumed(real: Real) -> None:
    options = real.options(knows)
    async with ClaudeSession(options) as session:
        await prompted(session, "one")
        first = session.session_id
    given = ClaudeAgentOptions if real.backend == "claude-agent-sdk" else ClaudeCodeOptions
    resumed = options.model_copy(update={"sdk_options": given(resume=first)})
    async with ClaudeSession(resumed) as session:
        two, _ = await prompted(session, "two", "three")
        async with session.at(two).fork() as branch:
            (turn,) = await prompted(branch, "branch")
            assert turn.response.content == "one two branch"
            async with branch.at(turn).fork() as again:
                (turn,) = await prompted(again, "three")
                assert turn.response.content == "one two three branch"


async def test_a_fork_goes_on_from_before_the_conversation_was_cleared(real: Real) -> None:
    async with real(knows) as session:
        (one,) = await prompted(session, "one")
        first = session.session_id
        await prompted(session, "two")
        await session.query("/clear", stream=False)
        (three,) = await prompted(session, "three")
        assert session.session_id != first
        for turn, known in ((one, "one branch"), (three, "three branch")):
            async with session.at(turn).fork() as branch:
                (answer,) = await prompted(branch, "branch")
                assert answer.response.content == known


async def test_what_was_compacted_is_no_place_to_go_on_from(real: Real) -> None:
    async with real(knows) as session:
        before = await prompted(session, "one", "two")
        compaction = session.stream("/compact")
        response = await compaction.pipe(cc.to_response())
        assert response.error is None
        for turn in before:
            with pytest.raises(ControlError, match="compacted since"):
                session.at(turn).fork()
        (three,) = await prompted(session, "three")
        for turn, known in ((compaction, "branch"), (three, "three branch")):
            async with session.at(turn).fork() as branch:
                (answer,) = await prompted(branch, "branch")
                assert answer.response.content == known


async def test_a_fork_outlives_its_session_and_an_interrupt(real: Real) -> None:
    wait = {"command": "for i in $(seq 60); do sleep 1; done", "description": "wait"}
    script = [
        reply("I begin. ").tool("Bash", wait),
        reply("Branched."),
    ]
    async with real(script, allowed_tools=["Bash"]) as session:
        turn = session.stream("prompt one")
        async with turn:
            async for chunk in turn:
                if isinstance(chunk, rxccsdk.ToolUseChunk):
                    break
        assert turn.status == "interrupted"
    assert session.status == "closed"
    async with session.at(turn).fork() as branch:
        (answer,) = await prompted(branch, "branch")
        assert answer.response.content == "Branched."
    messages = str(real.api.requests[-1].messages)
    assert "prompt one" in messages
    assert "I begin." in messages


async def test_files_go_back_with_the_conversation(real: Real) -> None:
    if real.backend == "claude-agent-sdk":
        given: Any = ClaudeAgentOptions(enable_file_checkpointing=True)
        options = real.options(edits, permission_mode="acceptEdits", sdk_options=given)
    else:
        env = {"CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING": "true"}
        options = real.options(edits, permission_mode="acceptEdits").model_copy(update={"env": env})
    notes = Path(str(options.cwd)) / "notes.txt"
    async with ClaudeSession(options) as session:
        one, two = await prompted(session, "one", "two")
        assert notes.read_text() == "two"
        async with session.at(two).fork(rewind_files=True) as branch:
            await prompted(branch, "branch")
            assert notes.read_text() == "two"
        async with session.at(one).fork() as branch:
            await prompted(branch, "branch")
            assert notes.read_text() == "two"
        async with session.at(one).fork(rewind_files=True) as branch:
            await prompted(branch, "branch")
            assert notes.read_text() == "one"


async def test_files_that_cannot_go_back_keep_the_fork_from_opening(real: Real) -> None:
    async with real(knows) as session:
        one, _ = await prompted(session, "one", "two")
        branch = session.at(one).fork(rewind_files=True)
        with pytest.raises(ControlError):
            await branch.open()
        assert branch.status == "new"


async def test_where_nothing_can_go_on_it_says_so(scripted: Scripted, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    async with scripted(text_turn("done"), session={"record": tape}) as session:
        turn = session.stream("go")
        with pytest.raises(ControlError, match="is over"):
            session.at(turn).fork()
        await turn.pipe(cc.to_response())
        assert session.at(turn).fork().options.record is None
        with pytest.raises(ControlError, match="another session"):
            ClaudeSession().at(turn).fork()
    async with ClaudeSession.replay(tape) as session:
        turn = session.stream("go")
        await turn.pipe(cc.to_response())
        with pytest.raises(ControlError, match="recording"):
            session.at(turn).fork()


def test_a_fork_takes_over_all_other_options() -> None:
    given = ClaudeAgentOptions(resume="old", fork_session=True, max_buffer_size=7, extra_args={"debug": None})
    options = SessionOptions(model="haiku", max_turns=3, sdk_options=given)
    branch = continued(options, "id", "message")
    assert (branch.model, branch.max_turns) == ("haiku", 3)
    assert (branch.resume, branch.fork, branch.resume_at) == ("id", True, "message")
    assert (branch.sdk_options.resume, branch.sdk_options.fork_session) == (None, False)
    assert (branch.sdk_options.max_buffer_size, branch.sdk_options.extra_args) == (7, {"debug": None})
    assert options.resume_at is None


# -- earlier sessions ---------------------------------------------------------------------------------------


async def test_earlier_sessions_are_listed(real: Real, tmp_path: Path) -> None:
    options = real.options(knows)
    assert rxccsdk.sessions(options.cwd) == []
    ids = []
    for word in ("one", "two"):
        async with ClaudeSession(options) as session:
            await prompted(session, word)
            ids.append(session.session_id)
    found = rxccsdk.sessions(options.cwd)
    assert [info.session_id for info in found] == ids[::-1]
    assert found[0].first_prompt == "prompt two"
    assert found[0].title
    assert found[0].cwd == options.cwd
    assert found[0].modified > found[1].modified
    assert (found[0].size or 0) > 0
    assert rxccsdk.sessions(options.cwd, limit=1) == found[:1]
    assert rxccsdk.sessions(tmp_path / "elsewhere") == []


async def test_without_the_sdk_that_lists_them_the_transcripts_say_the_same(
    real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [reply("I ask. ").agent("Look."), *(reply("Done.") for _ in range(9))]
    options = real.options(script, agents=[reply("Seen.")])
    long = Path(str(options.cwd)) / "/".join(["a folder with a long näme"] * 9)
    long.mkdir(parents=True)
    for cwd in (options.cwd, long):
        for first in ("prompt\none", "x" * 300, "/context"):
            async with ClaudeSession(options.model_copy(update={"cwd": cwd})) as session:
                await session.query(first, stream=False)
                await session.query("then", stream=False)
    expected = [rxccsdk.sessions(cwd) for cwd in (options.cwd, long)]
    limited = rxccsdk.sessions(long, limit=2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("rxccsdk.transport._claude_agent.earlier_sessions", None)
    assert [len(infos) for infos in expected] == [3, 3]
    assert [rxccsdk.sessions(cwd) for cwd in (options.cwd, long)] == expected
    assert rxccsdk.sessions(long, limit=2) == limited
    assert rxccsdk.sessions(long / "elsewhere") == []


_LINES = st.lists(
    st.sampled_from(
        [
            {"type": "user", "message": {"role": "user", "content": "typed"}},
            {"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": "a\nb"}, {}]}},
            {
                "type": "user",
                "message": {"role": "user", "content": [{"type": "tool_result", "content": "x"}]},
            },
            {"type": "user", "isMeta": True, "message": {"role": "user", "content": "meta"}},
            {"type": "user", "message": {"role": "user", "content": "<command-name>/do</command-name>"}},
            {"type": "user", "message": {"role": "user", "content": "[Request interrupted by user]"}},
            {"type": "assistant", "cwd": "/w", "gitBranch": "main", "message": {"content": []}},
            {"type": "custom-title", "customTitle": "mine"},
            {"type": "ai-title", "aiTitle": "its"},
            {"type": "last-prompt", "lastPrompt": "last"},
            {"type": "user", "message": 5},
        ]
    )
    | st.just([5])
    | st.none()
)


def is_json(line: str) -> bool:
    with contextlib.suppress(ValueError):
        json.loads(line)
        return True
    return False


@given(_LINES, st.integers(0, 30))
def test_transcripts_are_read_as_the_sdk_reads_them(lines: list[Any], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, cwd = Path(folder) / "home", Path(folder) / "work"
        projects = home / "projects" / re.sub("[^a-zA-Z0-9]", "-", str(cwd.resolve()))
        projects.mkdir(parents=True)
        cwd.mkdir()
        text = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines)
        file = projects / "885b86fc-aa3d-4eb4-be86-a67563d9a5b1.jsonl"
        with environment({**os.environ, "CLAUDE_CONFIG_DIR": str(home)}):
            # The SDK takes fields out of half a line, too; a half one says nothing here.
            there = text[: len(text) - cut]
            before, _, last = there.rpartition("\n")
            file.write_text(there if is_json(last) else before)
            expected = _claude_agent.earlier_sessions(cwd, None)
            file.write_text(there)
            found = transcripts(cwd, None)
    assert len(found) == len(expected)
    for info, theirs in zip(found, expected, strict=True):
        assert info.summary == theirs.summary
        assert info.first_prompt == theirs.first_prompt
        assert info.custom_title == theirs.custom_title
        assert info.git_branch == theirs.git_branch
        assert info.cwd in (theirs.cwd, None)
