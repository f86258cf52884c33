"""A thousand replayed sessions in one process: CPU per frame, and how late their chunks come.

Each plays a delta every tenth of a second, in its own time and waited for on its own. Their starts are spread
over a second, so that they do not tick as one; all are open before the clock starts.

What a frame costs depends on how many come at one waking. So there are two single sessions to compare with.
One plays the same cassette: each frame wakes a process that slept. One plays the thousand turns one after the
other a thousand times faster: as many frames a second as all the others together.

The SDKs cannot replay. They read twenty scripted CLIs that write as many frames a second between them, and so
do we; more processes than that would be in each other's way.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crowd import Played, Task, gather
from benchmarks.harness import Case, Contender, Measure, at_most
from benchmarks.paced_cli import WARM_UP, PacedCli, PacedTurn, answer_frames, lines_of
from rxccsdk.testing import Frame

_PIECE = "word;"
_READERS = (("rxccsdk", None), ("claude-code-sdk", at_most(1)), ("claude-agent-sdk", at_most(1)))


@dataclass(frozen=True)
class Size:
    """How much there is to do.

    Attributes:
        sessions: how many are replayed.
        clis: how many scripted ones are read instead.
        deltas: in the turn of each session.
        gap: seconds between two of them.
        spread: seconds between the first session's start and the last one's.
    """

    sessions: int
    clis: int
    deltas: int
    gap: float
    spread: float


_SIZE = Size(sessions=1000, clis=20, deltas=60, gap=0.1, spread=1.0)
_QUICK = Size(sessions=20, clis=1, deltas=4, gap=0.05, spread=0.1)


def write_cassette(path: Path, size: Size, turns: int) -> Path:
    """Write a recording of some equal turns. What is no delta comes with the delta before it."""
    lines = [b'{"rxccsdk_cassette":1,"cli_version":"2.1.330","sdk":"claude-agent-sdk"}']
    now = 0.0
    for number in range(turns):
        message = {"role": "user", "content": "go"}
        prompt: Frame = {"type": "user", "uuid": f"prompt-{number}", "message": message}
        lines += _entries(now, b"out", [prompt])
        for frame in answer_frames([_PIECE] * size.deltas, number):
            is_delta = frame["type"] == "stream_event" and frame["event"]["type"] == "content_block_delta"
            now += size.gap if is_delta else 0
            lines += _entries(now, b"in", [frame])
        now += size.gap
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def _entries(at: float, way: bytes, frames: Sequence[Frame]) -> list[bytes]:
    return [b'{"t":%.4f,"%s":%s}' % (at, way, line) for line in lines_of(frames).splitlines()]


class Figures:
    """CPU per delta and lateness of the same runs, for a case each: the second one runs nothing."""

    def __init__(self, task: Task, deltas: int) -> None:
        self._task = task
        self._deltas = deltas
        self._kept: deque[Played] = deque()

    def cpu(self) -> float:
        """Run, keep what `lateness` needs, and give microseconds of CPU per delta."""
        played = self._run()
        self._kept.append(played)
        return played.cpu / played.deltas * 1e6

    def lateness(self) -> float:
        """In milliseconds, of the first run not yet told of."""
        return (self._kept.popleft() if self._kept else self._run()).lateness * 1e3

    def _run(self) -> Played:
        played = gather(self._task)
        assert played.deltas == self._deltas, f"{played.deltas} of {self._deltas} deltas arrived"
        assert played.characters == self._deltas * len(_PIECE), "the text is not what the sessions said"
        return played


def cases(quick: bool) -> Iterator[Case]:
    """CPU, then lateness of the same runs; a quick run has fewer sessions and a shorter cassette."""
    size = _QUICK if quick else _SIZE
    many, everything = size.sessions, size.sessions * size.deltas
    with tempfile.TemporaryDirectory() as folder:
        one = str(write_cassette(Path(folder) / "one.jsonl", size, 1))
        all_of_them = str(write_cassette(Path(folder) / "all.jsonl", size, many))
        ours = f"rxccsdk, {many:,} sessions"
        crowd = Figures(Task("replay", one, many, spread=size.spread), everything)
        single = Figures(Task("replay", one, 1), size.deltas)
        fast = Figures(Task("replay", all_of_them, 1, turns=many, speed=many), everything)
        cpu = [
            Contender(ours, crowd.cpu),
            Contender("rxccsdk, one session", single.cpu, at_most(1.3)),
            Contender(f"rxccsdk, one session, {many:,} times faster", fast.cpu, at_most(1.3)),
        ]
        yield Case("replayed", cpu, ours, most_rounds=3)
        lateness = [
            Contender(ours, crowd.lateness),
            Contender("rxccsdk, one session", single.lateness),
            Contender("50 ms", lambda: 50.0, at_most(1)),
        ]
        unit = "milliseconds behind the cassette, p99"
        yield Case("replayed, lateness", lateness, ours, unit=unit, most_rounds=3)

        share = PacedTurn([_PIECE] * (everything // size.clis), many / size.gap / size.clis)
        cli = str(PacedCli(Path(folder) / "cli", [WARM_UP, share]).path)
        reading = [
            Contender(
                f"{who}, {size.clis} scripted CLIs", Figures(Task(who, cli, size.clis), everything).cpu, aim
            )
            for who, aim in _READERS
        ]
        yield Case("read from scripted CLIs", reading, reading[0].name, most_rounds=3)


MEASURE = Measure(
    name="many_sessions",
    title="A thousand replayed sessions in one process",
    unit="microseconds of CPU per delta frame",
    cases=cases,
    packages=("claude-code-sdk", "claude-agent-sdk", "pydantic-core", "reactivex"),
)
