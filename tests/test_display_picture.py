"""The pictures in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PICTURES = sorted((Path(__file__).parents[1] / "docs").glob("*.svg"))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_refers_to_nothing_outside_itself(picture: Path) -> None:
    svg = picture.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"' )]+", svg)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in svg.replace("url(#", "")
    assert len(svg) < 200_000
    assert "rxccsdk" in svg
    assert "<script" not in svg
