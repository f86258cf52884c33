"""`rxccsdk serve --web` as a process."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from rxccsdk.testing import LoopbackApi, bundled_cli, clean_environment, reply
from tests.cli_processes import COMMAND, environment, heed_ctrl_c, run


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_a_link_that_works_and_ends_by_a_signal(tmp_path: Path, end: signal.Signals) -> None:
    cli = bundled_cli()
    assert cli is not None
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "claude").symlink_to(cli)
    with LoopbackApi([reply("One.")]) as api:
        clean = clean_environment(api.url, tmp_path / "home")
        path = f"{programs}{os.pathsep}{clean.get('PATH', os.environ['PATH'])}"
        server = subprocess.Popen(
            [*COMMAND, "serve", "--web", "--port", "0", "--cwd", str(tmp_path)],
            env=environment(**{**clean, "PATH": path, "RXCCSDK_TOKEN": "my secret"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_ctrl_c,
        )
        try:
            assert server.stdout is not None
            link = urlsplit(server.stdout.readline().removeprefix("Open ").strip())
            assert (link.hostname, link.fragment) == ("127.0.0.1", "token=my%20secret")
            address = f"http://{link.netloc}"
            with httpx.Client(headers={"Authorization": "Bearer my secret"}, timeout=30) as http:
                assert http.get(address).status_code == 200
                assert http.post(f"{address}/turns", json={"prompt": "go"}).json() == {"turn": 0}
                assert '"text":"One."' in http.get(f"{address}/turns/0/events").text
            assert httpx.get(f"{address}/turns").status_code == 401
            server.send_signal(end)
            _, errors = server.communicate(timeout=30)
        finally:
            server.kill()
            server.communicate()
    assert server.returncode in (128 + end, -end)
    assert "Traceback" not in errors


def test_it_wants_to_know_what_to_serve() -> None:
    done = run(*COMMAND, "serve")
    assert done.returncode == 2
    assert "--web" in done.stderr
