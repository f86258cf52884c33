"""The `result` frame: how a turn ended, and what it cost."""

from __future__ import annotations

from typing import Any

from rxccsdk.chunks import Frame


class CostMeter:
    """Finds each turn's share of the session's cost.

    Args:
        base: what the session had cost before its first turn, in USD; `None` where that is unknown.
    """

    def __init__(self, base: float | None) -> None:
        self._total = base

    def reset(self) -> None:
        """Start again at nothing: `/clear` does."""
        self._total = 0.0

    def share(self, result: Frame) -> float | None:
        """Return what this result adds to the session's cost, as the CLI says, or by difference."""
        total, base = result.get("total_cost_usd"), self._total
        if total is not None:
            self._total = total
        shares = result.get("model_usage_since_last_result")
        if shares is not None:
            return float(sum(model.get("costUSD") or 0.0 for model in shares.values()))
        if total is None or base is None or total < base:
            return None
        return float(total - base)


def result_fields(frame: Frame, cost_usd: float | None) -> dict[str, Any]:
    """Return the fields of a `ResultChunk`."""
    return {
        "subtype": str(frame.get("subtype")),
        "is_error": bool(frame.get("is_error")),
        "result": frame.get("result"),
        "errors": tuple(str(error) for error in frame.get("errors") or ()),
        "terminal_reason": frame.get("terminal_reason"),
        "stop_reason": frame.get("stop_reason"),
        "usage": frame.get("usage"),
        "model_usage": frame.get("modelUsage"),
        "total_cost_usd": frame.get("total_cost_usd"),
        "cost_usd": cost_usd,
        "duration_ms": frame.get("duration_ms"),
        "num_turns": frame.get("num_turns"),
        "session_id": frame.get("session_id"),
        "permission_denials": tuple(frame.get("permission_denials") or ()),
        "origin": frame.get("origin"),
    }
