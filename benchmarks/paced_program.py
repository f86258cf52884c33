"""The program behind `PacedCli`: answers each prompt with the next of its turns, a delta at a time.

It is copied into a folder of its own and run with `python -IS`: standard library only, quick to start.
"""

import json
import os
import signal
import sys
import time

NOW = b"$now;"
ALL = b"$all"

_LIFETIME = 300.0
_NAP = 0.001  # seconds; what is due sooner is waited for awake, for no sleep is that exact


class Turn:
    """What a prompt is answered with.

    Args:
        path: a file of lines. Those with a delta are paced, the others are written as they are reached.
        gap: seconds from one delta to the next.
    """

    def __init__(self, path: str, gap: float) -> None:
        with open(path, "rb") as file:
            lines = file.read().splitlines(keepends=True)
        paced = [number for number, line in enumerate(lines) if b'"content_block_delta"' in line]
        self.head = b"".join(lines[: paced[0]])
        self.deltas = [line.split(NOW) for line in lines[paced[0] : paced[-1] + 1]]
        self.tail = b"".join(lines[paced[-1] + 1 :])
        self.gap = gap

    def play(self) -> None:
        """Write it."""
        stamps = []
        write(self.head)
        began = time.monotonic()
        for number, (before, *after) in enumerate(self.deltas):
            wait_until(began + number * self.gap)
            if not after:
                write(before)
                continue
            stamp = b"%d;" % time.monotonic_ns()
            write(before + stamp + after[0])
            stamps.append(stamp)
        write(self.tail.replace(ALL, b"".join(stamps)))


def wait_until(due: float) -> None:
    """Return at this time of the monotonic clock, or at once."""
    while (left := due - time.monotonic()) > 0:
        if left > _NAP:
            time.sleep(left)


def write(data: bytes) -> None:
    """Write all the bytes to standard output."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main() -> None:
    """Answer what comes in on standard input, until it ends."""
    if {"-v", "--version"} & set(sys.argv[1:]):
        print("2.1.330 (Claude Code)")
        return
    signal.setitimer(signal.ITIMER_REAL, _LIFETIME)
    folder = os.path.dirname(os.path.realpath(__file__))
    with open(os.path.join(folder, "plan.json")) as file:
        turns = iter([Turn(os.path.join(folder, name), gap) for name, gap in json.load(file)])
    for line in sys.stdin.buffer:
        frame = json.loads(line)
        if frame["type"] == "control_request":
            answer = {"subtype": "success", "request_id": frame["request_id"], "response": {}}
            write(json.dumps({"type": "control_response", "response": answer}).encode() + b"\n")
        elif frame["type"] == "user":
            next(turns).play()


if __name__ == "__main__":
    main()
