"""The complete environment of a CLI under test: nothing of the machine's configuration reaches it."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit


def require_loopback(url: str) -> None:
    """Refuse a URL that leaves this machine.

    Args:
        url: An `http://` URL whose host is a loopback address or `localhost`.

    Raises:
        ValueError: The host is another one, or the scheme is not `http`.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise ValueError(f"{url!r} is not an http:// URL on loopback: tests must never reach a real API")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def clean_environment(base_url: str, home: str | os.PathLike[str], **extra: str) -> dict[str, str]:
    """Make the whole environment for a CLI that talks to a loopback API.

    Only `PATH` is inherited. Configuration, temporary files and the home are in `home`.

    Args:
        base_url: The URL of a `LoopbackApi`.
        home: An empty temporary folder; sub-folders are created in it.
        **extra: More variables, which win over the ones made here.

    Raises:
        ValueError: `base_url` (or an `ANTHROPIC_BASE_URL` in `extra`) is not on loopback.

    Example:
        `subprocess.run([cli, "-p", "hi"], env=clean_environment(api.url, tmp_path))`
    """
    folder = Path(home).resolve()
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder / "home"),
        "CLAUDE_CONFIG_DIR": str(folder / "claude"),
        "TMPDIR": str(folder / "tmp"),
        # Bash keeps its working files here; by default under /tmp, whatever TMPDIR says.
        "CLAUDE_CODE_TMPDIR": str(folder / "tmp"),
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
    """Make `os.environ` exactly `env` for the block, and put the old one back.

    Both SDKs pass `os.environ` on to the CLI, so handing them a clean environment is not enough.

    Args:
        env: The complete environment, usually from `clean_environment`.

    Example:
        `with environment(clean_environment(api.url, tmp_path)): ...`
    """
    before = dict(os.environ)
    try:
        _become(env)
        yield
    finally:
        _become(before)


def _become(env: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(env):
        del os.environ[name]
    os.environ.update(env)


def bundled_cli() -> Path | None:
    """Find the real CLI that the `claude-agent-sdk` wheel brings, without importing that package.

    Returns:
        The executable, or `None` where the package is missing or brings none.
    """
    spec = importlib.util.find_spec("claude_agent_sdk")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "_bundled" / ("claude.exe" if os.name == "nt" else "claude")
        if program.is_file():
            return program
    return None
