"""The examples run, each as a program of its own, with the real CLI on a loopback API."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rxccsdk.testing import LoopbackApi, Reply, Request, clean_environment, reply

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_example(
    name: str, folder: Path, *prompts: str, script: Callable[[Request], Reply] | None = None
) -> str:
    def echo(request: Request) -> Reply:
        if request.tool_results:
            return reply("A folder, with one file.")
        if "tool" in request.prompt:
            return reply("I look. ").tool("Bash", {"command": "echo one", "description": "x"})
        return reply(f"You said {request.prompt!r}, and so it is.")

    with LoopbackApi(script or echo) as api:
        env = clean_environment(api.url, folder / "home", PYTHONPATH=os.pathsep.join(sys.path))
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *prompts],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_simple_streaming(tmp_path: Path) -> None:
    lines = run_example("simple_streaming.py", tmp_path, "hello there").splitlines()
    assert lines[0] == "You said 'hello there', and so it is."
    assert lines[1].startswith(f"[{len(lines[0])} characters, 0.000")
    assert lines[2].startswith("[not printed live: \"You said 'Say it again")


def test_progress_handler(tmp_path: Path) -> None:
    out = run_example("progress_handler.py", tmp_path, "hello")
    assert (tmp_path / "answer.txt").read_text() == "You said 'hello', and so it is."
    dots, _, rest = out.partition("\n")
    assert set(dots) == {"."}
    assert rest == f"{len(dots)} pieces in answer.txt\n"


def test_rich_progress(tmp_path: Path) -> None:
    out = run_example("rich_progress.py", tmp_path, "one", "two")
    assert "You said 'one', and so it is." in out
    assert "You said 'two', and so it is." in out
    assert "100%" in out


def test_permission_bot(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("keep me")
    question = {
        "question": "Which colour?",
        "header": "Colour",
        "multiSelect": False,
        "options": [{"label": "red", "description": "x"}, {"label": "blue", "description": "y"}],
    }
    script = [
        reply("I clean. ").tool("Bash", {"command": "rm old.txt", "description": "x"}),
        reply("I push. ").tool("Bash", {"command": "git push", "description": "x"}),
        reply("I ask. ").tool("AskUserQuestion", {"questions": [question]}),
        reply("I make. ").tool("Bash", {"command": "touch new.txt", "description": "x"}),
        reply("Ready."),
    ]
    said: list[str] = []

    def answer(request: Request) -> Reply:
        said.append(str(request.tool_results))
        return script.pop(0)

    out = run_example("permission_bot.py", tmp_path, "Tidy up", script=answer)
    assert out.endswith("Ready.\ndone\n")
    assert (tmp_path / "old.txt").exists()
    assert (tmp_path / "new.txt").exists()
    assert "Move it to trash/ instead." in said[1]
    assert "red" in said[3]


def test_branch_and_compare(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        assert "Mend" not in request.prompt or "It is slow." in str(request.messages)
        return reply(f"On {request.prompt[-5:]}." if "Mend" in request.prompt else "It is slow.")

    ways = ("Mend it in the test.", "Mend it in the code.")
    out = run_example("branch_and_compare.py", tmp_path, "Find it.", *ways, script=answer)
    assert out.startswith("It is slow.\n\n## Mend it in the test. ($0.0")
    assert out.index("On test.") < out.index("## Mend it in the code.") < out.index("On code.")


def test_watch_tests_run(tmp_path: Path) -> None:
    lines = "for i in 1 2 3 4; do echo test $i; sleep 1; done"
    script = [reply("").tool("Bash", {"command": lines, "description": "x"}), reply("All passed.")]
    out = run_example("watch_tests_run.py", tmp_path, script=lambda request: script.pop(0))
    assert out.startswith("test 1\ntest 2\ntest 3\n")
    assert out.endswith("\nAll passed.\n")


def test_compose(tmp_path: Path) -> None:
    out = run_example("compose.py", tmp_path, "use a tool")
    assert "I look. " in out
    assert "[Bash {'command': 'echo one', 'description': 'x'}]" in out
    assert "A folder, with one file." in out
    assert "1 tool calls" in out


def test_chat_bot(tmp_path: Path) -> None:
    lines = [f"line({number})  # of a long listing" for number in range(150)]
    text = "Here:\n\n```python\n" + "\n".join(lines) + "\n```\n\nThat is all."
    out = run_example("chat_bot.py", tmp_path, "List it", script=lambda request: reply(text))
    messages = out.removesuffix("\n").split("\n--\n")
    assert len(messages) == 3
    assert all(len(message) <= 2000 for message in messages)
    assert messages[0].startswith("Here:\n\n```python\nline(0)")
    assert messages[0].endswith("\n```")
    assert messages[1].startswith("```python\nline(")
    assert messages[1].endswith("\n```")
    assert messages[2].startswith("```python\nline(")
    assert messages[2].endswith("line(149)  # of a long listing\n```\n\nThat is all.")
    shown = "\n".join(messages).splitlines()
    assert [line for line in shown if line.startswith("line(")] == lines
