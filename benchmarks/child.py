"""Python processes of our own that do one task: what else this process did cannot spoil their figures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_CHECKOUT = Path(__file__).parents[1]


def done_by(module: str, task: DataclassInstance, patience: float = 300.0) -> Any:
    """Run `python -m module TASK`, and return what it prints, both as JSON.

    Args:
        module: has a `main` that reads its argument.
        task: what it is to do.
        patience: seconds it may take.
    """
    command = [sys.executable, "-m", module, json.dumps(asdict(task))]
    done = subprocess.run(command, cwd=_CHECKOUT, stdout=subprocess.PIPE, check=True, timeout=patience)
    return json.loads(done.stdout)
