"""The site: its snippets run, and it leaves out no operator and makes up no figure."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from rxccsdk import operators as cc
from rxccsdk.testing import LoopbackApi, ScriptedCli, text_turn
from tests.test_readme import answer, program, run, run_tests

DOCS = Path(__file__).parents[1] / "docs"
SNIPPETS = {
    page.name: found
    for page in sorted(DOCS.glob("*.md"))
    if page.name != "fleet.md"  # test_fleet_docs.py runs it
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


FEW_EXAMPLES = """
from hypothesis import HealthCheck, settings
settings.register_profile("few", max_examples=5, derandomize=True, suppress_health_check=list(HealthCheck))
settings.load_profile("few")
"""

# What the snippets of a page print, run one after the other.
SHOWN = {
    "displays.md": "",
    "frames.md": "",
    "index.md": r"An answer in a few words\.\n0\.\d+ None\nAn answer in a few words\.True \[\]\nAn answer",
    "many.md": r"(?s)(?=.*0 1 An answer).*1 1 An answer",
    "operators.md": r"An answer in a few words\.True",
    "talking-back.md": "permission: Bash\nI look. \n\nTidy now.\n"
    "delivered I install. \n\nTidy now.\nAn answer in a few words.",
    "web.md": "",
}
REAL = {"talking-back.md"}  # the pages that need the real CLI; it takes longer to start


@pytest.mark.parametrize("pages", [sorted(set(SHOWN) - REAL), sorted(REAL)], ids=["any-cli", "real-cli"])
def test_snippets_run(pages: list[str], tmp_path: Path) -> None:
    if not REAL & set(pages):
        ScriptedCli(tmp_path / "bin", [text_turn("An answer in a few words.")])
    source = "\n".join(f"print('== {page}')\n" + "\n".join(map(program, SNIPPETS[page])) for page in pages)
    with LoopbackApi(answer) as api:
        shown = run(source, tmp_path, api.url)
    of_page = dict(re.findall(r"^== (\S+)\n(.*?)(?=^== |\Z)", shown, re.MULTILINE | re.DOTALL))
    for page in pages:
        assert re.match(SHOWN[page], of_page[page]), shown


def test_the_tests_on_a_page_pass(tmp_path: Path) -> None:
    for number, snippet in enumerate(SNIPPETS["testing.md"]):
        (tmp_path / f"test_{number}.py").write_text(snippet)
    (tmp_path / "conftest.py").write_text(FEW_EXAMPLES)
    shown = run_tests(tmp_path)
    assert "4 passed in" in shown, shown


def test_no_page_is_left_out() -> None:
    assert set(SNIPPETS) == {*SHOWN, "testing.md"}


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


def test_a_promise_names_tests_that_are_there(hooks: Any) -> None:
    page = (DOCS / "guarantees.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("| ") and row[2:5] not in ("pro", "---")]
    assert len(rows) > 30
    assert all("{{ test: " in row for row in rows)
    shown = hooks.filled(page)
    assert "{{" not in shown
    assert shown.count('class="test"') == page.count("{{ test: ")
    with pytest.raises(KeyError, match="has no test_nothing"):
        hooks.filled("{{ test: test_turn / test_nothing }}")


@pytest.mark.parametrize("mark", ["{{ tests: test_turn / test_x }}", "{{ operator: nothing }}"])
def test_a_mark_that_means_nothing_is_an_error(mark: str, hooks: Any) -> None:
    with pytest.raises((AttributeError, KeyError)):
        hooks.filled(mark)


def test_code_is_as_wide_as_the_site_at_most() -> None:
    for page in DOCS.glob("*.md"):
        for block in re.findall(r"^```\w+\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            assert max(map(len, block.splitlines())) <= 88, f"{page.name}: {block}"
