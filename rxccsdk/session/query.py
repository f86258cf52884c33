"""The toolkit call: ask, print while it arrives if asked to, give the whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from rxccsdk.session.callbacks import CallbackRunner
from rxccsdk.session.flow import End, Flow, Inlet
from rxccsdk.session.options import ProgressCallback
from rxccsdk.session.printer import Printer
from rxccsdk.session.prose import Pieces
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn


async def answer(turn: Turn, printing: bool, progress_callback: ProgressCallback | None) -> SessionResponse:
    """Run a turn to its end and give its response.

    Args:
        turn: the turn; this sends its prompt.
        printing: write the text to standard output as it arrives, then one newline.
        progress_callback: called with the same pieces.

    Raises:
        RxccError: the session broke.
    """
    loop = asyncio.get_running_loop()
    warnings: list[str] = []

    def later(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        return loop.call_later(seconds, action).cancel

    def note_callback_error(error: Exception) -> None:
        warnings.append(f"progress_callback raised {error!r}")
        raise error  # which gets it logged with its traceback

    def note_printing_error(error: Exception) -> None:
        warnings.append(f"printing stopped: {error!r}")

    printer = Printer(later=lambda: later, on_failure=note_printing_error) if printing else None
    runner = CallbackRunner(progress_callback, note_callback_error) if progress_callback is not None else None
    ended: asyncio.Future[None] = loop.create_future()

    def on_error(error: Exception) -> None:
        if not ended.done():
            ended.set_exception(error)

    def on_completed() -> None:
        if not ended.done():
            ended.set_result(None)

    end = End(None, on_error, on_completed)
    flows: list[Flow] = []
    if printer is not None:
        flows.append(partial(Pieces().hear, listener=printer, end=end, on_retraction=printer.mark_retracted))
    if runner is not None:
        flows.append(partial(Pieces().hear, listener=runner, end=end))
    subscription = turn.subscribe(Inlet(end, tuple(flows)))
    try:
        await ended
        if runner is not None:
            await runner.drained()
    finally:
        subscription.dispose()
        if runner is not None:
            runner.cancel()
        if printer is not None:
            printer.flush()
            if printer.wrote:
                printer.end_line()
    response = turn.response
    response.warnings.extend(warnings)
    return response
