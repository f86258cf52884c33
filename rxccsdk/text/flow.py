"""How items flow: from a source, through stages, to a subscriber.

In stock reactivex each operator subscribes to the one before it, and each item passes a guarding observer
between two operators. Here a pipe of our operators is one chain of functions: subscribing to its last stage
asks each stage, from the last to the first, for its `on_next`, given the one behind it, and subscribes once,
to the first source that is no stage. One item takes one call a stage, alone or in a flood.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import NewThreadScheduler

from rxccsdk.text.clock import running_loop
from rxccsdk.text.leave import last
from rxccsdk.text.sink import Sink, Subscriber

_T = TypeVar("_T")
_R = TypeVar("_R")

Operator = Callable[[Observable[_T]], Observable[_R]]


class Keeping(Protocol):
    """An operator that keeps the kind of items. A protocol, because mypy infers no alias inside a pipe."""

    def __call__(self, source: Observable[_T], /) -> Observable[_T]: ...


@dataclass(frozen=True, slots=True)
class Handlers:
    """What a stage does in one subscription.

    Args:
        on_next: takes an item from upstream.
        rest: returns what the stage holds, which goes downstream before the error or the end.
        on_error: takes the error; without, it goes downstream.
        on_completed: takes the end; without, it goes downstream.
        dispose: called once when the subscription is over, also after the end.
    """

    on_next: Callable[[Any], object]
    rest: Callable[[], Iterable[Any]] | None = None
    on_error: Callable[[Exception], object] | None = None
    on_completed: Callable[[], object] | None = None
    dispose: Callable[[], None] | None = None

    def sink(self, downstream: Sink) -> Sink:
        """Return the sink for what is upstream of the stage."""
        on_error = self.on_error or downstream.on_error
        on_completed = self.on_completed or downstream.on_completed
        rest = self.rest
        if rest is None:
            return Sink(downstream.subscriber, self.on_next, on_error, on_completed)

        def fail(error: Exception) -> None:
            try:
                downstream.emit(rest())
            finally:
                on_error(error)

        def complete() -> None:
            try:
                downstream.emit(rest())
            finally:
                on_completed()

        return Sink(downstream.subscriber, self.on_next, fail, complete)


Attach = Callable[[Sink, "abc.SchedulerBase | None"], Handlers]
"""Returns a stage's handlers for one subscription, with fresh state, given what is downstream and the
scheduler that `subscribe` was given."""


class Source(Observable[_T]):
    """An Observable of ours that puts its items into a sink, without a guarding observer in between."""

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put all items into the sink from now on; stop when the result is disposed."""
        raise NotImplementedError

    def _check_run(self) -> None:
        """Raise where blocking until the end would block for ever.

        Raises:
            RuntimeError: the running event loop is the one to be blocked.
        """
        if running_loop() is not None:
            raise RuntimeError("run() would block the running event loop: use `await` instead.")

    def subscribe(
        self,
        on_next: abc.ObserverBase[_T] | abc.OnNext[_T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer, or functions, as to any Observable.

        Args:
            on_next: gets each item; or an observer, then the other functions are ignored.
            on_error: gets the error it ends with; without, the error is reported to the loop.
            on_completed: called at the end.
            scheduler: what operators that use time wait on, where they are given none.
        """
        if isinstance(scheduler, NewThreadScheduler):  # `Observable.run` subscribes with one, and blocks
            self._check_run()
        return subscribe_to(self, Subscriber(on_next, on_error, on_completed), scheduler)

    def run(self, scheduler: abc.SchedulerBase | None = None) -> _T:
        """Block until the end and return the last item, from a thread other than the source's.

        Raises:
            RuntimeError: inside a running event loop.
        """
        self._check_run()
        return super().run(scheduler)

    def __await__(self) -> Generator[Any, None, _T]:
        return last(self).__await__()

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is asynchronous: use `async for`.")


class Stage(Source[_R]):
    """An operator applied to a source.

    Args:
        upstream: what comes in.
        attach: makes the handlers for a subscription.
    """

    def __init__(self, upstream: Observable[Any], attach: Attach) -> None:
        super().__init__()
        self._upstream = upstream
        self._attach = attach

    @property
    def root(self) -> Observable[Any]:
        """The source at the start of the pipe, as far as it is made of stages."""
        source: Observable[Any] = self
        while isinstance(source, Stage):
            source = source._upstream
        return source

    def _check_run(self) -> None:
        """Raise where the source at the start would."""
        if isinstance(self.root, Source):
            self.root._check_run()

    def subscribe(
        self,
        on_next: abc.ObserverBase[_R] | abc.OnNext[_R] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer, or functions; at a source that is not ours, with reactivex's own guard."""
        if isinstance(self.root, Source):
            return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)
        return Observable.subscribe(self, on_next, on_error, on_completed, scheduler=scheduler)

    def _subscribe_core(
        self, observer: abc.ObserverBase[_R], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return subscribe_to(self, Subscriber(observer), scheduler)

    def _connect(self, sink: Sink, scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Put what the stages make of the source's items into the sink."""
        cleanups: list[abc.DisposableBase] = []
        source: Observable[Any] = self
        while isinstance(source, Stage):
            handlers = source._attach(sink, scheduler)
            if handlers.dispose is not None:
                cleanups.append(Disposable(handlers.dispose))
            sink, source = handlers.sink(sink), source._upstream
        if isinstance(source, Source):
            upstream = source._connect(sink, scheduler)
        else:
            upstream = source.subscribe(_Entry(sink), scheduler=scheduler)
        # The source goes first: what a stage does on dispose must not be followed by another item.
        return CompositeDisposable(upstream, *cleanups)


class _Entry(abc.ObserverBase[Any]):
    """The way from a source that is not ours into a sink: what the subscriber raises, the source gets."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def on_next(self, item: Any) -> None:
        if not self._sink.subscriber.stopped:
            self._sink.on_next(item)

    def on_error(self, error: Exception) -> None:
        if not self._sink.subscriber.stopped:
            self._sink.on_error(error)

    def on_completed(self) -> None:
        if not self._sink.subscriber.stopped:
            self._sink.on_completed()


def subscribe_to(
    source: Source[Any], subscriber: Subscriber, scheduler: abc.SchedulerBase | None
) -> abc.DisposableBase:
    """Connect a subscriber to a source; disposing the result stops it."""
    subscription = CompositeDisposable()
    subscriber.on_stop = subscription.dispose
    subscription.add(source._connect(Sink(subscriber), scheduler))
    return Disposable(subscriber.stop)
