"""What can happen to a session: how its CLI behaves, and what becomes of a turn that runs to its end."""

from __future__ import annotations

import json
import signal
from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rxccsdk import CLINotFoundError, SessionCrashedError
from rxccsdk.testing import init_frame, result_frame, steps, text_turn
from rxccsdk.testing.frames import Frame, event_frame
from rxccsdk.testing.plans import Plan
from tests.wire_traces import LOGS

HALF = "half of an "
WHOLE = "an answer"


@dataclass(frozen=True, eq=False)
class Fault:
    """A fault, and the end of a turn that it strikes.

    Attributes:
        name: what happens.
        prompts: what the CLI plays at each prompt.
        ends: the error that a turn ends with; a response's `error_kind`; or "" for a response without error.
        content: what the response has, or the error's partial one.
        hangs: the turn does not end by itself.
        starts: whether the session can be opened.
        cli: other arguments of the scripted CLI.
        options: of the session.
        beside: a callback of another subscriber of the turn, or the one of `query`.
        escapes: what the callback raises and the loop does not keep: it ends the program's `asyncio.run`.
    """

    name: str
    prompts: tuple[Plan, ...] = ()
    ends: type[Exception] | str = ""
    content: str | None = WHOLE
    hangs: bool = False
    starts: bool = True
    cli: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    beside: Callable[[Any], Any] | None = None
    escapes: type[BaseException] | None = None


def _half(text: str = HALF) -> list[Frame]:
    """A turn up to the middle of a text block."""
    start = {"type": "message_start", "message": {"id": "msg_0", "model": "m", "usage": {"output_tokens": 1}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return [init_frame(), *(event_frame(event, "msg_0") for event in (start, block, delta))]


def _tool() -> list[Frame]:
    block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "sleep 1000"}}
    said = {"type": "assistant", "message": {"id": "msg_1", "role": "assistant", "content": [block]}}
    return [*_whole_block(HALF), {**said, "parent_tool_use_id": None}]


def _whole_block(text: str) -> list[Frame]:
    said = {"id": "msg_1", "role": "assistant", "content": [{"type": "text", "text": text}]}
    return [init_frame(), {"type": "assistant", "message": said, "parent_tool_use_id": None}]


def _among(*odd: Frame | bytes) -> Plan:
    """A whole turn with something odd in its middle."""
    plan = steps(*_whole_block(WHOLE))
    for frame in odd:
        plan = plan.raw(frame) if isinstance(frame, bytes) else plan.frame(frame)
    return plan.frame(result_frame(WHOLE))


def _failed(**fields: Any) -> Plan:
    return steps(*_whole_block(HALF), {**result_frame("failed"), "is_error": True, **fields})


def _raising(kind: type[BaseException]) -> Callable[[Any], Any]:
    def fail(_: Any) -> None:
        raise kind("out of a callback")

    return fail


_DEAF = {"answer_interrupt": False, "ignore_signals": ("SIGINT", "SIGTERM"), "exit_on_eof": False}
_DEEP = b'{"type":"x","a":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"
_ODD: tuple[Frame, ...] = (
    {"type": [1]},
    {"type": "assistant", "message": 5},
    {"type": "user", "message": {"content": {"a": 1}}},
    {"type": "control_response", "response": 5},
    {"type": "stream_event", "event": {"type": "content_block_delta"}, "parent_tool_use_id": [1]},
)


def _log(name: str) -> Plan:
    lines = (LOGS / f"{name}.jsonl").read_bytes().splitlines()
    ends = next(i for i, line in enumerate(lines) if json.loads(line).get("type") == "result")
    return steps().raw(b"\n".join(lines[: ends + 1]) + b"\n")


FAULTS = [
    Fault("nothing happens", (text_turn(WHOLE),)),
    # the process
    Fault(
        "it dies before it is ready",
        ends=SessionCrashedError,
        starts=False,
        cli={"on_start": steps().stderr("no config\n").exit(3), "answer_initialize": False},
    ),
    Fault(
        "it is never ready",
        ends=SessionCrashedError,
        starts=False,
        cli={"answer_initialize": False},
        options={"connect_timeout": 0.5},
    ),
    Fault("there is none", ends=CLINotFoundError, starts=False, options={"cli_path": "/nowhere/claude"}),
    Fault("it dies at the prompt", (steps().exit(3),), SessionCrashedError, ""),
    Fault("it dies in a text", (steps(*_half()).exit(3),), SessionCrashedError, HALF),
    Fault("it is killed in a text", (steps(*_half()).kill_self(),), SessionCrashedError, HALF),
    Fault("it is terminated", (steps(*_half()).kill_self(signal.SIGTERM),), SessionCrashedError, HALF),
    Fault("it dies in a tool", (steps(*_tool()).spawn_child().exit(1),), SessionCrashedError, HALF),
    Fault(
        "it dies, its child holds the output",
        (steps(*_half()).spawn_child(holds_output=True).exit(1),),
        SessionCrashedError,
        HALF,
    ),
    Fault("it closes its output", (steps(*_half()).close_stdout().silence(),), SessionCrashedError, HALF),
    Fault("it ends without a result", (steps(*_half()).exit(0),), SessionCrashedError, HALF),
    Fault("it hangs in a text", (steps(*_half()).silence(),), "interrupted", HALF, hangs=True),
    Fault("it hangs in a tool", (steps(*_tool()).spawn_child().silence(),), "interrupted", HALF, hangs=True),
    Fault(
        "it is deaf",
        (steps(*_half()).silence(),),
        "interrupted",
        HALF,
        hangs=True,
        cli=_DEAF,
        options={"interrupt_timeout": 0.2},
    ),
    # frames
    Fault("a line of 3 MiB", (text_turn("x" * (3 << 20)),), content="x" * (3 << 20)),
    Fault(
        "half a line at its end",
        (steps(*_half()).raw(b'{"type":"res').exit(1),),
        *(SessionCrashedError, HALF),
    ),
    Fault("lines that are no JSON", (_among(b"oops\n", b"\xff\xfe\n", b'{"type":\n', b"\n"),)),
    Fault("frames of other shapes", (_among(*_ODD),)),
    Fault("frames of unknown types", (_among({"type": "novel"}, {"type": "system", "subtype": "novel"}),)),
    Fault("deep nesting", (_among(_DEEP),)),
    Fault("a result comes twice", (steps(*text_turn(WHOLE), result_frame(WHOLE)),)),
    Fault(
        "a result of nobody",
        (steps({**result_frame("?"), "user_message_uuids": ["?"]}, *text_turn(WHOLE)),),
    ),
    # the API, as the CLI tells of it
    Fault("529", (_failed(api_error_status=529),), "overloaded", HALF),
    Fault("429", (_failed(api_error_status=429),), "rate_limit", HALF),
    Fault("401", (_failed(api_error_status=401),), "auth", HALF),
    Fault(
        "an error that counts as success",
        (_failed(subtype="error_during_execution", is_error=False),),
        *("execution", HALF),
    ),
    # versions of the CLI, by log
    Fault("2.1.19", (_log("error-subtype-2.1.19"),), "execution", None, cli={"lifecycle": False}),
    Fault("2.1.116", (_log("injected-2.1.116"),), "", None, cli={"lifecycle": False}),
    Fault("2.1.170", (_log("merged-first-turn-2.1.170"),), "", None, cli={"lifecycle": False}),
    # the recorder
    Fault("the disk is full", (text_turn(WHOLE),), options={"record": "/dev/full"}),
    # callbacks
    Fault("a callback raises", (text_turn(WHOLE),), beside=_raising(ValueError)),
    Fault("a callback raises CancelledError", (text_turn(WHOLE),), beside=_raising(CancelledError)),
    Fault("a callback raises GeneratorExit", (text_turn(WHOLE),), beside=_raising(GeneratorExit)),
    Fault(
        "a callback raises KeyboardInterrupt",
        (steps(*_half()).silence(),),
        beside=_raising(KeyboardInterrupt),
        escapes=KeyboardInterrupt,
    ),
    Fault(
        "a callback raises SystemExit",
        (steps(*_tool()).spawn_child().silence(),),
        beside=_raising(SystemExit),
        escapes=SystemExit,
    ),
]
