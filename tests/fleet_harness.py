"""A fleet of processes, each behind a line that can be made bad, and whether all arrived that was written."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from uuid import uuid4

import psutil

from rxccsdk.testing import ScriptedCli
from rxccsdk.testing.plans import Plan
from tests.cli_processes import environment
from tests.proxy import Proxy
from tests.redis_server import RedisServer

MACHINE = [sys.executable, "-m", "tests.fleet_machine"]
_MARK = "FLEET_OF_TESTS"  # a variable that all processes of a fleet have
_ROOT = Path(__file__).parents[1]

_KEEPS_WRITES = '''
class Keeping(Program):
    """Keep what is written, by the prompt it belongs to, before it is written."""

    def write(self, data):
        if self.prompt_uuid:
            with open(os.path.join(self.folder, "written-" + self.prompt_uuid), "ab", buffering=0) as file:
                file.write(data)
        super().write(data)


def main()'''


class RecordedCli(ScriptedCli):
    """A scripted CLI that keeps what it writes: a test compares with it what arrived.

    Args:
        folder: as for `ScriptedCli`.
        plan: how it answers the first prompt of each process; `$uuid` in it is the prompt's id.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        super().__init__(folder, [plan])
        program = self.path.read_text()
        program = program.replace("\ndef main()", _KEEPS_WRITES).replace("= Program(", "= Keeping(")
        self.path.write_text(program)
        self.folder = folder

    def written(self, id: str) -> list[dict[str, Any]] | None:
        """Return the frames that were written for a prompt; `None` where it had not begun."""
        path = self.folder / f"written-{id}"
        if not path.exists():
            return None
        data = path.read_bytes()
        return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines() if line.strip()]

    def asked(self) -> Counter[str]:
        """Return how often each prompt was written to it, by id."""
        return Counter(frame["uuid"] for frame in self.received if frame.get("type") == "user")


class Machine:
    """A process of the fleet, and its line to Redis.

    Args:
        log: where it logs to.
        proxy: its line.
        kind: "worker" or "front".
        arguments: of `tests.fleet_machine` after the URL.
        environ: variables of its environment.

    Attributes:
        reports: what it has said since it was started.
        deaths: how often it was killed.
    """

    def __init__(
        self, log: Path, proxy: Proxy, kind: str, arguments: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        self.kind = kind
        self.proxy = proxy
        self.reports: list[dict[str, Any]] = []
        self.deaths = 0
        self._arguments = arguments
        self._environ = environ
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process, if it has one."""
        return self._process.pid if self._process is not None else None

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it."""
        assert not self.is_alive
        self.reports = []
        url = f"redis://127.0.0.1:{self.proxy.port}/0"
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *MACHINE, self.kind, url, *self._arguments,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                env={**environment(), **self._environ}, cwd=_ROOT,
            )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self._process))

    def tell(self, **wanted: Any) -> None:
        """Tell a front what to do."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")

    async def report(self, **fields: Any) -> dict[str, Any]:
        """Wait for a report with these fields; return it."""
        while True:
            for report in self.reports:
                if all(report.get(name) == value for name, value in fields.items()):
                    return report
            assert self.is_alive, f"it ended without {fields}: {self.log}"
            await asyncio.sleep(0.01)

    @property
    def log(self) -> str:
        """The end of what it logged."""
        return self._log.read_text()[-4000:]

    def pause(self) -> None:
        """Let it stand still."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Kill it, as a machine that loses power does, except that its CLIs are left to their guardian."""
        if self._process is not None:
            self.deaths += 1
            self._signal(signal.SIGKILL)
            await self._over(self._process)

    async def end(self) -> None:
        """Ask it to end; return when it has."""
        if self._process is not None:
            self.resume()
            assert self._process.stdin is not None
            self._process.stdin.close()
            if self.kind == "worker":
                self._signal(signal.SIGTERM)
            await self._over(self._process)

    async def _over(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if self._reading is not None:
            await self._reading
        self._process = None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with suppress(OSError):
            while line := await process.stdout.readline():
                if line.endswith(b"\n"):
                    self.reports.append(json.loads(line))

    def _signal(self, number: int) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


class Seen(NamedTuple):
    """What an observer has got of a turn."""

    chunks: list[dict[str, Any]]
    end: dict[str, Any] | None

    @classmethod
    def of(cls, path: Path) -> Seen:
        """Read an observer's file; what it was writing when it was killed does not count."""
        data = path.read_bytes() if path.exists() else b""
        lines = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        if lines and "end" in lines[-1]:
            return cls(lines[:-1], lines[-1])
        return cls(lines, None)

    @property
    def text(self) -> str:
        """What the agent said."""
        return "".join(chunk["text"] for chunk in self.chunks if chunk["kind"] == "TextChunk")


def text_of(frames: Sequence[dict[str, Any]]) -> str:
    """Return what the agent says in the frames of a CLI."""
    deltas = (frame["event"].get("delta", {}) for frame in frames if frame["type"] == "stream_event")
    return "".join(delta.get("text", "") for delta in deltas)


def running(mark: str) -> list[psutil.Process]:
    """Return the processes that have a mark in their environment, however they have come about."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Ground:
    """A Redis server, and machines on it; an async context manager that leaves none behind.

    Args:
        folder: where all of them have their files.
        lease: seconds after which a worker that gives no sign is lost.

    Attributes:
        server: Redis.
        machines: all that were made.
        files: in which observers write what they see, by turn.
    """

    def __init__(self, folder: Path, lease: float = 2.0) -> None:
        self.server = RedisServer(folder / "redis")
        self.machines: list[Machine] = []
        self.clis: list[RecordedCli] = []
        self.files: dict[str, list[Path]] = {}
        self._folder = folder
        self._lease = lease
        self._mark = str(uuid4())
        self._names = count()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Ground:
        self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for machine in self.machines:
                machine.proxy.heal()
                await machine.kill()
            if kind is None:
                await self.no_cli_left()
        finally:
            for cli in self.clis:
                cli.close()
            await self._stack.aclose()
            self.server.stop()

    def cli(self, plan: Plan) -> RecordedCli:
        """Make a CLI that answers every prompt like this."""
        cli = RecordedCli(self._folder / f"cli{next(self._names)}", plan)
        self.clis.append(cli)
        return cli

    async def worker(self, cli: ScriptedCli | Path, at_once: int = 4, **environ: str) -> Machine:
        """Start a machine that answers prompts with a CLI."""
        path = cli if isinstance(cli, Path) else cli.path
        return await self._machine("worker", str(at_once), str(self._lease), str(path), **environ)

    async def front(self) -> Machine:
        """Start a machine that asks and watches."""
        return await self._machine("front")

    async def ask(self, front: Machine, prompt: str) -> str:
        """Ask a prompt of the fleet; return the turn's id."""
        file = self._file()
        front.tell(ask=prompt, file=str(file))
        job = str((await front.report(prompt=prompt))["asked"])
        self.files[job] = [file]
        return job

    def watch(self, front: Machine, job: str) -> Path:
        """Watch a turn, which somebody else may have asked; return where what is seen is written."""
        file = self._file()
        self.files[job].append(file)
        front.tell(watch=job, file=str(file))
        return file

    async def seen(self, file: Path, chunks: int) -> None:
        """Wait until an observer has so many chunks of a turn."""
        while len(Seen.of(file).chunks) < chunks:
            await asyncio.sleep(0.01)

    async def ended(self, file: Path) -> Seen:
        """Wait until an observer has the end of a turn."""
        while (seen := Seen.of(file)).end is None:
            await asyncio.sleep(0.02)
        return seen

    def check(self, job: str) -> str:
        """Check what all have of a turn; return how it ended. See `check_turn`."""
        written = [frames for cli in self.clis if (frames := cli.written(job)) is not None]
        asked = sum((cli.asked()[job] for cli in self.clis), 0)
        assert asked == len(written) <= 1, f"it was sent {asked} times"
        return check_turn([Seen.of(file) for file in self.files[job]], text_of(written[0] if written else ()))

    async def no_cli_left(self, seconds: float = 15.0) -> None:
        """Wait until nothing runs any more but the machines: no CLI, and nothing that one has started.

        Raises:
            AssertionError: something still runs.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while left := self._processes():
            assert asyncio.get_running_loop().time() < deadline, f"left behind: {left}"
            await asyncio.sleep(0.05)

    def _processes(self) -> list[str]:
        """Return what runs beside the machines."""
        machines = {machine.pid for machine in self.machines}
        return [str(process) for process in running(self._mark) if process.pid not in machines]

    async def _machine(self, kind: str, *arguments: str, **environ: str) -> Machine:
        proxy = await self._stack.enter_async_context(Proxy(self.server.port))
        log, marked = self._folder / f"{kind}{next(self._names)}.log", {_MARK: self._mark, **environ}
        machine = Machine(log, proxy, kind, arguments, marked)
        self.machines.append(machine)
        await machine.start()
        return machine

    def _file(self) -> Path:
        return self._folder / f"seen{next(self._names)}.jsonl"


def check_turn(seen: Sequence[Seen], said: str) -> str:
    """Check what observers have of a turn against what its CLI wrote; return how it ended.

    Args:
        seen: what each has; one of them, the longest, has its end.
        said: all text that the CLI wrote.

    Raises:
        AssertionError: something is lost, twice, out of order, or different.
    """
    whole = max(seen, key=lambda it: (it.end is not None, len(it.chunks)))
    assert whole.end is not None, "nobody has seen its end"
    status = str(whole.end["end"])
    for one in seen:
        pairs = zip(one.chunks, whole.chunks, strict=False)
        differ = next(((a, b) for a, b in pairs if a != b), None)
        assert differ is None, f"observers have different chunks: {differ}"
        assert len(one.chunks) <= len(whole.chunks), f"one has more: {one.chunks[len(whole.chunks) :]}"
        assert one.end is None or one.end == whole.end, (one.end, whole.end)
    assert [chunk["seq"] for chunk in whole.chunks] == list(range(len(whole.chunks))), "a gap"
    if status == "completed":
        assert said
        assert whole.text == said, "a turn that completed has not what its CLI wrote"
        assert whole.end["content"] == said
        assert whole.chunks[-1]["kind"] == "ResultChunk"
    else:
        assert status in ("failed", "interrupted"), whole.end
        assert said.startswith(whole.text), "it has what its CLI did not write"
        assert status != "failed" or whole.end["error"], "it does not say why"
        assert whole.end["content"] == whole.text, "its partial is not what arrived"
    return status
