"""The toolkit call: ask, print while the answer arrives if asked to, return it whole."""

from __future__ import annotations

from asyncio import CancelledError

from reactivex import Observable

from rxccsdk.chunks import Chunk
from rxccsdk.session.options import ProgressCallback
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn
from rxccsdk.text.callbacks import tapping
from rxccsdk.text.leave import finished
from rxccsdk.text.pieces import Pieces
from rxccsdk.text.printing import printing
from rxccsdk.text.sink import ended_by

_EVERY = 0.05  # seconds between two writes to standard output


async def answer(turn: Turn, live: bool, progress_callback: ProgressCallback | None) -> SessionResponse:
    """Run a turn to its end and return its response.

    Args:
        turn: the turn; this sends its prompt.
        live: write the text to standard output as it arrives, then one newline.
        progress_callback: called with the same pieces.

    Raises:
        RxccError: the session broke.
    """
    warnings: list[str] = []

    callback, raised = progress_callback, 0

    def note_callback_error(error: Exception) -> None:
        nonlocal raised
        raised += 1
        if raised == 1:
            warnings.append(f"progress_callback raised {error!r}")
        raise error  # which gets it logged with its traceback

    def call(piece: str) -> object:
        nonlocal callback
        try:
            return callback(piece) if callback is not None else None
        except (
            CancelledError,
            GeneratorExit,
        ) as error:  # it ends the callback, not what waits for the answer
            callback = None
            raise ended_by(error) from error

    def note_printing_error(error: Exception) -> None:
        warnings.append(f"printing stopped: {error!r}")

    watched: Observable[Chunk] = turn
    if live:
        watched = watched.pipe(
            printing(_EVERY, None, "main", None, final_newline=True, on_failure=note_printing_error)
        )
    if callback is not None:
        watched = watched.pipe(tapping(call, note_callback_error, lambda: Pieces().of))
    await finished(watched)
    if raised > 1:
        warnings.append(f"progress_callback raised {raised - 1} more times")
    response = turn.response
    response.warnings.extend(warnings)
    return response
