"""Isolate a CLI under test from the configuration and the credentials of the machine."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit


def require_loopback(url: str) -> None:
    """Reject a URL that leaves this machine.

    Args:
        url: An `http://` URL whose host is a loopback address or `localhost`.

    Raises:
        ValueError: The host is not loopback, or the scheme is not `http`.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise ValueError(f"{url!r} is not an http:// URL on loopback: tests must never reach a real API")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def clean_environment(base_url: str, home: str | os.PathLike[str], **extra: str) -> dict[str, str]:
    """Return the complete environment for a CLI that calls a loopback API.

    Only `PATH` is inherited. Configuration, temporary files and the home directory are inside `home`.

    Args:
        base_url: The URL of a `LoopbackApi`.
        home: An empty temporary directory; subdirectories are created in it.
        **extra: More variables; they override the defaults.

    Raises:
        ValueError: `base_url` (or an `ANTHROPIC_BASE_URL` in `extra`) is not on loopback.

    Example:
        `subprocess.run([cli, "-p", "hi"], env=clean_environment(api.url, tmp_path))`
    """
    root = Path(home).resolve()
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(root / "home"),
        "CLAUDE_CONFIG_DIR": str(root / "claude"),
        "TMPDIR": str(root / "tmp"),
        # Bash keeps its working files here; by default under /tmp, whatever TMPDIR says.
        "CLAUDE_CODE_TMPDIR": str(root / "tmp"),
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_API_KEY": "sk-ant-not-a-key",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "2",
        # The bundled CLI refuses --dangerously-skip-permissions to root outside a sandbox.
        "IS_SANDBOX": "1",
        **extra,
    }
    require_loopback(env["ANTHROPIC_BASE_URL"])
    for name in ("HOME", "CLAUDE_CONFIG_DIR", "TMPDIR"):
        Path(env[name]).mkdir(parents=True, exist_ok=True)
    return env


@contextlib.contextmanager
def environment(env: Mapping[str, str]) -> Iterator[None]:
    """Set `os.environ` to exactly `env` for the block, and restore it afterwards.

    Both SDKs merge `os.environ` into the environment of the CLI: passing a clean one to them is not enough.

    Args:
        env: The complete environment, usually from `clean_environment`.

    Example:
        `with environment(clean_environment(api.url, tmp_path)): ...`
    """
    before = dict(os.environ)
    try:
        _replace_environ(env)
        yield
    finally:
        _replace_environ(before)


def _replace_environ(env: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(env):
        del os.environ[name]
    os.environ.update(env)


def bundled_cli() -> Path | None:
    """Return the CLI bundled with the `claude-agent-sdk` wheel, without importing that package.

    Returns:
        The executable, or `None` where the package is missing or bundles none.
    """
    spec = importlib.util.find_spec("claude_agent_sdk")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(location) / "_bundled" / ("claude.exe" if os.name == "nt" else "claude")
        if program.is_file():
            return program
    return None
