"""Reading a turn from where somebody stopped: for a client that reconnects."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from reactivex import Observable, abc

from rxccsdk.chunks import Chunk
from rxccsdk.text.flow import Handlers, Stage
from rxccsdk.text.sink import Sink

if TYPE_CHECKING:
    from rxccsdk.session.turn import Turn


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
