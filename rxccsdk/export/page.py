"""A recording as one HTML page that plays it: nothing to load, nothing to install."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from markdown_it import MarkdownIt

from rxccsdk.export.timeline import Row


def page(rows: Sequence[Row], title: str) -> str:
    """Return the page.

    What was recorded is in it as data, and becomes text of the page, never markup of it; the agent's Markdown
    is rendered without HTML and images. The page's own script and style are the only ones that may run.

    Args:
        rows: of the recording.
        title: of the page.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    data = json.dumps([_data(row, markdown) for row in rows], ensure_ascii=False)
    for character in "<>&\u2028\u2029":  # nothing in it can end the element that it is in
        data = data.replace(character, f"\\u{ord(character):04x}")
    script, style = _asset("player.js"), _asset("player.css")
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    return _asset("player.html").format(
        title=escape(title), policy=policy, script=script, style=style, data=data
    )


def _data(row: Row, markdown: MarkdownIt) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": row.kind, "start": round(row.start, 3), "depth": row.depth}
    if row.pieces:
        found["pieces"] = [[round(t, 3), text] for t, text in row.pieces]
    if row.kind in ("text", "thinking"):
        found["html"] = markdown.render(row.text)
    for name in ("title", "about", "input", "output"):
        if value := getattr(row, name):
            found[name] = value
    for name in ("end", "retracted"):
        if (time := getattr(row, name)) is not None:
            found[name] = round(time, 3)
    if row.failed:
        found["failed"] = True
    return found


def _asset(name: str) -> str:
    return (files("rxccsdk.export") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
