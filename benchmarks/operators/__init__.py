"""What each operator costs per chunk.

Ours and reactivex's are subscribed to a turn that is over and hands out its log, in batches with the event
loop running in between; what that costs alone is the case without an operator. Ours are measured over an
Observable of somebody else's, too, which lets in one chunk after the other. A loop by hand goes over the
same chunks, with the same batches where it needs timers, and gives the same guarantees, except where its name
says what is missing. What others offer pulls the chunks from the least async generator there is. What comes
out goes to the same function each time, and is checked; so is what callbacks were told and what was printed.

Sharing a turn (reactivex's `share_replay`) is measured in `fan_out`.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import Case, Measure
from benchmarks.operators import buffer, leave, rechunk, reduce, select, structure, watch
from benchmarks.sources import Numbered, conversation
from rxccsdk import Chunk, TextChunk, ThinkingChunk, ToolInputChunk, ToolResultChunk, ToolUseChunk


def _work(count: int) -> list[Chunk]:
    """A turn that thinks, says, and calls sub-agents, who tell what they do."""
    chunks, number = Numbered(), 0
    while len(chunks.all) < count:
        name, agent, block = f"msg_{number}", f"toolu_{number}", 3 * number
        for _ in range(60):
            chunks.add(ThinkingChunk, "I think", block, message_id=name)
        for _ in range(60):
            chunks.add(TextChunk, "I say ", block + 1, message_id=name)
        for _ in range(60):
            chunks.add(ToolInputChunk, agent, "Agent", '"piece', block + 2, message_id=name)
        chunks.add(ToolUseChunk, agent, "Agent", {"prompt": "Look"}, block + 2, message_id=name)
        for step in range(20):
            tool = f"{agent}_{step}"
            chunks.add(ToolUseChunk, tool, "Read", {}, 10**6 + step, agent=agent, message_id=f"{name}_{step}")
            chunks.add(ToolResultChunk, tool, "lines", agent=agent)
        chunks.add(ToolResultChunk, agent, "seen")
        number += 1
    return chunks.all


def cases(quick: bool) -> Iterator[Case]:
    """Each operator; a quick run has a hundredth of the chunks."""
    count, sections = (500, 2) if quick else (50_000, 100)
    prose, work = conversation(count), _work(count)
    yield from select.cases(prose, work)
    yield from buffer.cases(prose)
    yield from rechunk.cases(prose)
    yield from watch.cases(prose)
    yield from reduce.cases(prose, work)
    yield from structure.cases(prose, sections)
    yield from leave.cases(prose)


MEASURE = Measure(
    name="operators",
    title="What each operator costs",
    unit="microseconds per chunk",
    cases=cases,
    packages=("reactivex", "aiostream", "pydantic-ai-slim", "pydantic", "markdown-it-py", "regex"),
)
