"""`python -m tests.steering --messages 200`: steer turns of the real CLI at random moments, with both SDKs.

Each prompt and each message has a word of its own, and the scripted model answers each word that is new. That
shows which turn has answered a message, and whether one was lost or answered twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

from rxccsdk import Chunk, ClaudeSession, ControlError, PromptChunk, SessionOptions, Turn
from rxccsdk import operators as cc
from rxccsdk.session.steering import Steered
from rxccsdk.testing import LoopbackApi, Reply, Request, bundled_cli, clean_environment, environment, reply

_WORD = re.compile(r"\b[mp]\d+\b")
_LATEST = 0.7  # seconds after which no message is sent


@dataclass
class Model:
    """Answers with the words that are new to it, and calls a tool now and then."""

    random: random.Random
    heard: set[str] = field(default_factory=set)

    def __call__(self, request: Request) -> Reply:
        """Answer a request."""
        told = [message for message in request.messages if message.get("role") != "assistant"]
        words = dict.fromkeys(_WORD.findall(json.dumps([told, request.system])))
        new = [word for word in words if word not in self.heard]
        self.heard.update(new)
        text = " ".join(["I heard:", *new, "and that is all. "])
        answer = reply().text(text, pieces=3, delay=self.random.choice([0.0, 0.02, 0.08]))
        if self.random.random() < 0.5:
            seconds = self.random.choice([0.0, 0.1, 0.3])
            answer = answer.tool("Bash", {"command": f"sleep {seconds}", "description": "wait"})
        return answer


@dataclass
class Tally:
    """What became of the messages."""

    delivered: int = 0
    queued: int = 0
    refused: int = 0

    @property
    def sent(self) -> int:
        """Those that were sent."""
        return self.delivered + self.queued


async def steer_a_turn(session: ClaudeSession, number: int, chance: random.Random, tally: Tally) -> None:
    """Run a turn, send messages into it at random moments, and check what each became."""
    seen: list[Chunk] = []
    listening = session.chunks.subscribe(seen.append)
    turn = session.stream(f"Please answer p{number}.")
    moments = sorted(chance.uniform(0.0, _LATEST) for _ in range(chance.choice([1, 1, 2, 3])))
    sent: dict[str, asyncio.Task[tuple[Steered, Turn]]] = {}
    whole = asyncio.ensure_future(turn.pipe(cc.to_response()))
    before = 0.0
    for place, moment in enumerate(moments):
        await asyncio.sleep(moment - before)
        before = moment
        word = f"m{number * 10 + place}"
        sent[word] = asyncio.ensure_future(_steer(turn, word))
    results = await asyncio.gather(*sent.values(), return_exceptions=True)
    await whole
    answers: dict[Turn, str] = {turn: turn.response.content}
    answered_by: dict[str, Turn] = {f"p{number}": turn}
    refused: list[str] = []
    for word, result in zip(sent, results, strict=True):
        if isinstance(result, ControlError):
            refused.append(word)
            tally.refused += 1
            continue
        assert not isinstance(result, BaseException), result
        steered, sent_into = result
        assert (steered == "delivered") == (steered.turn is sent_into)
        answers[steered.turn] = (await steered.turn.pipe(cc.to_response())).content
        answered_by[word] = steered.turn
        tally.delivered += steered == "delivered"
        tally.queued += steered == "queued"
    for word, by in answered_by.items():
        for other, content in answers.items():
            times = _WORD.findall(content).count(word)
            assert times == (other is by), f"{word} is {times} times in turn {other.index}: {content!r}"
    for word in refused:
        assert all(word not in _WORD.findall(content) for content in answers.values()), word
    listening.dispose()
    _check_chunks(seen, set(sent) - set(refused))


async def _steer(turn: Turn, word: str) -> tuple[Steered, Turn]:
    return await turn.steer(f"And answer {word}, too."), turn


def _check_chunks(seen: list[Chunk], words: set[str]) -> None:
    states: dict[str, list[str]] = {}
    for chunk in seen:
        if isinstance(chunk, PromptChunk):
            states.setdefault(_WORD.findall(chunk.text)[0], []).append(chunk.state)
    assert states == {word: ["queued", "delivered"] for word in words}
    for turn in {chunk.turn for chunk in seen} - {None}:
        numbers = [chunk.seq for chunk in seen if chunk.turn == turn]
        assert numbers == list(range(len(numbers))), f"turn {turn} has the chunks {numbers}"


@contextmanager
def steered_session(folder: Path, backend: str, seed: int) -> Iterator[tuple[ClaudeSession, random.Random]]:
    """Make a session with the real CLI, whose model is scripted."""
    chance = random.Random(seed)
    with (
        LoopbackApi(Model(random.Random(seed + 1))) as api,
        environment(clean_environment(api.url, folder / "home")),
    ):
        options = SessionOptions(
            backend=backend, cli_path=bundled_cli(), cwd=folder, allowed_tools=["Bash"], max_turns=40
        )
        yield ClaudeSession(options), chance


async def steer(session: ClaudeSession, chance: random.Random, messages: int, tally: Tally) -> None:
    """Steer turns of a session until so many messages were sent."""
    async with session:
        number = 0
        while tally.sent < messages:
            number += 1
            await steer_a_turn(session, number, chance, tally)


def main() -> None:
    """Steer with both SDKs."""
    parser = argparse.ArgumentParser(prog="python -m tests.steering", description=__doc__)
    parser.add_argument("--messages", type=int, default=200, help="messages with each SDK")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    console = Console()
    for backend in track(["claude-code-sdk", "claude-agent-sdk"], console=console):
        tally = Tally()
        with (
            tempfile.TemporaryDirectory() as folder,
            steered_session(Path(folder), backend, given.seed) as (session, chance),
        ):
            asyncio.run(steer(session, chance, given.messages, tally))
        console.print(f"{backend}: {tally}")


if __name__ == "__main__":
    main()
