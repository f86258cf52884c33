"""What the CLI writes that gives no chunk, and why. Everything else gives at least one."""

from __future__ import annotations

CARRY_NOTHING = {
    "control_request": "a question to the SDK: hooks, permissions, MCP",
    "control_response": "the answer to one of ours",
    "control_cancel_request": "takes such a question back",
    "command_lifecycle": "says which prompt is taken up; the router reads it",
    "keep_alive": "says nothing",
    "transcript_mirror": "the SDK's session store reads it",
}
"""Types of frames."""

EVENTS_CARRY_NOTHING = {
    "content_block_start": "opens a block; its pieces follow",
    "content_block_stop": "closes a block; its pieces came",
    "ping": "says nothing",
}
"""Events of the API's stream. A block of nothing but white space gives no chunk either: the CLI itself leaves
it out where it sends whole blocks."""

DELTAS_CARRY_NOTHING = {
    "signature_delta": "proves thinking to the API",
    "input_json_delta": "of a block we do not model; its whole block follows",
}
"""Types of deltas."""
