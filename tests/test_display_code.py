"""Code in its language's colours: they can be read on a light background as on a dark one."""

from __future__ import annotations

from rxccsdk.display.code import THEME, highlighted

PROGRAM = '''@cached
class A(Base):
    """Words."""
    def f(self, x: int) -> str:  # why
        raise ValueError(f"{x + 0x1F} {len(self.y)}" and None)
'''


def test_no_colour_is_pale_on_white_or_dark_on_black() -> None:
    colours = {style.color.name for style in THEME.style_map.values() if style.color is not None}
    assert colours <= {"default", "cyan", "green", "magenta", "red", "yellow"}


def test_what_is_shown_has_these_colours_and_no_background() -> None:
    lines = highlighted(PROGRAM, "python")
    assert "\n".join(line.plain for line in lines) == PROGRAM
    styles = [span.style for line in lines for span in line.spans]
    assert len({str(style) for style in styles}) > 3
    assert not any("bright" in str(style) or " on " in f" {style}" for style in styles)
