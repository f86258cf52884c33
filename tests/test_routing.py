"""Whose frame is it: each rule by itself."""

from __future__ import annotations

from typing import Any

import pytest

from rxccsdk.chunks import Frame
from rxccsdk.wire.routing import Router

NAMED = {"user_message_uuids": ["u0"]}


def system(subtype: str, **fields: Any) -> Frame:
    return {"type": "system", "subtype": subtype, **fields}


def lifecycle(state: str, uuid: str = "u0") -> Frame:
    return {"type": "command_lifecycle", "command_uuid": uuid, "state": state}


def result(**fields: Any) -> Frame:
    return {"type": "result", "subtype": "success", **fields}


def calls(*ids: str, agent: str | None = None) -> Frame:
    content = [{"type": "tool_use", "id": made, "name": "Agent", "input": {}} for made in ids]
    return {"type": "assistant", "message": {"content": content}, "parent_tool_use_id": agent}


def gets(id: str, agent: str | None = None) -> Frame:
    content = [{"type": "tool_result", "tool_use_id": id, "content": "done"}]
    return {"type": "user", "message": {"content": content}, "parent_tool_use_id": agent}


def says(agent: str | None = None) -> Frame:
    content = [{"type": "text", "text": "hello"}]
    return {"type": "assistant", "message": {"content": content}, "parent_tool_use_id": agent}


DELTA: Frame = {"type": "stream_event", "event": {"type": "ping"}, "parent_tool_use_id": None}
INJECTED = {"origin": {"kind": "task-notification"}}


def begun(*, started: bool = True, turn: int = 0) -> Router:
    """A router whose prompt was written, and taken up by a CLI that names it."""
    router = Router()
    router.begin(turn, "u0")
    router.route(lifecycle("queued"))
    if started:
        router.route(lifecycle("started"))
    return router


def heard(router: Router, *frames: Frame) -> list[int | None]:
    return [router.route(frame) for frame in frames]


# -- the turn of a prompt ---------------------------------------------------------------------------------


def test_nothing_belongs_to_a_turn_before_a_prompt() -> None:
    assert heard(Router(), system("init"), DELTA, says(), result()) == [None] * 4


def test_a_turn_ends_at_the_result_that_lists_its_prompt() -> None:
    router = begun()
    assert heard(router, system("init", **NAMED), DELTA, says()) == [0, 0, 0]
    assert not router.ended
    assert router.route(result(**NAMED)) == 0
    assert router.ended
    assert router.turn is None
    assert router.route(lifecycle("completed")) is None
    assert not router.ended


def test_the_result_may_name_one_prompt_or_several() -> None:
    assert begun().route(result(user_message_uuid="u0")) == 0
    assert begun().route(result(user_message_uuids=["other", "u0"], user_message_uuid="other")) == 0


def test_the_next_result_is_not_the_answer() -> None:
    """facts.md: a second prompt got the injected result in 7 of 9 runs."""
    router = begun(started=False)
    assert heard(router, system("init"), DELTA, says(), result(**INJECTED)) == [None] * 4
    assert router.turn == 0
    assert heard(router, lifecycle("started"), system("init", **NAMED), DELTA) == [0, 0, 0]
    assert heard(router, result(**INJECTED), result(user_message_uuids=["other"])) == [None, None]
    assert router.route(result(**NAMED)) == 0


def test_before_the_prompt_is_taken_up_a_result_without_names_is_not_its() -> None:
    router = begun(started=False)
    assert router.route(result()) is None
    assert router.turn == 0


def test_an_init_that_names_the_prompt_takes_it_up() -> None:
    router = Router()
    router.begin(3, "u0")
    assert heard(router, system("init", **NAMED), DELTA) == [3, 3]
    assert router.started


def test_a_prompt_absorbed_by_an_injected_turn() -> None:
    """One result has both `origin` and the prompt's uuid: it ends the prompt's turn."""
    router = begun()
    router.route(result(**NAMED))
    router.begin(1, "u1")
    before = [system("init"), DELTA, calls("T"), lifecycle("queued", "u1"), gets("T")]
    assert heard(router, *before) == [None, None, None, 1, None]
    assert heard(router, lifecycle("started", "u1"), DELTA, says()) == [1, 1, 1]
    assert router.route(result(**INJECTED, user_message_uuids=["u1"])) == 1
    assert router.ended
    assert not router.busy


def test_cancelled_while_it_waited_ends_the_turn() -> None:
    router = begun(started=False)
    assert router.route(lifecycle("cancelled")) == 0
    assert router.ended


def test_cancelled_once_started_waits_for_the_result() -> None:
    router = begun()
    assert router.route(lifecycle("cancelled")) == 0
    assert not router.ended
    assert router.route(result(**NAMED)) == 0


def test_another_prompts_lifecycle_is_not_ours() -> None:
    router = begun(started=False)
    assert heard(router, lifecycle("started", "u9"), lifecycle("cancelled", "u9"), DELTA) == [None] * 3
    assert router.turn == 0


def test_an_abandoned_turn_takes_nothing_more() -> None:
    router = begun()
    router.abandon()
    assert heard(router, DELTA, says(), result(**NAMED)) == [None] * 3


# -- a CLI that names no prompts --------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [{}, INJECTED, {"origin": {"kind": "human"}}])
def test_a_cli_that_names_no_prompts_ends_the_turn_at_the_next_result(origin: Frame) -> None:
    """From 2.1.139 to 2.1.170 the first turn's only result may be that of a turn of the CLI's own."""
    router = Router()
    router.begin(0, "u0")
    assert heard(router, system("init"), DELTA, says(), result(**origin)) == [0, 0, 0, 0]
    assert router.ended
    assert router.is_guess == (origin == INJECTED)


def test_what_follows_a_second_init_is_not_the_answer() -> None:
    router = Router()
    router.begin(0, "u0")
    assert heard(router, system("init"), says(), system("init"), says(), DELTA) == [0, 0, None, None, None]
    assert router.route(result()) == 0
    assert router.is_guess
    router.begin(1, "u1")
    assert heard(router, system("init"), says(), result()) == [1, 1, 1]
    assert not router.is_guess


def test_a_prompt_that_a_turn_of_the_clis_own_took_up_ends_at_the_result_after_it_is_completed() -> None:
    """2.1.191 to 2.1.257: that result names no prompt."""
    router = begun()
    assert router.route(result(**INJECTED)) is None
    assert heard(router, lifecycle("completed"), result(**INJECTED)) == [0, 0]
    assert router.ended


def test_a_result_of_a_human_is_the_turns_own() -> None:
    assert begun().route(result(origin={"kind": "human"})) == 0


def test_a_cli_that_names_prompts_but_not_this_result() -> None:
    assert begun().route(result()) == 0


# -- sub-agents -------------------------------------------------------------------------------------------


def test_a_foreground_agent_belongs_to_the_turn_that_called_it() -> None:
    router = begun()
    started = system("task_started", task_id="t", tool_use_id="A", is_backgrounded=False)
    assert heard(router, calls("A"), started, says("A"), gets("A")) == [0] * 4
    assert not router.has_background_work


def test_a_background_agent_belongs_to_no_turn() -> None:
    router = begun()
    started = system("task_started", task_id="t", tool_use_id="A", is_backgrounded=True)
    assert heard(router, calls("A"), started) == [0, 0]
    assert heard(router, gets("A")) == [0], "that it was launched is the turn's"
    assert router.has_background_work
    progress = system("task_progress", task_id="t")  # without tool_use_id: the task is known
    assert heard(router, says("A"), calls("N", agent="A"), says("N"), gets("N", agent="A")) == [None] * 4
    assert heard(router, progress, system("task_progress", task_id="t", tool_use_id="A")) == [None] * 2
    assert router.route(result(**NAMED)) == 0
    router.begin(1, "u1")
    assert heard(router, says("A"), system("task_notification", task_id="t", tool_use_id="A")) == [None] * 2
    assert not router.has_background_work


@pytest.mark.parametrize("status", ["paused", "pending", "running", "waiting", "of tomorrow", 5, [1], None])
def test_a_task_that_is_paused_or_what_we_do_not_know_is_still_there(status: Any) -> None:
    router = begun()
    heard(router, calls("A"), system("task_started", task_id="t", tool_use_id="A", is_backgrounded=True))
    router.route(system("task_updated", task_id="t", patch={"status": status}))
    assert router.has_background_work
    assert heard(router, says("A")) == [None]


@pytest.mark.parametrize("status", ["completed", "failed", "killed", "stopped"])
def test_a_task_that_has_ended_is_gone(status: str) -> None:
    router = begun()
    heard(router, calls("A"), system("task_started", task_id="t", tool_use_id="A", is_backgrounded=True))
    router.route(system("task_updated", task_id="t", patch={"status": status}))
    assert not router.has_background_work


def test_an_agent_moved_to_the_background_takes_those_it_called_along() -> None:
    router = begun()
    heard(router, calls("A"), system("task_started", task_id="t", tool_use_id="A", is_backgrounded=False))
    assert heard(router, calls("N", agent="A"), calls("M", agent="N"), says("M")) == [0, 0, 0]
    assert router.route(system("task_updated", task_id="t", patch={"is_backgrounded": True})) == 0
    assert heard(router, says("A"), says("N"), says("M"), gets("N", agent="A")) == [None] * 4
    assert router.has_background_work
    router.route(system("task_updated", task_id="t", patch={"status": "completed"}))
    assert not router.has_background_work


def test_an_agent_of_an_older_turn_is_not_of_this_one() -> None:
    router = begun()
    heard(router, calls("A"), result(**NAMED))
    router.begin(1, "u1")
    heard(router, lifecycle("started", "u1"))
    assert heard(router, says("A"), gets("A"), DELTA) == [None, None, 1]


def test_an_agent_nobody_saw_called_is_the_main_agents() -> None:
    assert heard(begun(), says("X"), calls("Y", agent="X"), says("Y")) == [0, 0, 0]
    assert heard(begun(started=False), says("X")) == [None], "nobody has taken the prompt up yet"
    assert heard(Router(), says("X")) == [None]


def test_a_heartbeat_goes_with_its_tool() -> None:
    router = begun()
    heard(router, calls("A", "B"))
    heard(router, system("task_started", task_id="t", tool_use_id="B", is_backgrounded=True))
    beat = {"type": "tool_progress", "elapsed_time_seconds": 30}
    of_a = {**beat, "tool_use_id": "A-heartbeat-0", "parent_tool_use_id": "A"}
    of_b = {**beat, "tool_use_id": "B-heartbeat-0", "parent_tool_use_id": "B"}
    assert heard(router, of_a, of_b, {**beat, "tool_use_id": "A"}) == [0, None, 0]


# -- the CLI's own turns ----------------------------------------------------------------------------------


def test_an_injected_turn_makes_it_busy_until_its_result() -> None:
    router = begun()
    router.route(result(**NAMED))
    assert not router.busy
    router.route(system("init"))
    assert router.busy
    assert router.has_background_work
    router.route(result(**INJECTED))
    assert not router.busy


def test_idle_ends_being_busy() -> None:
    router = begun()
    heard(router, result(**NAMED), system("init"), system("session_state_changed", state="running"))
    assert router.busy
    router.route(system("session_state_changed", state="idle"))
    assert not router.busy


def test_the_turns_own_init_does_not_make_it_busy() -> None:
    router = begun()
    router.route(system("init", **NAMED))
    assert not router.busy
    router.route(system("init"))  # /clear gives another
    assert not router.busy
    old = Router()
    old.begin(0, "u0")
    old.route(system("init"))
    assert not old.busy


def test_injected_while_the_prompt_waits_is_busy_until_the_turn_ends() -> None:
    router = begun(started=False)
    router.route(system("init"))
    assert router.busy
    heard(router, lifecycle("started"), result(**INJECTED, **NAMED))
    assert router.ended
    assert not router.busy


# -- what has another shape -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": None},
        {"type": ["assistant"]},
        {"type": "assistant", "message": "text"},
        {"type": "assistant", "message": {"content": "text"}},
        {"type": "assistant", "message": {"content": [None, "x", {"type": "tool_use"}]}},
        {"type": "user", "message": [1]},
        {"type": "assistant", "parent_tool_use_id": ["X"], "message": {}},
        {"type": "tool_progress", "parent_tool_use_id": {}},
        {"type": "result", "user_message_uuids": 7},
        {"type": "system", "subtype": "init", "user_message_uuids": 7},
        {"type": "system", "subtype": "task_started", "tool_use_id": ["X"], "is_backgrounded": True},
        {"type": "system", "subtype": "task_updated", "patch": "soon"},
        {"type": "system", "subtype": "task_updated", "patch": {"status": ["x"]}},
    ],
)
def test_a_frame_of_another_shape_does_no_harm(frame: Frame) -> None:
    router = begun()
    assert router.route(frame) in (0, None)
    if frame.get("type") == "assistant" and not isinstance(frame.get("parent_tool_use_id"), list):
        assert not router.ended
    assert router.turn == 0 or frame.get("type") == "result"


def test_an_init_before_the_first_prompt_blocks_nothing() -> None:
    """Some CLIs say `init` when they start; they have nothing of their own to do yet."""
    router = Router()
    router.route({"type": "system", "subtype": "init"})
    assert not router.busy
