"""The program of `ScriptedCli`: play a plan, speak the CLI's control protocol, record all input.

It is copied into a directory of its own and run with `python -IS`, so it uses only the standard library, and
little of it: it must start fast. One thread reads standard input; only the main thread writes, so lines
never interleave.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

_BATCH = 65536  # bytes written between two checks for input


class _Interrupted(Exception):
    """An interrupt ended the current prompt."""


class Program:
    """Play the plan in `folder`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(os.path.join(folder, "plan.json"), "rb") as file:
            self.plan: dict[str, Any] = json.load(file)
        with open(os.path.join(folder, "blob"), "rb") as file:
            self.blob = file.read()
        self.session = _option("--session-id") or _option("--resume") or _new_id(0)
        self.prompt_uuid = ""
        self.ids = 0
        self.prompts = 0
        self.answers = 0
        self.is_running = False
        self.at_line_start = True
        self.inputs: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.backlog: list[dict[str, Any]] = []
        self.is_eof = False
        self.children: list[int] = []

    def run(self) -> None:
        """Play the plan and answer prompts, no longer than the lifetime: a leaked process must not stay."""
        start = {
            "pid": os.getpid(),
            "argv": sys.argv,
            "environ_names": sorted(os.environ),
            "cwd": os.getcwd(),
        }
        self.record("starts", json.dumps(start))
        signal.setitimer(signal.ITIMER_REAL, self.plan["lifetime"])
        for name in ("SIGINT", "SIGTERM"):
            signal.signal(getattr(signal, name), self.on_signal)
        threading.Thread(target=self.read, daemon=True).start()
        self.play(self.plan["on_start"])
        while True:
            while self.backlog:
                self.answer_prompt(self.backlog.pop(0))
            if self.is_eof:
                if self.plan["exit_on_eof"]:
                    self.exit(0)
                self.wait(3600)
            else:
                self.handle_input(None)

    def answer_prompt(self, frame: dict[str, Any]) -> None:
        """Answer one prompt."""
        self.prompt_uuid = frame.get("uuid") or self.new_id()
        plans = self.plan["prompts"]
        number, self.prompts = self.prompts, self.prompts + 1
        self.lifecycle("queued")
        self.lifecycle("started")
        self.is_running = True
        try:
            self.play(plans[number] if number < len(plans) else self.plan["otherwise"])
            self.is_running = False
            self.lifecycle("completed")
        except _Interrupted:
            self.is_running = False
            self.play(self.plan["on_interrupt"])
            self.lifecycle("cancelled")

    def play(self, steps: list[dict[str, Any]]) -> None:
        """Run steps in order, and handle pending input before each."""
        for step in steps:
            arguments = {name: value for name, value in step.items() if name != "do"}
            do: Callable[..., None] = getattr(self, "do_" + step["do"])
            self.handle_input(0)
            do(**arguments)

    # Input.

    def read(self) -> None:
        """Read standard input, in a thread of its own."""
        rest = b""
        while data := os.read(0, _BATCH):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if not line.strip():
                    continue
                try:
                    frame = json.loads(line)
                except ValueError:
                    frame = {"type": "invalid", "line": line.decode("utf-8", "replace")}
                self.record("received", json.dumps(frame))
                self.inputs.put(frame)
        self.inputs.put(None)

    def handle_input(self, seconds: float | None) -> None:
        """Handle the next frame, if one is received within `seconds` (`None`: no limit)."""
        try:
            frame = self.inputs.get(timeout=seconds) if seconds != 0 else self.inputs.get_nowait()
        except queue.Empty:
            return
        if frame is None:
            self.is_eof = True
        elif frame.get("type") == "user":
            self.backlog.append(frame)
        elif frame.get("type") == "control_response":
            self.answers += 1
        elif frame.get("type") == "control_request":
            self.control(frame)

    def control(self, frame: dict[str, Any]) -> None:
        """Answer a control request as the CLI does, unless the plan leaves it unanswered."""
        subtype = frame.get("request", {}).get("subtype")
        if not self.plan["answers"].get(subtype, True):
            return
        content = {"initialize": self.plan["initialize"], "interrupt": {"still_queued": []}}.get(subtype, {})
        response = {"subtype": "success", "request_id": frame.get("request_id"), "response": content}
        self.line({"type": "control_response", "response": response})
        if subtype == "interrupt" and self.is_running:
            raise _Interrupted

    def on_signal(self, number: int, _: Any) -> None:
        """Record a signal; unless the plan ignores it, kill the children and exit, as the CLI does."""
        name = signal.Signals(number).name
        self.record("signals", name)
        if name not in self.plan["ignore_signals"]:
            for pid in self.children:
                os.kill(pid, signal.SIGKILL)
            self.exit(128 + number)

    # Steps.

    def do_write(self, at: int, size: int, count: int, fill: bool, ends: bool) -> None:
        """Write a part of the blob `count` times, and handle pending input before each batch."""
        data = self.blob[at : at + size]
        per_batch = max(1, min(count, _BATCH // max(1, size)))
        for done in range(0, count, per_batch):
            part = data * min(per_batch, count - done)
            for batch in _batches(part) if fill else (part,):
                self.handle_input(0)
                self.write(self.filled(batch) if fill else batch)
        if ends:
            # After the result there is nothing left to interrupt.
            self.is_running = False

    def do_copy(self, path: str) -> None:
        """Copy a file to standard output."""
        with open(path, "rb") as file:
            while data := file.read(_BATCH):
                self.handle_input(0)
                self.write(data)

    def do_pause(self, seconds: float) -> None:
        """Pause, while handling input."""
        self.wait(seconds)

    def do_silence(self) -> None:
        """Wait for an interrupt, or for the end of standard input."""
        while not (self.is_eof and self.plan["exit_on_eof"]):
            self.handle_input(None)

    def do_until_answer(self) -> None:
        """Wait for a control response that no earlier step has consumed."""
        while not self.answers and not self.is_eof:
            self.handle_input(None)
        self.answers -= 1

    def do_stderr(self, text: str) -> None:
        """Write to standard error."""
        os.write(2, text.encode())

    def do_exit(self, code: int) -> None:
        """Exit."""
        self.exit(code)

    def do_close_stdout(self) -> None:
        """Close standard output; later writes are discarded."""
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.close(devnull)

    def do_kill_self(self, signal: int) -> None:
        """Send a signal to itself, with its default effect."""
        _kill_self(signal)

    def do_spawn_child(self, holds_output: bool) -> None:
        """Start a child that outlives this process unless it is killed."""
        outputs = () if holds_output else (1, 2)
        redirects = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, *outputs)]
        pid = os.posix_spawnp("sleep", ["sleep", "1000"], os.environ, file_actions=redirects, setsid=True)
        self.children.append(pid)
        self.record("children", str(pid))

    # Output and bookkeeping.

    def wait(self, seconds: float) -> None:
        """Handle input for some seconds."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self.handle_input(remaining)

    def lifecycle(self, state: str) -> None:
        """Report the state of the prompt, if the plan says so."""
        if self.plan["lifecycle"]:
            frame = {"type": "command_lifecycle", "command_uuid": self.prompt_uuid, "state": state}
            self.line({**frame, "uuid": self.new_id(), "session_id": self.session})

    def line(self, frame: dict[str, Any]) -> None:
        """Write a frame on a line of its own."""
        separator = b"" if self.at_line_start else b"\n"
        self.write(separator + json.dumps(frame).encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Write all bytes to standard output."""
        if data:
            self.at_line_start = data.endswith(b"\n")
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(1, view) :]
        except BrokenPipeError:
            self.exit(1)

    def filled(self, data: bytes) -> bytes:
        """Replace the id placeholders in some lines."""
        data = data.replace(b"$uuid", self.prompt_uuid.encode()).replace(b"$session", self.session.encode())
        first, *others = data.split(b"$new")
        return b"".join([first, *(self.new_id().encode() + part for part in others)])

    def new_id(self) -> str:
        """Return a new id in the format of a uuid."""
        self.ids += 1
        return _new_id(self.ids)

    def record(self, name: str, line: str) -> None:
        """Append a line to one of the files the test reads, in one write."""
        with open(os.path.join(self.folder, name), "ab", buffering=0) as file:
            file.write(line.encode() + b"\n")

    def exit(self, code: int) -> NoReturn:
        """Exit without waiting for the reading thread."""
        os._exit(code)


def _kill_self(number: int) -> None:
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _new_id(number: int) -> str:
    # Cheaper than a random uuid, and unique: the process id distinguishes the processes.
    return f"{os.getpid():08x}-0000-4000-8000-{number:012x}"


def _batches(data: bytes) -> Iterator[bytes]:
    """Split data into batches of whole lines."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _BATCH) + 1 or data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _option(name: str) -> str | None:
    for number, argument in enumerate(sys.argv):
        if argument == name and number + 1 < len(sys.argv):
            return sys.argv[number + 1]
        if argument.startswith(name + "="):
            return argument.partition("=")[2]
    return None


def main() -> None:
    """Play the plan beside this file; `--version` is answered without a record."""
    program = Program(os.path.dirname(os.path.realpath(__file__)))
    if {"-v", "--version"} & set(sys.argv[1:]):
        print(f"{program.plan['version']} (Claude Code)")
        return
    program.run()


if __name__ == "__main__":
    main()
