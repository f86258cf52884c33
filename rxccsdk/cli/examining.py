"""What `rxccsdk doctor` does: look at everything a session needs, and name what mends what is missing."""

from __future__ import annotations

import locale
import os
import platform
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from rxccsdk import __version__
from rxccsdk.cli.codes import NOT_READY, SUCCESS
from rxccsdk.cli.installed import SDKS, Cli, ask_cli, command_name, find_cli, package_version
from rxccsdk.text.harmless import harmless

_MARKS = {"good": ("✓", "ok", "green"), "note": ("!", "!", "yellow"), "bad": ("✗", "MISSING", "red")}
_SURE = [2, 1, 222]  # from here on frames name their prompt
_INSTALL = "npm install -g @anthropic-ai/claude-code"


@dataclass
class Findings:
    """What was found: lines to show, and commands that mend what is missing."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)  # how it is, what, in words
    remedies: dict[str, str] = field(default_factory=dict)  # a command, and what it is for

    def add(self, state: str, what: str, words: str, remedy: str = "", purpose: str = "") -> None:
        """Note something, the command that would mend it, and what that is good for."""
        self.lines.append((state, what, words))
        if remedy:
            self.remedies.setdefault(remedy, purpose)

    @property
    def well(self) -> bool:
        """Whether a session can be had."""
        return all(state != "bad" for state, _, _ in self.lines)


def examine() -> int:
    """Look at everything, show it, and give the exit code. No prompt is sent."""
    console = Console(highlight=False)
    found = Findings()
    found.add("good", "Python", f"{platform.python_version()}, {sys.executable}")
    found.add("good", "rxccsdk", __version__)
    _sdks(found)
    _terminal(found, console)
    _show(found, console)
    return SUCCESS if found.well else NOT_READY


def _sdks(found: Findings) -> None:
    installed = [sdk for sdk in SDKS if package_version(sdk)]
    paths = {sdk: find_cli(sdk) for sdk in installed}
    asked: dict[str, Cli] = {}
    with ThreadPoolExecutor() as pool:
        jobs = {path: pool.submit(ask_cli, sdk, path) for sdk, path in paths.items() if path}
        asked = {path: job.result() for path, job in jobs.items()}
    for sdk in SDKS:
        version = package_version(sdk)
        if version is not None:
            used = sdk == installed[0]
            found.add("good", sdk, version + (", used unless --backend says otherwise" if used else ""))
            path = paths[sdk]
            _cli(found, sdk, asked.get(path) if path else None, used)
        elif installed:
            found.add("note", sdk, "not installed, and not needed")
        else:
            found.add("bad", sdk, "not installed", "pip install 'rxccsdk[agent]'", "an SDK and its CLI")


def _cli(found: Findings, sdk: str, cli: Cli | None, used: bool) -> None:
    """The CLI of one SDK. What is amiss with one that is not used is worth a note, no more."""
    bad = "bad" if used else "note"
    purpose = "a Claude Code CLI" if used else f"only for --backend {sdk}"
    if cli is None:
        found.add(bad, "  its CLI", "none was found", _INSTALL, purpose)
        return
    if cli.problem:
        found.add(bad, "  its CLI", f"{cli.path}: {cli.problem}", _INSTALL, purpose)
        return
    found.add("good", "  its CLI", f"{cli.version}, {cli.path}")
    if _numbers(cli.version or "") < _SURE:
        words = "too old to say which prompt an answer belongs to when it also works in the background"
        found.add("note", "  its age", words, f"{command_name(cli.path)} update", "2.1.222 or newer")
    if cli.logged_in is None:
        found.add("note", "  login", f"unknown: {cli.login}")
    elif cli.logged_in:
        found.add("good", "  login", cli.login)
    else:
        command = f"{command_name(cli.path)} auth login"
        found.add(bad, "  login", cli.login, command, "or set ANTHROPIC_API_KEY")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)][:3]


def _terminal(found: Findings, console: Console) -> None:
    names = ("stdin", "stdout", "stderr")
    ttys = [name for name in names if getattr(sys, name) is not None and getattr(sys, name).isatty()]
    where = f"terminal on {', '.join(ttys)}" if ttys else "no terminal: plain text, no progress line"
    found.add("good", "terminal", f"{where}; TERM={os.environ.get('TERM') or 'unset'}")
    if console.is_terminal:
        why = " (NO_COLOR)" if os.environ.get("NO_COLOR") else ""
        colours = {"standard": "16", "256": "256", "truecolor": "16 million", "windows": "16"}
        found.add("good", "  colours", colours.get(console.color_system or "", "none") + why)
        width, height = console.size
        narrow = width < 60
        found.add(
            "note" if narrow else "good", "  size", f"{width} x {height}" + (": narrow" if narrow else "")
        )
    encoding = console.encoding
    if encoding.lower().replace("-", "").startswith("utf"):
        found.add("good", "  encoding", encoding)
    else:
        words = f"{encoding} ({locale.getlocale()[0] or 'C'}): other characters become '?'"
        found.add("note", "  encoding", words, "export PYTHONIOENCODING=utf-8", "all characters")


def _show(found: Findings, console: Console) -> None:
    """Lines people can copy from: nothing is cut or folded, whatever the width."""
    simple = not console.encoding.lower().startswith("utf")
    width = max(len(what) for _, what, _ in found.lines)
    for state, what, words in found.lines:
        sign, plain_sign, style = _MARKS[state]
        mark = f"{plain_sign:8}" if simple else f"{sign} "
        line = Text.assemble((mark, style), (f"{what:{width}}  ", "bold"), harmless(words))
        console.print(line, soft_wrap=True)
    if found.remedies:
        console.print(Text("\nTo mend it:", "bold"))
        for remedy, purpose in found.remedies.items():
            console.print(Text.assemble(f"  {harmless(remedy)}", (f"  # {purpose}", "dim")), soft_wrap=True)
    elif found.well:
        console.print(Text('\nAll is well: rxccsdk ask "Hello"', "green"))
