"""Reading a line from the person at the keyboard, while the event loop runs on."""

from __future__ import annotations

import asyncio
import sys


async def read_line() -> str:
    """Return the next line of standard input, without its newline.

    Raises:
        EOFError: there is none.
    """
    if sys.stdin is None:
        raise EOFError("there is no standard input")
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        descriptor = sys.stdin.fileno()
        loop.add_reader(descriptor, ready.set)
    except (OSError, ValueError, NotImplementedError):  # a file, or something of the program's own
        line = await asyncio.to_thread(sys.stdin.readline)
    else:
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        line = sys.stdin.readline()  # a terminal hands out whole lines
    if not line:
        raise EOFError("standard input has ended")
    return str(line).rstrip("\r\n")
