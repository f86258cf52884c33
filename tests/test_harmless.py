"""What a terminal is given: shown, not obeyed."""

from __future__ import annotations

import io

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st

from rxccsdk import operators as cc
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
