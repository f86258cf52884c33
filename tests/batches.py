"""`python -m tests.batches --times 20`: kill `rxccsdk batch` at random moments, run it again, and count.

Each time a batch is killed with SIGKILL at some moments and run again until it ends. Then each prompt has
one answer, and none whose answer was in the file was asked again.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from rxccsdk.testing import LoopbackApi, Reply, Request, bundled_cli, clean_environment, environment, reply
from tests.cli_processes import COMMAND
from tests.cli_processes import environment as inherited

_PROMPTS = 8
_TOGETHER = 3


def main() -> None:
    """Do it so many times."""
    parser = argparse.ArgumentParser(prog="python -m tests.batches", description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for number in range(arguments.times):
        seed = arguments.seed + number
        backend = ("claude-code-sdk", "claude-agent-sdk")[number % 2]
        with tempfile.TemporaryDirectory() as folder:
            kills, asked = batch(Path(folder), backend, random.Random(seed))
        print(f"seed {seed}, {backend}: killed {kills} times, {sum(asked.values())} asked", flush=True)


def batch(folder: Path, backend: str, chance: random.Random) -> tuple[int, Counter[str]]:
    """Run a batch, kill it some times, and check what became of it."""
    asked: Counter[str] = Counter()

    def answer(request: Request) -> Reply:
        asked[request.prompt] += 1
        return reply("It is ").wait(chance.choice((0.0, 0.05, 0.3))).text(f"{request.prompt}.")

    prompts, out = folder / "prompts.jsonl", folder / "answers.jsonl"
    names = [f"p{number}" for number in range(_PROMPTS)]
    prompts.write_text("".join(f"{json.dumps(name)}\n" for name in names))
    cli = bundled_cli()
    assert cli is not None
    (folder / "bin").mkdir()
    (folder / "bin" / "claude").symlink_to(cli)
    command = [*COMMAND, "batch", str(prompts), "--out", str(out), "--at-once", str(_TOGETHER)]
    kills = 0
    settled: dict[str, int] = {}  # what was answered before a kill, and how often it had been asked
    with LoopbackApi(answer) as api:
        clean = clean_environment(api.url, folder / "home")
        clean["PATH"] = f"{folder / 'bin'}:{clean['PATH']}"
        with environment(clean):
            while True:
                process = subprocess.Popen(
                    [*command, "--backend", backend], env=inherited(), stderr=subprocess.DEVNULL
                )
                try:
                    assert process.wait(timeout=chance.uniform(1.0, 4.0) if kills < 4 else 60) == 0
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    kills += 1
                    settled |= {name: asked[name] for name in answered(out)}
            answers = answered(out)
    assert sorted(answers) == names, answers
    assert all(answers[name] == f"It is {name}." for name in names)
    assert all(asked[name] == times for name, times in settled.items())
    # Only what was under way when it was killed can have been asked again.
    assert sum(asked.values()) <= _PROMPTS + kills * _TOGETHER, asked
    return kills, asked


def answered(out: Path) -> dict[str, str]:
    """The answers that are in the file; raises where a prompt has two."""
    found: dict[str, str] = {}
    data = out.read_bytes() if out.exists() else b""
    for line in data.splitlines(keepends=True):
        if line.endswith(b"\n"):
            entry = json.loads(line)
            assert entry["prompt"] not in found, f"{entry['prompt']} was answered twice"
            found[entry["prompt"]] = entry["response"]["content"]
    return found


if __name__ == "__main__":
    main()
