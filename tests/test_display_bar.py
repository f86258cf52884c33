"""The tqdm bar: moves with the stream, and costs it nothing."""

from __future__ import annotations

import io

import pytest
import reactivex as rx

from rxccsdk import Answer, ResponseMetadata, SessionResponse
from rxccsdk.display.bar import bar
from tests.operator_laws import Hot, Strict, gathered

ANSWERS = [
    Answer(0, "a", None, SessionResponse(metadata=ResponseMetadata(cost_usd=0.25)), 1),
    Answer(1, "b", None, SessionResponse(error="no"), 1),
]


def test_it_moves_by_one_and_shows_the_cost() -> None:
    file = io.StringIO()
    assert gathered(rx.from_(ANSWERS).pipe(bar(total=2, file=file, mininterval=0))) == ANSWERS
    last = file.getvalue().rstrip().split("\r")[-1]
    assert "100%" in last
    assert "2/2" in last
    assert "$0.2500, 1 failed" in last


def test_leaving_closes_it() -> None:
    file, source = io.StringIO(), Hot()
    subscription = source.pipe(bar(file=file, mininterval=0)).subscribe()
    source.send("a")
    subscription.dispose()
    assert file.getvalue().endswith("\n")


def test_what_it_raises_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(io.StringIO):
        broken = False

        def write(self, text: str) -> int:
            if self.broken:
                raise OSError("gone")
            return len(text)

    file, source, observer = Broken(), Hot(), Strict()
    source.pipe(bar(file=file, mininterval=0)).subscribe(observer)
    file.broken = True
    source.send("a", "b")
    source.complete()
    assert observer.items == ["a", "b"]
    assert observer.completed
    assert "a tqdm bar raised" in caplog.text
