"""What people look at. Nothing here is imported before it is used; the parts in this folder need rich."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxccsdk.display.live import LiveDisplay
    from rxccsdk.display.progress_table import ProgressTable

__all__ = ["LiveDisplay", "ProgressTable"]

_HOMES = {"LiveDisplay": "rxccsdk.display.live", "ProgressTable": "rxccsdk.display.progress_table"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
