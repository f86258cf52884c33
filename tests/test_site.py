"""The site: its snippets run, and it leaves out no operator and makes up no figure."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from rxccsdk import operators as cc
from rxccsdk.testing import LoopbackApi
from tests.test_readme import answer, program, run

DOCS = Path(__file__).parents[1] / "docs"
SNIPPETS = {
    page.name: found
    for page in sorted(DOCS.glob("*.md"))
    if page.name != "fleet.md"  # which has tests of its own
    if (found := re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))
}


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What the snippets of a page print, run one after the other.
SHOWN = {
    "frames.md": "",
    "index.md": r"An answer in a few words\.\n0\.000.* None\nAn answer in a few words\.True \[\]\nAn answer",
    "operators.md": r"An answer in a few words\.True",
}


@pytest.mark.parametrize("page", SHOWN)
def test_the_snippets_of_a_page_run(page: str, tmp_path: Path) -> None:
    with LoopbackApi(answer) as api:
        shown = run("\n".join(map(program, SNIPPETS[page])), tmp_path, api)
    assert re.match(SHOWN[page], shown), shown


def test_no_page_is_left_out() -> None:
    assert set(SNIPPETS) == set(SHOWN)


def test_every_operator_is_there_once() -> None:
    named = re.findall(r"^\{\{ operator: (\w+) \}\}$", (DOCS / "operators.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(cc.__all__)


@pytest.mark.parametrize("name", cc.__all__)
def test_an_operator_has_its_drawing_and_its_example(name: str, hooks: Any) -> None:
    section = hooks.filled(f"{{{{ operator: {name} }}}}")
    assert section.startswith(f"### {name}\n\n```python\n{name}(")
    assert section.count("```pycon\n>>> ") == 1
    assert section.count('<pre class="marbles"') == (name != "to_async_iterator")
    assert "\nArgs:" not in section


def test_a_figure_is_the_one_that_was_measured(hooks: Any) -> None:
    row = "live / 1,000 deltas a second, 3,000 of them / rxccsdk, five operators"
    assert re.fullmatch(r"[\d.]+ microseconds of CPU per delta", hooks.filled(f"{{{{ figure: {row} }}}}"))
    assert hooks.filled(f"{{{{ times: {row} }}}}") == "1 times"
    with pytest.raises(KeyError):
        hooks.filled("{{ figure: live / no such case / rxccsdk }}")
