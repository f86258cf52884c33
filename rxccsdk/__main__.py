"""The `rxccsdk` command, and `python -m rxccsdk`: what is to be done before anything takes time."""

import os
import signal
import sys


def main() -> None:
    """Start the command."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # Until there is something to end with care, Ctrl+C ends it at once, without Python's traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    standard = [sys.stdin, sys.stdout, sys.stderr]
    if None in standard:
        _open_closed(standard)
    from rxccsdk.cli import main as command

    command()


def _open_closed(standard: list[object]) -> None:
    """Give a descriptor that came closed (`>&-`) a place, so that nothing else that is opened gets it.

    Without standard output there is no point in going on.
    """
    missing = [number for number, stream in enumerate(standard) if stream is None]
    while (descriptor := os.open(os.devnull, os.O_RDWR)) in missing:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for as long as we live
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stderr.write("rxccsdk: standard output is closed\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
