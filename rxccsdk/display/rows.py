"""Breaking a text that is still growing into rows of a terminal."""

from __future__ import annotations

from rich.cells import get_character_cell_size


def rows(text: str, width: int) -> list[str]:
    r"""Break one line of text into rows of at most `width` cells, after a space where there is one.

    All but the last row are final: more text can only change the last one. Joined, they are the text. One
    pass, whatever the length. A character wider than the row gets a row of its own.

    Args:
        text: a text without newlines.
        width: cells in a row; wide characters take two.

    Example:
        >>> rows("one two three", 8)
        ['one two ', 'three']
        >>> rows("日本語", 4)
        ['日本', '語']
    """
    done: list[str] = []
    start = used = 0
    blank, used_at_blank = 0, 0  # behind the last space of this row: where it may be broken
    for index, character in enumerate(text):
        cells = get_character_cell_size(character)
        # A space may hang over the edge, and what has no width belongs to the character before it.
        if used + cells > width and character != " " and cells and index > start:
            cut = blank if blank > start else index
            used = used - used_at_blank if cut == blank else 0
            done.append(text[start:cut])
            start = cut
        used += cells
        if character == " ":
            blank, used_at_blank = index + 1, used
    return [*done, text[start:]]
