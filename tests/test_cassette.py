"""A recording plays as it was, and a damaged one says where."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxccsdk import (
    CassetteError,
    ClaudeSession,
    SessionClosedError,
    SessionCrashedError,
    SessionOptions,
    SessionResponse,
)
from rxccsdk.chunks import Chunk, Frame, ResultChunk, TextChunk
from rxccsdk.testing import init_frame, interrupted, result_frame, steps, text_turn
from rxccsdk.transport import Exit, cassette
from rxccsdk.transport.cassette import Cassette, read_cassette
from rxccsdk.transport.recorder import FileRecorder, Recorder
from rxccsdk.wire.frames import decode
from tests.wire_traces import write_cassette

INF = float("inf")


def named(frames: list[Frame], uuid: str) -> list[Frame]:
    """Frames as a CLI writes them that names its prompts."""
    return [
        {"type": "command_lifecycle", "command_uuid": uuid, "state": "started"},
        *(
            {**frame, "user_message_uuids": [uuid]} if frame["type"] == "result" else frame
            for frame in frames
        ),
    ]


ONE = named(text_turn("the first answer", pieces=5), "u0")
TWO = named(text_turn("the second one", partial=False), "u1")


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Two turns, a frame every 10 ms."""
    path = tmp_path / "tape.jsonl"
    write_cassette(path, [*ONE, *TWO], [(0, "u0"), (len(ONE), "u1")], every=0.01)
    return path


async def collect(turn: Any) -> list[Chunk]:
    return [chunk async for chunk in turn]


async def watched(turn: Any) -> asyncio.Future[list[Chunk]]:
    """Subscribe, and wait until the prompt was sent."""
    watching = asyncio.ensure_future(collect(turn))
    while turn.status == "pending":
        await asyncio.sleep(0)
    return watching


def contents(path: Path) -> list[str]:
    async def play() -> list[str]:
        turns = len(read_cassette(path).turns)
        async with ClaudeSession.replay(path, speed=INF) as session:
            return [(await session.query("?")).content for _ in range(turns)]

    return asyncio.run(play())


# -- writing and reading ----------------------------------------------------------------------------------


def record(path: Path, what: Callable[[Recorder], None]) -> Cassette:
    recorder = FileRecorder(path)
    recorder.open("claude-agent-sdk")
    what(recorder)
    recorder.close()
    return read_cassette(path)


def played(lines: list[tuple[float, bytes]]) -> list[tuple[float, Any]]:
    return [(at, decode(line)) for at, line in lines]


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    half = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "\ud83d"}}
    spoken: list[Frame] = [
        {"type": "system", "subtype": "init", "claude_code_version": "2.1.330"},
        {"type": "stream_event", "event": half, "parent_tool_use_id": None},
        {"type": "odd", "text": 'quo"te \u2028 \\n 日本', "number": 1e300},
        {"type": "result", "user_message_uuids": ["u0"]},
    ]
    blocks = [
        {"type": "text", "text": "look"},
        {"type": "image", "source": {"type": "base64", "data": "QQ=="}},
    ]
    prompt = {"type": "user", "uuid": "u0", "message": {"role": "user", "content": blocks}}
    early: Frame = {"type": "system", "subtype": "session_state_changed"}

    def write(recorder: Recorder) -> None:
        recorder.sent(b'{"type":"control_request","request":{"subtype":"initialize"}}', 99.0)
        recorder.received(b'{"type":"control_response"}\n', 99.5)
        recorder.received(json.dumps(early).encode() + b"\n", 99.75)
        recorder.sent(json.dumps(prompt).encode(), 100.0)
        for number, frame in enumerate(spoken, 1):
            recorder.received(json.dumps(frame).encode() + b"\r\n", 100.0 + number / 8)
        recorder.ended(Exit("The CLI ended", 3, ("last", "words")), 102.0)

    tape = record(tmp_path / "tape.jsonl", write)
    assert (tape.sdk, tape.cli_version) == ("claude-agent-sdk", "2.1.330")
    assert played(tape.opening) == [(0.75, early)]
    (turn,) = tape.turns
    assert (turn.prompt, turn.uuid, turn.sent_at) == (blocks, "u0", 1.0)
    assert played(turn.lines) == [(1.0 + number / 8, frame) for number, frame in enumerate(spoken, 1)]
    assert tape.exit == Exit("The CLI ended", 3, ("last", "words"))


def test_a_line_of_invalid_utf8_is_recorded_as_it_was_read(tmp_path: Path) -> None:
    def write(recorder: Recorder) -> None:
        recorder.received(b'{"type":"odd","text":"\xff"}\n', 1.0)

    tape = record(tmp_path / "tape.jsonl", write)
    assert played(tape.opening) == [(0.0, {"type": "odd", "text": "\ufffd"})]


def test_the_header_comes_first_even_without_a_version(tmp_path: Path) -> None:
    tape = record(tmp_path / "tape.jsonl", lambda recorder: recorder.sent(b'{"type":"control_request"}', 1.0))
    assert (tape.sdk, tape.cli_version, tape.turns, tape.exit) == ("claude-agent-sdk", None, [], None)
    header = json.loads((tmp_path / "tape.jsonl").read_bytes().splitlines()[0])
    assert header == {"rxccsdk_cassette": 1, "cli_version": None, "sdk": "claude-agent-sdk"}


def test_recording_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match=r"Cannot record to .*missing"):
        FileRecorder(tmp_path / "missing" / "tape.jsonl").open("claude-agent-sdk")


def test_a_recording_is_its_owners_and_follows_no_link(tmp_path: Path) -> None:
    tape, link, pipe = tmp_path / "tape.jsonl", tmp_path / "link", tmp_path / "pipe"
    tape.write_text("of before")
    tape.chmod(0o644)
    recorder = FileRecorder(tape)
    recorder.open("x")
    recorder.close()
    assert tape.stat().st_mode & 0o777 == 0o600
    assert "of before" not in tape.read_text()
    link.symlink_to(tmp_path / "elsewhere")
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path):
        with pytest.raises(CassetteError, match="Cannot record to"):
            FileRecorder(path).open("x")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(CassetteError, match="it is a pipe"):
        FileRecorder(pipe).open("x")
    os.close(reader)
    assert not (tmp_path / "elsewhere").exists()


def test_each_line_is_on_the_disk_before_the_next_comes(tmp_path: Path) -> None:
    """What a crash of the program leaves: all that had passed, also before the CLI has said its version."""
    path, recorder = tmp_path / "tape.jsonl", FileRecorder(tmp_path / "tape.jsonl")
    recorder.open("x")
    prompt = json.dumps({"type": "user", "uuid": "u", "message": {"role": "user", "content": "go"}}).encode()
    recorder.sent(prompt, 1.0)
    assert [turn.prompt for turn in read_cassette(path).turns] == ["go"]
    for number in range(3):
        frame = {"type": "odd", "number": number, "claude_code_version": f"2.{number}"}
        recorder.received(json.dumps(frame).encode() + b"\n", 2.0 + number)
        tape = read_cassette(path)
        assert played(tape.turns[0].lines)[-1] == (1.0 + number, frame)
        assert tape.cli_version == "2.0"
    recorder.close()


@pytest.mark.parametrize("version", ["x" * 100, "\x1b\n'\"", "é" * 30])
def test_a_version_of_any_length_damages_no_header(tmp_path: Path, version: str) -> None:
    def write(recorder: Recorder) -> None:
        recorder.received(json.dumps({"type": "a", "claude_code_version": version}).encode() + b"\n", 1.0)

    tape = record(tmp_path / "tape.jsonl", write)
    assert tape.cli_version in (version, None)
    assert len(tape.opening) == 1


# -- what is damaged --------------------------------------------------------------------------------------


def damaged(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(CassetteError) as error:
        read_cassette(path)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("data", [b"", b"\n", b"hello\n", b"[]\n", b'{"type": "system"}\n', b"\x00\xff\n\n"])
def test_what_is_no_cassette(tmp_path: Path, data: bytes) -> None:
    assert "line 1" in damaged(tmp_path / "x", data)


def test_another_format_version(tmp_path: Path) -> None:
    message = damaged(tmp_path / "x", b'{"rxccsdk_cassette": 2, "sdk": "x"}\n')
    assert "line 1: format version 2; this version plays 1" in message


def test_what_is_nested_too_deep(tmp_path: Path) -> None:
    deep = b'{"t": 0, "in": {"type": "x", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}\n"
    assert "line 2" in damaged(tmp_path / "x", b'{"rxccsdk_cassette": 1}\n' + deep)


HEADER = b'{"rxccsdk_cassette": 1}\n'
NESTED = b"[" * 900 + b"]" * 900


@pytest.mark.parametrize(
    "line",
    [
        b'{"t": 1e308, "in": {"type": "x"}}',
        b'{"t": -1.0, "in": {"type": "x"}}',
        b'{"t": 1' + b"0" * 5000 + b', "in": {"type": "x"}}',
        b'{"t": 1, "in": {"type": "x", "a": 1' + b"0" * 5000 + b"}}",
        b"\x00" * 5000,
        b'{"t": 1, "in": {"type": "\xff\xfe',
        b"\xff\xfe" * 5000,
    ],
)
def test_an_absurd_line_is_named(tmp_path: Path, line: bytes) -> None:
    assert ", line 2: this is no recorded frame" in damaged(tmp_path / "x", HEADER + line + b"\n" + line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"t": 1, "out": {"type": "user", "message": ' + NESTED + b"}}",
        b'{"t": 1, "out": {"type": "user", "message": {"content": ' + NESTED + b"}}}",
        b'{"t": 1, "out": {"type": ["user"], "uuid": {}}}',
        b'{"t": 1, "in": {"type": "x", "a": ' + NESTED + b"}}",
        b'{"t": 1, "in": {"type": "x", "a": "\xff\xfe"}}',
        b'{"t": 1, "in": {"type": "result", "total_cost_usd": 1e400}}',
    ],
)
def test_odd_frames_play(tmp_path: Path, line: bytes) -> None:
    async def play() -> None:
        async with asyncio.timeout(5), ClaudeSession.replay(path, speed=INF) as session:
            with contextlib.suppress(CassetteError, SessionCrashedError):
                await session.query("go", stream=False)

    path = tmp_path / "x"
    path.write_bytes(HEADER + line + b"\n")
    asyncio.run(play())


def test_a_line_without_an_end_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vast = tmp_path / "vast.jsonl"
    for beginning, words in ((b"", "line 1"), (HEADER, "line 2: this line is longer than 64 MiB")):
        vast.write_bytes(beginning)
        os.truncate(vast, 900 << 20)  # sparse: it takes no room on the disk
        tracemalloc.start()
        with pytest.raises(CassetteError, match=words):
            read_cassette(vast)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 300 << 20
    monkeypatch.setattr(cassette, "_MOST", 10)
    vast.write_bytes(HEADER + b'{"t":1,"in":{"type":"x"}}\n' * 10)
    with pytest.raises(CassetteError, match="line 11: this line is one more than 10"):
        read_cassette(vast)


def test_what_cannot_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    for path in (tmp_path / "itself", Path("null\0"), Path("x" * 5000)):
        with pytest.raises(CassetteError, match="Cannot read the cassette"):
            read_cassette(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match=r"nowhere\.jsonl: No such file"):
        read_cassette(tmp_path / "nowhere.jsonl")
    with pytest.raises(CassetteError, match="Is a directory"):
        read_cassette(tmp_path)


async def test_a_session_says_so_when_it_is_opened(tmp_path: Path) -> None:
    session = ClaudeSession.replay(tmp_path / "nowhere.jsonl")
    with pytest.raises(CassetteError):
        await session.open()


def test_cut_off_within_the_header(tape: Path) -> None:
    header = tape.read_bytes().splitlines()[0]
    for kept in (1, len(header) // 2, len(header) - 1):
        assert "line 1" in damaged(tape, header[:kept])


def test_cut_off_within_any_line(tape: Path) -> None:
    """All whole lines are there, and the end is an error."""
    lines = tape.read_bytes().splitlines(keepends=True)
    for number in range(2, len(lines) + 1):
        whole, last = b"".join(lines[: number - 1]), lines[number - 1]
        for kept in (1, len(last) // 2, len(last) - 2):
            tape.write_bytes(whole + last[:kept])
            cut = read_cassette(tape)
            assert cut.exit is not None
            assert f"cut off here: {tape}, behind line {number - 1}." in cut.exit.reason
            tape.write_bytes(whole)
            intact = read_cassette(tape)
            assert (cut.opening, cut.turns) == (intact.opening, intact.turns)


def test_cut_off_between_any_two_lines(tape: Path) -> None:
    """Where a turn is open it ends there in an error; between turns the rest is a cassette."""
    lines = tape.read_bytes().splitlines(keepends=True)
    results = [number for number, line in enumerate(lines, 1) if b'"type": "result"' in line]
    playable = []
    for number in range(1, len(lines) + 1):
        tape.write_bytes(b"".join(lines[:number]))
        cut = read_cassette(tape)
        if cut.exit is None:
            playable.append((number, len(cut.turns)))
        else:
            assert f"behind line {number}." in cut.exit.reason
    assert playable == [(1, 0), (results[0], 1), (results[1], 2)]


def test_a_recording_of_a_crash_plays_as_far_as_it_goes(tape: Path) -> None:
    async def play() -> SessionResponse:
        async with asyncio.timeout(5), ClaudeSession.replay(tape, speed=INF) as session:
            turn = session.stream("?")
            with contextlib.suppress(SessionCrashedError):
                await collect(turn)
            return turn.response

    whole = tape.read_bytes()
    for end in range(whole.index(b'"text_delta"'), len(whole), 97):
        tape.write_bytes(whole[:end])
        response = asyncio.run(play())
        assert "the first answer".startswith(response.content)
        assert response.content == "the first answer" or "cut off here" in str(response.error)


def test_only_the_last_newline_is_missing(tape: Path) -> None:
    tape.write_bytes(tape.read_bytes().rstrip(b"\n"))
    assert contents(tape) == ["the first answer", "the second one"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"t": 1}',
        b'{"in": {}}',
        b'{"t": "1", "in": {}}',
        b'{"t": 1, "in": []}',
        b'{"t": 1, "in": null}',
        b'{"t": 1, "on": {}}',
    ],
)
def test_a_damaged_line_is_named(tape: Path, line: bytes) -> None:
    lines = tape.read_bytes().splitlines()
    for number in (2, 5, len(lines)):
        data = b"\n".join([*lines[: number - 1], line, *lines[number:]]) + b"\n"
        assert f", line {number}: this is no recorded frame" in damaged(tape, data)


def test_a_lost_result_is_named(tape: Path) -> None:
    lines = tape.read_bytes().splitlines()
    result = next(number for number, line in enumerate(lines) if b'"type": "result"' in line)
    message = damaged(tape, b"\n".join(lines[:result] + lines[result + 1 :]) + b"\n")
    assert f", line {result + 1}: the turn before this prompt has no result" in message


# -- playing ----------------------------------------------------------------------------------------------


def test_the_nth_prompt_plays_the_nth_turn(tape: Path) -> None:
    assert contents(tape) == ["the first answer", "the second one"]


async def test_one_prompt_too_many(tape: Path) -> None:
    async with ClaudeSession.replay(tape, speed=INF) as session:
        turns = [session.stream("?") for _ in range(4)]
        for turn in turns[:2]:
            await collect(turn)
        for turn in turns[2:]:
            with pytest.raises(CassetteError, match="has 2 turns; this prompt is number 3"):
                await collect(turn)
            assert turn.status == "failed"


async def test_a_prompt_is_still_checked(tape: Path) -> None:
    async with ClaudeSession.replay(tape, speed=INF) as session:
        with pytest.raises(ValueError, match="empty"):
            session.stream("")


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_is_positive(tape: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        ClaudeSession.replay(tape, speed=speed)


@pytest.mark.parametrize("speed", [INF, 1000.0, 20.0])
async def test_chunks_carry_the_recorded_times(tape: Path, speed: float) -> None:
    async with ClaudeSession.replay(tape, speed=speed) as session:
        for frames in (ONE, TWO):
            chunks = await collect(session.stream("?"))
            times = [chunk.at for chunk in chunks]
            assert times == sorted(times)
            # Each frame came 10 ms after the one before it, the first one with the prompt.
            places = [place for place, frame in enumerate(frames) if frame["type"] == "result"]
            assert times[-1] == pytest.approx(places[0] * 0.01)
            assert all(time == pytest.approx(round(time, 2)) for time in times)


async def test_it_takes_the_recorded_time(tmp_path: Path) -> None:
    path = tmp_path / "slow.jsonl"
    write_cassette(path, ONE, [(0, "u0")], every=0.02)
    clock = asyncio.get_running_loop().time
    seen: list[tuple[float, float]] = []
    async with ClaudeSession.replay(path, speed=2.0) as session:
        started = clock()
        async for chunk in session.stream("?"):
            seen.append((chunk.at, clock() - started))
    assert all(played >= at / 2 - 0.005 for at, played in seen), "never earlier than it was recorded"


@pytest.mark.parametrize("leave", ["interrupt", "break", "close"])
async def test_leaving_early_ends(tmp_path: Path, leave: str) -> None:
    """The recording goes on for hours; what is left of the turn arrives at once."""
    path = tmp_path / "long.jsonl"
    write_cassette(path, [*ONE, *TWO], [(0, "u0"), (len(ONE), "u1")], every=500.0)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    entries = [{**line, "t": max(0.0, line["t"] - 1500.0)} if "t" in line else line for line in lines]
    path.write_bytes(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
    async with asyncio.timeout(10):
        async with ClaudeSession.replay(path, speed=1.0) as session:
            turn = session.stream("?")
            if leave == "break":
                async with turn:
                    async for _ in turn:
                        break
            else:
                watching = await watched(turn)
                if leave == "interrupt":
                    await turn.interrupt()
                    assert isinstance((await watching)[-1], ResultChunk)
                else:
                    await session.aclose()
                    await watching
            assert turn.response.content == "the first answer"
            assert turn.response.metadata.session_id is not None
            if leave != "close":
                second = session.stream("?")
                watching = await watched(second)
                for _ in range(50):
                    await asyncio.sleep(0)
                assert not watching.done(), "the haste was the first turn's"
                await second.interrupt()
                await watching
                assert second.response.content == "the second one"


async def test_a_recorded_crash_plays_as_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "crash.jsonl"
    cut = [frame for frame in ONE if frame["type"] not in ("result", "assistant")][:6]
    write_cassette(path, cut, [(0, "u0")])
    ending = {"reason": "The CLI ended", "code": 3, "stderr": ["out of memory"]}
    path.write_bytes(path.read_bytes() + json.dumps({"t": 1.0, "exit": ending}).encode() + b"\n")
    async with ClaudeSession.replay(path, speed=INF) as session:
        turn = session.stream("?")
        with pytest.raises(SessionCrashedError, match="exit code 3") as error:
            await collect(turn)
    assert error.value.exit_code == 3
    assert error.value.stderr == ("out of memory",)
    assert error.value.partial is not None
    assert error.value.partial.content == turn.response.content != ""


async def test_what_came_between_two_prompts_is_outside(tmp_path: Path) -> None:
    early = [init_frame(), {"type": "system", "subtype": "early"}][1:]
    own = [init_frame(), *text_turn("my own idea", partial=False)[1:-1]]
    own.append(result_frame("my own idea", origin={"kind": "task-notification"}))
    path = tmp_path / "own.jsonl"
    prompts = [(len(early), "u0"), (len([*early, *ONE, *own]), "u1")]
    write_cassette(path, [*early, *ONE, *own, *TWO], prompts)
    outside: list[Chunk] = []
    session = ClaudeSession.replay(path, speed=INF)
    session.chunks.subscribe(lambda chunk: outside.append(chunk) if chunk.turn is None else None)
    async with session:
        answers = [(await session.query("?")).content for _ in range(2)]
    assert answers == ["the first answer", "the second one"]
    assert [chunk.text for chunk in outside if isinstance(chunk, TextChunk)] == ["my own idea"]
    assert [chunk.subtype for chunk in outside if hasattr(chunk, "subtype")] == ["early", "init", "success"]


async def test_a_recording_that_ends_in_the_clis_own_turn_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    write_cassette(path, [*ONE, init_frame()], [(0, "u0")])
    async with asyncio.timeout(10), ClaudeSession.replay(path, speed=INF) as session:
        assert (await session.query("?")).content == "the first answer"
        for _ in range(10):  # its own turn begins
            await asyncio.sleep(0)
        with pytest.raises(SessionClosedError, match="The recording ends here"):
            await session.query("?")


# -- from a CLI to a cassette and back --------------------------------------------------------------------


async def test_a_recorded_session_replays_the_same(scripted: Any, tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    session: ClaudeSession = scripted(
        text_turn("hello 😀 there", pieces=3),
        text_turn("an image", partial=False),
        steps(*text_turn("x" * 40, pieces=4)[:-4]).stderr("boom").exit(3),
        session={"record": path, "env": {"MY_TOKEN": "hunter2-is-secret", "ANTHROPIC_API_KEY": "sk-secret"}},
    )
    image = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}}]
    live: list[list[Chunk]] = []
    async with session:
        for prompt in ("first", image):
            live.append(await collect(session.stream(prompt)))
        crashing = session.stream("third")
        with pytest.raises(SessionCrashedError) as crash:
            await collect(crashing)
    recorded = path.read_text()
    for secret in ("hunter2", "sk-secret", "MY_TOKEN", "CLAUDE_CONFIG_DIR", os.environ["CLAUDE_CONFIG_DIR"]):
        assert secret not in recorded, "the environment is never written"
    tape = read_cassette(path)
    assert [turn.prompt for turn in tape.turns] == ["first", image, "third"]
    assert (tape.sdk, tape.cli_version) == (session.options.backend, "2.1.330")

    async with ClaudeSession.replay(path, speed=INF) as again:
        for chunks in live:
            replayed = await collect(again.stream("?"))
            assert [timeless(chunk) for chunk in replayed] == [timeless(chunk) for chunk in chunks]
            for one, other in zip(replayed, chunks, strict=True):
                assert one.at == pytest.approx(other.at, abs=0.05)
        assert again.session_id == session.session_id
        replay = again.stream("?")
        with pytest.raises(SessionCrashedError) as same:
            await collect(replay)
    assert (same.value.exit_code, crash.value.exit_code) == (3, 3)
    assert replay.response.content == crashing.response.content


@pytest.mark.parametrize(
    ("on_interrupt", "why"),
    [
        (interrupted(), "The turn was interrupted."),
        (steps().silence(), "The CLI did not answer the interrupt and was ended."),
        (steps().stderr("boom").exit(7), "The CLI ended (exit code 7)."),
    ],
    ids=["obeys", "is deaf", "crashes"],
)
async def test_a_recorded_interrupt_replays_as_interrupted(
    scripted: Any, tmp_path: Path, on_interrupt: Any, why: str
) -> None:
    path = tmp_path / "recorded.jsonl"
    session: ClaudeSession = scripted(
        steps(*text_turn("word " * 5, pieces=5)[:6]).silence(),
        on_interrupt=on_interrupt,
        session={"record": path, "interrupt_timeout": 0.5},
    )
    async with session:
        turn = session.stream("?")
        async with turn:
            async for chunk in turn:
                if isinstance(chunk, TextChunk):
                    break
    assert (turn.status, turn.response.error) == ("interrupted", why)
    async with ClaudeSession.replay(path, speed=INF) as again:
        replay = again.stream("?")
        again_chunks, replayed = [timeless(chunk) for chunk in await collect(replay)], replay.response
    assert (replayed.content, replayed.error) == (turn.response.content, turn.response.error)
    assert (replay.status, replayed.error_kind) == ("interrupted", "interrupted")
    assert again_chunks == [timeless(chunk) for chunk in await collect(turn)]


async def test_a_recording_that_is_cut_off_at_an_interrupt_does_not_say_how_that_went(
    scripted: Any, tmp_path: Path
) -> None:
    path = tmp_path / "recorded.jsonl"
    half = steps(*text_turn("word " * 5, pieces=5)[:6]).silence()
    async with scripted(half, on_interrupt=interrupted(), session={"record": path}) as session:
        turn = session.stream("?")
        await anext(chunk async for chunk in turn if isinstance(chunk, TextChunk))
        await turn.wait()
    lines = path.read_bytes().splitlines(keepends=True)
    notice = next(place for place, line in enumerate(lines) if b'"rxccsdk_notice"' in line)
    path.write_bytes(b"".join(lines[: notice + 1]))
    async with ClaudeSession.replay(path, speed=INF) as again:
        replay = again.stream("?")
        with pytest.raises(SessionCrashedError, match="cut off here"):
            await collect(replay)
    assert replay.status == "failed"


def timeless(chunk: Chunk) -> Chunk:
    return dataclasses.replace(chunk, at=0.0)


def test_options_name_the_file() -> None:
    assert SessionOptions(record="tape.jsonl").record == Path("tape.jsonl")


async def test_a_file_that_blocks_or_never_ends_is_no_cassette(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(CassetteError, match="no regular file"):
            await ClaudeSession.replay(path).open()


async def test_a_cassette_of_more_than_fits_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vast.jsonl"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # sparse: it takes no room on the disk
    with pytest.raises(CassetteError, match="3072 MiB are more than 1024"):
        await ClaudeSession.replay(path).open()
