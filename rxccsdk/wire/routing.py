"""Whose frame is it: the turn of a prompt, or the CLI's own business.

"The next result" is not the answer to the last prompt: background agents make the CLI start whole turns of
its own, and a prompt may be absorbed by one of those. What tells them apart is the uuid that every prompt is
sent with, which the versions of the CLI name in different places:

- from 2.1.306 on in every result;
- from 2.1.222 on in the turn's own result; where a turn of the CLI's own took the prompt up, a
  `command_lifecycle` says that it is completed, and the next result is its own;
- before that nowhere. A turn then ends at the next result, and from a second `system/init` on, what comes
  belongs to a turn of the CLI's own that runs inside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rxccsdk.chunks import TASK_ENDS, Frame
from rxccsdk.wire.events import Mark
from rxccsdk.wire.steering import named_prompts
from rxccsdk.wire.system import OWN_OUTPUT

AMBIGUOUS = (
    "This version of the CLI does not name the prompt a frame belongs to, and went on by itself while the "
    "turn ran: some of the answer may be missing, or not belong to it. CLIs from 2.1.222 on are sure."
)


@dataclass
class Router:
    """Decides for each frame whether it belongs to the running turn.

    Attributes:
        turn: the number of the turn whose prompt was written and whose result has not come, or `None`.
        busy: the CLI runs a turn of its own; a prompt written now would be absorbed by it.
        started: the CLI has taken up the prompt.
        ended: set by `route` when the frame it was just given ended the turn.
        background: the tool calls whose agents or commands run in the background.
        mark: where the turn is in the main agent's conversation.
        is_guess: the CLI names no prompts, and a turn of its own came in between: what is whose is a guess.
    """

    turn: int | None = None
    busy: bool = False
    started: bool = False
    ended: bool = False
    background: set[str] = field(default_factory=set)
    is_guess: bool = False
    mark: Mark = field(default_factory=Mark)
    _uuid: str = ""
    _marks: list[Mark] = field(default_factory=list)  # of the turns before, as far as the CLI knows them
    _joined: set[str] = field(default_factory=set)  # the messages that the turn has taken up
    _prompted: bool = False  # before the first prompt the CLI has nothing of its own to do
    _names_prompts: bool | None = None  # whether this CLI does in its frames; None until that is known
    _completed: bool = False  # the CLI is done with the prompt; its result comes next
    _inits: int = 0  # since the prompt was written
    _owner: dict[str, int | None] = field(default_factory=dict)  # tool call -> the turn that made it
    _caller: dict[str, str] = field(default_factory=dict)  # tool call -> the call whose agent made it
    _task_call: dict[str, str] = field(default_factory=dict)  # task -> the tool call that started it
    _running_tasks: set[str] = field(default_factory=set)

    def begin(self, turn: int, uuid: str) -> None:
        """Note that a prompt is written, as this turn and with this uuid."""
        self.turn, self._uuid, self.started, self.ended = turn, uuid, False, False
        self._prompted, self._completed, self._inits, self.is_guess = True, False, 0, False
        self._joined.clear()
        self._marks.append(self.mark)
        self.mark = Mark()

    def join(self, uuid: str) -> None:
        """Note that a message has become part of the running turn: a result that names it is the turn's."""
        self._joined.add(uuid)

    @property
    def names_prompts(self) -> bool | None:
        """Whether this CLI says what becomes of each prompt; `None` until that shows."""
        return False if self._names_prompts is None and self._inits else self._names_prompts

    def abandon(self) -> None:
        """End the turn without a result."""
        self.turn = None

    @property
    def has_background_work(self) -> bool:
        """Whether the CLI would go on by itself without another prompt."""
        return self.busy or bool(self._running_tasks)

    def route(self, frame: Frame) -> int | None:
        """Return the turn this frame belongs to, or `None` for what the CLI does on its own."""
        self.ended = False
        try:
            if frame.get("type") == "stream_event":
                return self.route_delta(frame.get("parent_tool_use_id"))
            return self._route(frame)
        except (TypeError, AttributeError):
            return self._main()  # not of the shape we know: the parser shows it as it is

    def route_delta(self, agent: str | None) -> int | None:
        """Return the turn that what streams from this agent belongs to."""
        return self._main() if agent is None else self._owner_of(agent)

    def route_call(self, call: object) -> int | None:
        """Return the turn that a tool call belongs to."""
        return self._owner_of(call if isinstance(call, str) else None)

    def caller_of(self, call: object) -> str | None:
        """Return the call whose sub-agent made this one; `None` for the main agent's."""
        return self._caller.get(call) if isinstance(call, str) else None

    def _route(self, frame: Frame) -> int | None:
        parent = frame.get("parent_tool_use_id")
        kind = frame.get("type")
        if kind == "tool_progress":
            return self._owner_of(parent)
        if parent is not None:
            owner = self._owner_of(parent)
            self._note_calls(frame, owner)
            return owner
        if kind == "result":
            return self._result(frame)
        if kind == OWN_OUTPUT:
            return self._owner_of(frame.get("tool_use_id"))
        if kind == "command_lifecycle":
            return self._lifecycle(frame)
        if kind == "system":
            return self._system(frame)
        owner = self._main()
        if kind == "assistant":
            self._note_calls(frame, owner)
        elif kind == "user":
            owner = self._user(frame, owner)
        if kind in ("assistant", "user") and owner is not None:
            self._note_message(frame.get("session_id"), frame.get("uuid"))
        return owner

    def _main(self) -> int | None:
        if self._names_prompts:
            return self.turn if self.started else None
        return self.turn if self._inits < 2 else None

    def _owner_of(self, call: str | None) -> int | None:
        if call is None:
            return self._main()
        if call in self.background:
            return None
        owner = self._owner.get(call, self._main())
        return owner if owner == self.turn else None

    def _note_calls(self, frame: Frame, owner: int | None) -> None:
        caller = frame.get("parent_tool_use_id")
        content = (frame.get("message") or {}).get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use":
                call = str(block.get("id"))
                self._owner[call] = owner
                if caller is not None:
                    self._caller[call] = caller

    def _user(self, frame: Frame, owner: int | None) -> int | None:
        """Route tool results with their call, other user messages with the main agent."""
        content = (frame.get("message") or {}).get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_result":
                call = str(block.get("tool_use_id"))
                made_by = self._owner.get(call, owner)
                return made_by if made_by == self.turn else None
        return owner

    def _lifecycle(self, frame: Frame) -> int | None:
        if self.turn is None or frame.get("command_uuid") != self._uuid:
            return None
        self._names_prompts = True
        state = frame.get("state")
        if state == "started":
            self.started = True
        elif state == "completed":
            self._completed = True
        elif state == "cancelled" and not self.started:
            return self._end()  # it was interrupted while it waited: no result will follow
        return self.turn

    def _system(self, frame: Frame) -> int | None:
        subtype = str(frame.get("subtype"))
        if subtype.startswith("task_"):
            return self._task(frame, subtype)
        if subtype == "session_state_changed":
            if frame.get("state") == "idle":
                self.busy = False
        elif subtype == "compact_boundary":
            self._lose_marks()
        elif subtype == "init":
            uuids = named_prompts(frame)
            if self.turn is not None and self._uuid in uuids:
                self.started = self._names_prompts = True
            elif not uuids:
                self._init_without_uuid()
        return self._main()

    def _note_message(self, session_id: object, message: object) -> None:
        if isinstance(session_id, str) and isinstance(message, str):
            self.mark.session_id, self.mark.message = session_id, message

    def _lose_marks(self) -> None:
        """Note that the CLI has put a summary in the place of all that was said before."""
        if self.turn is None:
            self._marks.append(self.mark)
        for mark in self._marks:
            mark.is_lost = True
        self._marks.clear()

    def _init_without_uuid(self) -> None:
        """Note that a turn begins: a prompt's in CLIs that do not name them, or one of the CLI's own."""
        self._inits += 1
        if self.turn is None or (self._names_prompts and not self.started):
            self.busy = self._prompted
        elif self._inits > 1 and not self._names_prompts:
            self.is_guess = True

    def _task(self, frame: Frame, subtype: str) -> int | None:
        task = str(frame.get("task_id"))
        call = frame.get("tool_use_id") or self._task_call.get(task)
        owner = self._owner_of(call)
        if subtype == "task_started":
            if call:
                self._task_call[task] = call
            if frame.get("is_backgrounded"):
                self._to_background(task, call)
        elif subtype == "task_updated":
            patch = frame.get("patch") or {}
            if patch.get("is_backgrounded"):
                self._to_background(task, call)
            if patch.get("status") in TASK_ENDS:
                self._running_tasks.discard(task)
        elif subtype == "task_notification":
            self._running_tasks.discard(task)
        return owner

    def _to_background(self, task: str, call: str | None) -> None:
        self._running_tasks.add(task)
        if call:
            self.background.add(call)
        for made, caller in self._caller.items():  # with all that an agent called before it was moved
            if caller in self.background:
                self.background.add(made)

    def _result(self, frame: Frame) -> int | None:
        uuids = named_prompts(frame)
        named = self._uuid in uuids or any(uuid in uuids for uuid in self._joined)
        if self.turn is not None and (named or (not uuids and self._is_own_result(frame))):
            return self._end()
        self.busy = False
        return None

    def _is_own_result(self, frame: Frame) -> bool:
        """Whether a result that names no prompt is the running turn's."""
        origin = frame.get("origin")
        injected = bool(origin) and not (isinstance(origin, dict) and origin.get("kind") == "human")
        if self._names_prompts:
            return self._completed or (self.started and not injected)
        self.is_guess = self.is_guess or injected
        return True

    def _end(self) -> int | None:
        turn, self.turn = self.turn, None
        self.busy, self.ended = False, True
        return turn
