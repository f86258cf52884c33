"""JSON that is still being written: where it begins in a text, how far it is, how it could be closed."""

from __future__ import annotations

import re

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING_STOP = re.compile(r'["\\\x00-\x1f]')
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*")
_WHOLE_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity")
_HEX = re.compile(r"[0-9a-fA-F]+")
_OPENER = re.compile(r"[{\[]")

_CLOSER = {"{": "}", "[": "]"}
_RETRIED = 256  # a false start shorter than this is searched again for a start inside it

# What may come next.
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _COLON, _COMMA_OR_END, _STRING, _ESCAPE, _SCALAR_PART = range(9)


class JsonScan:
    """Follows one JSON object or array through a text that comes in pieces, as pydantic's parser reads it.

    Attributes:
        length: how many characters were taken.
        safe: so many of them have every value whole: with `closers`, they are JSON.
        string: where the string that is being written begins, if it is a value; else -1.
        whole: the value is complete.
        broken: it is no JSON.
        items: where the items of the first array begin and end, as far as they are complete.
        item_closers: what closes the objects and arrays that are open behind the last of them.
        array_whole: the first array is complete.
    """

    def __init__(self) -> None:
        self.length = 0
        self.safe = 0
        self.string = -1
        self.whole = False
        self.broken = False
        self.items: list[tuple[int, int]] = []
        self.item_closers = ""
        self.array_whole = False
        self._open: list[str] = []
        self._next = _VALUE
        self._is_key = False
        self._escape = ""
        self._escape_at = -1  # where an escape begins that does not stand for a character yet
        self._half = False  # that escape is the first half of a surrogate pair
        self._scalar: list[str] = []
        self._array_depth = 0  # how many are open inside the first array; 0 before there is one
        self._item_at = 0

    @property
    def closers(self) -> str:
        """What closes the objects and arrays that are open."""
        return "".join(_CLOSER[opener] for opener in reversed(self._open))

    @property
    def shown(self) -> int:
        """How many characters of the value stand for whole characters, in the middle of a string."""
        return self.length if self._escape_at < 0 else self._escape_at

    @property
    def has_array(self) -> bool:
        """Whether an array has begun."""
        return self._array_depth > 0

    def feed(self, text: str, at: int = 0) -> int:
        """Take what follows, up to the end of the value; return the index after it.

        Args:
            text: a piece of the text.
            at: where in it to go on.
        """
        start, length, end = at, self.length, len(text)
        while at < end and not self.whole and not self.broken:
            if self._next == _STRING:
                at = self._in_string(text, at)
            elif self._next == _ESCAPE:
                at = self._in_escape(text, at)
            elif self._next == _SCALAR_PART:
                at = self._in_scalar(text, at)
            else:
                match = _SPACE.match(text, at)
                at = match.end() if match else at
                if at < end:
                    self.length = length + at - start
                    at = self._at_token(text[at], at)
            self.length = length + at - start
        return at

    def _at_token(self, token: str, at: int) -> int:
        state = self._next
        if state in (_VALUE, _VALUE_OR_END) and token not in "]}":
            self._begin_value(token)
            return at + (self._next != _SCALAR_PART and not self.broken)
        if token == '"' and state in (_KEY, _KEY_OR_END):
            self._next, self._is_key = _STRING, True
        elif token == ":" and state == _COLON:
            self._next = _VALUE
        elif token == "," and state == _COMMA_OR_END:
            self._next = _KEY if self._open[-1] == "{" else _VALUE
        elif (token == "]" and state in (_VALUE_OR_END, _COMMA_OR_END) and self._open[-1] == "[") or (
            token == "}" and state in (_KEY_OR_END, _COMMA_OR_END) and self._open[-1] == "{"
        ):
            self._close()
        else:
            self.broken = True
            return at
        return at + 1

    def _begin_value(self, token: str) -> None:
        if self._array_depth and len(self._open) == self._array_depth:
            self._item_at = self.length
        if token in "{[":
            self._open.append(token)
            self._next = _KEY_OR_END if token == "{" else _VALUE_OR_END
            self.safe = self.length + 1
            if token == "[" and not self._array_depth:
                self._array_depth = len(self._open)
        elif token == '"':
            self._next, self._is_key = _STRING, False
            self.string = self.length
        elif token in "-0123456789tfnNI":
            self._next = _SCALAR_PART
        else:
            self.broken = True

    def _close(self) -> None:
        if len(self._open) == self._array_depth and not self.array_whole:
            self.array_whole = True
        self._open.pop()
        self._value_ends(self.length + 1)

    def _value_ends(self, end: int) -> None:
        self.safe = end
        self.string = -1
        self._next = _COMMA_OR_END
        self.whole = not self._open
        if self._array_depth and not self.array_whole and len(self._open) == self._array_depth:
            self.items.append((self._item_at, end))
            self.item_closers = self.closers

    def _in_string(self, text: str, at: int) -> int:
        if self._half and text[at] != "\\":
            self._half, self._escape_at = False, -1  # a lone half: pydantic will say so
        match = _STRING_STOP.search(text, at)
        if match is None:
            return len(text)
        stop, token = match.start(), match.group()
        self.length += stop - at
        if token == '"':
            if self._is_key:
                self._next = _COLON
            else:
                self._value_ends(self.length + 1)
            return stop + 1
        if token == "\\":
            self._next, self._escape = _ESCAPE, ""
            if not self._half:
                self._escape_at = self.length
            return stop + 1
        self.broken = True
        return stop

    def _in_escape(self, text: str, at: int) -> int:
        if not self._escape:
            self._escape = text[at]
            if self._escape not in '"\\/bfnrtu':
                self.broken = True
                return at
            if self._escape != "u":
                self._escape_ends(half=False)
            return at + 1
        wanted = 5 - len(self._escape)
        match = _HEX.match(text, at, at + wanted)
        if match is None:
            self.broken = True
            return at
        self._escape += match.group()
        if len(self._escape) == 5:
            code = int(self._escape[1:], 16)
            self._escape_ends(half=0xD800 <= code < 0xDC00 and not self._half)
        return match.end()

    def _escape_ends(self, *, half: bool) -> None:
        self._next, self._half = _STRING, half
        if not half:
            self._escape_at = -1

    def _in_scalar(self, text: str, at: int) -> int:
        match = _SCALAR.match(text, at)
        end = match.end() if match else at
        self._scalar.append(text[at:end])
        if end < len(text):  # only what follows shows that it is complete
            whole = _WHOLE_SCALAR.fullmatch("".join(self._scalar))
            self._scalar.clear()
            self.length += end - at
            if whole is None:
                self.broken = True
            else:
                self._value_ends(self.length)
        return end


class JsonSearch:
    """Finds the JSON objects and arrays in a text that comes in pieces, one after the other.

    Prose has brackets too: a value may turn out to be no JSON.

    Attributes:
        scan: the current value; `None` while searching.
        start: where it begins in the text.
    """

    def __init__(self) -> None:
        self.scan: JsonScan | None = None
        self.start = 0
        self._pieces: list[str] = []  # the text from `_base` on
        self._base = 0
        self._read = 0  # how much of the text was read
        self._length = 0

    def feed(self, piece: str) -> None:
        """Append to the text, and read on in the current value, up to its end at most."""
        self._pieces.append(piece)
        self._length += len(piece)
        if self.scan is not None and not self.scan.whole and not self.scan.broken:
            self._read += self.scan.feed(piece)

    def next(self) -> JsonScan | None:
        """Return the current value, else the next one, else `None`: more text is needed."""
        if self.scan is None:
            text = self._rest()
            match = _OPENER.search(text, self._read - self._base)
            if match is None:
                self._read = self._length
                self.forget(self._read)
                return None
            self.start = self._base + match.start()
            self.scan = JsonScan()
            self._read = self._base + self.scan.feed(text, match.start())
            if self._read == self._length:
                self.forget(self.start)
        return self.scan

    def leave(self) -> None:
        """Leave the current value: search behind it, or where it is broken, behind its first bracket."""
        scan, self.scan = self.scan, None
        if scan is not None and scan.broken and scan.length <= _RETRIED:
            self._read = self.start + 1

    def text(self, start: int, end: int) -> str:
        """Return a part of the current value, counted from its beginning."""
        before = self.start - self._base
        return self._rest()[before + start : before + end]

    def forget(self, until: int) -> None:
        """Drop what lies before this place of the text."""
        self._pieces, self._base = [self._rest()[until - self._base :]], until

    def _rest(self) -> str:
        if len(self._pieces) != 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]
