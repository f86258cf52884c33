"""How the house is built: imports point down, and importing the library imports no SDK."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from reactivex import Observable

import rxccsdk
from rxccsdk import AgentStream, ClaudeSession, CodeBlock, Turn

PACKAGE = Path(rxccsdk.__file__).parent
FLOORS = [
    *("chunks", "chunk_json", "errors", "wire", "transport"),
    *("text", "session", "operators", "many", "fleet", "display", "export", "web", "cli"),
]
IO = {"asyncio", "concurrent", "os", "select", "signal", "socket", "subprocess", "threading", "time"}
SDKS = {"claude_agent_sdk", "claude_code_sdk"}


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


def _modules(path: Path) -> set[str]:
    """The top-level packages a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {
        name.partition(".")[0]
        for name in plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    }


def test_the_protocol_does_no_io() -> None:
    for path in (PACKAGE / "wire").rglob("*.py"):
        assert not _modules(path) & (IO | SDKS), path


def test_each_sdk_is_touched_in_one_module() -> None:
    touching = {path.name for path in PACKAGE.rglob("*.py") if _modules(path) & SDKS}
    assert touching == {"_claude_agent.py", "_claude_code.py"}


def test_what_shows_and_serves_turns_reads_them_by_their_interface() -> None:
    inner = {"_follower", "_make_transport"}  # what a turn and a session have for the floors above
    for path in (path for floor in ("display", "export", "web") for path in (PACKAGE / floor).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr) and node.attr not in inner:
                assert ast.unparse(node.value) in ("self", "cls"), f"{path}: {ast.unparse(node)}"


def test_modules_are_short() -> None:
    long = {str(p): n for p in PACKAGE.rglob("*.py") if (n := p.read_text().count("\n")) > 350}
    assert not long


def test_what_only_internals_call_stays_out_of_completion() -> None:
    own = {name for name in dir(Turn) if not name.startswith("_")} - set(dir(Observable))
    assert own == {
        *("aclose", "backend", "interrupt", "response", "since", "status", "steer", "to_background", "wait"),
    }
    own = {name for name in dir(ClaudeSession) if not name.startswith("_")}
    assert own == {
        *(
            "aclose",
            "answer",
            "at",
            "chunks",
            "context_usage",
            "control",
            "cost_so_far",
            "interrupt",
            "mcp_status",
        ),
        *("models", "open", "pid", "rewind_files", "set_model", "set_permission_mode", "status"),
        *("query", "replay", "session_id", "stop_task", "stream"),
    }
    for stream in (AgentStream, CodeBlock):
        assert {name for name in dir(stream) if not name.startswith("_")} - set(dir(Observable)) == {
            "is_open"
        }


def test_importing_the_library_imports_no_sdk_and_nothing_only_some_need() -> None:
    code = "import sys, rxccsdk; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in modules.stdout.split()}
    on_use = {"IPython", "textual", "anyio", "markdown_it", "psutil", "regex", "rich", "typer"}
    on_use |= {"ag_ui", "redis", "sse_starlette", "starlette", "uvicorn"}
    assert not loaded & {"claude_code_sdk", "claude_agent_sdk", "mcp", *on_use}


def test_the_public_names_are_there() -> None:
    assert set(rxccsdk.__all__) <= set(dir(rxccsdk))
    assert rxccsdk.__version__
