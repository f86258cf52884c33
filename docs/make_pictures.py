"""Makes the pictures of docs/: what the commands show in a terminal, as it goes on.

python docs/make_pictures.py [NAME ...]

The real CLI answers, with a scripted model on loopback; nothing else is made up.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from rxccsdk import cassettes
from rxccsdk.testing import LoopbackApi, Request, bundled_cli, clean_environment, environment, reply
from tests.cli_processes import COMMAND
from tests.desk import Desk
from tests.emulator import Emulator

DOCS = Path(__file__).parent
CELL, LINE = 8.4, 18.0
STILL = 3.0  # seconds that the last picture stands
PALETTE = {
    "black": "#3a3f4b",
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#e3b341",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
    "white": "#e6edf3",
    "default": "#e6edf3",
}


class Styled(Emulator):
    """An emulator that knows what is dim: it is kept as blinking, which nothing here does."""

    def select_graphic_rendition(self, *attributes: int, **given: Any) -> None:
        """Take a style."""
        super().select_graphic_rendition(*({2: 5}.get(number, number) for number in attributes), **given)
        if 22 in attributes:
            super().select_graphic_rendition(25)


@dataclass
class Scene:
    """What is run, and what the person at the terminal does.

    Attributes:
        typed: the command, as it is shown.
        arguments: of the command.
        model: answers; `None` where no model is asked.
        person: sits at the desk until the end.
        size: columns and rows.
        frames: pictures a second.
    """

    typed: str
    arguments: list[str]
    model: Callable[[Request], Any] | None
    person: Callable[[Desk], None]
    size: tuple[int, int] = (92, 24)
    frames: float = 3.0


def frames_of(scene: Scene, folder: Path) -> list[tuple[float, list[str]]]:
    """Run a scene; return the rows that were seen, as SVG, each time they changed."""
    found: list[tuple[float, list[str]]] = []
    with ExitStack() as stack:
        if scene.model is not None:
            api = stack.enter_context(LoopbackApi(scene.model))
            stack.enter_context(environment(clean_environment(api.url, folder / "home")))
        desk = Desk(folder, *COMMAND, *scene.arguments, size=scene.size)
        stack.callback(desk.close)
        desk.screen = Styled(*scene.size)
        began = time.monotonic()
        read = desk._read

        def look(seconds: float) -> bool:
            came = read(seconds)
            now = time.monotonic() - began
            if not found or now - found[-1][0] >= 1 / scene.frames:
                keep(now)
            return came

        def keep(now: float) -> None:
            rows = [_row(desk.screen, y) for y in range(desk.screen.lines)]
            if not found or rows != found[-1][1]:
                found.append((now, rows))

        desk._read = look  # type: ignore[method-assign]
        scene.person(desk)
        desk.end()
        keep(time.monotonic() - began)
    return found


def _row(screen: Emulator, y: int) -> str:
    """Return a row as SVG, without where it stands."""
    parts, x = [], 0
    cells = [screen.buffer[y][column] for column in range(screen.columns)]
    for style, run in groupby(cells, key=lambda cell: (cell.fg, cell.bold, cell.italics, cell.blink)):
        text = "".join(cell.data for cell in run)
        if text.strip():
            fg, bold, italic, dim = style
            colour = PALETTE.get(fg, f"#{fg}" if len(fg) == 6 else PALETTE["default"])
            looks = f'fill="{colour}"' + ' font-weight="bold"' * bold + ' font-style="italic"' * italic
            looks += ' opacity="0.6"' * dim
            width = len(text.rstrip()) * CELL
            parts.append(
                f'<text x="{x * CELL:.1f}" {looks} textLength="{width:.1f}">{escape(text.rstrip())}</text>'
            )
        x += len(text)
    return "".join(parts)


def film(scene: Scene, frames: list[tuple[float, list[str]]]) -> str:
    """Return the frames as an SVG that shows one after the other, again and again."""
    columns, lines = scene.size
    length = frames[-1][0] + STILL
    rows = {
        row: f"r{number}" for number, row in enumerate(sorted({r for _, rows in frames for r in rows} - {""}))
    }
    drawn = "".join(f'<g id="{name}">{row}</g>' for row, name in rows.items())
    shown, styles = [], []
    for number, (at, of) in enumerate(frames):
        until = frames[number + 1][0] if number + 1 < len(frames) else length
        begin, end = (f"{moment / length:.3%}" for moment in (at if number else 0.0, until))
        styles.append(
            f"@keyframes k{number}{{0%{{opacity:{int(not number)}}}{begin}{{opacity:1}}{end}{{opacity:0}}}}"
        )
        style = f"animation:k{number} {length:.2f}s steps(1) infinite"
        uses = "".join(f'<use href="#{rows[row]}" y="{y * LINE:.0f}"/>' for y, row in enumerate(of) if row)
        last = "" if number + 1 < len(frames) else ' class="last"'
        shown.append(f'<g{last} style="opacity:0;{style}">{uses}</g>')
    width, height = columns * CELL + 32, (lines + 2) * LINE + 40
    still = "g[style]{animation:none!important}.last{opacity:1!important}"
    styles.append(f"@media (prefers-reduced-motion){{{still}}}")
    font = '14px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"',
        f' aria-label="{escape(scene.typed)}">',
        f"<style>text{{font:{font};white-space:pre}}{''.join(styles)}</style>",
        f'<rect width="100%" height="100%" rx="10" fill="#0d1117"/><defs>{drawn}</defs>',
        '<g transform="translate(16 34)"><text fill="#7ee787">$ ',
        f'<tspan fill="#e6edf3">{escape(scene.typed)}</tspan></text>',
        f'<g transform="translate(0 {LINE * 1.5:.0f})">{"".join(shown)}</g></g></svg>',
    ]
    return "".join(parts) + "\n"


# -- scenes -------------------------------------------------------------------------------------------------


def ask(folder: Path) -> Scene:
    """A question, a command that is watched, and an answer."""
    (folder / "project").mkdir()
    tests = "for i in $(seq 1 18); do echo tests/test_part_$i.py .....; sleep 0.3; done; echo 45 passed"

    def model(request: Request) -> Any:
        said = str(request.messages)
        if "45 passed" in said:
            answer = (
                "All **45 tests** pass again:\n\n- `parse()` took an empty line for the end of the file\n- "
            )
            return reply(answer + "it asks for the file's *length* now\n", pieces=24, delay=0.05)
        if "length" in said:
            return reply("Now the tests.").tool("Bash", {"command": tests, "description": "Run the tests"})
        edit = {"file_path": "parse.py", "content": "def parse(file):\n    return file.length\n"}
        return reply("An empty line ends it too early. ", pieces=6, delay=0.06).tool("Write", edit)

    def person(desk: Desk) -> None:
        desk.see("Allow it?")
        _linger(desk, 1.5)
        desk.press("y\n")

    arguments = ["ask", "--allowed-tools", "Bash", "--cwd", str(folder / "project"), "Why does parse() stop?"]
    return Scene('rxccsdk ask "Why does parse() stop too early?"', arguments, model, person, size=(92, 22))


def batch(folder: Path) -> Scene:
    """Many prompts, three at a time."""
    modules = ("cart", "orders", "prices", "stock", "users", "mail")
    prompts = folder / "prompts.jsonl"
    prompts.write_text("\n".join(json.dumps(f"Review {name}.py") for name in modules) + "\n")

    def model(request: Request) -> Any:
        words = f"{request.prompt}: nothing that would break, two names that could say more."
        return reply(words, pieces=12, delay=0.1 + 0.02 * (len(request.prompt) % 5))

    arguments = ["batch", str(prompts), "--out", str(folder / "answers.jsonl"), "--at-once", "3"]
    return Scene(
        "rxccsdk batch prompts.jsonl --out answers.jsonl --at-once 3", arguments, model, lambda desk: None
    )


def chat(folder: Path) -> Scene:
    """A prompt, a word while the agent works, and going back to before it."""
    (folder / "project").mkdir()
    install = "for i in $(seq 1 20); do echo installing $i of 20; sleep 0.3; done"

    def model(request: Request) -> Any:
        said = str(request.messages)
        if "uv" in said:
            return reply("I use **uv** from here on; `uv sync` has set it up.\n", pieces=12, delay=0.06)
        begun = reply("I install what it needs. ", pieces=6, delay=0.06)
        return begun.tool("Bash", {"command": install, "description": "Install"})

    def person(desk: Desk) -> None:
        desk.screen.write_process_input = desk.press  # type: ignore[method-assign, assignment]
        desk.wait(lambda: "\x1b[?2004h" in desk.written)
        _type(desk, "Set the project up\r")
        desk.see("│ installing")
        _type(desk, "Use uv instead of pip\r")
        desk.see("context ")
        desk.wait(lambda: desk.written.count("\x1b[?2004h") > 1)
        _type(desk, "/rewind\r")
        desk.see("goes back")
        _linger(desk, 1.0)
        desk.press(b"\x04")

    arguments = ["chat", "--allowed-tools", "Bash", "--cwd", str(folder / "project")]
    return Scene("rxccsdk chat", arguments, model, person, size=(92, 22))


def replay(folder: Path) -> Scene:
    """A recording, with its keys."""

    def person(desk: Desk) -> None:
        _linger(desk, 3.0)
        desk.press("\x1b[A")

    arguments = ["replay", str(cassettes.AGENT), "--speed", "1.5"]
    return Scene("rxccsdk replay fix.jsonl", arguments, None, person, size=(92, 30))


def _type(desk: Desk, keys: str) -> None:
    for key in keys:
        desk.press(key)
        _linger(desk, 0.08)


def demo(folder: Path) -> Scene:
    """What a new user sees first."""
    return Scene("rxccsdk demo", ["demo"], None, lambda desk: None, size=(92, 40))


def _linger(desk: Desk, seconds: float) -> None:
    until = time.monotonic() + seconds
    desk.wait(lambda: time.monotonic() >= until)


SCENES = {"demo": demo, "ask": ask, "batch": batch, "chat": chat, "replay": replay}


def main() -> None:
    """Make the pictures that are named, or all."""
    assert bundled_cli() is not None, "claude-agent-sdk brings the CLI"
    for name in sys.argv[1:] or SCENES:
        with tempfile.TemporaryDirectory() as folder:
            scene = SCENES[name](Path(folder))
            svg = film(scene, frames_of(scene, Path(folder)))
        target = DOCS / f"{name}.svg"
        target.write_text(svg, encoding="utf-8")
        print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
