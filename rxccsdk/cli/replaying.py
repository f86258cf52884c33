"""What `rxccsdk replay` does: a cassette's turns, one after the other, as they were recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from rxccsdk import operators as cc
from rxccsdk.cli.codes import BAD_TURN, SUCCESS, USAGE, CommandError
from rxccsdk.cli.replay_keys import ReplayKeys
from rxccsdk.cli.running import Ending
from rxccsdk.cli.views import View
from rxccsdk.session.prompt import Prompt, in_words
from rxccsdk.session.session import ClaudeSession
from rxccsdk.session.turn import Turn
from rxccsdk.transport.cassette import read_cassette
from rxccsdk.transport.player import CassettePlayer


async def replay(
    file: Path,
    speed: float,
    only: int | None,
    make_view: Callable[[Ending], View],
    ending: Ending,
    max_idle: float | None = None,
) -> int:
    """Play a cassette and give the exit code.

    Args:
        file: the cassette.
        speed: how many times faster than recorded.
        only: the number of the turn to play, from 1; `None` plays all.
        make_view: makes what shows it.
        ending: ends it early.
        max_idle: no pause is longer, in recorded seconds.

    Raises:
        CassetteError: the file is missing or damaged.
        CommandError: it has no such turn.
        RxccError: the recorded session broke.
    """
    recorded = read_cassette(file).turns
    if only is not None and only > len(recorded):
        raise CommandError(f"{file} has {_turns(len(recorded))}, there is no turn {only}.", USAGE)
    if not recorded:
        raise CommandError(f"{file} has no turn: nothing was asked in it.", USAGE)
    success = True
    idle = max_idle if max_idle is not None else float("inf")
    first: int | None = only or 1
    with make_view(ending) as view:
        keys = ReplayKeys(ending, speed)
        async with keys.heard(view.display):
            while first is not None:
                player = CassettePlayer(file, keys.speed, idle)
                async with _session(player) as session:
                    for _ in range(first - 1):
                        await _skip(session)
                    for number, take in enumerate(recorded[first - 1 :], start=first):
                        keys.begin(number, player)
                        view.begin(in_words(take.prompt))
                        success = await _play(session, take.prompt, view, ending) and success
                        if number == only or ending.code is not None or keys.wanted is not None:
                            break
                first = keys.take_wanted()
    return SUCCESS if success else BAD_TURN


async def _play(session: ClaudeSession, prompt: Prompt, view: View, ending: Ending) -> bool:
    """Play a turn, and those of messages that came too late for it; return whether all went well."""
    success = True
    turn: Turn | None = session.stream(prompt)
    while turn is not None:
        ending.turn = turn
        response = await turn.pipe(cc.tap_chunks(view.show), cc.to_response())
        view.end(response, "")
        success = success and response.success
        turn = turn._follower
    return success


def _session(player: CassettePlayer) -> ClaudeSession:
    session = ClaudeSession()
    session._make_transport = lambda: player
    return session


async def _skip(session: ClaudeSession) -> None:
    """Let a turn pass at once: interrupted, a recording hurries to its end."""
    turn = session.stream("skipped", replay=False)
    with turn.subscribe():
        while turn.status == "pending":  # noqa: ASYNC110 - nothing tells when the prompt is written
            await asyncio.sleep(0)
        await turn.interrupt()


def _turns(count: int) -> str:
    return f"{count} turn" if count == 1 else f"{count} turns"
