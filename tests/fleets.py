"""`python -m tests.fleets --minutes 3`: kill, stop and cut off machines of a fleet at random, and compare.

Machines are processes: workers with 20 scripted CLIs, one with two real ones on a scripted API, and those who
ask and watch. All are killed, stopped and cut off, each for itself, and so is Redis. At the end each turn is
compared with what its CLI wrote: once and in order, whole where it completed, a beginning where its worker
was lost; the same for whoever watched; no prompt sent twice; no CLI left.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

from rxccsdk.testing import LoopbackApi, Reply, Request, bundled_cli, clean_environment, environment, reply
from tests.fleet_harness import Ground, Machine, Seen, check_turn
from tests.redis_server import PROGRAM, WHY_NOT
from tests.test_fleet_faults import slowly

_LEASE = 2.0  # seconds
_LIVE = 12  # turns that a front has at the same time
_PLANS = (slowly(30, 0.3), slowly(100, 2.0), slowly(200, 6.0), slowly(1000, 0.0))
_AT_ONCE = 5  # scripted CLIs of a worker
_PATIENCE = 90.0  # seconds, when all is healed, until the next turn has ended


def main() -> None:
    """Do it for so long."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleets", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    if PROGRAM is None:
        parser.exit(2, f"{WHY_NOT}\n")
    print(f"seed {arguments.seed}", flush=True)
    # Not in a `with`: what was written is of use when a comparison fails.
    folder = Path(tempfile.mkdtemp(prefix="fleets-"))
    print(f"in {folder}", flush=True)
    with LoopbackApi(_answer) as api, environment(clean_environment(api.url, folder / "home")):
        print(asyncio.run(Trial(folder, api, arguments.seed).run(60 * arguments.minutes)), flush=True)


def _answer(request: Request) -> Reply:
    return reply(_expected(request.prompt), delay=0.02)


def _expected(prompt: str) -> str:
    """What the real CLIs say."""
    return " ".join(f"{number} of {prompt}." for number in range(60))


class Trial:
    """A fleet, and what happens to it.

    Args:
        folder: for all files.
        api: what the real CLIs call.
        seed: of all that is random; what the processes do meanwhile is not.
    """

    def __init__(self, folder: Path, api: LoopbackApi, seed: int) -> None:
        self._folder = folder
        self._api = api
        self._chance = random.Random(seed)
        self._ground = Ground(folder, _LEASE)
        self._prompts: dict[str, str] = {}  # by turn
        self._happened: Counter[str] = Counter()
        self._numbers = count()
        self._unknown: list[str] = []  # turns that were watched and not there
        self._fronts: list[_Asker] = []
        self._is_over = False

    async def run(self, seconds: float) -> str:
        """Run for so long, heal, and compare; return the verdict.

        Raises:
            AssertionError: something is lost, twice, out of order, different, or left behind.
        """
        async with self._ground as ground:
            workers = [await ground.worker(ground.cli(plan), _AT_ONCE) for plan in _PLANS]
            cli = bundled_cli()
            assert cli is not None
            workers.append(await ground.worker(cli, 2))
            self._fronts = [_Asker(self, await ground.front()) for _ in range(2)]
            async with asyncio.TaskGroup() as tasks:
                for front in self._fronts:
                    tasks.create_task(front.run())
                for machine in ground.machines:
                    tasks.create_task(self._trouble(machine))
                tasks.create_task(self._trouble_redis())
                await asyncio.sleep(seconds)
                self._is_over = True
            last = await ground.front()
            for job in self._prompts:
                ground.watch(last, job)
            await self._settled(last)
            await ground.no_cli_left()
            for machine in ground.machines:
                await machine.end()
            return self._verdict()

    # -- what is asked ------------------------------------------------------------------------------------

    async def ask(self, machine: Machine) -> str | None:
        """Ask something; return the turn, or `None` when the front has died of it."""
        prompt = f"prompt-{next(self._numbers)}"  # several fronts ask at once
        try:
            job = await self._ground.ask(machine, prompt)
        except (AssertionError, OSError):
            self._happened["not asked"] += 1
            return None
        self._happened["asked"] += 1
        self._prompts[job] = prompt
        return job

    def watch(self, machine: Machine, job: str) -> None:
        """Watch a turn from its beginning."""
        self._ground.watch(machine, job)

    def somebody_elses(self) -> str | None:
        """Return a turn that may run still."""
        live = [job for front in self._fronts for job in front.live]
        return self._chance.choice(live) if live else None

    @property
    def is_over(self) -> bool:
        """Whether it is time to come to an end."""
        return self._is_over

    # -- what happens -------------------------------------------------------------------------------------

    async def _trouble(self, machine: Machine) -> None:
        """Let things happen to a machine and its line."""
        chance, proxy = self._chance, machine.proxy
        while not self._is_over:
            await asyncio.sleep(chance.uniform(1.0, 12.0))
            match what := chance.choice(
                ("kill", "stop", "cut", "cut replies", "delay", "black hole", "refuse", "nothing")
            ):
                case "kill":
                    await machine.kill()
                    await asyncio.sleep(chance.uniform(0.0, 2.0))
                    await machine.start()
                case "stop":
                    machine.pause()
                    await asyncio.sleep(self._a_while())
                    machine.resume()
                case "cut":
                    proxy.cut()
                case "cut replies":
                    proxy.cut_replies_after(int(chance.expovariate(1 / 300)))
                case "delay":
                    proxy.delay = chance.uniform(0.0, 0.3)
                    await asyncio.sleep(self._a_while())
                case "black hole":
                    proxy.is_black_hole = True
                    await asyncio.sleep(self._a_while())
                case "refuse":
                    proxy.refuses = True
                    proxy.cut()
                    await asyncio.sleep(self._a_while())
            self._happened[f"{machine.kind}: {what}"] += 1
            proxy.heal()

    async def _trouble_redis(self) -> None:
        """Let things happen to the server."""
        while not self._is_over:
            await asyncio.sleep(self._chance.uniform(5.0, 20.0))
            what = self._chance.choice(("kill", "stop"))
            if what == "kill":
                self._ground.server.kill()
                await asyncio.sleep(self._chance.uniform(0.0, _LEASE))
                self._ground.server.start()
            else:
                self._ground.server.pause()
                await asyncio.sleep(self._chance.uniform(0.0, _LEASE))
                self._ground.server.resume()
            self._happened[f"redis: {what}"] += 1

    def _a_while(self) -> float:
        """Return some seconds, which a lease survives or not."""
        return self._chance.choice((0.2, 0.4, 1.0, 2.0, 3.0)) * _LEASE

    # -- what became of it --------------------------------------------------------------------------------

    async def _settled(self, last: Machine) -> None:
        """Wait until somebody who saw all from its beginning has the end of every turn."""
        loop = asyncio.get_running_loop()
        wanted, reports, deadline = set(self._prompts), 0, loop.time() + _PATIENCE
        while wanted:
            if len(last.reports) > reports:
                reports, deadline = len(last.reports), loop.time() + _PATIENCE
            wanted -= {report["ended"] for report in last.reports if "ended" in report}
            for report in last.reports:
                if "failed" in report and (job := report["failed"]["watch"]) in wanted:
                    wanted.remove(job)
                    self._unknown.append(job)
            assert loop.time() < deadline, f"without an end: {wanted}"
            await asyncio.sleep(0.1)

    def _verdict(self) -> str:
        asked = Counter(request.prompt for request in self._api.requests)
        ends: Counter[str] = Counter()
        wrong = []
        for job, prompt in self._prompts.items():
            try:
                if job in self._unknown:
                    assert all(cli.written(job) is None for cli in self._ground.clis)
                    assert not asked[prompt]
                    assert not any(Seen.of(file).chunks for file in self._ground.files[job])
                    ends["never sent, its front was killed"] += 1
                elif asked[prompt]:
                    assert all(cli.written(job) is None for cli in self._ground.clis), "it was sent twice"
                    assert asked[prompt] == 1, f"it was sent {asked[prompt]} times"
                    seen = [Seen.of(file) for file in self._ground.files[job]]
                    ends[f"{check_turn(seen, _expected(prompt))}, real"] += 1
                else:
                    ends[self._ground.check(job)] += 1
            except AssertionError as error:
                wrong.append(f"{job} ({prompt}): {error}")
        said = [f"{number} {what}" for what, number in sorted((self._happened + ends).items())]
        assert not wrong, "\n".join([*said, *wrong])
        return "\n".join([*said, "all as it should be"])


class _Asker:
    """Keeps a front busy, through its deaths."""

    def __init__(self, trial: Trial, machine: Machine) -> None:
        self.live: set[str] = set()
        self._trial = trial
        self._machine = machine

    async def run(self) -> None:
        """Ask, and watch what is asked; when the front comes back, watch again what had not ended."""
        deaths = 0
        reports: list[dict[str, Any]] = []
        while not self._trial.is_over:
            if not self._machine.is_alive:
                await asyncio.sleep(0.05)
                continue
            if self._machine.deaths != deaths or reports is not self._machine.reports:
                deaths, reports = self._machine.deaths, self._machine.reports
                for job in sorted(self.live):
                    self._trial.watch(self._machine, job)
            self.live -= {report["ended"] for report in reports if "ended" in report}
            self.live -= {report["failed"].get("watch") for report in reports if "failed" in report}
            if len(self.live) < _LIVE and (asked := await self._trial.ask(self._machine)) is not None:
                self.live.add(asked)
                if (other := self._trial.somebody_elses()) is not None:
                    self._trial.watch(self._machine, other)
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    main()
