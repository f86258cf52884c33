"""`rxccsdk serve --redis`: this machine answers prompts of the fleet."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rxccsdk.cli.codes import NOT_READY, SUCCESS, USAGE, CommandError
from rxccsdk.text.harmless import harmless

if TYPE_CHECKING:
    from rxccsdk.fleet import Worker
    from rxccsdk.session.options import SessionOptions

_log = logging.getLogger("rxccsdk")

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def work(url: str, at_once: int, lease: float, options: SessionOptions) -> int:
    """Answer prompts until a signal says to stop; return the exit code."""
    try:
        from rxccsdk.fleet import Worker
    except ImportError as error:
        words = "This needs the extra `redis`: pip install 'rxccsdk[redis]'"
        raise CommandError(f"{words} ({error.name} is missing)", NOT_READY) from error
    try:
        worker = Worker(url, at_once=at_once, lease=lease, options=options)
    except ValueError as error:
        raise CommandError(f"--redis {url}: {error}", USAGE) from error
    with _told():
        return asyncio.run(_run(worker))


async def _run(worker: Worker) -> int:
    loop = asyncio.get_running_loop()
    running = loop.create_task(worker.run())
    is_ending = False

    def end() -> None:
        nonlocal is_ending
        if is_ending or not worker.running:
            running.cancel()
            return
        is_ending = True
        worker.stop()
        _log.info("no more prompts are taken; %d run to their ends; once more stops them", worker.running)

    for name in _SIGNALS:
        loop.add_signal_handler(getattr(signal, name), end)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()
    return SUCCESS


@contextmanager
def _told() -> Generator[None]:
    """Write what the worker says to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Harmless("%(asctime)s %(message)s", "%H:%M:%S"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)


class _Harmless(logging.Formatter):
    """Lets nothing through that does something to a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))
