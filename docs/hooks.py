"""What the site takes from the sources while it is built, so that no page repeats a docstring or a figure.

A page says where by a line or a word in double braces:

    {{ operators }}                     a table of all operators
    {{ operator: text }}                one of them: signature, drawing, arguments, example
    {{ figure: live / CASE / ROW }}     the last figure of a row of `benchmarks/results/live.json`
    {{ times: live / CASE / ROW }}      how many times ours it is
    {{ test: test_turn / test_NAME }}   a test, by what its name says

What does not exist is an error of the build.
"""

from __future__ import annotations

import html
import inspect
import json
import re
import statistics
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxccsdk import operators as cc

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_MARK = re.compile(r"\{\{ (\w+)(?:: (.+?))? \}\}")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what stands elsewhere in the repository: the changes, and the pages of the measures."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "changes.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    for path in sorted(RESULTS.iterdir()):
        if path.suffix in (".md", ".png"):
            files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what a page takes from the sources."""
    return filled(markdown)


def filled(markdown: str) -> str:
    """Return a page with what its marks stand for."""
    return _MARK.sub(lambda mark: _MADE[mark[1]](*(mark[2] or "").split(" / ")), markdown)


def overview(*_: str) -> str:
    """Return a table of all operators, each with the first sentence of its docstring."""
    rows = (f"| [`{name}`](#{name}) | {_sentence(_doc(name))} |" for name in cc.__all__)
    return "\n".join(["| operator | what it does |", "| --- | --- |", *rows])


def operator(name: str) -> str:
    """Return the section of an operator, made of its docstring."""
    doc = _doc(name)
    return "\n\n".join([f"### {name}", _code("python", _signature(name)), *_rendered(doc)])


def figure(measure: str, case: str, row: str) -> str:
    """Return the median of a row's figures, with its unit."""
    found, unit = _row(measure, case, row)
    return f"{_short(statistics.median(found['figures']))} {unit}"


def times(measure: str, case: str, row: str) -> str:
    """Return how many times ours a row's figure is."""
    return f"{_short(_row(measure, case, row)[0]['ratio'])} times"


def test(module: str, name: str) -> str:
    """Return what a test shows, and where it is.

    Raises:
        KeyError: there is no such test.
    """
    source = (ROOT / "tests" / f"{module}.py").read_text()
    if not re.search(rf"^(async )?def {name}\(", source, re.MULTILINE):
        raise KeyError(f"tests/{module}.py has no {name}")
    words = name.removeprefix("test_").replace("_", " ")
    return f'<span class="test" title="tests/{module}.py::{name}">{words} <small>{module}.py</small></span>'


_MADE: dict[str, Any] = {
    "operators": overview,
    "operator": operator,
    "figure": figure,
    "times": times,
    "test": test,
}


def _row(measure: str, case: str, row: str) -> tuple[dict[str, Any], str]:
    cases = {found["case"]: found for found in json.loads((RESULTS / f"{measure}.json").read_text())["cases"]}
    return {found["name"]: found for found in cases[case]["rows"]}[row], cases[case]["unit"]


def _short(figure: float) -> str:
    """Return a figure with three digits that count."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _doc(name: str) -> str:
    return inspect.getdoc(getattr(cc, name)) or ""


def _sentence(doc: str) -> str:
    first = " ".join(doc.partition("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", first)[0]


def _signature(name: str) -> str:
    """Return how an operator is called, over several lines where it has many arguments."""
    signature = inspect.signature(getattr(cc, name))
    arguments, gives = list(_arguments(signature)), signature.return_annotation
    flat = f"{name}({', '.join(arguments)}) -> {gives}"
    if len(flat) <= 72:
        return flat
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f") -> {gives}"])


def _arguments(signature: inspect.Signature) -> Iterator[str]:
    """Yield the parameters as they are written, a star before those that go by name only."""
    starred = False
    for parameter in signature.parameters.values():
        kind = parameter.kind
        if kind is parameter.KEYWORD_ONLY and not starred:
            yield "*"
        starred = kind in (parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY)
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        words = parameter.annotation.removeprefix("abc.")
        yield f"{'*' * (kind is parameter.VAR_POSITIONAL)}{parameter.name}: {words}{default}"


def _rendered(doc: str) -> Iterator[str]:
    """Yield a docstring's parts as Markdown."""
    for part in re.split(r"\n\n(?=\S)", doc):
        head, _, body = part.partition("\n")
        if head in ("Args:", "Attributes:", "Raises:"):
            yield f"**{head.removesuffix(':')}**"
            yield "\n".join(_items(textwrap.dedent(body)))
        elif head == "Example:":
            yield _code("pycon", textwrap.dedent(body))
        else:
            words, _, drawing = part.partition("\n\n")
            yield re.sub(r"https://\S+", r"<\g<0>>", words)
            if drawing:
                yield _drawing(textwrap.dedent(drawing))


def _items(body: str) -> Iterator[str]:
    """Yield a list's items: a name, and what is said of it."""
    for item in re.split(r"\n(?=\S)", body):
        name, _, words = item.partition(":")
        yield f"- `{name}`: {' '.join(words.split())}"


def _code(language: str, code: str) -> str:
    return f"```{language}\n{code}\n```"


def _drawing(drawing: str) -> str:
    """Return a marble drawing, which the style sheet makes as small as its longest line wants."""
    columns = max(map(len, drawing.splitlines()))
    return f'<pre class="marbles" style="--columns: {columns}">{html.escape(drawing)}</pre>'
