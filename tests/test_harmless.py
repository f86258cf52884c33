"""What a terminal is given: shown, not obeyed."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from rxccsdk import (
    Chunk,
    ClaudeSession,
    ResultChunk,
    SessionCrashedError,
    SessionOptions,
    SessionResponse,
    SystemChunk,
    TextChunk,
    ToolResultChunk,
    ToolUseChunk,
)
from rxccsdk import operators as cc
from rxccsdk.chunk_json import chunk_classes, to_json
from rxccsdk.cli.output import Output
from rxccsdk.cli.running import complain
from rxccsdk.cli.views import make_view, summary
from rxccsdk.display.figures import figures_table
from rxccsdk.display.live import LiveDisplay
from rxccsdk.testing import ScriptedCli, text_turn
from rxccsdk.text.harmless import harmless
from tests.cli_processes import COMMAND, terminal

HOSTILE = st.text(
    st.sampled_from("a\x1b\x07\x9b\r\n\t\x7f\u202e\u2066\u200d\ufe0f👩🏽\u200f\ud800\U000e0041]52;c[2J")
    | st.characters()
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TerminalOfBytes(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    def isatty(self) -> bool:
        return True

    @property
    def written(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode("utf-8", "surrogatepass")


@given(HOSTILE)
def test_nothing_that_steers_is_left(text: str) -> None:
    shown = harmless(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) <= 0x9F for c in shown)
    assert not any("\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069" for c in shown)
    assert not any(0xD800 <= ord(c) <= 0xDFFF or 0xE0000 <= ord(c) <= 0xE007F for c in shown)
    assert harmless(shown) == shown


@given(st.lists(HOSTILE))
def test_piece_by_piece_it_is_the_same(pieces: list[str]) -> None:
    assert "".join(map(harmless, pieces)) == harmless("".join(pieces))


@pytest.mark.parametrize("text", ["plain\n", "a\tb", "日本", "👩\u200d👩\u200d👧", "❤\ufe0f", "שלום\u200f"])
def test_what_people_write_passes(text: str) -> None:
    assert harmless(text) == text


def test_a_terminal_is_not_steered_and_a_file_is_exact() -> None:
    """The clipboard set and the screen cleared, by an answer."""
    text = "see \x1b]52;c;aGk=\x07\x1b[2J"
    terminal, file = Terminal(), io.StringIO()
    for to in (terminal, file):
        rx.of(text).pipe(cc.print_text(0, to)).run()
    assert terminal.getvalue() == "see ␛]52;c;aGk=␛[2J"
    assert file.getvalue() == text


async def test_what_a_query_prints_is_harmless(tmp_path: Path) -> None:
    screen = Terminal()
    with ScriptedCli(tmp_path / "cli", [text_turn(EVIL, pieces=4)]) as cli, mock.patch("sys.stdout", screen):
        async with ClaudeSession(SessionOptions(cli_path=cli.path, stream_output=True)) as session:
            response = await session.query("go")
    assert response.content == EVIL
    assert screen.getvalue() == harmless(EVIL) + "\n"


EVIL = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202ee\u2066v\U000e0041i\x7fl\r"
_STEERS = re.compile(
    "[\x00-\x08\x0b-\x0d\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
_HOSTILE_ESCAPE = re.compile("\x1b(?:\\]52|\\[2J)")


def steering(shown: str) -> list[str]:
    """What of `EVIL` is left. Newlines' carriage returns and the display's own sequences are none of it."""
    plain = shown.replace("\r\n", "\n")
    return _STEERS.findall(re.sub("\r(?=\x1b|$)", "", plain)) + _HOSTILE_ESCAPE.findall(shown)


def hostile(kind: type[Chunk], evil: str = EVIL, **known: Any) -> Chunk:
    """A chunk with evil in every field that has words, also inside frames."""
    deep = {evil: evil, "text": evil, "type": "text", "cwd": evil, "permissionMode": evil, "error": evil}
    values: dict[str, Any] = {"str": evil, "Any": [deep], "dict": deep, "Frame": deep, "bool": True}
    values |= {
        "tuple[str": (evil,),
        "tuple[int": (0,),
        "tuple[dict": ({"tool_name": evil, "tool_use_id": "?"},),
    }
    fields = {}
    for field in kind.__struct_fields__:
        if field not in Chunk.__struct_fields__:
            of = kind.__annotations__[field].removeprefix("Literal").split(" |")[0]
            fields[field] = next((value for name, value in values.items() if of.startswith(name)), None)
            if fields[field] is None:
                fields[field] = evil if of.startswith("[") else 1
    return kind(**{**fields, **known})


def hostile_turns(evil: str = EVIL) -> Iterator[list[Chunk]]:
    def make(kind: type[Chunk], **known: Any) -> Chunk:
        return hostile(kind, evil, **known)

    calls = [make(ToolUseChunk, id="t", name="Bash"), make(ToolUseChunk, id="a", name="Agent")]
    results = [make(ToolResultChunk, tool_use_id="t"), make(ToolResultChunk, tool_use_id="a", content=evil)]
    inside = [make(TextChunk), make(ToolUseChunk, id="u")]
    for kind in chunk_classes().values():
        yield [*calls, make(kind), *(replace(chunk, agent="a") for chunk in inside), *results]
        yield [*calls, replace(make(kind), agent=evil), make(ResultChunk)]
    for subtype in ("init", "api_retry", "permission_denied", "status"):
        yield [*calls, make(SystemChunk, subtype=subtype), *results, make(ResultChunk, subtype="error_x")]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("detail", ["all", "activity", "trouble"])
def test_a_display_shows_hostile_words_and_names_harmless(plain: bool, detail: Any) -> None:
    for chunks in hostile_turns():
        file = io.StringIO()
        console = Console(file=file, force_terminal=not plain, width=70, highlight=False)
        with LiveDisplay(console, plain=plain, detail=detail, paint_every=0) as display:
            for chunk in chunks:
                display.show(chunk)
            display.note(EVIL)
            display.print(Text(summary(cc_response(chunks)), "dim"))
            display.print(figures_table(cc_response(chunks)))
        assert not steering(file.getvalue()), chunks


def cc_response(chunks: list[Chunk]) -> SessionResponse:
    return rx.from_list(chunks).pipe(cc.to_response()).run()


def test_errors_and_json_on_a_terminal_are_harmless(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    complain(str(SessionCrashedError(EVIL, stderr=[EVIL])))
    output = Output(lambda: None)
    for kind in chunk_classes().values():
        output.write_json(to_json(hostile(kind)))
    written = capsysbinary.readouterr()
    assert not steering(written.err.decode())
    assert not steering(written.out.decode())
    for line, kind in zip(written.out.splitlines(), chunk_classes().values(), strict=True):
        assert json.loads(line) == json.loads(to_json(hostile(kind)))


FLAGS = [(), ("plain",), ("quiet",), ("as_json",)]


@settings(max_examples=15)
@given(
    evil=HOSTILE.filter(bool),
    flags=st.sampled_from(FLAGS),
    which=st.integers(0, 200),
    stdout_is_terminal=st.booleans(),
)
def test_no_view_lets_words_steer_a_terminal(
    evil: str, flags: tuple[str, ...], which: int, stdout_is_terminal: bool
) -> None:
    """Also where the answer goes to a pipe, and the rest to a terminal."""
    turns = list(hostile_turns(evil))
    out, err = TerminalOfBytes(), TerminalOfBytes()
    with (
        mock.patch("sys.stdout", out if stdout_is_terminal else io.TextIOWrapper(io.BytesIO())),
        mock.patch("sys.stderr", err),
        mock.patch.dict(os.environ, {"TERM": "dumb"}),
    ):
        chosen = {name: name in flags for name in ("plain", "quiet", "as_json")}
        with make_view(markdown="rendered", on_closed=lambda: None, **chosen) as view:
            for chunks in (turns[which % len(turns)], turns[-1]):
                view.begin(evil)
                for chunk in chunks:
                    view.show(chunk)
                view.say(evil)
                view.end(cc_response(chunks), f"to go on: {evil}")
    for shown in (out.written, err.written):
        assert "\x1b" not in shown, "this terminal has no sequences of its own"
        assert not set(_STEERS.findall(re.sub("\r(?=\n|\x1b|$)", "", shown))), shown


def in_a_terminal(*arguments: str, **extra: str) -> str:
    with terminal(*COMMAND, *arguments, **extra) as shown:
        shown.end()
        return shown.output


@pytest.mark.parametrize("flags", [(), ("--plain",), ("--quiet",), ("--json",)], ids=str)
def test_a_hostile_recording_does_a_terminal_no_harm(tmp_path: Path, flags: tuple[str, ...]) -> None:
    frames = [
        {"type": "system", "subtype": "init", "session_id": EVIL, "claude_code_version": EVIL, "model": EVIL},
        *text_turn(EVIL, pieces=3),
    ]
    for frame in frames:
        frame.setdefault("uuid", EVIL)
    path = tmp_path / "evil.jsonl"
    prompt = {"type": "user", "uuid": "u", "message": {"role": "user", "content": f"# {EVIL}"}}
    entries: list[Any] = [{"rxccsdk_cassette": 1, "sdk": EVIL, "cli_version": EVIL}, {"t": 0, "out": prompt}]
    entries += [{"t": 0.1, "in": frame} for frame in frames]
    entries.append({"t": 0.2, "exit": {"reason": EVIL, "code": 3, "stderr": [EVIL]}})
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    shown = in_a_terminal("replay", str(path), *flags)
    assert "aGk=" in shown
    assert not steering(shown)


@pytest.mark.parametrize(
    "damage", ["{EVIL}\n", '{"rxccsdk_cassette": "EVIL"}\n', '{"rxccsdk_cassette": 1}\nEVIL\n']
)
def test_a_damaged_recording_does_a_terminal_no_harm(tmp_path: Path, damage: str) -> None:
    path = tmp_path / ("x" + EVIL.replace("\r", ""))
    path.write_text(damage.replace("EVIL", EVIL))
    shown = in_a_terminal("replay", str(path))
    assert "rxccsdk: " in shown
    assert not steering(shown)


def test_a_hostile_cli_does_the_doctor_s_terminal_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / EVIL.replace("/", "")
    folder.mkdir()
    for name in ("claude", "node"):
        (folder / name).write_text(f"#!/bin/sh\nprintf '%s' '1.0{EVIL} {EVIL}'\n")
        (folder / name).chmod(0o755)
    shown = in_a_terminal("doctor", PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", TERM="xterm")
    assert "aGk=" in shown
    assert not steering(shown)
