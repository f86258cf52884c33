"""Chunks in a few words: what a tool call does, how long it took, what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxccsdk.session.denied import text_of_content
from rxccsdk.text.wording import call_in_words as call_in_words
from rxccsdk.text.wording import duration as duration
from rxccsdk.text.wording import one_line as one_line
from rxccsdk.wire.results import number


def content_in_words(content: Any) -> str:
    """Return the text of a tool result, whose content is text or a list of content blocks, on one line."""
    return one_line(text_of_content(content))


def retry_in_words(retry: Mapping[str, Any]) -> str:
    """Return why and when the CLI asks the API again, from its `api_retry` frame."""
    status = retry.get("error_status")
    happened = f"the API answered {status}" if status else "the connection to the API broke"
    again = duration((number(retry.get("retry_delay_ms")) or 0.0) / 1000)
    return f"{happened}; attempt {retry.get('attempt')} of {retry.get('max_retries')} in {again}"
