"""A Claude Code session as a ReactiveX Observable of chunks.

from rxccsdk import ClaudeSession, SessionOptions, operators as cc
"""

from rxccsdk import operators
from rxccsdk.chunks import (
    Chunk,
    Frame,
    MessageChunk,
    NoticeChunk,
    ResultChunk,
    RetractedChunk,
    SystemChunk,
    TaskChunk,
    TextChunk,
    ThinkingChunk,
    ToolInputChunk,
    ToolProgressChunk,
    ToolResultChunk,
    ToolUseChunk,
    UnknownChunk,
    UserChunk,
)
from rxccsdk.errors import (
    CassetteError,
    CLINotFoundError,
    RxccError,
    SessionClosedError,
    SessionCrashedError,
    StallError,
    StructureError,
)
from rxccsdk.operators.agents import AgentStream
from rxccsdk.operators.code import CodeBlock
from rxccsdk.session.ask import ask, run
from rxccsdk.session.options import SessionOptions
from rxccsdk.session.response import ResponseMetadata, SessionResponse, ToolUse
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn

__version__ = "0.1.0"

__all__ = [
    "AgentStream",
    "CLINotFoundError",
    "CassetteError",
    "Chunk",
    "ClaudeSession",
    "CodeBlock",
    "Frame",
    "MessageChunk",
    "NoticeChunk",
    "ResponseMetadata",
    "ResultChunk",
    "RetractedChunk",
    "RxccError",
    "SessionClosedError",
    "SessionCrashedError",
    "SessionOptions",
    "SessionResponse",
    "StallError",
    "StructureError",
    "SystemChunk",
    "TaskChunk",
    "TextChunk",
    "ThinkingChunk",
    "ToolInputChunk",
    "ToolProgressChunk",
    "ToolResultChunk",
    "ToolUse",
    "ToolUseChunk",
    "Turn",
    "UnknownChunk",
    "UserChunk",
    "ask",
    "operators",
    "run",
]
