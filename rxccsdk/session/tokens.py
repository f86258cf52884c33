"""The tokens of a turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxccsdk.session.response import Tokens

# By `Tokens`: the names in `modelUsage`, and those in `usage`.
_MODEL = {
    "input": "inputTokens",
    "output": "outputTokens",
    "cache_read": "cacheReadInputTokens",
    "cache_write": "cacheCreationInputTokens",
}
_USAGE = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
}


def tokens_of(models: Mapping[str, Any] | None) -> Tokens | None:
    """Return the sum over all models, `None` where nothing is known."""
    known = [usage for usage in (models or {}).values() if isinstance(usage, dict)]
    if not known:
        return None
    return Tokens(**{name: sum(count_of(usage, key) for usage in known) for name, key in _MODEL.items()})


def tokens_of_usage(usage: Mapping[str, Any] | None) -> Tokens | None:
    """Return the tokens that a `usage` counts."""
    if usage is None:
        return None
    return Tokens(**{name: count_of(usage, key) for name, key in _USAGE.items()})


def with_sub_agents(usage: dict[str, Any] | None, tokens: Tokens | None) -> dict[str, Any] | None:
    """Return a `usage` with the counts of all agents."""
    if usage is None or tokens is None:
        return usage
    counts = {key: getattr(tokens, name) for name, key in _USAGE.items()}
    return {**usage, **{key: count for key, count in counts.items() if count or key in usage}}


def count_of(usage: Mapping[str, Any], key: str) -> int:
    """Return a count that may be missing, or be none."""
    count = usage.get(key)
    return count if isinstance(count, int) else 0
