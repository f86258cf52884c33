"""A CLI under test is isolated from the machine, and importing the package stays cheap."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rxccsdk.testing
from rxccsdk.testing import LoopbackApi, bundled_cli, clean_environment, environment

HERE = Path(__file__).parent.parent
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
        "import sys, rxccsdk.testing as t; t.bundled_cli(); [getattr(t, name) for name in t.__all__];"
        "print(sorted({'claude_agent_sdk', 'claude_code_sdk', 'pytest', 'mcp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_importable_in_any_order() -> None:
    # Importing a submodule sets an attribute of the package: none may replace a public name.
    code = (
        "import importlib, pkgutil, rxccsdk.testing as t\n"
        "for module in pkgutil.iter_modules(t.__path__, 'rxccsdk.testing.'):\n"
        "    importlib.import_module(module.name)\n"
        "print({name for name in t.__all__ if type(getattr(t, name)).__name__ == 'module'})\n"
        "print(set(t.__all__) - set(dir(t)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\nset()\n"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'rxccsdk.testing' has no attribute 'no_such_name'"):
        _ = rxccsdk.testing.no_such_name


def test_the_bundled_cli_is_found() -> None:
    pytest.importorskip("claude_agent_sdk")
    program = bundled_cli()
    assert program is not None
    assert os.access(program, os.X_OK)
