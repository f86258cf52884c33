"""Recordings as documents: a page that plays them, a transcript, a picture."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rxccsdk import cassettes
from rxccsdk.chunks import (
    RetractedChunk,
    TextChunk,
    ThinkingChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk.cli import app
from rxccsdk.errors import SessionCrashedError
from rxccsdk.export.page import page
from rxccsdk.export.picture import picture
from rxccsdk.export.timeline import Row, Scene, read, rows_of_all
from rxccsdk.export.transcript import transcript
from rxccsdk.testing import steps, text_turn
from tests.conftest import Real, Scripted
from tests.test_scripted_cli import half_a_message

HOSTILE = '</script><img src=x onerror="title=1"><script>title=1</script>\x1b]0;evil\x07 `` ``` `x`'
CHROMIUM = shutil.which("chromium")


def scene(*chunks: Any, prompt: str = "go", error: Any = None) -> Scene:
    return Scene(prompt, list(chunks), error)


def hostile_scene() -> Scene:
    return scene(
        ThinkingChunk(HOSTILE, 0, turn=0, at=0.1),
        TextChunk(HOSTILE, 1, turn=0, at=0.2),
        TextChunk(f"[x](javascript:alert(1)) ![i](https://example.org/i.png) {HOSTILE}", 2, turn=0, at=0.3),
        ToolUseChunk("t", HOSTILE, {"command": HOSTILE, HOSTILE: 1}, 3, turn=0, at=0.4),
        ToolResultChunk("t", HOSTILE, True, turn=0, at=0.5),
        prompt=HOSTILE,
    )


# -- the timeline -------------------------------------------------------------------------------------------


def test_rows_have_what_was_said_and_done_and_when() -> None:
    rows = rows_of_all(
        [
            scene(
                TextChunk("I ", 0, turn=0, at=1.0),
                TextChunk("try.", 0, turn=0, at=2.0),
                ToolUseChunk("t", "Bash", {"command": "make"}, 1, turn=0, at=3.0),
                ToolUseChunk("s", "Agent", {"description": "look"}, 2, turn=0, at=3.0),
                TextChunk("I look.", 3, turn=0, at=4.0, agent="s"),
                ToolResultChunk("t", "done", False, turn=0, at=5.0),
            ),
            scene(TextChunk("half", 0, turn=1, at=1.0), error=SessionCrashedError("It died.")),
        ]
    )
    assert [(row.kind, row.text, row.depth) for row in rows] == [
        ("prompt", "go", 0),
        ("text", "I try.", 0),
        ("tool", "", 0),
        ("tool", "", 0),
        ("text", "I look.", 1),
        ("prompt", "go", 0),
        ("text", "half", 0),
        ("result", "It died.", 0),
    ]
    assert (rows[2].title, rows[2].about, rows[2].output) == ("Bash", "make", "done")
    assert rows[2].end is not None
    assert rows[2].end - rows[2].start == pytest.approx(2.0)
    assert rows[3].end is None
    assert rows[7].failed


def test_pauses_are_shortened_and_the_order_stays() -> None:
    rows = rows_of_all([scene(TextChunk("a", 0, turn=0, at=1.0), TextChunk("b", 0, turn=0, at=100.0))], 2.0)
    (_, first), (_, second) = rows[1].pieces
    assert (first, second) == ("a", "b")
    assert rows[1].pieces[1][0] - rows[1].pieces[0][0] == pytest.approx(2.0)


def test_what_was_taken_back_is_marked() -> None:
    rows = rows_of_all(
        [
            scene(
                TextChunk("not this", 0, turn=0),
                RetractedChunk((0,), turn=0, at=1.0),
                TextChunk("this", 1, turn=0),
            )
        ]
    )
    assert rows[1].retracted is not None
    assert rows[2].retracted is None
    assert transcript(rows) == "## go\n\n*taken back:*\n\n> not this\n\nthis\n"


async def test_a_recording_of_the_real_cli(real: Real, tmp_path: Path) -> None:
    from rxccsdk.testing import reply

    tape = tmp_path / "tape.jsonl"
    script = [reply("I try. ").tool("Bash", {"command": "echo seen", "description": "x"}), reply("Seen.")]
    async with real(script, allowed_tools=["Bash"], record=tape) as session:
        await session.query("What is there?", stream=False)
    rows = rows_of_all(await read(tape))
    assert [(row.kind, row.text or row.output) for row in rows][:4] == [
        ("prompt", "What is there?"),
        ("text", "I try. "),
        ("tool", "seen"),
        ("text", "Seen."),
    ]
    assert rows[-1].kind == "result"


async def test_a_recording_that_breaks_off(scripted: Scripted, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    session = scripted(text_turn("one"), steps(*half_a_message("half ")).exit(3), session={"record": tape})
    async with session:
        await session.query("first", stream=False)
        with pytest.raises(SessionCrashedError):
            await session.query("second", stream=False)
    scenes = await read(tape)
    assert [scene.prompt for scene in scenes] == ["first", "second"]
    assert "exit code 3" in str(scenes[1].error)
    assert "half" in transcript(rows_of_all(scenes))


# -- the documents ------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_page_refers_to_nothing_and_runs_nothing_that_was_recorded() -> None:
    made = page(rows_of_all([hostile_scene()]), HOSTILE)
    found = Elements(made).found
    assert [tag for tag, _ in found].count("script") == 2
    assert "img" not in {tag for tag, _ in found}
    assert not any(name.startswith("on") or name in ("src", "href") for _, names in found for name in names)
    (policy,) = (names["content"] for _, names in found if names.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    data = re.search(r'id="tape">(.*?)</script>', made, re.DOTALL)
    assert data is not None
    rows = json.loads(data[1])
    assert rows[0]["pieces"][0][1] == HOSTILE
    rendered = "".join(row.get("html", "") for row in rows)
    assert "<img" not in rendered
    assert "<script" not in rendered
    assert "javascript:" not in re.sub(r"<p>.*?</p>", "", rendered, flags=re.DOTALL)


@given(st.text(), st.text())
def test_any_text_comes_through(text: str, prompt: str) -> None:
    text, prompt = (words.encode("utf-8", "replace").decode() for words in (text, prompt))
    scenes = [scene(TextChunk(text, 0, turn=0, at=0.5), prompt=prompt)]
    data = re.search(r'id="tape">(.*?)</script>', page(rows_of_all(scenes), prompt), re.DOTALL)
    assert data is not None
    found = json.loads(data[1])
    assert found[0]["pieces"][0][1] == prompt
    assert found[1]["pieces"][0][1] == text
    assert transcript(rows_of_all(scenes)).endswith("\n")
    assert picture(scenes, "x").endswith("</svg>\n")


def test_fences_of_a_transcript_hold_what_they_hold() -> None:
    rows = [Row("tool", 0.0, end=1.0, title="Bash", about="a `b`", output="```\n````\nx")]
    assert transcript(rows) == "✓ **Bash** `` a `b` `` (1.0 s)\n\n`````\n```\n````\nx\n`````\n"


def test_a_picture_refers_to_nothing_outside_itself() -> None:
    svg = picture([hostile_scene()], HOSTILE, tools="full", thinking="full")
    assert set(re.findall(r"https?://[^\"' )]+", svg)) <= {
        "http://www.w3.org/2000/svg",
        "https://example.org/i.png",
    }
    assert "<script" not in svg
    assert "<img" not in svg
    assert "\x1b" not in svg


# -- the command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "begins"), [("html", "<!doctype html>"), ("md", "## "), ("svg", "<svg")])
def test_the_command_writes_beside_the_recording(tmp_path: Path, flag: str, begins: str) -> None:
    tape = tmp_path / "tape.jsonl"
    shutil.copy(cassettes.AGENT, tape)
    done = CliRunner().invoke(app, ["export", str(tape), f"--{flag}"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / f"tape.{flag}").read_text(encoding="utf-8").startswith(begins)
    done = CliRunner().invoke(app, ["export", str(tape), f"--{flag}", "--out", "-"])
    assert done.stdout.startswith(begins)


@pytest.mark.parametrize("arguments", [[], ["--html", "--md"], ["--html", "--max-idle", "0"]])
def test_what_makes_no_sense_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["export", str(cassettes.AGENT), *arguments]).exit_code == 2


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(tmp_path / "none.jsonl"), "--md"])
    assert done.exit_code == 2
    assert "Cannot read the cassette" in done.output
    done = CliRunner().invoke(app, ["export", str(cassettes.AGENT), "--md", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "Cannot write" in done.output


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it_and_runs_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "page.html"
    document.write_text(
        page(rows_of_all([hostile_scene(), scene(TextChunk("**bold** end", 0, turn=1))]), "tape")
    )
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", document.as_uri(),
        ],
        capture_output=True, text=True, timeout=90, check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert "<title>tape</title>" in done.stdout
    assert "<strong>bold</strong> end" in done.stdout
    shown = done.stdout.partition("<main")[2].partition("</main>")[0]
    assert "<img" not in shown
    assert "<script" not in shown
    assert "&lt;img src=x" in shown
