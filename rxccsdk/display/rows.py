"""Breaking text into rows of a terminal."""

from __future__ import annotations

from rich.cells import get_character_cell_size

_JOINER = "\u200d"
_STAYS_BEHIND = "、。，．！？：；）」』】》〉,.!?:;)"  # no row begins with these


def rows(text: str, width: int, *, whole_words: bool = False) -> list[str]:
    r"""Break one line of text into rows of at most `width` cells, after a space or beside a wide character.

    All but the last row are final: more text can only change the last one. Joined, they are the text. One
    pass, whatever the length. A character wider than the row gets a row of its own.

    Args:
        text: a text without newlines.
        width: cells in a row; wide characters take two.
        whole_words: leave a word that is longer than a row as it is, on a row of its own.

    Example:
        >>> rows("one two three", 8)
        ['one two ', 'three']
        >>> rows("日本語", 4)
        ['日本', '語']
        >>> rows("see https://example.org now", 8, whole_words=True)
        ['see ', 'https://example.org ', 'now']
    """
    done: list[str] = []
    start = used = 0
    place, used_at_place = 0, 0  # where this row may be broken
    before, cells_before = "", 0
    for index, character in enumerate(text):
        cells = get_character_cell_size(character)
        beside_wide = 2 in (cells, cells_before) and cells and before not in (_JOINER, " ")
        if beside_wide and index > start and character not in _STAYS_BEHIND and character != " ":
            place, used_at_place = index, used
        # A space may hang over the edge, and what has no width belongs to the character before it.
        if used + cells > width and character != " " and cells and index > start:
            cut = place if place > start else -1 if whole_words else index
            if cut >= 0:
                used = used - used_at_place if cut == place else 0
                done.append(text[start:cut])
                start = cut
        used += cells
        if character == " ":
            place, used_at_place = index + 1, used
        before, cells_before = character, cells or cells_before
    return [*done, text[start:]]
