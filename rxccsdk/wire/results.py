"""The `result` frame: how a turn ended, and what it cost."""

from __future__ import annotations

from math import isfinite
from typing import Any

from rxccsdk.chunks import Frame


class Meter:
    """Finds each turn's share of what counts over the session: its cost, and the tokens by model.

    Args:
        base: what the session had cost before its first turn, in USD; `None` where that is unknown.
    """

    def __init__(self, base: float | None) -> None:
        self._total = base
        self._models: dict[str, Any] | None = {} if base == 0.0 else None

    def reset(self) -> None:
        """Start again at nothing: `/clear` does."""
        self._total = 0.0
        self._models = {}

    def models(self, result: Frame) -> dict[str, Any] | None:
        """Return the usage by model that this result adds, sub-agents included."""
        total, before = mapping(result.get("modelUsage")), self._models
        if total is not None:
            self._models = total
        share = mapping(result.get("model_usage_since_last_result"))
        if share is not None or total is None or before is None:
            return share
        return {model: _less(usage, before.get(model)) for model, usage in total.items()}

    def cost(self, result: Frame) -> float | None:
        """Return what this result adds to the session's cost, in USD, as the CLI says or by difference."""
        total, base = number(result.get("total_cost_usd")), self._total
        if total is not None:
            self._total = total
        shares = mapping(result.get("model_usage_since_last_result"))
        if shares is not None:
            return float(
                sum(number((mapping(model) or {}).get("costUSD")) or 0.0 for model in shares.values())
            )
        if total is None or base is None or total < base:
            return None
        return float(total - base)


def result_fields(frame: Frame, cost_usd: float | None, model_usage: dict[str, Any] | None) -> dict[str, Any]:
    """Return the fields of a `ResultChunk`."""
    subtype = str(frame.get("subtype"))
    return {
        "subtype": subtype,
        "is_error": bool(frame.get("is_error")) or subtype.startswith("error"),
        "result": _text(frame.get("result")),
        "errors": _texts(frame.get("errors")),
        "terminal_reason": _text(frame.get("terminal_reason")),
        "stop_reason": _text(frame.get("stop_reason")),
        "usage": mapping(frame.get("usage")),
        "model_usage": model_usage,
        "total_cost_usd": number(frame.get("total_cost_usd")),
        "cost_usd": cost_usd,
        "duration_ms": _integer(frame.get("duration_ms")),
        "num_turns": _integer(frame.get("num_turns")),
        "session_id": _text(frame.get("session_id")),
        "permission_denials": tuple(filter(mapping, _list(frame.get("permission_denials")))),
        "origin": mapping(frame.get("origin")),
        "structured": frame.get("structured_output"),
        "api_error_status": _integer(frame.get("api_error_status")),
        "ttft_ms": _integer(frame.get("ttft_ms")),
        "uuid": _text(frame.get("uuid")),
    }


def mapping(value: Any) -> dict[str, Any] | None:
    """Return a JSON object, `None` for anything else."""
    return value if isinstance(value, dict) else None


def number(value: Any) -> float | None:
    """Return a finite number, `None` for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and isfinite(value) else None


def _integer(value: Any) -> int | None:
    found = number(value)
    return round(found) if found is not None else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(errors: Any) -> tuple[str, ...]:
    """Return the words of an error or of a list of them."""
    if isinstance(errors, str):
        return (errors,)
    return tuple(str(error) for error in _list(errors))


def _less(usage: Any, before: Any) -> Any:
    """Return the counts of a model's usage less those of an earlier one."""
    if not isinstance(usage, dict) or not isinstance(before, dict):
        return usage
    return {
        name: count - before[name] if _is_count(name, count) and _is_count(name, before.get(name)) else count
        for name, count in usage.items()
    }


def _is_count(name: str, value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not name.startswith(("context", "max"))
    )
