"""Reading a turn from where somebody stopped: for a client that reconnects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, cast

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk
from rxccsdk.text.flow import Handlers, Stage
from rxccsdk.text.leave import Wake
from rxccsdk.text.sink import Sink
from rxccsdk.transport import Left

if TYPE_CHECKING:
    from rxccsdk.session.turn import Turn

_AT_ONCE = 256  # chunks that are read for a client and not yet sent


class Resumable:
    """What can be read on from any of its chunks."""

    def since(self, seq: int) -> Observable[Chunk]:
        """Return the chunks after the one with this `seq`: those that are there, then the live ones.

        Subscribing is subscribing to the turn: it sends the prompt where nobody has, and leaving counts.
        It ends as the turn does. Of a turn with `replay=False` come those that are still to come.

        Args:
            seq: the last one seen; -1 where none was.

        Example:
            async for chunk in turn.since(last_seen).pipe(cc.to_async_iterator()):
                print(chunk.seq)
        """

        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            pass_on = downstream.on_next

            def on_next(chunk: Chunk) -> None:
                if chunk.seq > seq:
                    pass_on(chunk)

            return Handlers(on_next)

        return Stage(cast("Turn", self), attach)


def check_log(turn: Turn) -> None:
    """Check that a turn keeps its log.

    Raises:
        ValueError: it does not (`replay=False`).
    """
    if not turn._replay:
        raise ValueError("A turn with replay=False keeps no log for clients that reconnect.")


async def batches(turn: Turn, seq: int = -1) -> AsyncGenerator[Sequence[Chunk], None]:
    """Yield the chunks after one, as many as are there, until the turn has ended, well or badly.

    The turn's log is the buffer: whoever is slow holds no more than one batch, and keeps nobody waiting.

    Args:
        turn: the turn; reading subscribes to it.
        seq: the last chunk seen; -1 where none was.

    Raises:
        ValueError: the turn keeps no log.

    Example:
        async with aclosing(batches(turn)) as found:
            async for chunks in found:
                await send(chunks)
    """
    check_log(turn)
    log, wake, ended = turn._log, Wake(), False

    def end(error: Exception | None = None) -> None:
        nonlocal ended
        ended = True
        wake.set()

    place = max(seq + 1, 0)
    subscription = turn.subscribe(lambda chunk: wake.set(), end, end)
    try:
        while True:
            wake.clear()
            is_last = ended
            with log.lock:
                chunks = log.read(place, _AT_ONCE) if place < log.length else ()
            if chunks:
                place += len(chunks)
                yield chunks
            elif is_last:
                return
            else:
                await wake.wait()
    finally:
        subscription.dispose()


def is_cut_off(turn: Turn) -> bool:
    """Return whether a turn has ended for its readers here only; others may see how it goes on."""
    return turn._because is not None and isinstance(turn._conductor.exit, Left)


def session_id_of(turn: Turn) -> Callable[[], str | None]:
    """Return what says the id of a turn's session, once it is known, and does not keep the turn."""
    conductor = turn._conductor
    return lambda: conductor.session_id
