"""A few lives; `python -m tests.chaos` lives many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.chaos import run


async def test_whatever_is_done_to_a_session_it_ends_and_leaves_nothing(backend: str, tmp_path: Path) -> None:
    await run(tmp_path, backend, 1, Counter())
