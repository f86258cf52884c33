"""Stopping, going on and dying, for whoever has changed a terminal: it is given back before, taken after.

Signals come in the main thread between any two of its instructions; `Guard` is a lock that bears that.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

_ENDS = (signal.SIGTERM, signal.SIGHUP)


class Guard:
    """A lock, re-entrant, that lets a signal handler wait until its own thread has left it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside: int | None = None
        self._depth = 0
        self._later: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._inside = threading.get_ident()
        self._depth += 1

    def __exit__(self, *exc_info: Any) -> None:
        self._depth -= 1
        if not self._depth:
            self._inside = None
            while self._later:
                self._later.popleft()()
        self._lock.release()

    def from_handler(self, action: Callable[[], None]) -> None:
        """Do it once no code of this thread is inside: now, or when it leaves."""
        if self._inside == threading.get_ident():
            self._later.append(action)
        else:
            action()


class Borrower(Protocol):
    """Who has changed a terminal. It is called inside of `guard`."""

    def give_back(self) -> None:
        """Give the terminal back, as it was."""

    def go_on(self) -> None:
        """Take it again: we were stopped, and anything may stand on it."""

    def finish(self) -> None:
        """Write what is held, then give it back: this is the end."""


guard = Guard()
"""Held by whoever paints on a terminal, or keeps what will be painted: one lock for all."""

_borrowers: list[Borrower] = []
_replaced: dict[signal.Signals, Any] = {}


def borrow(borrower: Borrower) -> None:
    """Tell it of stops and ends from now on. Only the main thread can hear of signals."""
    _borrowers.append(borrower)
    if len(_borrowers) > 1:
        return
    atexit.register(_finish)
    _listen()


def release(borrower: Borrower) -> None:
    """Tell it no more."""
    with contextlib.suppress(ValueError):
        _borrowers.remove(borrower)
    if not _borrowers:
        atexit.unregister(_finish)
        _stop_listening()


def _listen() -> None:
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
        signal.SIGTSTP: _on_stop,
        signal.SIGCONT: _on_continue,
        **dict.fromkeys(_ENDS, _on_end),
    }
    for number, handler in handlers.items():
        # Who handles or ignores it himself knows what he does.
        if signal.getsignal(number) is signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # not the main thread
                _replaced[number] = handler
                signal.signal(number, handler)


def _stop_listening() -> None:
    for number, handler in tuple(_replaced.items()):
        if signal.getsignal(number) is handler:
            with contextlib.suppress(ValueError):
                signal.signal(number, signal.SIG_DFL)
                del _replaced[number]


def _on_stop(number: int, frame: FrameType | None) -> None:
    _for_all(lambda borrower: borrower.give_back(), _stop)


def _stop() -> None:
    """Stop, as if there had been no handler; returns when we go on."""
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, _on_stop)


def _on_continue(number: int, frame: FrameType | None) -> None:
    _for_all(lambda borrower: borrower.go_on(), lambda: None)


def _on_end(number: int, frame: FrameType | None) -> None:
    def end() -> None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    _for_all(lambda borrower: borrower.finish(), end)


def _for_all(action: Callable[[Borrower], None], then: Callable[[], None]) -> None:
    """Do it to every borrower, and then the rest while nobody paints."""

    def act() -> None:
        with guard:
            for borrower in tuple(_borrowers):
                with contextlib.suppress(OSError):
                    action(borrower)
            then()

    guard.from_handler(act)


def _finish() -> None:
    with guard:
        for borrower in tuple(_borrowers):
            with contextlib.suppress(OSError):
                borrower.finish()
