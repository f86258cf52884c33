"""The snippets of docs/fleet.md run, with a worker from the command line and the real CLI."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from rxccsdk.fleet import Fleet
from rxccsdk.testing import LoopbackApi, bundled_cli, clean_environment, reply
from tests.conftest import Scripted
from tests.redis_server import RedisServer
from tests.test_fleet import working
from tests.web_server import client, events, serving

PAGE = Path(__file__).parents[1] / "docs" / "fleet.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
URL = "redis://queue.internal"

PRELUDE = """
import asyncio
from rxccsdk import Allow, AskChunk, Retry, SessionOptions, operators as cc
from rxccsdk.fleet import Fleet
prompts = ["one", "two"]
def decide(ask: AskChunk) -> Allow: return Allow()
"""


@contextmanager
def worker(url: str, folder: Path, api: LoopbackApi) -> Iterator[None]:
    cli = bundled_cli()
    assert cli is not None
    env = clean_environment(api.url, folder / "home", PYTHONPATH=os.pathsep.join(sys.path), RXCCSDK_REDIS=url)
    command = [sys.executable, "-m", "rxccsdk", "serve", "--at-once", "2", "--cli", str(cli)]
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "takes prompts from" in said


def run(snippet: str, url: str) -> str:
    body = f"async def snippet() -> None:\n{textwrap.indent(snippet.replace(URL, url), '    ')}\n"
    source = f"{PRELUDE}{body}asyncio.run(snippet())\n"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", source], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_it_shows_runs(redis_server: RedisServer, tmp_path: Path) -> None:
    ask, watch, _, _ = SNIPPETS
    # The turn that is watched is over: it cannot be steered.
    lines = "".join(line for line in watch.splitlines(keepends=True) if "turn.steer" not in line)
    api = LoopbackApi(lambda request: reply("An answer in a few words."))
    with api, worker(redis_server.url, tmp_path, api):
        answer, turn = run(ask, redis_server.url).split("words.")
        assert answer == "An answer in a few "
        again = f'async with Fleet("{URL}") as fleet:\n    id = "{turn.strip()}"\n'
        shown = run(again + textwrap.indent(lines, "    "), redis_server.url)
    assert shown.startswith("An answer in a few words.")
    assert sorted(shown.splitlines()[-2:])[-1].endswith("An answer in a few words.")


async def test_the_snippet_for_the_web_serves_a_turn_that_was_asked_elsewhere(
    redis_server: RedisServer, scripted: Scripted
) -> None:
    async with Fleet(redis_server.url) as fleet:
        names: dict[str, Any] = {"fleet": fleet}
        exec(SNIPPETS[2], names)
        app = Starlette(routes=[Route("/{id}", names["events"])])
        async with (
            working(redis_server.url, scripted().options),
            serving(app) as address,
            client(address) as http,
        ):
            found = [event async for event in events(http, f"/{await fleet.submit('hi')}")]
            refused = await http.get("/nothing")
    assert (found[-1].name, found[-1].data["status"]) == ("end", "completed")
    assert (refused.status_code, "knows no turn 'nothing'" in refused.text) == (404, True)


def test_the_snippet_for_a_worker_is_typed_code() -> None:
    assert "await Worker(" in SNIPPETS[3]
    compile(f"async def snippet():\n{textwrap.indent(SNIPPETS[3], '    ')}", "fleet.md", "exec")


@pytest.mark.parametrize(
    "name", ["prompts", "spec:{job}", "turn:{job}", "talk:{job}", "transcript:{session}"]
)
def test_its_names_are_those_in_the_code(name: str) -> None:
    names = (PAGE.parents[1] / "rxccsdk" / "fleet" / "names.py").read_text()
    assert f"`rxccsdk:{name}`" in PAGE.read_text()
    assert f"rxccsdk:{name.partition('{')[0]}" in names
