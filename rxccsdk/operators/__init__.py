"""The operators: each a function to use in `pipe()`, free to mix with reactivex's own.

from rxccsdk import operators as cc
"""

from rxccsdk.operators.agents import AgentStream as AgentStream
from rxccsdk.operators.agents import by_agent
from rxccsdk.operators.answer import answer_asks
from rxccsdk.operators.buffer import buffer_text
from rxccsdk.operators.code import CodeBlock as CodeBlock
from rxccsdk.operators.code import code_blocks
from rxccsdk.operators.guard import stall
from rxccsdk.operators.latest import tap_latest
from rxccsdk.operators.leave import to_async_iterator
from rxccsdk.operators.markdown import by_block
from rxccsdk.operators.pages import pages
from rxccsdk.operators.print import print_text
from rxccsdk.operators.progress import progress
from rxccsdk.operators.rechunk import by_line, by_sentence, by_word
from rxccsdk.operators.reduce import scan_response, to_response
from rxccsdk.operators.select import of_type, text, thinking, tool_output, tools
from rxccsdk.operators.smooth import smooth
from rxccsdk.operators.spans import spans
from rxccsdk.operators.standing import Progress as Progress
from rxccsdk.operators.structure import elements, parse_json
from rxccsdk.operators.tap import tap_chunks, tap_text

__all__ = [
    "answer_asks",
    "buffer_text",
    "by_agent",
    "by_block",
    "by_line",
    "by_sentence",
    "by_word",
    "code_blocks",
    "elements",
    "of_type",
    "pages",
    "parse_json",
    "print_text",
    "progress",
    "scan_response",
    "smooth",
    "spans",
    "stall",
    "tap_chunks",
    "tap_latest",
    "tap_text",
    "text",
    "thinking",
    "to_async_iterator",
    "to_response",
    "tool_output",
    "tools",
]
