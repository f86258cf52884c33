"""`python -m tests.fleet_machine worker|front ...`: a machine of a fleet, which here is a process.

    worker URL AT_ONCE LEASE CLI   answers prompts until SIGTERM, then ends what runs
    front URL                      asks and watches, as its standard input says; reports on standard output

A front reads a JSON object a line: `{"ask": prompt, "file": path}`, `{"watch": id, "file": path}`,
`{"interrupt": id}`, `{"steer": id, "text": text}`. It writes each chunk of a turn into the file as it comes,
a line of JSON each, and at the end how the turn ended: `{"end": status, "error": ..., "content": ...}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from typing import Any

from rxccsdk import SessionOptions, Turn
from rxccsdk.chunk_json import to_json
from rxccsdk.errors import RxccError
from rxccsdk.fleet import Fleet, Worker


async def work(url: str, at_once: int, lease: float, cli: str) -> None:
    """Answer prompts until SIGTERM."""
    worker = Worker(url, at_once=at_once, lease=lease, options=SessionOptions(cli_path=cli))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.interrupt)
    await worker.run()


class Front:
    """Asks and watches.

    Args:
        fleet: where.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._turns: dict[str, Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Do what standard input says, to its end."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            task = asyncio.create_task(self._do(json.loads(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _do(self, wanted: dict[str, Any]) -> None:
        try:
            if "ask" in wanted:
                await self._watch(self._fleet.stream(wanted["ask"], on_dispose="finish"), wanted)
            elif "watch" in wanted:
                await self._watch(await self._fleet.turn(wanted["watch"]), wanted)
            elif "interrupt" in wanted:
                await self._turns[wanted["interrupt"]].interrupt()
                _report(interrupted=wanted["interrupt"])
            elif "steer" in wanted:
                state = await self._turns[wanted["steer"]].steer(wanted["text"])
                _report(steered=wanted["steer"], state=str(state))
        except Exception as error:
            _report(failed=wanted, error=repr(error))

    async def _watch(self, turn: Turn, wanted: dict[str, Any]) -> None:
        """Write what comes to its end."""
        failure = None
        with open(wanted["file"], "x", buffering=1) as out:  # noqa: ASYNC230
            naming = asyncio.create_task(self._name(turn, wanted))
            try:
                async for chunk in turn:
                    out.write(to_json(chunk) + "\n")
            except RxccError as error:
                failure = str(error)
            await naming
            end = {"end": turn.status, "error": failure, "content": turn.response.content}
            out.write(json.dumps(end) + "\n")
        _report(ended=turn.uuid, file=wanted["file"], status=turn.status)

    async def _name(self, turn: Turn, wanted: dict[str, Any]) -> None:
        """Report the id of a turn that was asked."""
        while turn.index is None:
            await asyncio.sleep(0.002)
        assert turn.uuid is not None
        self._turns[turn.uuid] = turn
        if "ask" in wanted:
            _report(asked=turn.uuid, prompt=wanted["ask"], file=wanted["file"])


def _report(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


async def ask(url: str) -> None:
    """Ask and watch until standard input ends, and all that was asked."""
    async with Fleet(url) as fleet:
        await Front(fleet).run()


def main() -> None:
    """Be what the arguments say."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(message)s")
    match sys.argv[1:]:
        case ["worker", url, at_once, lease, cli]:
            asyncio.run(work(url, int(at_once), float(lease), cli))
        case ["front", url]:
            asyncio.run(ask(url))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
