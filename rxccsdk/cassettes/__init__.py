"""Recordings that come with the package: the real Claude Code CLI and its tools, with a scripted model.

    async with ClaudeSession.replay(cassettes.AGENT) as session: ...

`examples/record_cassettes.py` in the repository made them.
"""

from __future__ import annotations

from pathlib import Path

ANSWER = Path(__file__).parent / "answer.jsonl"
"""A plain answer of three paragraphs, five seconds long."""

AGENT = Path(__file__).parent / "agent.jsonl"
"""Thinking, tool calls, a sub-agent and an answer in Markdown, fifteen seconds long."""
