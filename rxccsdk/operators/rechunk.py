"""Text in the pieces a reader takes it in: words, lines, sentences. Nothing lost, nothing cut in two."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from rxccsdk.operators.graphemes import forced_cut, is_boundary, pattern
from rxccsdk.operators.hold import rechunking
from rxccsdk.text.flow import Keeping


def by_word(hold: int = 200) -> Keeping:
    r"""Emit text word by word, each with the white space after it.

        T"Hel"  T"lo wor"  T"ld, he"  T"re" |
        ------  T"Hello "  T"world, " T"here"|

    A word and its punctuation are one piece, and so is what has no white space in it, as a path. Where a
    script writes no spaces, a piece is what Unicode's default rules call a word: one Chinese character, a run
    of Katakana, one Thai cluster. A piece is emitted when its first character after it is known.

    Text is held per agent and block. That agent's next content, a retraction, a result, an error and the end
    release what is held; chunks of the system and of other agents may overtake it. A piece keeps `seq` and
    `at` of the chunk its first character came in. No grapheme is cut. Works on `str` streams too.

    Args:
        hold: at most this many characters wait; longer words are cut.

    Raises:
        ValueError: `hold` is not positive.

    At a `RetractedChunk`: what is held of that agent is released before it.

    Example:
        >>> import reactivex as rx
        >>> _ = rx.of("Hel", "lo wor", "ld").pipe(by_word()).subscribe(lambda word: print(repr(word)))
        'Hello '
        'world'
    """
    _check(hold)
    return rechunking(lambda: _Cuts(_word_ends(), _ends_word, hold, _PLAIN_SPACE_ENDS))


def by_line(hold: int = 4096) -> Keeping:
    r"""Emit text line by line, each with its line break.

        T"one\ntw"  T"o\nth"  T"ree"  |
        T"one\n"    T"two\n"  ------- T"three"|

    A line ends with LF, CRLF or a CR alone, and with nothing else: a form feed or U+2028 is text. A line that
    ends with CR is emitted when the character after it is known, others at once.

    What is held, what releases it and what a piece keeps: as in `by_word`. Works on `str` streams too.

    Args:
        hold: at most this many characters wait; longer lines are cut, after white space where there is some.

    Raises:
        ValueError: `hold` is not positive.

    At a `RetractedChunk`: what is held of that agent is released before it.

    Example:
        >>> import reactivex as rx
        >>> _ = rx.of("one\ntw", "o\nth", "ree").pipe(by_line()).subscribe(lambda line: print(repr(line)))
        'one\n'
        'two\n'
        'three'
    """
    _check(hold)
    return rechunking(lambda: _Cuts(_LINE_ENDS, None, hold))


def by_sentence(hold: int = 2000) -> Keeping:
    r"""Emit text sentence by sentence, each with the white space after it.

        T"It is 3."  T"14. Mr. X kn"  T"ows. "  T"So" |
        -----------  T"It is 3.14. "  --------  T"Mr. X knows. " T"So"|

    A sentence ends at a full stop, question or exclamation mark or ellipsis, with the quotes, brackets and
    Markdown marks that close after it, when white space follows; at those of Chinese and Japanese also
    without. A line break ends one too, unless the next line goes on in lower case. No end: the stop of a
    decimal, a list number, an initial, letters with stops between (e.g.) and some common abbreviations, or
    one that lower case follows.

    It knows no language: an abbreviation it does not know ends a sentence when a capital follows; "5
    p.m. Then" and "plan B. Then" end none; Thai and Lao, which mark no ends, are cut at line breaks.

    What is held, what releases it and what a piece keeps: as in `by_word`. Works on `str` streams too.

    Args:
        hold: at most this many characters wait; longer sentences are cut, after a line or white space where
            there is some.

    Raises:
        ValueError: `hold` is not positive.

    At a `RetractedChunk`: what is held of that agent is released before it.

    Example:
        >>> import reactivex as rx
        >>> spoken = rx.of("It is 3.", "14. Mr. X kn", "ows. So").pipe(by_sentence())
        >>> _ = spoken.subscribe(lambda sentence: print(repr(sentence)))
        'It is 3.14. '
        'Mr. X knows. '
        'So'
    """
    _check(hold)
    return rechunking(lambda: _Cuts(_sentence_may_end(), _ends_sentence, hold, _PLAIN_SPACE_ENDS))


def _check(hold: int) -> None:
    if hold < 1:
        raise ValueError(f"hold must be positive, not {hold!r}.")


class _Cuts:
    """Cuts text where a pattern matches and a test agrees.

    Args:
        ends: matches where a piece may end; looks one character back and one ahead, no further.
        agrees: decides, given the text, where its piece starts and may end; reads no text before that.
        hold: at most this many characters wait.
        plain_ends: the same for text that is all ASCII, in less time.
    """

    __slots__ = ("_agrees", "_ends", "_hold", "_plain_ends", "_seen", "_text")

    def __init__(
        self,
        ends: Any,
        agrees: Callable[[str, int, int], bool] | None,
        hold: int,
        plain_ends: Any = None,
    ) -> None:
        self._ends = ends
        self._plain_ends = plain_ends or ends
        self._agrees = agrees
        self._hold = hold
        self._text = ""
        self._seen = 0  # what comes before needs no second look

    def add(self, words: str) -> list[str]:
        """Take more text; return the pieces that are ready."""
        text = self._text + words
        pieces: list[str] = []
        start, agrees, hold = 0, self._agrees, self._hold
        ends = self._plain_ends if text.isascii() else self._ends
        for match in ends.finditer(text, self._seen):
            end = match.end()
            while end - start > hold:
                cut = start + forced_cut(text[start : start + hold + 1], hold)
                pieces.append(text[start:cut])
                start = cut
            if end > start and (agrees is None or agrees(text, start, end)):
                pieces.append(text[start:end])
                start = end
        while len(text) - start > hold:
            cut = start + forced_cut(text[start : start + hold + 1], hold)
            pieces.append(text[start:cut])
            start = cut
        self._text = text[start:] if start else text
        self._seen = max(len(self._text) - 1, 0)  # what follows the last character may make it an end
        return pieces

    def rest(self) -> list[str]:
        """Return all that is held."""
        text, self._text = self._text, ""
        return [text] if text else []


_LINE_ENDS = re.compile(r"\n|\r(?=[^\n])")
_PLAIN_SPACE_ENDS = re.compile(r"[\t-\r ](?=[^\t-\r ])")  # in ASCII only white space ends words and sentences


# -- words ----------------------------------------------------------------------------------------------

_SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=Complex_Context}]"
_WIDE_MARKS = "、。，．：；！？…・"
_REACH = 160  # how far back the end of a word or sentence is looked for


@cache
def _word_ends() -> Any:
    """After white space, and beside scripts without spaces."""
    before = rf"(?={_SPACELESS})(?<=[\w\p{{Pe}}\p{{Pf}}.,:;!?{_WIDE_MARKS}])"
    after = rf"(?=[\p{{L}}\p{{N}}\p{{Ps}}\p{{Pi}}])(?<={_SPACELESS}\p{{M}}*|[{_WIDE_MARKS}」』）】》〉])"
    return pattern(rf"\s(?=\S)|{before}|{after}")


def _ends_word(text: str, start: int, end: int) -> bool:
    """No mark follows; and beside scripts without spaces, it is a word boundary of Unicode's."""
    if text[end - 1] not in " \n" and not text[end - 1].isspace():
        near = max(start, end - _REACH)
        if not pattern(r"\b").match(text[near : end + 1], end - near):
            return False
    return is_boundary(text, start, end)


# -- sentences ------------------------------------------------------------------------------------------

_WIDE_STOPS = "。｡．！？﹒﹖﹗︒"  # they end a sentence without white space after them
_WIDE_CLOSES = r"\p{Pe}\p{Pf}\"'"
_CLOSES = rf"{_WIDE_CLOSES}“‘«»‹›*_`~"
_DOTS = ".…‥․﹒．"  # weaker than other stops: lower case after them goes on

_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_LETTERS_WITH_STOPS = re.compile(r"(?:[^\W\d_]\.-?)*[^\W\d_]")

_NAME_FOLLOWS = re.compile(
    "mr|mrs|ms|mx|dr|prof|messrs|st|mt|rev|fr|hon|gov|sen|rep|gen|col|maj|capt|cmdr|lt|sgt|cpl|"
    "vs|cf|viz|approx|resp|esp|incl|hr|nr|bzw|ggf|evtl|vgl|inkl|ca|mme|mlle|ph\\.d",
    re.IGNORECASE,
)
_NUMBER_FOLLOWS = re.compile("nos?|figs?|eqs?|sec|ch|vol|pp|art|abb|abs|kap", re.IGNORECASE)


@cache
def _sentence_may_end() -> Any:
    stops = rf"{_WIDE_STOPS}{_WIDE_CLOSES}"
    return pattern(rf"\s(?=\S)|(?<=[{stops}])(?=[^\s{stops}\p{{SB=STerm}}{_DOTS}])")


@cache
def _ending() -> Any:
    """Return the last word, the stops and what closes after them; read from the right."""
    return pattern(rf"(?r)([\w.\-]*)([\p{{SB=STerm}}{_DOTS}{_WIDE_STOPS}]+)([{_CLOSES}]*)")


def _ends_sentence(text: str, start: int, end: int) -> bool:
    if text[end - 1] == " " and text[end - 2].isalnum():
        return False  # between two words, as almost always
    if not is_boundary(text, start, end):
        return False
    before = text[max(start, end - _REACH) : end]
    said = before.rstrip()
    space, after = before[len(said) :], text[end]
    line_breaks = len(_LINE_BREAK.findall(space))
    if line_breaks > 1 or (line_breaks and not after.islower()):
        return True
    found = _ending().match(said)
    if found is None:
        return False
    word, stops, closes = found.groups()
    if stops[-1] in _WIDE_STOPS and not (stops[-1] in _DOTS and after.isdecimal()):
        return True
    if not space:
        return False
    if stops[-1] not in _DOTS:
        return not (closes and after.islower())  # "Why?" she asked
    return not after.islower() and (
        stops != "." or bool(closes) or not _stop_is_of_word(said[: found.start()], word, after)
    )


def _stop_is_of_word(before: str, word: str, after: str) -> bool:
    """Whether the full stop after a word belongs to it and ends nothing."""
    if word.isdecimal():
        line = before.rstrip(" \t>")
        return not line or line[-1] in "\r\n"  # the number of a list item
    return bool(
        _LETTERS_WITH_STOPS.fullmatch(word)
        or _NAME_FOLLOWS.fullmatch(word)
        or (after.isdecimal() and _NUMBER_FOLLOWS.fullmatch(word))
    )
