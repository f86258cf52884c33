"""What `live` starts for each row: one process that reads one paced answer, and prints what that took.

    python -P -m benchmarks.live_program ROW CLI

It prints, a line each, the seconds of CPU, user and system, that the process took for the second answer,
how many characters of text came, and which rxccsdk it used. It stands on the public names only, so that an
earlier version can run it.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from benchmarks.sdk_loops import AGENT_SDK, CODE_SDK, Sdk

_LONG = 1 << 24  # bytes: the whole block comes in one line, after its deltas


class CpuWatch:
    """The CPU this process takes in a `with` block, in seconds. Its children's is not in it."""

    seconds = 0.0

    def __enter__(self) -> CpuWatch:
        self._before = _cpu()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = _cpu() - self._before


def _cpu() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def ours(cli: Path, watch: CpuWatch, on_text: Callable[[str], object]) -> None:
    """Five operators, to the response."""
    from rxccsdk import ClaudeSession, SessionOptions
    from rxccsdk import operators as cc

    async def ask(on_text: Callable[[str], object]) -> None:
        await (
            session.stream("go")
            .pipe(cc.buffer_text())
            .pipe(cc.print_text(file=io.StringIO()))
            .pipe(cc.tap_text(on_text))
            .pipe(cc.tap_chunks(_ignore), cc.to_response())
        )

    async with ClaudeSession(SessionOptions(cli_path=cli)) as session:
        await ask(_ignore)
        with watch:
            await ask(on_text)


def sdk_loop(sdk: Sdk) -> Any:
    """The least one can do with an SDK."""

    async def play(cli: Path, watch: CpuWatch, on_text: Callable[[str], object]) -> None:
        async with sdk.connect(cli) as client:
            await sdk.ask(client, _ignore)
            with watch:
                await sdk.ask(client, on_text)

    return play


async def readline_loop(cli: Path, watch: CpuWatch, on_text: Callable[[str], object]) -> None:
    """Each line of asyncio's own pipe, decoded: what asyncio costs by itself."""
    import orjson

    async def ask(on_text: Callable[[str], object]) -> None:
        process.stdin.write(b'{"type":"user"}\n')
        while (frame := orjson.loads(await process.stdout.readline()))["type"] != "result":
            if frame["type"] == "stream_event" and frame["event"]["type"] == "content_block_delta":
                on_text(frame["event"]["delta"]["text"])

    pipe = asyncio.subprocess.PIPE
    process: Any = await asyncio.create_subprocess_exec(str(cli), stdin=pipe, stdout=pipe, limit=_LONG)
    await ask(_ignore)
    with watch:
        await ask(on_text)
    process.stdin.close()
    await process.wait()


def _ignore(item: object) -> None:
    return None


ROWS: dict[str, Any] = {
    "ours": ours,
    "claude-code-sdk": sdk_loop(CODE_SDK),
    "claude-agent-sdk": sdk_loop(AGENT_SDK),
    "readline": readline_loop,
}


def _warm_up_malloc() -> None:
    """Free something large, as any program does sooner or later.

    asyncio reads into 256 KB and gives back what a read did not fill. Until something larger was freed,
    malloc maps these pages at each read and unmaps them again, which doubles a small program's cost.
    """
    bytearray(1 << 20)


def main() -> None:
    """Play, and print what it took."""
    _warm_up_malloc()
    row, cli = sys.argv[1:]
    watch = CpuWatch()
    pieces: list[str] = []
    asyncio.run(ROWS[row](Path(cli), watch, pieces.append))
    package = find_spec("rxccsdk")
    print(watch.seconds, sum(map(len, pieces)), package.origin if package else None, sep="\n")


if __name__ == "__main__":
    main()
