"""What can be asked of the CLI by name, also while a turn runs, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rxccsdk.chunks import Frame
from rxccsdk.errors import ControlError

if TYPE_CHECKING:
    from rxccsdk.session.turn import Turn

_KINDS = {"Free space": "free", "Autocompact buffer": "buffer"}  # CLIs before 2.1.306 do not say them


@dataclass(frozen=True, slots=True)
class ContextCategory:
    """A part of the context: `kind` is "used", "buffer" or "free"."""

    name: str
    tokens: int
    kind: str


@dataclass(frozen=True, slots=True)
class ContextUsage:
    """How full the model's context is.

    Attributes:
        tokens: used.
        most: tokens that it holds.
        share: used, from 0 to 1.
        categories: what uses them.
    """

    tokens: int
    most: int
    share: float
    categories: tuple[ContextCategory, ...] = ()


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server of the session: it is "connected", "failed", "pending", "disabled" or "needs-auth"."""

    name: str
    status: str
    error: str | None = None
    scope: str | None = None
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that `set_model` takes: `name` is what it takes, `resolved` the model that this is now."""

    name: str
    resolved: str | None
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Rewind:
    """Files that go back, or went back, to what they were before a turn."""

    files: tuple[str, ...]
    insertions: int = 0
    deletions: int = 0


class Controls:
    """The controls of a session. Each may be called at any time, from any loop, and ends within 30 s.

    Raises:
        ControlError: the CLI refuses it or does not know it, in its words; or it does not answer in time.
        SessionClosedError: the session is not open.
    """

    async def control(self, subtype: str, /, **fields: Any) -> dict[str, Any]:
        """Send a control request of the CLI's protocol, and return its answer."""
        raise NotImplementedError

    async def set_model(self, name: str) -> None:
        """Use another model from the next model call on.

        Args:
            name: its name, or an alias such as "sonnet"; see `models()`.
        """
        await self.control("set_model", model=name)

    async def set_permission_mode(self, mode: str) -> None:
        """Change what needs a permission: "default", "acceptEdits", "plan", "bypassPermissions", ..."""
        await self.control("set_permission_mode", mode=mode)

    async def context_usage(self) -> ContextUsage:
        """Return how full the model's context is."""
        answer = await self.control("get_context_usage")
        categories = tuple(
            ContextCategory(
                str(item.get("name")),
                _count(item.get("tokens")),
                str(item.get("kind") or _KINDS.get(str(item.get("name")), "used")),
            )
            for item in _frames(answer.get("categories"))
        )
        tokens, most = _count(answer.get("totalTokens")), _count(answer.get("maxTokens"))
        return ContextUsage(tokens, most, tokens / most if most else 0.0, categories)

    async def mcp_status(self) -> list[McpServer]:
        """Return the session's MCP servers, and how they are."""
        answer = await self.control("mcp_status")
        return [
            McpServer(
                str(server.get("name")),
                str(server.get("status")),
                _text(server.get("error")),
                _text(server.get("scope")),
                tuple(str(tool.get("name")) for tool in _frames(server.get("tools"))),
            )
            for server in _frames(answer.get("mcpServers"))
        ]

    async def models(self) -> list[ModelInfo]:
        """Return the models that this account can use."""
        answer = await self.control("list_models")
        return [
            ModelInfo(
                str(model.get("value")),
                _text(model.get("resolvedModel")),
                str(model.get("displayName") or model.get("value")),
                str(model.get("description") or ""),
            )
            for model in _frames(answer.get("models"))
        ]

    async def rewind_files(self, turn: Turn, dry_run: bool = False) -> Rewind:
        """Put files back to what they were before a turn. The conversation stays as it is.

        Needs `enable_file_checkpointing` in the SDK's options; only what the agent's own tools edited goes
        back.

        Args:
            turn: a turn of this session that was sent.
            dry_run: only say what would go back.

        Raises:
            ControlError: there is no checkpoint of this turn, or the CLI is too old.
        """
        if turn.uuid is None:
            raise ControlError("This turn was never sent: there is nothing to go back to.")
        would = await self._rewind(turn.uuid, dry_run=True)
        if not dry_run:
            await self._rewind(turn.uuid, dry_run=False)
        files = would.get("filesChanged")
        return Rewind(
            tuple(map(str, files)) if isinstance(files, list) else (),
            _count(would.get("insertions")),
            _count(would.get("deletions")),
        )

    async def _rewind(self, prompt: str, *, dry_run: bool) -> Frame:
        answer = await self.control("rewind_files", user_message_id=prompt, dry_run=dry_run)
        if answer.get("canRewind") is False:
            raise ControlError(f"rewind_files: {answer.get('error') or 'the CLI cannot rewind'}")
        return answer


def _frames(value: Any) -> list[Frame]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
