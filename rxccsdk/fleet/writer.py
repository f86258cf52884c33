"""Writing a turn into its log while it runs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rxccsdk.chunks import Frame
from rxccsdk.transport.recorder import Recorder
from rxccsdk.transport.turn_log import EntryId, LogError, TurnLog
from rxccsdk.wire.connection import FAR_ID

_MOST = 1 << 20  # bytes of an entry, where it has more than one line


class LogWriter:
    """Appends lines in their order. What comes while one entry is on its way makes up the next.

    So an idle log gets each line at once, and a busy one gets fewer entries with more in each.

    Args:
        log: where to.
        key: the log's key.
        fail: called once, with why, when no more can be written.
    """

    def __init__(self, log: TurnLog, key: str, fail: Callable[[LogError], None]) -> None:
        self._log = log
        self._key = key
        self._fail = fail
        self._lines: deque[bytes] = deque()
        self._number = 1  # the first entry is the machine's own
        self._task: asyncio.Task[None] | None = None
        self.failure: LogError | None = None

    def put(self, line: bytes) -> None:
        """Append a line, soon."""
        if self.failure is not None:
            return
        self._lines.append(line)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._append())

    async def flush(self) -> None:
        """Return when all is kept, or cannot be."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _append(self) -> None:
        try:
            while self._lines:
                await self._log.append(self._key, EntryId(0, self._number), self._gathered())
                self._number += 1
        except Exception as error:  # also at a defect: a log with a gap must not go on
            failure = error if isinstance(error, LogError) else LogError(f"It cannot be written: {error!r}")
            self.failure = failure
            self._lines.clear()
            self._fail(failure)

    def _gathered(self) -> bytes:
        size = 0
        lines: list[bytes] = []
        while self._lines and (not lines or size + len(self._lines[0]) <= _MOST):
            lines.append(self._lines.popleft())
            size += len(lines[-1])
        return b"".join(lines)


class LogRecorder(Recorder):
    """Records a session into its log.

    Args:
        writer: writes it.
    """

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def open(self, sdk: str, *, takes_asks: bool = False) -> None:
        """Do nothing: the log has begun before the CLI was started."""

    def close(self) -> None:
        """Do nothing: who writes the end closes the log."""

    def _write(self, line: bytes) -> None:
        self._writer.put(line)

    def _takes(self, frame: Frame) -> bool:
        response = frame.get("response")
        if frame.get("type") == "control_response" and isinstance(response, dict):
            return str(response.get("request_id")).startswith(FAR_ID)  # somebody waits for it
        return super()._takes(frame)
