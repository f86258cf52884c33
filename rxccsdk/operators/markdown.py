"""Text in whole Markdown blocks, while it is being written."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from rxccsdk.operators.fences import closes, opening
from rxccsdk.operators.graphemes import forced_cut
from rxccsdk.operators.hold import rechunking
from rxccsdk.text.flow import Keeping

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


def by_block(hold: int = 100_000) -> Keeping:
    r"""Emit text in whole Markdown blocks, each with the blank lines after it.

        T"# T\n\nSo"  T"me\n\n``"  T"`\nx\n\n"  T"y\n```\n"  T"!" |
        T"# T\n\n"    T"Some\n\n"  -----------  -----------  T"```\nx\n\ny\n```\n" T"!"|

    A block is a paragraph, heading, list (with all its items and what stands in them), table, block quote,
    fenced or indented code, HTML or thematic break, as CommonMark has it. It is emitted once it is known
    that the next one begins: for a paragraph at the first character after its blank line, for fenced code at
    the first one after its last fence. A link reference definition counts as a paragraph. The pieces are the
    same however the text arrives.

    Text is held per agent and block. That agent's next content, a retraction, a result, an error and the end
    release what is held; chunks of the system and of other agents may overtake it. A piece keeps `seq` and
    `at` of the chunk its first character came in. Works on `str` streams too.

    Args:
        hold: at most this many characters wait; a longer block is cut, after a line where there is one. What
            follows inside of code, a list or a quote is then still taken as such.

    Raises:
        ValueError: `hold` is not positive.

    At a `RetractedChunk`: what is held of that agent is released before it.

    Example:
        >>> import reactivex as rx
        >>> blocks = rx.of("# To do\n\n- one\n", "- two\n\nSo far", ".").pipe(by_block())
        >>> _ = blocks.subscribe(lambda block: print(repr(block)))
        '# To do\n\n'
        '- one\n- two\n\n'
        'So far.'
    """
    if hold < 1:
        raise ValueError(f"hold must be positive, not {hold!r}.")
    return rechunking(lambda: BlockCutter(hold))


_LINE_END = re.compile(r"\n|\r(?=[^\n])")  # a CR at the very end may be half of a CRLF
_SHOWS = re.compile(r"[^ \t\r\n]")
# What a line that has only begun is can still change. After a blank line only a number can turn into
# something that goes on with the block above: the next item of its list.
_DECIDED = re.compile(r"[ \t]*(?!\d{1,9}\Z)[^ \t\r\n]")

# These only say when parsing is worth its time; where a block ends is the parser's word.
_STARTS = re.compile(
    r" {0,3}(?:#{1,6}(?:[ \t]|$)|>|`{3}|~{3}|<|(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)"
    r"|(?:[-*_=][ \t]*)+$|\|?[ \t]*:?-+:?[ \t]*(?:\||$))"
)
_ONE_LINE = re.compile(r" {0,3}(?:#{1,6}(?:[ \t]|$)|([-*_])(?:[ \t]*\1){2,}[ \t]*$)")
_ITEM = re.compile(r" {0,3}(?:([-+*])|\d{1,9}([.)]))(?:[ \t]|$)")
_QUOTE = re.compile(r" {0,3}>")
_NEVER = re.compile(r"(?!)")

_WORTH = 4  # characters that may be parsed for each one that comes: what keeps it all linear
_PREFIX = 200  # as much of a line as its kind needs


class BlockCutter:
    """Cuts Markdown between its top-level blocks.

    It parses what is held where a block may have ended, as often as it can afford. What was parsed in vain
    is parsed again only when enough has come to pay for it.
    """

    def __init__(self, hold: int) -> None:
        self._hold = hold
        self._parts: list[str] = []
        self._size = 0
        self._afford = 0
        self._wanted = False  # parsing may show an end
        self._context = ""  # the lines that opened what a forced cut left open
        self._line = ""  # the line being written, as far as its kind needs
        self._begin_block()

    def _begin_block(self) -> None:
        self._started = False  # its first line is complete
        self._ended = False  # nothing can be added to it but blank lines
        self._fence = ""  # its fence
        self._more = _NEVER  # lines that go on with it for sure
        self._blank = False  # the line before was blank
        self._may_be_header = False  # the line before is a heading, or the head of a table

    def add(self, words: str) -> list[str]:
        """Take more text; return the blocks that are complete."""
        self._parts.append(words)
        self._size += len(words)
        self._afford += _WORTH * len(words)
        self._read(words)
        pieces: list[str] = []
        if self._wanted and self._size <= self._afford:
            pieces = self._parse()
        while self._size > self._hold:
            pieces += self._parse() or self._force()
        return pieces

    @property
    def held(self) -> str:
        """The block that is not complete."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return "".join(self._parts)

    def rest(self) -> list[str]:
        """Return all that is held, block by block."""
        text = "".join(self._parts)
        self._parts, self._size = [], 0
        if not text:
            return []
        places = [0, *(end.end() for end in _LINE_END.finditer(text))]
        if len(places) == 1:
            return [text]
        starts, _ = self._starts(text, 0)
        return _cut(text, [places[start] for start in starts if places[start] < len(text)])

    # -- when to parse ----------------------------------------------------------------------------------

    def _read(self, words: str) -> None:
        """Look for lines a block may begin with."""
        if "\n" not in words and "\r" not in words and not self._line.endswith("\r"):
            if len(self._line) < _PREFIX:
                self._line += words
        else:
            text, start = self._line + words, 0
            for end in _LINE_END.finditer(text):
                self._read_line(text[start : end.start()].removesuffix("\r"))
                start = end.end()
            self._line = text[start:]
        if not self._wanted and (self._ended or self._blank) and len(self._line) < _PREFIX:
            self._wanted = self._may_begin(self._line, whole=False)

    def _read_line(self, line: str) -> None:
        if not _SHOWS.search(line):
            self._blank = self._started
            return
        if self._started:
            self._wanted = self._wanted or self._may_be_header or self._may_begin(line, whole=True)
            self._may_be_header = False
            if self._fence and closes(self._fence, line):
                self._fence, self._ended = "", True
        else:
            self._read_first_line(line)
        self._blank = False

    def _read_first_line(self, line: str) -> None:
        self._started = True
        fence, item = opening(line), _ITEM.match(line)
        if fence is not None:
            _, self._fence, _ = fence
        elif _ONE_LINE.match(line):
            self._ended = "|" not in line
            self._may_be_header = not self._ended
        elif item is not None:
            marker = re.escape(item[1] or item[2])
            number = "" if item[1] else r"\d{1,9}"
            self._more = re.compile(rf"  |\t| ?{number}(?:{marker}(?:[ \t]|\Z)|\Z)")
        elif _QUOTE.match(line):
            self._more = _QUOTE

    def _may_begin(self, line: str, *, whole: bool) -> bool:
        """Whether this line may begin the next block."""
        if self._ended:
            return bool(_SHOWS.search(line))
        if self._fence:
            return False
        if not self._blank:
            return whole and bool(_STARTS.match(line)) and not self._more.match(line)
        if not whole and not _DECIDED.match(line):
            return False
        return self._more is _QUOTE or not self._more.match(line)

    # -- parsing ----------------------------------------------------------------------------------------

    def _parse(self) -> list[str]:
        """Parse what is held; return all blocks but the last."""
        text = "".join(self._parts)
        self._afford -= len(text)
        self._wanted = False
        places = [0, *(end.end() for end in _LINE_END.finditer(text))]
        complete = places[-1]
        above = text[places[-2] : complete] if len(places) > 1 else "x"
        if not _SHOWS.search(above) and _DECIDED.match(text, complete):
            complete = len(text)  # below a blank line its beginning says enough
        starts, ended = self._starts(text[:complete], len(places) - 1)
        cuts = [places[start] for start in starts]
        self._ended = self._ended or ended
        if ended and complete < len(text) and _SHOWS.search(text, complete):
            cuts.append(complete)
        if not cuts:
            self._parts = [text]
            return []
        pieces = _cut(text, cuts)
        self._keep(pieces.pop())
        return pieces

    def _keep(self, text: str) -> None:
        """Go on with the beginning of a block."""
        self._parts, self._size = [text], len(text)
        self._begin_block()
        self._line = ""
        self._read(text)
        self._wanted = False

    def _starts(self, text: str, lines: int) -> tuple[list[int], bool]:
        """Return the lines at which blocks begin but the first, and whether the last one ended by itself.

        Args:
            text: as much of what is held as can be judged.
            lines: how many complete lines it has.
        """
        tokens = _markdown().parse(self._context + text)
        above = self._context.count("\n")
        blocks = [token for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        starts = [token.map[0] - above for token in blocks[1:] if token.map]
        starts = [start for start in starts if start >= 0]
        if starts:
            self._context = ""  # what was open has ended
        ended = False
        if blocks and (last := blocks[-1]).map and last.map[1] - above == lines:
            shown = self._context + text
            line = _LINES.split(shown)[last.map[1] - 1]  # with a bar in it, it may yet be a table's head
            ended = _is_closed(last, shown) or (last.type in ("heading_open", "hr") and "|" not in line)
        return [start for start in starts if start > 0], ended

    def _force(self) -> list[str]:
        """Let go of some of a block that is too long, and remember what it opened."""
        text = "".join(self._parts)
        cut = forced_cut(text, self._hold)
        shown = (self._context + text[:cut]).replace("\r\n", "\n").replace("\r", "\n")
        lines = shown.rstrip().count("\n") + 1
        written = shown.split("\n")
        opened = {
            token.map[0]
            for token in _markdown().parse(shown)
            if token.map
            and token.map[1] >= lines
            and (
                token.type in ("list_item_open", "blockquote_open")
                or (token.type == "fence" and not _is_closed(token, shown))
            )
        }
        self._context = "".join(written[line][:_PREFIX] + "\n" for line in sorted(opened))
        self._parts, self._size = [text[cut:]], len(text) - cut
        return [text[:cut]]


def _cut(text: str, places: list[int]) -> list[str]:
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def _is_closed(token: Token, text: str) -> bool:
    """Whether a fence has its last line."""
    if token.type != "fence" or token.map is None or token.map[1] - token.map[0] < 2:
        return False
    last = _LINES.split(text)[token.map[1] - 1]
    # In a list or a quote the line has more before it.
    return closes(token.markup, last if token.level == 0 else last.lstrip("> \t"))


_LINES = re.compile(r"\r\n|\r|\n")


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark").enable("table")
    # A definition gives no token of its own; as a paragraph it is a block like others.
    markdown.disable("reference")
    markdown.core.ruler.enableOnly(["normalize", "block"])
    return markdown
