"""What running commands write, asked for again and again while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rxccsdk.chunks import Chunk, Frame, ResultChunk, TaskChunk, ToolResultChunk
from rxccsdk.errors import RxccError

Control = Callable[[str, Mapping[str, Any], float], Awaitable[Frame]]
"""Sends a control request, and returns the answer."""

Deliver = Callable[[str, str, str, int, bool], None]
"""Takes a call, its task, the end of its output, the bytes of all of it, and whether it has ended."""

_RUNNING = ("started", "progress", "updated", "pending", "running", "paused")
_ANSWER_WITHIN = 10.0  # seconds


@dataclass
class _Command:
    call: str
    background: bool
    ended: bool = False


class CommandWatch:
    """Asks what commands wrote, from the moment the CLI tells of them until they end.

    Args:
        control: asks the CLI.
        seconds: between two questions.
        deliver: takes what the CLI answers.
    """

    def __init__(self, control: Control, seconds: float, deliver: Deliver) -> None:
        self._control = control
        self._seconds = seconds
        self._deliver = deliver
        self._commands: dict[str, _Command] = {}  # by task
        self._asking: asyncio.Task[None] | None = None

    def see(self, chunk: Chunk) -> None:
        """Look at a chunk: a command may begin or end with it."""
        if isinstance(chunk, TaskChunk):
            self._task(chunk)
        elif isinstance(chunk, ToolResultChunk):
            self._result(chunk)
        elif isinstance(chunk, ResultChunk):
            for task, command in tuple(self._commands.items()):
                if not command.background:
                    del self._commands[task]

    def stop(self) -> None:
        """Ask no more."""
        self._commands.clear()
        if self._asking is not None:
            self._asking.cancel()

    def _task(self, chunk: TaskChunk) -> None:
        command = self._commands.get(chunk.task_id)
        if command is None:
            if chunk.kind == "local_bash" and chunk.status == "started" and chunk.tool_use_id is not None:
                self._commands[chunk.task_id] = _Command(chunk.tool_use_id, bool(chunk.background))
                self._ask_on()
            return
        command.background = command.background or bool(chunk.background)
        if chunk.status not in _RUNNING and command.background:
            command.ended = True  # one more question: its end is still to be had
            self._ask_on()

    def _result(self, chunk: ToolResultChunk) -> None:
        for task, command in tuple(self._commands.items()):
            if command.call == chunk.tool_use_id and not command.background:
                del self._commands[task]

    def _ask_on(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        while self._commands:
            for task, command in tuple(self._commands.items()):
                await self._ask_about(task, command)
            if not any(command.ended for command in self._commands.values()):
                await asyncio.sleep(self._seconds)

    async def _ask_about(self, task: str, command: _Command) -> None:
        ended = command.ended
        try:
            answer = await self._control("get_task_output", {"task_id": task}, _ANSWER_WITHIN)
        except RxccError:
            self._commands.pop(task, None)  # an older CLI, or none any more
            return
        if self._commands.get(task) is not command:
            return  # its result has come meanwhile
        output, total = answer.get("output"), answer.get("total_bytes")
        if isinstance(output, str) and isinstance(total, int):
            self._deliver(command.call, task, output, total, ended)
        if ended:
            del self._commands[task]
