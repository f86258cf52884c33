"""What the fleet has in Redis, by name; `docs/fleet.md` says what is in it."""

from __future__ import annotations

PROMPTS = "rxccsdk:prompts"
"""The stream of prompts that wait for a machine, or are being answered."""

WORKERS = "workers"
"""The consumer group that takes them."""

TURNS = "rxccsdk:turn:"
"""How the streams begin that have what the agent wrote, one for each prompt."""

TRANSCRIPTS = "rxccsdk:transcript:"
"""And those that have the CLI's transcripts, one for each session."""

JOB, LINE, ONCE = b"job", b"line", b"once"
"""Fields."""


def spec_of(job: str) -> str:
    """Return the key of what is asked, and with which options."""
    return f"rxccsdk:spec:{job}"


def talk_to(job: str) -> str:
    """Return the stream of what is said to the machine that answers."""
    return f"rxccsdk:talk:{job}"
