"""A turn's way into browsers (extra `web`): server-sent events, an app with one page, other front ends.

from rxccsdk.web import ag_ui, create_app, sse, ui_messages
"""

from __future__ import annotations

from rxccsdk.web.ag_ui import ag_ui
from rxccsdk.web.app import create_app
from rxccsdk.web.sse import sse
from rxccsdk.web.ui_messages import ui_messages

__all__ = ["ag_ui", "create_app", "sse", "ui_messages"]
