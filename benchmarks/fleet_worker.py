"""A machine of the fleet that `fleet` starts; it ends when its standard input does.

python -m benchmarks.fleet_worker URL CLI AT_ONCE
"""

from __future__ import annotations

import asyncio
import sys

from rxccsdk import SessionOptions
from rxccsdk.fleet import Worker


async def _work(url: str, cli: str, at_once: int) -> None:
    worker = Worker(url, at_once=at_once, options=SessionOptions(cli_path=cli))
    loop = asyncio.get_running_loop()
    ending = loop.run_in_executor(None, sys.stdin.read)
    ending.add_done_callback(lambda _: worker.stop())
    await worker.run()


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
