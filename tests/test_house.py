"""How the house is built: imports point down, and importing the library imports no SDK."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rxccsdk

PACKAGE = Path(rxccsdk.__file__).parent
FLOORS = ["chunks", "errors", "wire", "session", "operators", "display", "cli"]


def _imports(path: Path) -> set[str]:
    """The parts of rxccsdk a module imports, those for type checking only left out."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rxccsdk"):
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("rxccsdk.")}
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_point_down_only(floor: str) -> None:
    paths = (
        [PACKAGE / f"{floor}.py"]
        if (PACKAGE / f"{floor}.py").exists()
        else [*(PACKAGE / floor).rglob("*.py")]
    )
    assert paths
    above = set(FLOORS[FLOORS.index(floor) + 1 :]) | {"testing"}
    for path in paths:
        assert not _imports(path) & above, path


def test_importing_the_library_imports_no_sdk_and_nothing_only_some_need() -> None:
    code = "import sys, rxccsdk; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in modules.stdout.split()}
    on_use = {"anyio", "markdown_it", "psutil", "regex", "rich", "typer"}
    assert not loaded & {"claude_code_sdk", "claude_agent_sdk", "mcp", *on_use}


def test_the_public_names_are_there() -> None:
    assert set(rxccsdk.__all__) <= set(dir(rxccsdk))
    assert rxccsdk.__version__
