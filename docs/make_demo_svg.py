"""Makes docs/demo.svg: what `rxccsdk demo` shows in a real terminal (tmux), while it writes its answer.

python docs/make_demo_svg.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS, SECONDS = 92, 44, 15.4
SESSION = f"rxccsdk-demo-{os.getpid()}"


def tmux(*arguments: str) -> str:
    """Run tmux."""
    return subprocess.run(["tmux", *arguments], check=True, capture_output=True, encoding="utf-8").stdout


def screen() -> str:
    """The terminal's content with its styles, some seconds after the demo's start."""
    command = f"{sys.executable} -m rxccsdk demo"
    tmux("new-session", "-d", "-s", SESSION, "-x", str(COLUMNS), "-y", str(ROWS), command)
    try:
        time.sleep(SECONDS)
        return tmux("capture-pane", "-t", SESSION, "-p", "-e").rstrip("\n")
    finally:
        tmux("kill-session", "-t", SESSION)


def picture(shown: str) -> str:
    """The content as an SVG that refers to nothing outside itself."""
    with open(os.devnull, "w") as nowhere:
        console = Console(
            record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        console.print(Text("$ rxccsdk demo", "bold"))
        console.print(Text.from_ansi(shown), no_wrap=True)
        svg = console.export_svg(title="rxccsdk demo", unique_id="demo")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code,", "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas,")
    # Some viewers fold spaces at the ends of a run.
    return svg.replace("<text ", '<text xml:space="preserve" ')


if __name__ == "__main__":
    target = Path(__file__).parent / "demo.svg"
    target.write_text(picture(screen()), encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size:,} bytes")
