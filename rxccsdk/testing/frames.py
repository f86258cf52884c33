"""Build frames as the real CLI (2.1.330) writes them, for a scripted CLI.

In any string of a frame the scripted CLI replaces `$uuid` by the uuid of the current prompt, `$session` by
the session id and each `$new` by a new id.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from rxccsdk.testing.replies import Reply, reply
from rxccsdk.testing.reply_steps import Block, Pieces

Frame: TypeAlias = dict[str, Any]

MODEL = "claude-opus-5-5"


def text_turn(text: str, *, pieces: Pieces = None, partial: bool = True) -> list[Frame]:
    """Return the frames of a turn that answers with one text, from `init` to `result`.

    Args:
        text: The answer.
        pieces: How to split it into deltas (see `split_text`).
        partial: Whether to include deltas, as with `--include-partial-messages`; else only whole blocks.

    Example:
        >>> [frame["type"] for frame in text_turn("hi", partial=False)]
        ['system', 'assistant', 'result']
    """
    return turn(reply(text, pieces=pieces), partial=partial)


def turn(*answers: Reply, partial: bool = True) -> list[Frame]:
    """Return the frames of a turn with one message for each reply, without its pauses and breaks.

    Tool results are not included: where they matter, put `tool_result()` between the frames of `message()`.
    """
    frames = [init_frame()]
    for number, answer in enumerate(answers):
        if partial:
            frames.append(_frame("system", subtype="status", status="requesting"))
        frames += message(answer, id=f"msg_{number}_$uuid", partial=partial)
    texts = [_joined(block, "text") for answer in answers for block in _blocks(answer, "text")]
    return [*frames, result_frame(texts[-1] if texts else "", num_turns=max(1, len(answers)))]


def message(answer: Reply, *, id: str = "msg_$uuid", partial: bool = True) -> list[Frame]:
    """Return the frames of one message: deltas, and an `assistant` frame before the end of each block."""
    whole = answer.whole(id, MODEL)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[Frame] = [event_frame({"type": "message_start", "message": start}, id)]
    blocks = [step for step in answer.steps if isinstance(step, Block)]
    for index, (block, content) in enumerate(zip(blocks, whole["content"], strict=True)):
        events.append(
            event_frame({"type": "content_block_start", "index": index, "content_block": block.start}, id)
        )
        events += (
            event_frame({"type": "content_block_delta", "index": index, "delta": delta}, id)
            for delta in block.deltas
        )
        # The CLI streams a block of only whitespace, and then never confirms it.
        if content["type"] != "text" or content["text"].strip():
            events.append(
                _frame("assistant", message={**start, "content": [content]}, parent_tool_use_id=None)
            )
        events.append(event_frame({"type": "content_block_stop", "index": index}, id))
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    events.append(event_frame({"type": "message_delta", "delta": stop, "usage": usage}, id))
    events.append(event_frame({"type": "message_stop"}, id))
    return events if partial else [frame for frame in events if frame["type"] != "stream_event"]


def tool_result(tool_use_id: str, content: Any, *, is_error: bool = False) -> Frame:
    """Return the `user` frame with the result of a tool call."""
    block = {"tool_use_id": tool_use_id, "type": "tool_result", "content": content, "is_error": is_error}
    return _frame("user", message={"role": "user", "content": [block]}, parent_tool_use_id=None)


def event_frame(event: dict[str, Any], id: str = "msg_$uuid") -> Frame:
    """Return a `stream_event` frame with an event of the Messages API; `id` is the message id."""
    return _frame("stream_event", event=event, parent_tool_use_id=None, api_message_id=id)


def init_frame() -> Frame:
    """Return the `system/init` frame that begins a turn."""
    return _frame(
        "system",
        subtype="init",
        cwd="/home/user/project",
        model=MODEL,
        permissionMode="default",
        claude_code_version="2.1.330",
        apiKeySource="ANTHROPIC_API_KEY",
        tools=["Task", "Bash"],
    )


def result_frame(result: str | None = None, **fields: Any) -> Frame:
    """Return a `result` frame, with keys in the order of the CLI. `fields` override those of a success.

    Example:
        >>> result_frame("done", total_cost_usd=0.5)["subtype"]
        'success'
    """
    model_usage = {
        MODEL: {
            "inputTokens": 25,
            "outputTokens": 10,
            "cacheReadInputTokens": 0,
            "cacheCreationInputTokens": 0,
            "webSearchRequests": 0,
            "costUSD": 0.001,
            "contextWindow": 1000000,
        }
    }
    frame = {
        "duration_api_ms": 10,
        "stop_reason": "end_turn",
        "session_id": "$session",
        "total_cost_usd": 0.001,
        "usage": {
            "input_tokens": 25,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 10,
        },
        "modelUsage": model_usage,
        "permission_denials": [],
        "terminal_reason": "completed",
        "is_error": False,
        "num_turns": 1,
        "subtype": "success",
        "type": "result",
        "duration_ms": 20,
        "uuid": "$new",
        "model_usage_since_last_result": model_usage,
    }
    if result is not None:
        frame["result"] = result
    return {**frame, **fields}


def interrupted(*, reason: str = "aborted_streaming") -> list[Frame]:
    """Return what the CLI writes after an interrupt: a user message with a note, and the result."""
    note = {"role": "user", "content": [{"type": "text", "text": "[Request interrupted by user]"}]}
    return [
        _frame("user", message=note, parent_tool_use_id=None),
        result_frame(
            subtype="error_during_execution",
            is_error=True,
            stop_reason=None,
            terminal_reason=reason,
            errors=["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null"],
        ),
    ]


def name_prompt(frame: Frame, named: set[str]) -> Frame:
    """Return a frame with the `user_message_uuids` that 2.1.330 adds to it; 2.1.197 adds none.

    Every `init`, `status` and `result` has them, and the first `message_start` and `assistant` of a turn. A
    frame that has the field, or that belongs to no prompt (an `origin`, a sub-agent), is returned unchanged.

    Args:
        frame: The frame; it is not modified.
        named: The kinds already named in this turn; updated.
    """
    kind = frame.get("type")
    if kind == "stream_event":
        kind = frame.get("event", {}).get("type")
    elif kind == "system":
        kind = frame.get("subtype")
    if "user_message_uuids" in frame or frame.get("origin") or frame.get("parent_tool_use_id"):
        return frame
    if kind in ("init", "status"):
        return {**frame, "user_message_uuids": ["$uuid"]}
    if kind not in ("message_start", "assistant", "result") or (kind != "result" and kind in named):
        return frame
    named.add(kind)
    return {**frame, "user_message_uuid": "$uuid", "user_message_uuids": ["$uuid"]}


def to_line(frame: Frame) -> bytes:
    """Return a frame as the CLI writes it: compact JSON in UTF-8, with escapes only for lone surrogates."""
    try:
        return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def _frame(type: str, **fields: Any) -> Frame:
    return {"type": type, **fields, "session_id": "$session", "uuid": "$new"}


def _blocks(answer: Reply, type: str) -> list[Block]:
    return [step for step in answer.steps if isinstance(step, Block) and step.start["type"] == type]


def _joined(block: Block, name: str) -> str:
    return "".join(delta.get(name, "") for delta in block.deltas)
