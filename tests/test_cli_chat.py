"""`rxccsdk chat` at a terminal, with the real CLI on a loopback API: prompts, keys, commands, ends."""

from __future__ import annotations

import base64
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rxccsdk.testing import http_error, reply
from tests.cli_processes import COMMAND, CTRL_C, ESCAPE, here, run
from tests.desk import Desk, desks

CTRL_D = b"\x04"
ALT_ENTER = b"\x1b\r"
UP = b"\x1b[A"
WAIT = {"command": "for i in $(seq 1 20); do sleep 0.1; done", "description": "wait"}


class Seat(Desk):
    """A desk whose terminal says where its cursor is when it is asked, as terminals do."""

    def __init__(self, folder: Path, *command: str, size: tuple[int, int] = (80, 24)) -> None:
        super().__init__(folder, *command, size=size)
        self.screen.write_process_input = self.press  # type: ignore[method-assign, assignment]

    def ready(self, times: int = 1) -> None:
        """Wait until it asks for the nth prompt."""
        begins = "\x1b[6n\x1b[?2004h"  # where is the cursor? and mark what is pasted
        self.wait(lambda: self.written.count(begins) >= times, f"prompt {times}")
        self.wait(lambda: not self.echoes, "raw")

    def told(self) -> str:
        """What the model was told last."""
        return str(self.api.requests[-1].messages)


@pytest.fixture(params=["claude-code-sdk", "claude-agent-sdk"])
def sit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Sit down at a terminal where `rxccsdk chat` runs, against a scripted API."""
    with desks(tmp_path, "chat", "--backend", request.param, make=Seat) as start:
        yield start


def test_prompts_one_after_the_other(sit: Any) -> None:
    seat = sit([reply("First **answer**."), reply("Second answer.")])
    seat.ready()
    seat.press("one")
    seat.press(ALT_ENTER)
    seat.press("and a line\r")
    seat.see("First answer.")
    seat.ready(2)
    assert "one\\nand a line" in seat.told()
    seat.press("two\r")
    seat.see("Second answer.")
    seat.ready(3)
    assert "First **answer**." in seat.told()
    seat.press(CTRL_D)
    assert seat.end() == 0
    assert re.search(r"to go on: rxccsdk chat --resume [0-9a-f-]{36}", seat.screen.text())
    assert seat.modes_now() == seat.modes
    (history,) = (seat.folder / "home").rglob("chat-history")
    assert "and a line" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("key", [ESCAPE, CTRL_C], ids=["Esc", "Ctrl+C"])
def test_a_key_interrupts_the_turn_and_not_the_chat(sit: Any, key: bytes | str) -> None:
    seat = sit([reply("A word, ").tool("Bash", WAIT), reply("Go on.")], "--allowed-tools", "Bash")
    seat.ready()
    seat.press("one\r")
    seat.see("Esc interrupts it")
    seat.see("A word,")
    seat.press(key)
    seat.see("stopping the agent")
    seat.ready(2)
    assert "Ctrl+C again" not in seat.screen.text()
    seat.press("two\r")
    seat.see("Go on.")
    seat.ready(3)
    seat.press(CTRL_D)
    assert seat.end() == 0
    assert seat.modes_now() == seat.modes


def test_arrows_and_unknown_sequences_do_not_interrupt(sit: Any) -> None:
    seat = sit([reply("A word, ").tool("Bash", WAIT), reply("The end.")], "--allowed-tools", "Bash")
    seat.ready()
    seat.press("one\r")
    seat.see("A word,")
    for piece in (UP, b"\x1b[", b"D", b"\x1bO", b"A", b"\x1b[1;5C"):
        seat.press(piece)
    seat.press("x")
    seat.see("› x")
    seat.see("The end.")
    assert "stopping" not in seat.screen.text()


def test_what_is_typed_steers_the_agent(sit: Any) -> None:
    seat = sit([reply("I wait. ").tool("Bash", WAIT), reply("I see.")], "--allowed-tools", "Bash")
    seat.ready()
    seat.press("one\r")
    seat.see("I wait.")
    seat.press("use uv, please\r")
    seat.press("half a thou")
    seat.see("I see.")
    assert "use uv, please" in seat.told()
    seat.ready(2)
    seat.see("› half a thou")
    seat.press("ght\r")
    seat.wait(lambda: "half a thought" in seat.told(), "what was begun is sent whole")


def test_a_paste_while_the_agent_works_is_one_message(sit: Any) -> None:
    wait = {"command": "while [ ! -e told ]; do sleep 0.1; done", "description": "wait"}
    seat = sit([reply("I wait. ").tool("Bash", wait), reply("I see.")], "--allowed-tools", "Bash")
    seat.ready()
    seat.press("one\r")
    seat.see("type, and Enter")
    seat.press("look: \x1b[200~first\rsec")
    seat.press("ond\x1b[Aline\x1b[201")
    seat.press("~ please")
    seat.see("look: first↵ second[Aline please")
    seat.press("\r")
    seat.see("second[Aline please\n")
    (seat.folder / "project" / "told").touch()
    seat.see("I see.")
    assert "look: first\\nsecond[Aline please" in seat.told()
    seat.ready(2)
    assert seat.written.count("\x1b[?2004l") == 2, "the prompt's and ours"


def test_commands_while_the_agent_works(sit: Any) -> None:
    def script(request: Any) -> Any:
        if "one" in str(request.messages[-1]):
            return reply("I wait. ").tool("Bash", WAIT)
        return reply("I see.")

    seat = sit(script, "--allowed-tools", "Bash", size=(100, 50))
    seat.ready()
    seat.press("one\r")
    seat.see("I wait.")
    seat.press("/rewind 1\r")
    seat.see("stop it first, with Esc")
    seat.press("/context\r")
    seat.see("Free space")
    seat.press("/compact\r")  # the CLI's own: nothing to steer with
    seat.see("it is sent when this answer is done")
    seat.see("I see.")
    seat.wait(lambda: seat.screen.text().count("› /compact") == 2, "it is a prompt of its own")
    seat.ready(2)
    seat.press("/rewind\r")
    seat.see("2  /compact")
    assert "/context" not in str([request.messages for request in seat.api.requests])


def test_what_comes_too_late_is_a_prompt_of_its_own(sit: Any) -> None:
    seat = sit([reply().text("A long last word. ", pieces=4, delay=0.5), reply("And this is next.")])
    seat.ready()
    seat.press("one\r")
    seat.see("A long")
    seat.press("and then\r")
    seat.see("And this is next.")
    seat.ready(2)
    seat.press("/rewind\r")
    seat.see("2  and then")


def test_copy_save_model_context_help(sit: Any) -> None:
    def script(request: Any) -> Any:  # the CLI tries a model before it takes it
        return reply("An **answer**." if request.prompt == "one" else "Another one.")

    seat = sit(script, size=(200, 50))
    seat.ready()
    for number, command in enumerate(("/copy", "/save", "/rewind"), 2):
        seat.press(f"{command}\r")
        seat.ready(number)
    assert seat.screen.text().count("! there is no") == 3
    seat.press("one\r")
    seat.ready(5)
    seat.press("/copy\r")
    seat.see("14 characters")
    encoded = base64.b64encode(b"An **answer**.").decode()
    assert f"\x1b]52;c;{encoded}\a" in seat.written
    file = seat.folder / "kept.md"
    seat.press(f"/save {file}\r")
    seat.see("saved as")
    assert file.read_text() == "## Prompt\n\none\n\n## Answer\n\nAn **answer**.\n"
    (seat.folder / "other.md").write_text("mine")
    seat.press(f"/save {seat.folder / 'other.md'}\r")
    seat.see("is there already")
    assert (seat.folder / "other.md").read_text() == "mine"
    seat.press("/context\r")
    seat.see("Free space")
    seat.press("/model\r")
    seat.see("sonnet")
    seat.press("/model claude-haiku-4-5\r")
    seat.see("claude-haiku-4-5 answers from now on")
    seat.press("two\r")
    seat.see("Another one.")
    assert seat.api.requests[-1].model.startswith("claude-haiku-4-5")
    seat.press("/help\r")
    seat.see("begins a line")
    seat.press("/sa\t")
    seat.see("› /save")


def test_back_to_before_a_prompt_with_the_files(sit: Any) -> None:
    made = "made.txt"

    def script(request: Any) -> Any:
        if "make it" in request.prompt and not request.tool_results:
            path = str(seat.folder / "project" / made)
            return reply("I write. ").tool("Write", {"file_path": path, "content": "x"})
        return reply("Done.")

    seat = sit(script, "--permission-mode", "acceptEdits")
    seat.ready()
    for number, prompt in enumerate(("first", "make it", "third"), 2):
        seat.press(f"{prompt}\r")
        seat.ready(number)
    assert (seat.folder / "project" / made).exists()
    seat.press("/rewind 9\r")
    seat.see("the prompts 1 to 3")
    seat.ready(5)
    seat.press("/rewind 2\r")
    seat.see("1 file put back")
    assert not (seat.folder / "project" / made).exists()
    seat.ready(6)
    seat.press(b"\x15not-this\r")  # Ctrl+U
    seat.ready(7)
    assert "first" in seat.told()
    assert "not-this" in seat.told()
    assert "make it" not in seat.told()
    seat.press("/rewind 2\r")  # from a branch
    seat.ready(8)
    seat.press(b"\x15/rewind 1\r")  # a prompt of the session before
    seat.ready(9)
    seat.see("› first")
    seat.press(" again\r")
    seat.ready(10)
    assert "first again" in seat.told()
    assert "not-this" not in seat.told()
    seat.press(CTRL_D)
    assert seat.end() == 0


def test_an_earlier_chat_goes_on(sit: Any) -> None:
    seat = sit([reply("First answer.")])
    seat.ready()
    seat.press("one\r")
    seat.see("First answer.")
    seat.ready(2)
    seat.press(CTRL_D)
    assert seat.end() == 0
    (earlier,) = re.findall(r"--resume ([0-9a-f-]{36})", seat.screen.text())
    for flags in (["--continue"], ["--resume", earlier]):
        seat = sit([reply("Second answer.")], *flags)
        seat.ready()
        seat.press("two\r")
        seat.see("Second answer.")
        assert "First answer." in seat.told()
        seat.ready(2)
        seat.press("/rewind 1\r")
        seat.see("begin a new chat instead")
        seat.ready(3)
        seat.press(CTRL_D)
        assert seat.end() == 0
    done = here("chat", "--continue", "--resume", "x")
    assert done.returncode == 2


def test_nothing_that_is_typed_or_said_steers_the_terminal(sit: Any) -> None:
    def script(request: Any) -> Any:
        return reply("An \x1b]0;evil\x07answer.")

    seat = sit(script, size=(100, 50))
    seat.ready()
    seat.press("evil \x16\x07 \u202ebell\r")  # Ctrl+V takes the next key as it is
    seat.see("answer.")
    seat.ready(2)
    seat.press("/rewind\r")
    seat.see("1  evil")
    assert "\x1b]0;" not in seat.written
    listed = seat.written[seat.written.index("  1  evil") :]
    assert "\x07" not in listed
    assert "\u202e" not in listed.partition("goes back")[0]


def test_a_permission_is_asked_and_given(sit: Any) -> None:
    seat = sit([reply("I try. ").tool("Bash", {"command": "touch made"}), reply("That is it.")])
    seat.ready()
    seat.press("one\r")
    seat.see("Allow it?")
    seat.press("y\n")
    seat.see("That is it.")
    assert (seat.folder / "project" / "made").exists()
    seat.ready(2)
    seat.press(CTRL_D)
    assert seat.end() == 0
    assert seat.modes_now() == seat.modes


def test_an_interrupt_takes_a_question_back(sit: Any) -> None:
    seat = sit([reply("I try. ").tool("Bash", {"command": "touch made"}), reply("Go on.")])
    seat.ready()
    seat.press("one\r")
    seat.see("Allow it?")
    seat.press(CTRL_C)
    seat.ready(2)
    seat.press("two\r")
    seat.see("Go on.")
    assert not (seat.folder / "project" / "made").exists()


def test_a_question_from_the_background_is_put_above_the_prompt(sit: Any) -> None:
    asks = threading.Event()

    def script(request: Any) -> Any:
        if request.is_subagent:
            touch = reply("").until(asks).tool("Bash", {"command": "touch made", "description": "make it"})
            return reply("sub done") if request.tool_results else touch
        if request.is_injected:
            return reply("It is made now.")
        return reply("Sent.") if request.tool_results else reply("I send. ").agent("do it", background=True)

    seat = sit(script, size=(100, 50))
    seat.ready()
    seat.press("one\r")
    seat.see("Sent.")
    seat.ready(2)
    seat.press("half a thou")
    seat.see("› half a thou")
    asks.set()
    seat.see("Allow it?")
    seat.press(CTRL_C)  # no end of the chat
    seat.press("y\n")
    seat.see("It is made now.")
    assert (seat.folder / "project" / "made").exists()
    seat.wait(lambda: seat.screen.text().splitlines()[-1].startswith("› half a thou"), "the prompt is back")
    seat.press(b"\x15")
    seat.press(CTRL_D)
    assert seat.end() == 0
    assert seat.modes_now() == seat.modes


def test_the_agent_dies(sit: Any) -> None:
    seat = sit([reply("A word, ").tool("Bash", WAIT), reply("The end.")], "--allowed-tools", "Bash")
    seat.ready()
    seat.press("one\r")
    seat.see("A word,")
    for child in psutil.Process(seat.process.pid).children(recursive=True):
        if "claude" in child.name():
            child.kill()
    assert seat.end() == 1
    assert "to go on: rxccsdk chat --resume" in seat.screen.text()
    assert "Traceback" not in seat.screen.text()
    assert seat.modes_now() == seat.modes


def test_no_login_is_said_at_once(sit: Any) -> None:
    seat = sit([http_error(401)] * 20)
    seat.ready()
    seat.press("one\r")
    assert seat.end() == 3
    assert "refused the key" in seat.screen.text()
    assert "Traceback" not in seat.screen.text()


def test_a_signal_between_two_turns_does_not_end_it(sit: Any) -> None:
    seat = sit([reply("An answer.")])
    seat.ready()
    seat.process.send_signal(signal.SIGINT)
    seat.press("one\r")
    seat.see("An answer.")


def test_ctrl_c_at_the_prompt_throws_the_line_away(sit: Any) -> None:
    seat = sit([reply("An answer.")])
    seat.ready()
    seat.press("wrong")
    seat.see("› wrong")
    seat.press(CTRL_C)
    seat.see("Ctrl+D ends the chat")
    seat.ready(2)
    seat.press("right\r")
    seat.see("An answer.")
    assert "wrong" not in seat.told()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_signal_ends_it_and_gives_the_terminal_back(sit: Any, number: int, busy: bool) -> None:
    seat = sit([reply("A word, ").tool("Bash", WAIT), reply("The end.")], "--allowed-tools", "Bash")
    seat.ready()
    if busy:
        seat.press("one\r")
        seat.see("A word,")
    seat.process.send_signal(number)
    assert seat.end() == 128 + number
    assert seat.modes_now() == seat.modes
    assert "Traceback" not in seat.screen.text()


def test_an_extra_that_is_missing_is_named(tmp_path: Path) -> None:
    without = "import sys; sys.modules['prompt_toolkit'] = None; from rxccsdk.__main__ import main; main()"
    seat = Seat(tmp_path, sys.executable, "-c", without, "chat")
    try:
        assert seat.end() == 3
        assert "pip install 'rxccsdk[chat]'" in seat.screen.text()
    finally:
        seat.close()


def test_a_chat_needs_a_terminal() -> None:
    done = run(*COMMAND, "chat")
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
