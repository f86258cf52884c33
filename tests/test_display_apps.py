"""A turn in a notebook and in a Textual app: with the real CLI, and with messages that are taken back."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Input, Markdown, Static

from rxccsdk import SessionCrashedError, ToolUseChunk
from rxccsdk.display import notebook
from rxccsdk.display.textual import TurnView
from rxccsdk.testing import LoopbackApi, clean_environment, environment, reply, steps
from tests.conftest import Real, Scripted

pytestmark = pytest.mark.usefixtures("no_leftovers")

ANSWER = "# Found\n\nOne `file`.\n\n```python\nprint(1)\n```\n"
EXAMPLES = Path(__file__).parent.parent / "examples"


class Outputs:
    """What a notebook would have below its cell, and how it came."""

    def __init__(self) -> None:
        self.updates: list[list[dict[str, str]]] = []

    def handle(self) -> Any:
        outputs: list[dict[str, str]] = []
        self.updates.append(outputs)

        class Handle:
            def display(self, content: dict[str, str], raw: bool) -> None:
                assert raw
                assert not outputs
                outputs.append(content)

            def update(self, content: dict[str, str], raw: bool) -> None:
                assert raw
                assert outputs
                assert outputs[-1] != content
                outputs.append(content)

        return Handle()


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Outputs:
    outputs = Outputs()
    monkeypatch.setattr(notebook, "DisplayHandle", outputs.handle)
    return outputs


async def test_a_notebook_shows_a_turn_while_it_is_written(real: Real, outputs: Outputs) -> None:
    script = [
        reply("I look. ").tool("Bash", {"command": "echo '<b>' && sleep 0.5", "description": "x"}),
        reply(ANSWER),
    ]
    async with real(script, allowed_tools=["Bash"]) as session:
        response = await notebook.show(session.stream("go"), every=0.05)
    assert response.content == "I look. \n\n" + ANSWER
    text, status = outputs.updates
    assert {"text/markdown": "I look. ", "text/plain": "I look. "} in text
    assert text[-1]["text/markdown"] == response.content
    assert any("Bash" in line["text/plain"] for line in status)
    assert status[-1] == {"text/html": "<small></small>", "text/plain": ""}


CUT = [reply("Half a sen").cut(grace=1.0), reply("A whole sentence.")]


async def test_a_notebook_takes_back_what_was_retracted(real: Real, outputs: Outputs) -> None:
    async with real(CUT) as session:
        await notebook.show(session.stream("go"), every=0.02)
    text = [content["text/markdown"] for content in outputs.updates[0]]
    assert any(words and "Half a sen".startswith(words) for words in text)
    assert text[-1] == "A whole sentence."


async def test_a_cell_that_is_stopped_stops_the_agent(real: Real, outputs: Outputs) -> None:
    wait = {"command": "for i in $(seq 60); do sleep 1; done", "description": "x"}
    async with real([reply("I wait. ").tool("Bash", wait)], allowed_tools=["Bash"]) as session:
        turn = session.stream("go")
        cell = asyncio.create_task(notebook.show(turn, every=0.05))
        async for chunk in turn:
            if isinstance(chunk, ToolUseChunk):
                cell.cancel()
                break
        with pytest.raises(asyncio.CancelledError):
            await cell
        await turn.aclose()
        assert turn.status == "interrupted"
    assert outputs.updates[1][-1]["text/plain"] == "interrupted"


async def test_a_notebook_says_why_the_session_broke(scripted: Scripted, outputs: Outputs) -> None:
    async with scripted(steps().stderr("<oh> no").exit(3)) as session:
        with pytest.raises(SessionCrashedError):
            await notebook.show(session.stream("go"))
    line = outputs.updates[1][-1]
    assert "<oh> no" in line["text/plain"]
    assert "&lt;oh&gt; no" in line["text/html"]


def test_the_example_notebook_runs_in_a_kernel(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "notebook.ipynb", tmp_path)
    with LoopbackApi(lambda request: reply(ANSWER)) as api:
        done = subprocess.run(
            [sys.executable, "-c", "from nbclient.cli import main; main()", "--inplace", "notebook.ipynb"],
            cwd=tmp_path,
            env=clean_environment(api.url, tmp_path / "home", PYTHONPATH=os.pathsep.join(sys.path)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "notebook.ipynb").read_text())["cells"]
    text, status = (output["data"] for output in cells[2]["outputs"])
    assert "".join(text["text/markdown"]) == ANSWER
    assert "".join(status["text/plain"]) == ""


# -- Textual ------------------------------------------------------------------------------------------------


class Viewer(App[None]):
    def compose(self) -> ComposeResult:
        yield TurnView(every=0.02)


async def test_a_textual_app_shows_turns_one_below_the_other(real: Real) -> None:
    app = Viewer()
    async with real([reply(ANSWER), reply("\x1b[31mred [bold]")]) as session, app.run_test():
        view = app.query_one(TurnView)
        for _ in range(2):
            response = await view.show(session.stream("go"))
            assert response.success
        first, second = view.query(Markdown)
        assert first.source == ANSWER
        assert [type(block).__name__ for block in first.children] == [
            "MarkdownH1",
            "MarkdownParagraph",
            "MarkdownFence",
        ]
        assert second.source == "␛[31mred [bold]"
        assert not any(status.display for status in view.query_children(Static))


async def test_a_textual_app_takes_back_what_was_retracted(
    real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[str] = []
    app = Viewer()
    append = Markdown.append

    def seen(self: Markdown, text: str) -> Any:
        sources.append(self.source + text)
        return append(self, text)

    monkeypatch.setattr(Markdown, "append", seen)
    async with real(CUT) as session, app.run_test():
        await app.query_one(TurnView).show(session.stream("go"))
        assert app.query_one(Markdown).source == "A whole sentence."
    assert "Half a sen".startswith(sources[0])


async def test_a_textual_app_says_why_the_session_broke(scripted: Scripted) -> None:
    app = Viewer()
    async with scripted(steps().stderr("[b]oh no").exit(3)) as session, app.run_test():
        with pytest.raises(SessionCrashedError):
            await app.query_one(TurnView).show(session.stream("go"))
        (status,) = app.query_one(TurnView).query_children(Static)
        assert "[b]oh no" in str(status.content)


async def test_the_example_of_textual_chats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        LoopbackApi(lambda request: reply(f"You said {request.prompt!r}.")) as api,
        environment(clean_environment(api.url, tmp_path / "home")),
    ):
        app = runpy.run_path(str(EXAMPLES / "textual_chat.py"))["Chat"]()
        async with app.run_test() as pilot:
            await pilot.pause()
            for word in ("one", "two"):
                app.query_one(Input).value = word
                await pilot.press("enter")
                await pilot.pause()
                await app.workers.wait_for_complete()
            assert [text.source for text in app.query(Markdown)] == ["You said 'one'.", "You said 'two'."]
