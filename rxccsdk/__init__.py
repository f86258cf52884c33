"""A Claude Code session as a ReactiveX Observable of chunks.

from rxccsdk import ClaudeSession, SessionOptions, operators as cc
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxccsdk import operators
    from rxccsdk.chunk_json import from_json, to_json
    from rxccsdk.chunks import (
        AskChunk,
        Chunk,
        CompactChunk,
        DecisionChunk,
        Frame,
        HookChunk,
        LimitChunk,
        MessageChunk,
        NoticeChunk,
        PromptChunk,
        ResultChunk,
        RetractedChunk,
        SystemChunk,
        TaskChunk,
        TextChunk,
        ThinkingChunk,
        ToolInputChunk,
        ToolOutputChunk,
        ToolProgressChunk,
        ToolResultChunk,
        ToolUseChunk,
        UnknownChunk,
        UserChunk,
    )
    from rxccsdk.errors import (
        CassetteError,
        CLINotFoundError,
        ControlError,
        RxccError,
        SessionClosedError,
        SessionCrashedError,
        StallError,
        StructureError,
    )
    from rxccsdk.many.answer import Answer, Retry
    from rxccsdk.many.answers import Answers, ask_all
    from rxccsdk.operators.agents import AgentStream
    from rxccsdk.operators.code import CodeBlock
    from rxccsdk.operators.standing import Progress
    from rxccsdk.session.ask import ask, run
    from rxccsdk.session.asks import Allow, Deny
    from rxccsdk.session.branching import SessionInfo, sessions
    from rxccsdk.session.controls import ContextCategory, ContextUsage, McpServer, ModelInfo, Rewind
    from rxccsdk.session.elsewhere import watch
    from rxccsdk.session.options import SessionOptions
    from rxccsdk.session.response import ResponseMetadata, SessionResponse, ToolUse
    from rxccsdk.session.session import ClaudeSession
    from rxccsdk.session.steering import Steered
    from rxccsdk.session.turn import Turn

__version__ = "0.1.0"

__all__ = [
    "AgentStream",
    "Allow",
    "Answer",
    "Answers",
    "AskChunk",
    "CLINotFoundError",
    "CassetteError",
    "Chunk",
    "ClaudeSession",
    "CodeBlock",
    "CompactChunk",
    "ContextCategory",
    "ContextUsage",
    "ControlError",
    "DecisionChunk",
    "Deny",
    "Frame",
    "HookChunk",
    "LimitChunk",
    "McpServer",
    "MessageChunk",
    "ModelInfo",
    "NoticeChunk",
    "Progress",
    "PromptChunk",
    "ResponseMetadata",
    "ResultChunk",
    "RetractedChunk",
    "Retry",
    "Rewind",
    "RxccError",
    "SessionClosedError",
    "SessionCrashedError",
    "SessionInfo",
    "SessionOptions",
    "SessionResponse",
    "StallError",
    "Steered",
    "StructureError",
    "SystemChunk",
    "TaskChunk",
    "TextChunk",
    "ThinkingChunk",
    "ToolInputChunk",
    "ToolOutputChunk",
    "ToolProgressChunk",
    "ToolResultChunk",
    "ToolUse",
    "ToolUseChunk",
    "Turn",
    "UnknownChunk",
    "UserChunk",
    "ask",
    "ask_all",
    "from_json",
    "operators",
    "run",
    "sessions",
    "to_json",
    "watch",
]

# Each name is imported when it is first asked for: a command line that only prints its help, and a test run
# that has our plugin and never uses it, pay for none of them.
_HOMES = {
    "rxccsdk.chunk_json": ("from_json", "to_json"),
    "rxccsdk.chunks": (
        "AskChunk",
        "Chunk",
        "CompactChunk",
        "DecisionChunk",
        "Frame",
        "HookChunk",
        "LimitChunk",
        "MessageChunk",
        "NoticeChunk",
        "PromptChunk",
        "ResultChunk",
        "RetractedChunk",
        "SystemChunk",
        "TaskChunk",
        "TextChunk",
        "ThinkingChunk",
        "ToolInputChunk",
        "ToolOutputChunk",
        "ToolProgressChunk",
        "ToolResultChunk",
        "ToolUseChunk",
        "UnknownChunk",
        "UserChunk",
    ),
    "rxccsdk.errors": (
        "CassetteError",
        "CLINotFoundError",
        "ControlError",
        "RxccError",
        "SessionClosedError",
        "SessionCrashedError",
        "StallError",
        "StructureError",
    ),
    "rxccsdk.many.answer": ("Answer", "Retry"),
    "rxccsdk.many.answers": ("Answers", "ask_all"),
    "rxccsdk.operators.agents": ("AgentStream",),
    "rxccsdk.operators.code": ("CodeBlock",),
    "rxccsdk.operators.standing": ("Progress",),
    "rxccsdk.session.ask": ("ask", "run"),
    "rxccsdk.session.asks": ("Allow", "Deny"),
    "rxccsdk.session.branching": ("SessionInfo", "sessions"),
    "rxccsdk.session.controls": ("ContextCategory", "ContextUsage", "McpServer", "ModelInfo", "Rewind"),
    "rxccsdk.session.elsewhere": ("watch",),
    "rxccsdk.session.options": ("SessionOptions",),
    "rxccsdk.session.response": ("ResponseMetadata", "SessionResponse", "ToolUse"),
    "rxccsdk.session.session": ("ClaudeSession",),
    "rxccsdk.session.steering": ("Steered",),
    "rxccsdk.session.turn": ("Turn",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "operators":
        return import_module("rxccsdk.operators")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
