"""For tests, ours and our users': the real CLI and a scripted one, without an account.

    LoopbackApi, reply       a Messages API on loopback that answers from a script; the real CLI asks it
    ScriptedCli, steps       a CLI that does what the real one cannot be made to: crash, stall, ignore signals
    clean_environment        the complete environment of a CLI under test
    Marbles                  streams drawn as text, played on virtual time
    assert_clean             fails on processes, tasks, threads and descriptors that are left behind

Three modules wait to be imported, for they need more: `plugin` (the pytest fixtures, which pytest finds by
itself) and `strategies` (Hypothesis: turns as chunks).

    from rxccsdk.testing import strategies

Nothing else here imports an SDK or a test framework.
"""

from rxccsdk.testing.api import LoopbackApi, Script
from rxccsdk.testing.cassettes import UnusedTurnsWarning
from rxccsdk.testing.environment import bundled_cli, clean_environment, environment
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
from rxccsdk.testing.leftovers import Leftovers, assert_clean
from rxccsdk.testing.marbles import Marbles
from rxccsdk.testing.replies import Reply, reply, split_text
from rxccsdk.testing.request import Request
from rxccsdk.testing.scripted_cli import Plan, ScriptedCli
from rxccsdk.testing.steps import Steps, steps

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
