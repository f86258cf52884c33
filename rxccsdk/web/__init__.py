"""A turn's way into browsers (extra `web`): server-sent events, an app with one page, other front ends.

from rxccsdk.web import create_app, sse
"""

from __future__ import annotations

from rxccsdk.web.app import create_app
from rxccsdk.web.sse import sse

__all__ = ["create_app", "sse"]
