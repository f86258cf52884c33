"""The toolkit call: ask, print while the answer arrives if asked to, return it whole."""

from __future__ import annotations

from reactivex import Observable

from rxccsdk.chunks import Chunk
from rxccsdk.session.options import ProgressCallback
from rxccsdk.session.response import SessionResponse
from rxccsdk.session.turn import Turn
from rxccsdk.text.callbacks import tapping
from rxccsdk.text.leave import finished
from rxccsdk.text.pieces import Pieces
from rxccsdk.text.printing import printing

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

    def note_callback_error(error: Exception) -> None:
        warnings.append(f"progress_callback raised {error!r}")
        raise error  # which gets it logged with its traceback

    def note_printing_error(error: Exception) -> None:
        warnings.append(f"printing stopped: {error!r}")

    watched: Observable[Chunk] = turn
    if live:
        watched = watched.pipe(
            printing(_EVERY, None, "main", None, final_newline=True, on_failure=note_printing_error)
        )
    if progress_callback is not None:
        watched = watched.pipe(tapping(progress_callback, note_callback_error, lambda: Pieces().of))
    await finished(watched)
    response = turn.response
    response.warnings.extend(warnings)
    return response
