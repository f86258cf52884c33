"""The environment of a CLI under test has nothing of the machine's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rxccsdk.testing import LoopbackApi, bundled_cli, clean_environment, environment

LOOPBACK = "http://127.0.0.1:1"


def test_only_path_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "secret")
    monkeypatch.setenv("CLAUDECODE", "1")
    env = clean_environment(LOOPBACK, tmp_path, CLAUDE_CODE_MAX_RETRIES="0", EXTRA="x")
    assert not {"ANTHROPIC_AUTH_TOKEN", "CLAUDECODE"} & set(env)
    assert "secret" not in env.values()
    assert env["PATH"] == os.environ["PATH"]
    assert (env["CLAUDE_CODE_MAX_RETRIES"], env["EXTRA"]) == ("0", "x")
    for name in ("HOME", "CLAUDE_CONFIG_DIR", "TMPDIR"):
        assert Path(env[name]).is_dir()
        assert Path(env[name]).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    "url",
    ["https://api.anthropic.com", "http://10.0.0.1:80", "http://127.0.0.1.evil.example", "", "127.0.0.1"],
)
def test_a_url_off_loopback_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        clean_environment(url, tmp_path)
    with pytest.raises(ValueError, match="loopback"):
        clean_environment(LOOPBACK, tmp_path, ANTHROPIC_BASE_URL=url)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "", "example.com"])
def test_an_api_off_loopback_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        LoopbackApi([], host=host)


def test_os_environ_is_swapped_and_restored() -> None:
    before = dict(os.environ)
    with environment({"ONLY": "this"}):
        assert dict(os.environ) == {"ONLY": "this"}
        os.environ["MORE"] = "x"
    assert dict(os.environ) == before
    with pytest.raises(ZeroDivisionError), environment({}):
        raise ZeroDivisionError
    assert dict(os.environ) == before


def test_importing_imports_no_sdk_and_no_test_framework() -> None:
    code = (
        "import sys, rxccsdk.testing as t; t.bundled_cli();"
        "print(sorted({'claude_agent_sdk', 'claude_code_sdk', 'pytest', 'mcp'} & set(sys.modules)))"
    )
    here = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_bundled_cli_is_found() -> None:
    pytest.importorskip("claude_agent_sdk")
    program = bundled_cli()
    assert program is not None
    assert os.access(program, os.X_OK)
