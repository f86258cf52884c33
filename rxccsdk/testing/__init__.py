"""Test doubles and fixtures: the real CLI and a scripted one, without an account.

    LoopbackApi, reply       a scripted Messages API on loopback, for the real CLI to call
    ScriptedCli, steps       a CLI that crashes, stalls or ignores signals as planned
    clean_environment        the complete environment of a CLI under test
    Marbles                  streams drawn as text, played on virtual time
    assert_clean             fails on leaked processes, tasks, threads and descriptors

Import two modules by name: `rxccsdk.testing.strategies` (Hypothesis strategies for whole turns; needs
`hypothesis`) and `rxccsdk.testing.plugin` (the pytest fixtures; pytest loads it by itself). Nothing else in
this package imports an SDK or a test framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxccsdk.testing.api import LoopbackApi, Script
    from rxccsdk.testing.claude_cassette import UnusedTurnsWarning
    from rxccsdk.testing.frames import (
        Frame,
        event_frame,
        init_frame,
        interrupted,
        message,
        result_frame,
        text_turn,
        tool_result,
        turn,
    )
    from rxccsdk.testing.http_errors import HttpError, http_error
    from rxccsdk.testing.isolation import bundled_cli, clean_environment, environment
    from rxccsdk.testing.leftovers import Leftovers, assert_clean
    from rxccsdk.testing.marbles import Marbles
    from rxccsdk.testing.plans import Plan, Steps, steps
    from rxccsdk.testing.replies import Reply, reply
    from rxccsdk.testing.reply_steps import split_text
    from rxccsdk.testing.request import Request
    from rxccsdk.testing.scripted_cli import ScriptedCli

__all__ = [
    "Frame",
    "HttpError",
    "Leftovers",
    "LoopbackApi",
    "Marbles",
    "Plan",
    "Reply",
    "Request",
    "Script",
    "ScriptedCli",
    "Steps",
    "UnusedTurnsWarning",
    "assert_clean",
    "bundled_cli",
    "clean_environment",
    "environment",
    "event_frame",
    "http_error",
    "init_frame",
    "interrupted",
    "message",
    "reply",
    "result_frame",
    "split_text",
    "steps",
    "text_turn",
    "tool_result",
    "turn",
]

# Each name is imported on first access: pytest imports this package in every run where rxccsdk is installed.
# No module may be called like a name in this table: importing it would replace that name.
_HOMES = {
    "api": ("LoopbackApi", "Script"),
    "claude_cassette": ("UnusedTurnsWarning",),
    "frames": (
        "Frame",
        "event_frame",
        "init_frame",
        "interrupted",
        "message",
        "result_frame",
        "text_turn",
        "tool_result",
        "turn",
    ),
    "http_errors": ("HttpError", "http_error"),
    "isolation": ("bundled_cli", "clean_environment", "environment"),
    "leftovers": ("Leftovers", "assert_clean"),
    "marbles": ("Marbles",),
    "plans": ("Plan", "Steps", "steps"),
    "replies": ("Reply", "reply"),
    "reply_steps": ("split_text",),
    "request": ("Request",),
    "scripted_cli": ("ScriptedCli",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
