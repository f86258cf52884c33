"""A tqdm bar for those who want one; needs the extra `tqdm`."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxccsdk.many.answer import Answer
from rxccsdk.text.flow import Handlers, Keeping, Stage
from rxccsdk.text.sink import Failures, Sink

_log = logging.getLogger("rxccsdk")
_T = TypeVar("_T")


def bar(total: int | None = None, **options: Any) -> Keeping:
    """Move a tqdm bar by one for each item, and pass the stream on.

        A  A  A  |
        A  A  A  |      a bar at 1, 2, 3

    The bar begins at the subscription and is closed at the end, an error or a dispose. Beside it are the cost
    so far and how many failed, where the items are `Answer`s. What it raises is logged.

    Args:
        total: how many items there will be, where that is known.
        options: for `tqdm.tqdm`.

    Raises:
        ImportError: tqdm is not installed: `pip install 'rxccsdk[tqdm]'`.

    Example:
        await ask_all(prompts).pipe(bar(total=len(prompts), desc="prompts"))
    """
    from tqdm import tqdm

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attach(downstream: Sink, scheduler: abc.SchedulerBase | None) -> Handlers:
            shown: Any = tqdm(total=total, **options)
            failures = Failures(_report, "a tqdm bar")
            cost, failed = 0.0, 0

            def move(item: Any) -> None:
                nonlocal cost, failed
                if isinstance(item, Answer):
                    cost += item.response.metadata.cost_usd or 0.0
                    failed += not item.response.success
                    shown.set_postfix_str(
                        f"${cost:.4f}" + (f", {failed} failed" if failed else ""), refresh=False
                    )
                shown.update()

            def on_next(item: Any) -> None:
                try:
                    move(item)
                except Exception as error:
                    failures.add(error)
                downstream.on_next(item)

            def close() -> None:
                failures.close()
                try:
                    shown.close()
                except Exception as error:
                    failures.add(error)

            return Handlers(on_next, dispose=close)

        return Stage(source, attach)

    return operator


def _report(error: Exception) -> None:
    _log.error("a tqdm bar raised %r; the stream goes on", error, exc_info=error)
