"""Long turns for a scripted CLI, written to a file beforehand, so that playing one costs only its writes.

The frames are those of 2.1.330, field by field. No block is larger than the 1 MiB line at which
claude-code-sdk gives up: a long turn is many messages of one block each.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rxccsdk.testing import Frame, ScriptedCli, init_frame, result_frame, steps, text_turn
from rxccsdk.testing.frames import MODEL, to_line

_BLOCK = 250_000  # characters
_SESSION = "9b8d0f64-caef-4aba-856d-e790d0497782"
_WORDS = "the of and a session is to in stream that chunk it with for as on turn at by piece"


@dataclass(frozen=True)
class Kind:
    """A kind of content block: how it begins, what a delta of it is called and where its words are."""

    start: Callable[[int], Frame]
    whole: Callable[[int, str], Frame]
    delta: str
    field: str
    counts_tokens: bool = False  # a `system/thinking_tokens` frame comes before each delta
    stop_reason: str = "end_turn"


TEXT = Kind(
    start=lambda number: {"type": "text", "text": ""},
    whole=lambda number, text: {"type": "text", "text": text},
    delta="text_delta",
    field="text",
)
THINKING = Kind(
    start=lambda number: {"type": "thinking", "thinking": "", "signature": ""},
    whole=lambda number, text: {"type": "thinking", "thinking": text, "signature": "S"},
    delta="thinking_delta",
    field="thinking",
    counts_tokens=True,
)
TOOL_INPUT = Kind(
    start=lambda number: {"type": "tool_use", "id": f"toolu_{number}", "name": "Write", "input": {}},
    whole=lambda number, text: {
        "type": "tool_use",
        "id": f"toolu_{number}",
        "name": "Write",
        "input": {"content": text},
    },
    delta="input_json_delta",
    field="partial_json",
    stop_reason="tool_use",
)


class PlayedTurn:
    """A turn on disk, and the CLI that plays it.

    Attributes:
        pieces: how many frames with words it has.
        content: the answer's text as `SessionResponse.content` should have it.
    """

    pieces: int
    content: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._body = folder / "body"

    def cli(self, name: str, *, lifecycle: bool) -> ScriptedCli:
        """A CLI that answers its first prompt with a word, to warm up, and its second with this turn.

        Args:
            name: of its folder, under this turn's.
            lifecycle: whether it names prompts, as the real one does for prompts that have a uuid.
        """
        answer = steps(init_frame()).file(self._body).frame(result_frame(self.content[-40:]))
        return ScriptedCli(
            self._folder / name, [text_turn("ready"), answer], lifecycle=lifecycle, lifetime=600
        )


class LongTurn(PlayedTurn):
    """A turn of many deltas of one kind.

    Args:
        folder: where it is kept.
        kind: of its blocks.
        deltas: how many pieces.
        size: characters in a piece.
    """

    def __init__(self, folder: Path, kind: Kind, deltas: int, size: int) -> None:
        super().__init__(folder)
        self.pieces = self.deltas = deltas
        pieces = list(_pieces(deltas, size))
        per_block = max(1, _BLOCK // size)
        blocks = [pieces[start : start + per_block] for start in range(0, deltas, per_block)]
        self.content = "\n\n".join(map("".join, blocks)) if kind is TEXT else ""
        with self._body.open("wb") as file:
            for number, block in enumerate(blocks):
                file.writelines(map(to_line, _message(kind, number, block)))


class OneBlock(PlayedTurn):
    """A turn of one block that comes whole, in one line, as without partial messages.

    Args:
        folder: where it is kept.
        size: characters in the block.
    """

    def __init__(self, folder: Path, size: int) -> None:
        super().__init__(folder)
        self.pieces = 1
        words = " ".join(random.Random(0).choices(_WORDS.split(), k=10_000))
        self.content = (words * (size // len(words) + 1))[: size - 1] + "."
        message: Frame = {"id": "msg_0", "type": "message", "role": "assistant", "model": MODEL}
        message["content"] = [TEXT.whole(0, self.content)]
        frame = {"type": "assistant", "message": message, "parent_tool_use_id": None, "session_id": _SESSION}
        self._body.write_bytes(to_line(frame))


def _pieces(count: int, size: int) -> Iterator[str]:
    """Pieces of prose, the same in every run."""
    chance = random.Random(size)
    words = _WORDS.split()
    prose = " ".join(chance.choices(words, k=2 * size // 3 + 10_000))
    for _ in range(count):
        at = chance.randrange(len(prose) - size)
        yield prose[at : at + size - 1] + chance.choice("aeiou")  # no space at its end, nothing invisible


def _message(kind: Kind, number: int, pieces: list[str]) -> Iterable[Frame]:
    """The frames of one message with one block."""
    name = f"msg_{number}"
    usage = {
        "input_tokens": 25,
        "output_tokens": 1,
        "cache_creation_input_tokens": 7,
        "cache_read_input_tokens": 11,
    }
    message: Frame = {"id": name, "type": "message", "role": "assistant", "model": MODEL, "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": usage}

    def event(event: dict[str, Any]) -> Frame:
        return {
            "type": "stream_event",
            "event": event,
            "session_id": _SESSION,
            "parent_tool_use_id": None,
            "uuid": _new_id(),
            "api_message_id": name,
        }

    yield event({"type": "message_start", "message": message})
    yield event({"type": "content_block_start", "index": 0, "content_block": kind.start(number)})
    for count, piece in enumerate(pieces, 1):
        if kind.counts_tokens:
            yield {
                "type": "system",
                "subtype": "thinking_tokens",
                "estimated_tokens": count,
                "estimated_tokens_delta": 1,
                "session_id": _SESSION,
                "uuid": _new_id(),
                "user_message_uuid": "87f27111-c258-4b7f-8528-cfb8ba6d6ccb",
            }
        delta = {"type": kind.delta, kind.field: piece}
        yield event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield {
        "type": "assistant",
        "message": {**message, "content": [kind.whole(number, "".join(pieces))], "context_management": None},
        "parent_tool_use_id": None,
        "session_id": _SESSION,
        "uuid": _new_id(),
        "timestamp": "2026-11-22T07:39:48.747Z",
    }
    yield event({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": kind.stop_reason, "stop_sequence": None}
    yield event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": len(pieces)}})
    yield event({"type": "message_stop"})


_ids = random.Random(0)


def _new_id() -> str:
    return str(uuid.UUID(int=_ids.getrandbits(128), version=4))
