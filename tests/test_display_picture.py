"""The picture in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"


@pytest.mark.skipif(
    not PICTURE.is_file(), reason="the pictures come with the repository, not with the package"
)
def test_the_picture_refers_to_nothing_outside_itself() -> None:
    svg = PICTURE.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"' )]+", svg)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in svg.replace("url(#", "")
    assert len(svg) < 200_000
    assert "rxccsdk" in svg
