"""The scripted CLI as a plain subprocess."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rxccsdk.testing import (
    Frame,
    Plan,
    ScriptedCli,
    message,
    reply,
    result_frame,
    steps,
    text_turn,
    tool_result,
    turn,
)

LOGS = Path(__file__).parent / "logs"


class Connection:
    """A running scripted CLI and its pipes."""

    def __init__(self, cli: ScriptedCli, *arguments: str) -> None:
        self.cli = cli
        self.process = subprocess.Popen(
            [str(cli.path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"ONE": "1", "TWO": "2"},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send(self, frame: dict[str, Any]) -> None:
        """Write a frame."""
        self.stdin.write(json.dumps(frame).encode() + b"\n")
        self.stdin.flush()

    def prompt(self, uuid: str = "U") -> None:
        """Send a user frame."""
        self.send({"type": "user", "uuid": uuid, "message": {"role": "user", "content": "hi"}})

    def control(self, subtype: str) -> None:
        """Send a control request."""
        self.send({"type": "control_request", "request_id": f"r-{subtype}", "request": {"subtype": subtype}})

    def read(self) -> Frame:
        """Return the next frame."""
        frame: Frame = json.loads(self.stdout.readline())
        return frame

    def until(self, wanted: Callable[[Frame], bool]) -> list[Frame]:
        """Return the frames up to the first that matches, including it."""
        frames = [self.read()]
        while not wanted(frames[-1]):
            frames.append(self.read())
        return frames

    def kill(self) -> None:
        """Kill the process, whatever its state."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.stdin, self.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()

    def end(self) -> tuple[bytes, int]:
        """Close standard input; return the rest of the output and the exit code."""
        output, _ = self.process.communicate(timeout=10)
        return output, self.process.returncode


Start = Callable[..., Connection]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start scripted CLIs, and kill what they leave."""
    connections: list[Connection] = []

    def make(prompts: Sequence[Plan] = (), *arguments: str, **options: Any) -> Connection:
        cli = ScriptedCli(tmp_path / str(len(connections)), prompts, **{"lifetime": 30, **options})
        connections.append(Connection(cli, *arguments))
        return connections[-1]

    yield make
    for connection in connections:
        connection.kill()
        connection.cli.close()


def is_result(frame: Frame) -> bool:
    """Return whether a frame is a result."""
    return bool(frame["type"] == "result")


def is_state(state: str) -> Callable[[Frame], bool]:
    """Return a predicate for the lifecycle frame of a state."""
    return lambda frame: frame.get("state") == state


def streamed(frames: list[Frame]) -> str:
    """Return the concatenation of the text deltas."""
    events = [frame["event"] for frame in frames if frame["type"] == "stream_event"]
    return "".join(event["delta"].get("text", "") for event in events if "delta" in event)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a dead orphan may stay a zombie for long."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def shape(frame: Frame) -> tuple[str, ...]:
    """Return the kind of a frame, without its content."""
    event = frame.get("event", {})
    return frame["type"], frame.get("subtype", ""), event.get("type", "")


def test_a_turn_has_the_ids_of_its_prompt_and_session(start: Start) -> None:
    connection = start([text_turn("hello wörld 😀", pieces=4)], "--session-id", "S")
    connection.control("initialize")
    assert connection.read()["response"]["request_id"] == "r-initialize"
    connection.prompt("U-1")
    frames = connection.until(is_state("completed"))
    assert [frame["command_uuid"] for frame in frames if "command_uuid" in frame] == ["U-1"] * 3
    assert streamed(frames) == "hello wörld 😀"
    assert {frame["session_id"] for frame in frames} == {"S"}
    ids = [frame["uuid"] for frame in frames]
    assert len(set(ids)) == len(ids)
    (result,) = filter(is_result, frames)
    assert (result["result"], result["user_message_uuids"]) == ("hello wörld 😀", ["U-1"])
    assert connection.end() == (b"", 0)
    assert [frame["type"] for frame in connection.cli.received] == ["control_request", "user"]
    assert connection.cli.argv == ["--session-id", "S"]
    assert {"ONE", "TWO"} <= set(connection.cli.environ_names)


def test_the_builders_make_the_frames_of_the_real_cli(start: Start) -> None:
    log = LOGS / "cut-and-resent.jsonl"
    real = [json.loads(line) for line in log.read_text().splitlines()]
    second = [frame for frame in real if frame.get("api_message_id") == "msg_1"]
    event_types = [frame["event"]["type"] for frame in second]
    ours = message(reply("first block complete ").text("one two three "))
    assert [f["event"]["type"] for f in ours if f["type"] == "stream_event"] == event_types
    connection = start([text_turn("first ")])
    connection.prompt()
    made = {shape(frame): frame for frame in connection.until(is_state("completed"))}
    for frame in reversed(real):
        if shape(frame) in made and not is_result(frame):
            known = {key for other in real if shape(other) == shape(frame) for key in other}
            assert set(made[shape(frame)]) <= known, shape(frame)
    (real_result,) = filter(is_result, real)
    (our_result,) = filter(is_result, made.values())
    assert set(our_result) <= set(real_result) | {"user_message_uuid"}
    assert next(iter(our_result)) == next(iter(real_result))


def test_old_clis_name_no_prompt(start: Start) -> None:
    connection = start([text_turn("hello")], lifecycle=False)
    connection.prompt()
    frames = connection.until(is_result)
    assert not any("command_uuid" in frame or "user_message_uuids" in frame for frame in frames)


def test_an_interrupt_ends_the_running_prompt(start: Start) -> None:
    connection = start([steps(*message(reply("some words"))).silence(), text_turn("next")])
    connection.prompt("U-1")
    connection.until(lambda frame: frame.get("event", {}).get("type") == "message_stop")
    connection.control("interrupt")
    answer, *frames = connection.until(is_state("cancelled"))
    assert answer["response"]["subtype"] == "success"
    (result,) = filter(is_result, frames)
    assert (result["subtype"], result["is_error"]) == ("error_during_execution", True)
    assert (result["terminal_reason"], result["user_message_uuids"]) == ("aborted_streaming", ["U-1"])
    connection.prompt("U-2")
    assert connection.until(is_result)[-1]["result"] == "next"


def test_an_interrupt_of_an_idle_cli_gives_no_result(start: Start) -> None:
    connection = start([text_turn("one"), text_turn("two")])
    connection.control("interrupt")
    assert connection.read()["type"] == "control_response"
    connection.prompt()
    connection.until(is_result)
    connection.control("interrupt")
    types = [frame["type"] for frame in connection.until(lambda frame: frame["type"] == "control_response")]
    assert types == ["command_lifecycle", "control_response"]
    assert connection.end() == (b"", 0)


def test_an_interrupt_can_go_unanswered_and_signals_unheeded(start: Start) -> None:
    plan = steps(*message(reply("x"))).silence()
    connection = start(
        [plan], answer_interrupt=False, ignore_signals=("SIGINT", "SIGTERM"), exit_on_eof=False
    )
    connection.prompt()
    connection.until(lambda frame: frame.get("event", {}).get("type") == "message_stop")
    connection.control("interrupt")
    connection.process.send_signal(signal.SIGINT)
    connection.process.send_signal(signal.SIGTERM)
    connection.control("set_model")
    assert connection.read()["response"]["request_id"] == "r-set_model"
    assert sorted(connection.cli.signals) == ["SIGINT", "SIGTERM"]
    connection.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        connection.process.wait(0.3)


def test_initialize_can_go_unanswered(start: Start) -> None:
    connection = start(answer_initialize=False)
    connection.control("initialize")
    connection.control("set_model")
    assert connection.read()["response"]["request_id"] == "r-set_model"


def test_bytes_go_out_as_they_are(start: Start, tmp_path: Path) -> None:
    odd = b'{"type":"assist\xff\xfe\r\n$uuid \n\n'
    log = tmp_path / "log"
    log.write_bytes(b"from $uuid a file\n")
    connection = start([steps().raw(odd).repeat(b"ab", 3).file(log).exit(7)], lifecycle=False)
    connection.prompt()
    assert connection.end() == (odd + b"ababab" + log.read_bytes(), 7)


def test_a_half_line_is_ended_before_a_control_response(start: Start) -> None:
    connection = start([steps().raw(b'{"half').silence()], lifecycle=False)
    connection.prompt()
    assert connection.stdout.read(6) == b'{"half'
    connection.control("set_model")
    assert connection.stdout.readline() == b"\n"
    assert connection.read()["type"] == "control_response"


def test_repeated_frames_get_ids_of_their_own(start: Start) -> None:
    frame = {"type": "x", "uuid": "$new", "text": "é" * 100}
    connection = start([steps().repeat(frame, 20_000).frame(result_frame("done"))])
    connection.prompt()
    frames = [frame for frame in connection.until(is_result) if frame["type"] == "x"]
    assert len({frame["uuid"] for frame in frames}) == 20_000


def test_the_ends_of_a_process(start: Start) -> None:
    refused = start(on_start=steps().stderr("no such session").exit(1))
    assert refused.end() == (b"", 1)
    assert refused.process.stderr is not None
    killed = start([steps().kill_self()], lifecycle=False)
    killed.prompt()
    assert killed.end() == (b"", -signal.SIGKILL)
    mute = start(
        [steps().frame({"type": "x"}).close_stdout().frame({"type": "y"}).silence()], lifecycle=False
    )
    mute.prompt()
    assert mute.stdout.read() == b'{"type":"x"}\n'
    assert mute.process.poll() is None


def test_stderr_is_written(start: Start) -> None:
    connection = start(on_start=steps().stderr("boom\n").exit(3))
    output, errors = connection.process.communicate(timeout=10)
    assert (output, errors, connection.process.returncode) == (b"", b"boom\n", 3)


def test_a_forgotten_one_ends_by_itself(start: Start) -> None:
    connection = start(ignore_signals=("SIGINT", "SIGTERM"), exit_on_eof=False, lifetime=0.2)
    assert connection.process.wait(timeout=10) == -signal.SIGALRM


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_child_outlives_a_kill_but_not_a_signal(start: Start) -> None:
    plan = steps().spawn_child().frame({"type": "spawned"}).silence()
    for number, left in ((signal.SIGKILL, True), (signal.SIGTERM, False)):
        connection = start([plan], lifecycle=False)
        connection.prompt()
        assert connection.read()["type"] == "spawned"
        (pid,) = connection.cli.children
        assert os.getsid(pid) == pid
        connection.process.send_signal(number)
        connection.process.wait(timeout=10)
        if left:
            assert is_alive(pid)
            connection.cli.close()
        ends = time.monotonic() + 10
        while is_alive(pid):
            assert time.monotonic() < ends


def test_a_question_waits_for_its_answer(start: Start) -> None:
    question = {"type": "control_request", "request_id": "q1", "request": {"subtype": "can_use_tool"}}
    connection = start([steps(question).until_answer().frame({"type": "after"})], lifecycle=False)
    connection.prompt()
    assert connection.read() == question
    connection.send({"type": "control_response", "response": {"request_id": "q1"}})
    assert connection.read()["type"] == "after"
    assert connection.cli.wait_for(lambda frame: frame["type"] == "control_response")


def test_prompts_wait_for_their_turn_and_are_finished_after_the_end_of_input(start: Start) -> None:
    connection = start([text_turn("one"), steps().pause(0.05).frame(*text_turn("two", partial=False))])
    for uuid in ("U-1", "U-2", "U-3"):
        connection.prompt(uuid)
    output, code = connection.end()
    results = [frame for line in output.splitlines() if is_result(frame := json.loads(line))]
    assert [(frame["result"], frame["user_message_uuids"]) for frame in results] == [
        ("one", ["U-1"]),
        ("two", ["U-2"]),
        ("ok", ["U-3"]),
    ]
    assert code == 0


def test_a_turn_can_have_several_messages() -> None:
    call = reply().tool("Bash", {"command": "ls"}, id="t1")
    frames = turn(call, reply("done"))
    assert frames[-1]["result"] == "done"
    assert [f["message"]["id"] for f in frames if f["type"] == "assistant"] == ["msg_0_$uuid", "msg_1_$uuid"]
    assert tool_result("t1", "file", is_error=True)["message"]["content"][0]["is_error"]
    blank = message(reply("  \n"))
    assert not any(frame["type"] == "assistant" for frame in blank)


def test_the_version_is_answered_and_not_noted(start: Start, tmp_path: Path) -> None:
    cli = ScriptedCli(tmp_path / "cli", version="9.9.9")
    done = subprocess.run([cli.path, "-v"], capture_output=True, text=True, check=True)
    assert done.stdout == "9.9.9 (Claude Code)\n"
    assert cli.starts == []
    with pytest.raises(LookupError):
        _ = cli.argv
    with pytest.raises(TimeoutError):
        cli.wait_for(lambda frame: True, timeout=0.01)


def test_only_two_signals_can_be_ignored(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="SIGKILL"):
        ScriptedCli(tmp_path, ignore_signals=("SIGKILL",))


_OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(arguments) if event == "open" else None)
from rxccsdk.testing import ScriptedCli
path = str(ScriptedCli(sys.argv[1]).path)
print([arguments for arguments in opened if str(arguments[0]) == path])
"""


def test_its_program_is_never_open_for_writing_here(tmp_path: Path) -> None:
    """What another thread forks meanwhile would have it open, too: starting it fails ("text file busy")."""
    shown = subprocess.run(
        [sys.executable, "-c", _OPENED, str(tmp_path)], capture_output=True, check=True, text=True
    ).stdout
    assert shown == "[]\n"
