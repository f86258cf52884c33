"""What can be asked."""

from __future__ import annotations

import json
from typing import Any

Prompt = str | list[dict[str, Any]]
"""Text, or a list of content blocks (text, image) as the Messages API spells them."""


def in_words(prompt: Prompt) -> str:
    r"""Return a prompt as text; what is none is named.

    Example:
        >>> in_words([{"type": "text", "text": "What is this?"}, {"type": "image", "source": {}}])
        'What is this?\n[image]'
    """
    if isinstance(prompt, str):
        return prompt
    return "\n".join(str(block.get("text") or f"[{block.get('type')}]") for block in prompt)


def checked_prompt(prompt: Any) -> Prompt:
    """Return the prompt if it can be sent.

    Raises:
        TypeError: it is neither text nor a list of content blocks.
        ValueError: it is empty, or a block is malformed.
    """
    if isinstance(prompt, str):
        if not prompt.strip():
            raise ValueError("The prompt is empty.")
        return prompt
    if not isinstance(prompt, list):
        raise TypeError(
            f"A prompt is text or a list of content blocks, not {type(prompt).__name__}: "
            'pass "..." or [{"type": "text", "text": "..."}].'
        )
    if not prompt:
        raise ValueError("The prompt is empty: a list of content blocks needs at least one.")
    for block in prompt:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind is None:
            raise TypeError(
                f"Not a content block: {block!r}. One looks like {{'type': 'text', 'text': '...'}}."
            )
        if kind == "text":
            _check_text(block.get("text"))
        if kind == "image" and not isinstance(block.get("source"), dict):
            raise ValueError("An image block needs a `source`, as the Messages API spells it.")
    _check_json(prompt)
    return prompt


def _check_text(text: Any) -> None:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"The text of a content block is a string, not {type(text).__name__}.")
    if not (text or "").strip():
        raise ValueError("A text block of the prompt is empty.")


def _check_json(prompt: list[Any]) -> None:
    """Raise where the prompt has no form on the wire: the CLI would end, or never answer."""
    try:
        json.dumps(prompt, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"The prompt holds what JSON cannot: {error}. Image data is base64 text.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The prompt holds what JSON cannot: {error}.") from error
