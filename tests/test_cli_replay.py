"""`rxccsdk replay`, as a process of its own: in pipes and in a pseudo-terminal."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rxccsdk import ClaudeSession, SessionOptions, cassettes
from rxccsdk.cli import app
from rxccsdk.cli.codes import CommandError
from rxccsdk.testing import ScriptedCli, result_frame, text_turn
from rxccsdk.transport.player import CassettePlayer
from tests.cli_processes import COMMAND, CTRL_C, ESCAPE, environment, heed_ctrl_c, here, run, terminal
from tests.desk import Desk

REPLAY = [*COMMAND, "replay"]
ANSWER, AGENT = str(cassettes.ANSWER), str(cassettes.AGENT)
FAST = ["--speed", "1000"]


@pytest.fixture
def three_turns(tmp_path: Path) -> Path:
    """A recording of three turns, the second of which ends badly."""
    failed = [
        *text_turn("Two")[:-1],
        result_frame(subtype="error_max_turns", is_error=True, errors=["Too many."]),
    ]
    tape = tmp_path / "three.jsonl"
    with ScriptedCli(tmp_path / "cli", [text_turn("One."), failed, text_turn("Three.")]) as cli:
        options = SessionOptions(backend="claude-code-sdk", cli_path=cli.path, record=tape)

        async def record() -> None:
            async with ClaudeSession(options) as session:
                for prompt in ("first", "second", "third"):
                    await session.query(prompt)

        asyncio.run(record())
    return tape


def test_in_a_pipe_the_answer_is_alone() -> None:
    done = run(*REPLAY, AGENT, *FAST)
    assert done.returncode == 0
    assert done.stdout.startswith("I'll run the tests first.\n\nTen articles get")
    assert "```diff" in done.stdout
    assert "Bash" not in done.stdout
    assert re.search(r"^▸ Agent Find uses of the limit\n\| ✓ Bash grep", done.stderr, re.MULTILINE)
    assert re.search(r"7 tool calls · [\d,]+ tokens in, \d+ out · \$0\.\d+ · claude-sonnet", done.stderr)
    assert ESCAPE not in done.stdout + done.stderr
    assert run(*REPLAY, AGENT, *FAST, FORCE_COLOR="1").stdout == done.stdout


def test_in_a_terminal_it_is_live() -> None:
    with terminal(*REPLAY, AGENT, "--speed", "20", size=(60, 15)) as shown:
        assert shown.end() == 0
        assert "> A test fails. Find out why, and mend it." in shown.words
        assert re.search(r"tokens, \d+/s · ", shown.words)
        assert "│ ✓ Bash grep -rn DISCOUNT_FROM shop" in shown.words
        assert "7 tool calls · " in shown.words
        assert "to go on" not in shown.words


@pytest.mark.parametrize(
    ("flags", "extra"), [(["--plain"], {}), ([], {"TERM": "dumb"}), (["--quiet"], {})], ids=str
)
def test_without_styling_in_a_terminal(flags: list[str], extra: dict[str, str]) -> None:
    with terminal(*REPLAY, ANSWER, *FAST, *flags, **extra) as shown:
        assert shown.end() == 0
        assert ESCAPE not in shown.output
        assert "A stream that chooses nothing" in shown.words
        assert ("tokens in" in shown.words) == (flags != ["--quiet"])


def test_no_color_is_honoured() -> None:
    with terminal(*REPLAY, AGENT, *FAST, NO_COLOR="1") as shown:
        assert shown.end() == 0
        assert not re.search(r"\x1b\[([0-9;]*;)?(3[0-8]|4[0-8]|9\d|10\d)(;[0-9;]*)?m", shown.output)


def test_json_in_a_terminal_and_in_a_pipe() -> None:
    piped = run(*REPLAY, AGENT, *FAST, "--json")
    kinds = [json.loads(line)["kind"] for line in piped.stdout.splitlines()]
    assert {"TextChunk", "ToolUseChunk", "TaskChunk", "ResultChunk"} <= set(kinds)
    assert (piped.returncode, piped.stderr) == (0, "")
    with terminal(*REPLAY, ANSWER, *FAST, "--json") as shown:
        assert shown.end() == 0
        assert ESCAPE not in shown.output
        assert '"kind":"ResultChunk"' in shown.output


def test_all_turns_or_one(three_turns: Path) -> None:
    every = run(*REPLAY, str(three_turns), *FAST)
    assert (every.returncode, every.stdout) == (1, "One.\n\nTwo\n\nThree.\n")
    assert every.stderr.count("✗ Too many.") == 1
    for number, answer, code in ((1, "One.\n", 0), (2, "Two\n", 1), (3, "Three.\n", 0)):
        one = here("replay", str(three_turns), *FAST, "--turn", str(number), "--quiet")
        assert (one.returncode, one.stdout) == (code, answer)
        assert one.stderr == ("rxccsdk: Too many.\n" if code else "")
    none = here("replay", str(three_turns), "--turn", "4")
    assert (none.returncode, none.stdout) == (2, "")
    assert "has 3 turns, there is no turn 4" in none.stderr
    with terminal(*REPLAY, str(three_turns), *FAST) as shown:
        assert shown.end() == 1
        assert all(f"> {prompt}\n" in shown.words for prompt in ("first", "second", "third"))


DAMAGES: list[tuple[Callable[[list[str]], list[str]], str]] = [
    (lambda lines: [*lines[:4], lines[4][:40], *lines[5:]], "line 5: this is no recorded frame"),
    (lambda lines: ["hello"], "line 1: this is no cassette"),
    (lambda lines: lines[:1], "has no turn: nothing was asked in it"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=["broken", "other", "empty"])
def test_a_damaged_recording_exits_with_2(damage: Any, words: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    tape.write_text("\n".join(damage(cassettes.ANSWER.read_text().splitlines())) + "\n")
    done = here("replay", str(tape))
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_recording_of_a_crash_plays_as_far_as_it_goes(tmp_path: Path) -> None:
    tape, whole = tmp_path / "tape.jsonl", cassettes.ANSWER.read_text()
    tape.write_text(whole[: len(whole) // 2])
    done = here("replay", str(tape), *FAST)
    assert done.returncode == 1
    assert done.stdout.startswith("Backpressure is")
    assert "cut off here" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c() -> None:
    with terminal(*REPLAY, ANSWER) as shown:
        shown.read_until("Backpressure")
        shown.press(CTRL_C)
        assert shown.end() == 130
        assert "Traceback" not in shown.output
        assert shown.output.rfind("\x1b[?25h") > shown.output.rfind("\x1b[?25l")


def test_a_closed_pipe_ends_quietly() -> None:
    with subprocess.Popen(
        [*REPLAY, ANSWER, "--speed", "3"], env=environment(), encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_ctrl_c,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert "Broken" not in process.stderr.read()


def test_sigterm_ends_it_cleanly() -> None:
    with terminal(*REPLAY, ANSWER) as shown:
        shown.read_until("Backpressure")
        shown.process.send_signal(signal.SIGTERM)
        assert shown.end() == 143
        assert "Traceback" not in shown.output


# -- keys ---------------------------------------------------------------------------------------------------


@pytest.fixture
def slow_turns(tmp_path: Path) -> Path:
    """A recording of three turns, each with a pause of half a minute in it."""
    lines = [json.dumps({"rxccsdk_cassette": 1, "sdk": "claude-agent-sdk"})]
    at = 0.0
    for number, word in enumerate(("one", "two", "three")):
        prompt = {"type": "user", "uuid": str(number), "message": {"role": "user", "content": f"say {word}"}}
        lines.append(json.dumps({"t": at, "out": prompt}))
        first, *rest = text_turn(f"{word} begins, {word} ends.", pieces=[f"{word} begins, ", f"{word} ends."])
        frames = [first, *rest]
        half = next(i for i, frame in enumerate(frames) if f"{word} ends" in json.dumps(frame))
        for frame in frames[:half]:
            lines.append(json.dumps({"t": at + 0.1, "in": frame}))
        at += 30.0
        for frame in frames[half:]:
            lines.append(json.dumps({"t": at, "in": frame}))
        at += 0.5
    tape = tmp_path / "slow.jsonl"
    tape.write_text("\n".join(lines) + "\n")
    return tape


@pytest.fixture
def watch(tmp_path: Path) -> Any:
    desks: list[Desk] = []

    def start(tape: Path, *arguments: str) -> Desk:
        desks.append(Desk(tmp_path, *REPLAY, str(tape), *arguments, size=(90, 40)))
        return desks[-1]

    yield start
    for desk in desks:
        desk.close()


def test_left_and_right_go_from_turn_to_turn(watch: Any, slow_turns: Path) -> None:
    desk = watch(slow_turns)
    desk.see("one begins,")
    desk.see("space pauses")
    desk.press("\x1b[C")
    desk.see("one begins, one ends.")
    desk.see("two begins,")
    desk.press("\x1b[D")
    desk.wait(lambda: desk.screen.text().count("> say one") == 2, "the first one again")
    desk.press("q")
    assert desk.end() == 0
    assert "three" not in desk.screen.text()
    assert desk.modes_now() == desk.modes


def test_up_and_down_change_the_speed(watch: Any, slow_turns: Path) -> None:
    desk = watch(slow_turns)
    desk.see("one begins,")
    desk.press("-")
    desk.see("0.5x")
    desk.press("\x1b[A" * 9)
    desk.see("64x")
    assert desk.end() == 0
    assert "three ends." in desk.screen.text()


def test_space_pauses_and_goes_on(watch: Any, slow_turns: Path) -> None:
    desk = watch(slow_turns, "--max-idle", "1.5")
    desk.see("one begins,")
    desk.press(" ")
    desk.see("paused")
    desk.press(" ")
    desk.see("▶ 1x")
    assert desk.end() == 0
    assert "three ends." in desk.screen.text()


async def test_no_pause_is_longer_than_wanted(slow_turns: Path) -> None:
    player = CassettePlayer(slow_turns, 1.0, max_idle=0.2)
    session = ClaudeSession()
    session._make_transport = lambda: player
    loop = asyncio.get_running_loop()
    async with session:
        began = loop.time()
        player.speed = 2.0
        response = await session.query("go", stream=False)
        assert response.content == "one begins, one ends."
        assert loop.time() - began < 15
        playing = asyncio.ensure_future(session.query("go", stream=False))
        await asyncio.sleep(0.01)
        player.pause()
        place = player._recorded_at
        player.pause()
        await asyncio.sleep(0.5)
        assert not playing.done()
        player.resume()
        assert player._recorded_at == pytest.approx(place, abs=0.1), "a pause is no time of the recording's"
        assert (await playing).content == "two begins, two ends."


def test_how_much_of_tools_and_thoughts_is_shown(watch: Any) -> None:
    desk = watch(cassettes.AGENT, "--speed", "64", "--tools", "full", "--thinking", "off")
    assert desk.end() == 0
    assert "+    if len(prices) >= DISCOUNT_FROM:" in desk.screen.text()
    assert "∴" not in desk.screen.text()
    desk = watch(cassettes.AGENT, "--speed", "64")
    assert desk.end() == 0
    assert "amount *= 0.95" not in desk.screen.text()
    assert "∴" in desk.screen.text()


def test_what_ask_is_told_about_its_display_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def take(**shown: Any) -> None:
        given.update(shown)
        raise CommandError("seen", 2)

    async def ask(prompt: str, options: Any, make_view: Any, stall: Any, ending: Any, **rest: Any) -> int:
        make_view(ending)
        return 0

    monkeypatch.setattr("rxccsdk.cli.views.make_view", take)
    monkeypatch.setattr("rxccsdk.cli.asking.ask", ask)
    arguments = ["--tools", "full", "--thinking", "off", "--notify", "osc9", "--max-budget-usd", "2", "go"]
    assert CliRunner().invoke(app, ["ask", *arguments]).exit_code == 2
    wanted = {"tools": "full", "thinking": "off", "notify": "osc9", "budget": 2.0, "markdown": "rendered"}
    assert wanted.items() <= given.items()
