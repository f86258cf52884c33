"""Lines out of reads: any read size, any line length."""

from __future__ import annotations


class LineFramer:
    r"""Cuts a stream of bytes into its lines, wherever the reads happen to be cut.

    Time and memory are linear in the bytes, also for one line that arrives in ten thousand reads.

    Example:
        >>> framer = LineFramer()
        >>> framer.push(b'{"a"'), framer.push(b': 1}\n{"b": 2}\n{'), framer.flush()
        ([], [b'{"a": 1}', b'{"b": 2}'], b'{')
    """

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def push(self, data: bytes) -> list[bytes]:
        """Take one read; give the lines it completed, without their newline."""
        if b"\n" not in data:
            self._pending.append(data)
            return []
        lines = data.split(b"\n")
        tail = lines.pop()
        if self._pending:
            self._pending.append(lines[0])  # and not the whole read, which would be copied
            lines[0] = b"".join(self._pending)
            self._pending.clear()
        if tail:
            self._pending.append(tail)
        return lines

    def flush(self) -> bytes:
        """Give what is left of a last line that had no newline."""
        tail = b"".join(self._pending)
        self._pending = []
        return tail
