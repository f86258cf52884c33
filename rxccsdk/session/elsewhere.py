"""Sessions that somebody else runs: an interactive `claude`, an editor, another program."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxccsdk.chunks import Chunk
from rxccsdk.errors import RxccError
from rxccsdk.text.clock import call_on, running_loop
from rxccsdk.text.flow import Source
from rxccsdk.text.hot import Hot
from rxccsdk.text.sink import Sink
from rxccsdk.transport.watched import find_transcript, follow
from rxccsdk.wire.transcript import Transcript


def watch(
    session_id: str | None = None, *, cwd: Path | str | None = None, history: bool = False
) -> Observable[Chunk]:
    """Watch a session that somebody else runs: its chunks, as its transcript gets them.

    Text comes in whole blocks, when a message is complete; that is when the CLI writes it down. A turn begins
    with the `UserChunk` of its prompt. Its end is not written, so there is no `ResultChunk`: a `MessageChunk`
    of the main agent whose `stop_reason` is not "tool_use" says that the agent is done. `at` is reckoned by
    the times in the transcript. Nothing is sent to the session, and it does not know.

    Each subscription reads for itself, from the newest turn on, and goes on until it is disposed, also when
    the session is over: somebody may resume it.

    Args:
        session_id: the session, or how its id begins; `None` takes the newest one of the folder.
        cwd: the folder it works in; `None` is this process's.
        history: begin with the session's first turn instead of its newest.

    Emits:
        The chunks. It fails with `RxccError` where there is no such session, or more than one.

    Example:
        async for piece in rxccsdk.watch().pipe(cc.text(), cc.to_async_iterator()):
            print(piece, end="", flush=True)
    """
    return _Watched(session_id, Path(cwd) if cwd is not None else None, history)


class _Watched(Source[Chunk]):
    def __init__(self, session_id: str | None, cwd: Path | None, history: bool) -> None:
        super().__init__()
        self._session_id = session_id
        self._cwd = cwd
        self._history = history

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put the session's chunks into the sink, from a task of the running loop."""
        loop = running_loop()
        if loop is None:
            raise RuntimeError("A session is watched from an event loop: subscribe inside a running one.")
        chunks: Hot[Chunk] = Hot("a watched session")
        connection = chunks._connect(sink, scheduler)
        task = loop.create_task(self._read(chunks))

        def leave() -> None:
            task.cancel()

        return CompositeDisposable(connection, Disposable(lambda: call_on(loop, leave)))

    async def _read(self, to: Hot[Chunk]) -> None:
        try:
            path = find_transcript(self._session_id, self._cwd or Path.cwd())
            async with aclosing(chunks_of(path, history=self._history)) as chunks:
                async for chunk in chunks:
                    to._send(chunk)
        except RxccError as error:
            to._end(error)
        except OSError as error:
            to._end(RxccError(f"The session's transcript cannot be read: {error}"))
        except Exception as error:  # a defect: who watches must not wait for ever
            to._end(error)


async def chunks_of(path: Path, *, history: bool) -> AsyncGenerator[Chunk, None]:
    """Follow a transcript: yield the chunks of its session, from its newest turn on.

    Args:
        path: the transcript.
        history: from its first turn on.

    Raises:
        OSError: it cannot be read.
    """
    transcript, is_quiet = Transcript(), False
    newest: list[Chunk] | None = None if history else []  # the newest turn, as long as there is more to read
    turn: int | None = None
    async with aclosing(follow(path)) as lines:
        async for line in lines:
            if line is not None:
                chunks, is_quiet = transcript.receive(line.frame, line.agent), False
            else:
                chunks, is_quiet = transcript.settle() if is_quiet else [], True
            if newest is not None:
                for chunk in chunks:
                    if chunk.turn is not None and chunk.turn != turn:
                        turn = chunk.turn
                        newest.clear()
                    newest.append(chunk)
                if line is not None:
                    continue
                chunks, newest = newest, None
            for chunk in chunks:
                yield chunk
