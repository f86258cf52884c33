"""Some cells of the matrix; `python -m tests.faults` runs all of them."""

from pathlib import Path

import pytest

from tests.faults.matrix import Cell, run_cell, some_cells


@pytest.mark.parametrize("cell", list(some_cells()), ids=str)
def test_it_ends_rightly_and_leaves_nothing(cell: Cell, tmp_path: Path) -> None:
    assert run_cell(cell, tmp_path) is None
