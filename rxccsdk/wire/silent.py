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

_GIVEN = "what the agent is given beside the prompt: its system prompt, tools, reminders"
_REQUEST = "what the API was asked; its answer follows"
_FILES = "which files the agent has changed, for rewinding"
_NAMED = "what the session is called, or shown as"
_STATE = "how the session is set, for whoever goes on with it"

TRANSCRIPTS_CARRY_NOTHING = {
    "agent-color": _NAMED,
    "agent-name": _NAMED,
    "agent-setting": _STATE,
    "ai-title": _NAMED,
    "api-request": _REQUEST,
    "api-request-blob": _REQUEST,
    "api-request-resumed": _REQUEST,
    "api-request-shape": _REQUEST,
    "artifact-autoreact-ledger": _STATE,
    "artifact-comment-monitor": _STATE,
    "atis-latch": _STATE,
    "attachment": _GIVEN,
    "attribution-snapshot": _FILES,
    "bridge-session": _STATE,
    "content-replacement": "which results were too long for the agent",
    "continued-in": _STATE,
    "cost-state": "what the session has cost so far",
    "custom-title": _NAMED,
    "data-flow-incomplete": _STATE,
    "data-flow-records": _STATE,
    "derived-from": _STATE,
    "dev-mods": _STATE,
    "ended-by-model": _STATE,
    "file-history-delta": _FILES,
    "file-history-snapshot": _FILES,
    "fork-context-ref": _STATE,
    "frame-link": _NAMED,
    "history-suppression": _STATE,
    "host-row": _STATE,
    "hybrid-organization": _STATE,
    "isolation-latch": _STATE,
    "last-prompt": _NAMED,
    "memory-mode": _STATE,
    "mode": _STATE,
    "observer-ref": _STATE,
    "permission-mode": _STATE,
    "pr-link": _NAMED,
    "progress": "a tool, a hook or a sub-agent still runs; its own lines follow",
    "queue-operation": "a prompt waits, or does not any more; it follows when it is taken up",
    "relocated": _STATE,
    "repl-mode": _STATE,
    "resume-head-vouch": _STATE,
    "session-owner": _STATE,
    "speculation-accept": _STATE,
    "summary": _NAMED,
    "tag": _NAMED,
    "task-summary": _NAMED,
    "tools-used": "which tools were called; the calls follow",
    "worktree-state": _STATE,
}
"""Types of lines in the transcripts that the CLI keeps; on the wire none of them is known. An `attachment`
that is a message sent into a turn does carry it."""

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
