"""The control requests that wait for the CLI's answer."""

from __future__ import annotations

import asyncio

from rxccsdk.chunks import Frame
from rxccsdk.errors import ControlError
from rxccsdk.wire.events import ControlAnswer


class Requests:
    """Brings each answer to whoever waits for it."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[ControlAnswer]] = {}

    def expect(self, request_id: str) -> asyncio.Future[ControlAnswer]:
        """Return the answer to come; call it before the request is written."""
        answer: asyncio.Future[ControlAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        answer.add_done_callback(lambda _: self._waiting.pop(request_id, None))
        return answer

    def settle(self, answer: ControlAnswer) -> None:
        """Note an answer."""
        waiting = self._waiting.get(answer.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


async def answered(answer: asyncio.Future[ControlAnswer], subtype: str, seconds: float) -> Frame:
    """Wait for an answer.

    Raises:
        ControlError: the CLI refuses the request, or gives no answer within so many seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            came = await answer
    except TimeoutError:
        raise ControlError(f"The CLI did not answer {subtype} within {seconds:g} s.") from None
    if came.error is not None:
        raise ControlError(f"{subtype}: {came.error}")
    return came.response
