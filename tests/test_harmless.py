"""What a terminal is given: shown, not obeyed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from rxccsdk import (
    Chunk,
    ResultChunk,
    SessionCrashedError,
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
from rxccsdk.cli.views import summary
from rxccsdk.display.figures import figures_table
from rxccsdk.display.live import LiveDisplay
from rxccsdk.text.harmless import harmless

HOSTILE = st.text(
    st.sampled_from("a\x1b\x07\x9b\r\n\t\x7f\u202e\u2066\u200d\ufe0f👩🏽\u200f\ud800\U000e0041]52;c[2J")
    | st.characters()
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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


EVIL = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202ee\u2066v\U000e0041il\r"
_STEERS = re.compile(
    "[\x00-\x08\x0b-\x0d\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
_HOSTILE_ESCAPE = re.compile("\x1b(?:\\]52|\\[2J)")


def steering(shown: str) -> list[str]:
    """What of `EVIL` is left. Newlines' carriage returns and the display's own sequences are none of it."""
    plain = shown.replace("\r\n", "\n")
    return _STEERS.findall(re.sub("\r(?=\x1b|$)", "", plain)) + _HOSTILE_ESCAPE.findall(shown)


def hostile(kind: type[Chunk], **known: Any) -> Chunk:
    """A chunk with evil in every field that has words, also inside frames."""
    deep = {EVIL: EVIL, "text": EVIL, "type": "text", "cwd": EVIL, "permissionMode": EVIL, "error": EVIL}
    values: dict[str, Any] = {"str": EVIL, "Any": [deep], "dict": deep, "Frame": deep, "bool": True}
    values |= {
        "tuple[str": (EVIL,),
        "tuple[int": (0,),
        "tuple[dict": ({"tool_name": EVIL, "tool_use_id": "?"},),
    }
    fields = {}
    for field in kind.__struct_fields__:
        if field not in Chunk.__struct_fields__:
            of = kind.__annotations__[field].removeprefix("Literal").split(" |")[0]
            fields[field] = next((value for name, value in values.items() if of.startswith(name)), None)
            if fields[field] is None:
                fields[field] = EVIL if of.startswith("[") else 1
    return kind(**{**fields, **known})


def hostile_turns() -> Iterator[list[Chunk]]:
    calls = [hostile(ToolUseChunk, id="t", name="Bash"), hostile(ToolUseChunk, id="a", name="Agent")]
    results = [
        hostile(ToolResultChunk, tool_use_id="t"),
        hostile(ToolResultChunk, tool_use_id="a", content=EVIL),
    ]
    inside = [hostile(TextChunk), hostile(ToolUseChunk, id="u")]
    for kind in chunk_classes().values():
        yield [*calls, hostile(kind), *(replace(chunk, agent="a") for chunk in inside), *results]
        yield [*calls, replace(hostile(kind), agent=EVIL), hostile(ResultChunk)]
    for subtype in ("init", "api_retry", "permission_denied", "status"):
        yield [
            *calls,
            hostile(SystemChunk, subtype=subtype),
            *results,
            hostile(ResultChunk, subtype="error_x"),
        ]


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
