"""`rxccsdk batch`, as a process of its own with the real CLI on a loopback API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxccsdk.testing import LoopbackApi, Request, bundled_cli, clean_environment, http_error, reply
from rxccsdk.testing import environment as exactly
from tests.cli_processes import COMMAND, CTRL_C, environment, heed_ctrl_c, here, run, terminal

BATCH = [*COMMAND, "batch"]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Serve a script for the test, and put the real CLI on PATH, for claude-code-sdk."""
    cli = bundled_cli()
    assert cli is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(cli)
    with contextlib.ExitStack() as stack:

        def start(script: Any) -> None:
            api = stack.enter_context(LoopbackApi(script))
            env = clean_environment(api.url, tmp_path / "home", CLAUDE_CODE_MAX_RETRIES="0")
            env["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{env['PATH']}"
            stack.enter_context(exactly(env))

        yield start


def write(folder: Path, *prompts: Any) -> str:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    return str(file)


def lines_of(out: Path) -> list[dict[str, Any]]:
    if not out.exists():
        return []
    whole = [line for line in out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [json.loads(line) for line in whole]


class Api:
    """Answers, and counts what it is asked; what is in `held` waits for `release`."""

    def __init__(self, *held: str) -> None:
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()
        self.all_held = threading.Event()
        self._held = held

    def __call__(self, request: Request) -> Any:
        self.asked[request.prompt] += 1
        if set(self._held) <= set(self.asked):
            self.all_held.set()
        if request.prompt in self._held and not self.release.is_set():
            return reply("I think. ").until(self.release).text("So it is.")
        if request.prompt == "bad":
            return http_error(400)
        if request.prompt == "busy" and self.asked["busy"] == 1:
            return http_error(529)
        return reply(f"It is {request.prompt}.")


def test_answers_into_a_file_and_again(serve: Any, tmp_path: Path, backend: str) -> None:
    api = Api()
    serve(api)
    prompts, out = write(tmp_path, "one", {"prompt": "busy", "id": 7}, "bad"), tmp_path / "answers.jsonl"
    command = [*BATCH, prompts, "--out", str(out), "--backend", backend]
    done = run(*command)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    found = {line["prompt"]: line for line in lines_of(out)}
    assert found["one"]["response"]["content"] == "It is one."
    assert found["busy"]["tries"] == 2
    assert found["bad"]["response"]["error_kind"] in ("billing", "request")
    assert "2 of 3 done · 1 failed" in done.stderr
    assert "✗ 3 bad" in done.stderr
    write(tmp_path, "one", "busy")
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert "2 had their answer before" in done.stderr
    assert api.asked == {"one": 1, "busy": 2, "bad": 1}


def test_killed_in_the_middle_and_run_again(serve: Any, tmp_path: Path, backend: str) -> None:
    api = Api("p3", "p4")
    serve(api)
    names = [f"p{number}" for number in range(8)]
    prompts, out = write(tmp_path, *names), tmp_path / "answers.jsonl"
    command = [*BATCH, prompts, "--out", str(out), "--at-once", "2", "--backend", backend]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while len(lines_of(out)) < 3:  # a line of the table comes after that of the file
        assert process.stderr.readline()
    assert api.all_held.wait(30)
    process.kill()
    process.wait()
    process.stderr.close()
    before = [line["prompt"] for line in lines_of(out)]
    assert sorted(before) == ["p0", "p1", "p2"]
    asked_before = Counter(api.asked)
    api.release.set()
    done = run(*command)
    assert done.returncode == 0, done.stderr
    answered = Counter(line["prompt"] for line in lines_of(out))
    assert answered == dict.fromkeys(names, 1)
    assert all(api.asked[name] == asked_before[name] == 1 for name in before)


def test_ctrl_c_stops_all_and_keeps_what_there_is(serve: Any, tmp_path: Path) -> None:
    serve(Api("two", "three"))
    prompts, out = write(tmp_path, "one", "two", "three", "four"), tmp_path / "answers.jsonl"
    with terminal(*BATCH, prompts, "--out", str(out), "--at-once", "2") as screen:
        screen.read_until("1 of 4 done")
        screen.read_until("2 running")
        screen.read_until("writing")
        screen.press(CTRL_C)
        assert screen.end() == 130
        assert "✓ 1 one" in screen.words
        assert "✗ 2 two" in screen.words
    kinds = {line["prompt"]: line["response"]["error_kind"] for line in lines_of(out)}
    assert kinds.pop("one") is None
    assert set(kinds.values()) == {"interrupted"}
    assert set(kinds) <= {"two", "three"}


def test_sigterm_ends_it_too(serve: Any, tmp_path: Path) -> None:
    api = Api("one")
    serve(api)
    out = tmp_path / "answers.jsonl"
    command = [*BATCH, write(tmp_path, "zero", "one"), "--out", str(out), "--at-once", "1"]
    process = subprocess.Popen(
        command, env=environment(), stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    assert process.stderr is not None
    assert "✓ 1 zero" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 143, rest


def test_the_budget_is_of_all(serve: Any, tmp_path: Path) -> None:
    api = Api()
    serve(api)
    out = tmp_path / "answers.jsonl"
    run(*BATCH, write(tmp_path, "zero"), "--out", str(out))
    cost = lines_of(out)[0]["cost_usd"]
    names = [f"p{number}" for number in range(9)]
    done = run(
        *(*BATCH, write(tmp_path, *names), "--out", str(out)),
        *("--at-once", "1", "--max-budget-usd", f"{3.5 * cost:.6f}"),
    )
    assert done.returncode == 1
    assert "not sent: --max-budget-usd" in done.stderr
    spent = sum(line["cost_usd"] for line in lines_of(out))
    assert 3.5 * cost <= spent <= 5 * cost
    assert sum(api.asked.values()) < 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json\n", "line 1: not JSON"),
        ('"one"\n{"p": 1}\n', 'line 2: the object has no "prompt"'),
        ("\n", "no prompts"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "prompts.jsonl").write_text(content)
    done = here("batch", str(tmp_path / "prompts.jsonl"), "--out", str(tmp_path / "answers.jsonl"))
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "answers.jsonl").exists()


def test_an_out_file_that_is_something_else(tmp_path: Path) -> None:
    out = tmp_path / "thesis.txt"
    out.write_text("Once upon a time\n")
    done = run(*BATCH, write(tmp_path, "one"), "--out", str(out))
    assert done.returncode == 2
    assert "line 1: not a line of a journal" in done.stderr
    assert out.read_text() == "Once upon a time\n"


def test_several_prompts_of_ask(serve: Any, tmp_path: Path, backend: str) -> None:
    serve(Api())
    done = run(*COMMAND, "ask", "--each", "one", "bad", "-", "--backend", backend, stdin="two\n")
    assert done.returncode == 1, done.stderr
    texts = done.stdout.split("## ")
    assert texts[1] == "one\n\nIt is one.\n\n"
    assert texts[2].startswith("bad\n\n")
    assert texts[3] == "two\n\nIt is two.\n\n"
    assert "✗ 2 bad" in done.stderr
    assert "2 of 3 done · 1 failed" in done.stderr


def test_several_prompts_of_ask_on_a_terminal(serve: Any) -> None:
    api = Api("two")
    serve(api)
    with terminal(*COMMAND, "ask", "--each", "one", "two") as screen:
        screen.read_until("It is one.")
        assert api.all_held.wait(30)
        api.release.set()
        assert screen.end() == 0
        assert "2 of 2 done" in screen.words
        assert screen.words.index("## one") < screen.words.index("## two") < screen.words.index("So it is.")


def test_what_each_excludes() -> None:
    done = here("ask", "--each", "--json", "one")
    assert done.returncode == 2
    assert "--each excludes" in done.stderr
