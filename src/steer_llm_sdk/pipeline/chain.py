"""One stream's way through some transformers.

Where every transformer is synchronous nothing is awaited and no coroutine is made; from the first
one that is not, the rest of the way is a coroutine. What a transformer raises is reported, and the
event goes on unchanged, or is dropped where the transformer `fails_closed`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from steer_llm_sdk.models.events import (
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
)
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.pipeline.user_errors import FAULTS, FaultLog, outcome_of

Passed: TypeAlias = list[StreamEvent] | Awaitable[list[StreamEvent]]


class TransformerChain:
    """One stream's way through some transformers.

    Args:
        transformers: In order. Each gives the instance that serves this stream.
        faults: Where faults are reported; by default they are logged.
    """

    __slots__ = ("_faults", "_finished", "_steps", "_transformers")

    def __init__(self, transformers: Iterable[Transformer], faults: FaultLog | None = None) -> None:
        self._faults = faults if faults is not None else FaultLog()
        self._transformers = tuple(self._serving(one) for one in transformers)
        self._steps = tuple(
            (place, one.transform) for place, one in enumerate(self._transformers, 1)
        )
        self._finished = False

    def _serving(self, one: Transformer) -> Transformer:
        """The instance that serves this stream; a stand-in where none is to be had."""
        is_closed = bool(getattr(one, "fails_closed", False))
        try:
            given = one.for_stream()
        except FAULTS as error:
            fault: BaseException = error
        else:
            if isinstance(given, Transformer):
                return given
            fault = TypeError(f"for_stream: expected a transformer, found {type(given).__name__}")
        self._report(one, fault, "deltas are dropped" if is_closed else "events pass unchanged")
        return _StandIn(is_closed)

    def observe_start(self, event: StreamStartEvent) -> None:
        """Show the start event to the transformers, before any filter."""
        for one in self._transformers:
            observe = getattr(one, "observe_start", None)
            if observe is None:
                continue
            try:
                observe(event)
            except FAULTS as error:
                self._report(one, error)

    def process(self, event: StreamEvent, start: int = 0) -> Passed:
        """What becomes of one event.

        Args:
            event: The event.
            start: How many of the transformers it has passed already.

        Returns:
            A plain list where every transformer was synchronous; otherwise something to await.
        """
        for place, transform in self._steps[start:]:
            try:
                result = transform(event)
            except FAULTS as error:
                result = self._after_fault(event, place, error)
            if result is event:
                continue
            if isinstance(result, Awaitable):
                return self._pass_later(event, result, place)
            return self._pass_all(self._checked(event, result, place), place)
        return [event]

    def finish(self) -> Passed:
        """What the transformers still held, each passed through those after it; only once."""
        if self._finished:
            return []
        self._finished = True
        released: list[StreamEvent] = []
        for place, one in enumerate(self._transformers, 1):
            passed = self._release(one, place)
            if not isinstance(passed, list):
                return self._finish_later(released, passed, place)
            released += passed
        return released

    async def _pass_later(
        self, event: StreamEvent, result: Awaitable[Any], place: int
    ) -> list[StreamEvent]:
        awaited, error = await outcome_of(result)
        if error is not None:
            awaited = self._after_fault(event, place, error)
        return await settle(self._pass_all(self._checked(event, awaited, place), place))

    def _pass_all(self, events: list[StreamEvent], start: int) -> Passed:
        passed: list[StreamEvent] = []
        for index, event in enumerate(events, 1):
            result = self.process(event, start)
            if not isinstance(result, list):
                return self._pass_all_later(passed, result, events[index:], start)
            passed += result
        return passed

    async def _pass_all_later(
        self,
        passed: list[StreamEvent],
        result: Awaitable[list[StreamEvent]],
        rest: list[StreamEvent],
        start: int,
    ) -> list[StreamEvent]:
        passed += await result
        passed += await settle(self._pass_all(rest, start))
        return passed

    def _release(self, one: Transformer, place: int) -> Passed:
        """What one transformer still held, passed through those after it."""
        finish: Callable[[], Any] = getattr(one, "finish", _nothing)
        try:
            result = finish()
        except FAULTS as error:
            self._report(one, error)
            return []
        if isinstance(result, Awaitable):
            return self._release_later(result, one, place)
        return self._pass_all(self._checked(None, result, place), place)

    async def _release_later(
        self, result: Awaitable[Any], one: Transformer, place: int
    ) -> list[StreamEvent]:
        awaited, error = await outcome_of(result)
        if error is not None:
            self._report(one, error)
            return []
        return await settle(self._pass_all(self._checked(None, awaited, place), place))

    async def _finish_later(
        self, released: list[StreamEvent], passed: Awaitable[list[StreamEvent]], done: int
    ) -> list[StreamEvent]:
        released += await passed
        for place, one in enumerate(self._transformers[done:], done + 1):
            released += await settle(self._release(one, place))
        return released

    def _checked(self, event: StreamEvent | None, result: Any, place: int) -> list[StreamEvent]:
        """The result as a list; a failure stays in it whatever the transformer says."""
        events = _as_events(result)
        if events is None:
            error = TypeError(
                f"expected an event, a list of events or None, found {type(result).__name__}"
            )
            if event is None:
                self._report(self._transformers[place - 1], error)
                return []
            events = _as_events(self._after_fault(event, place, error)) or []
        if isinstance(event, StreamErrorEvent) and not any(
            isinstance(one, StreamErrorEvent) for one in events
        ):
            events.append(event)
        return events

    def _after_fault(self, event: StreamEvent, place: int, error: BaseException) -> Any:
        one = self._transformers[place - 1]
        is_dropped = getattr(one, "fails_closed", False) and isinstance(event, StreamDeltaEvent)
        self._report(one, error, "the event is dropped" if is_dropped else "the event goes on")
        return None if is_dropped else event

    def _report(
        self, one: Transformer, error: BaseException, consequence: str = "the stream goes on"
    ) -> None:
        self._faults.report("transformer", one, consequence, error)


class _StandIn:
    """Stands for a transformer that cannot serve a stream: as if it raised at each event.

    Args:
        is_closed: Whether deltas are dropped; else they pass.
    """

    def __init__(self, is_closed: bool) -> None:
        self._is_closed = is_closed

    def transform(self, event: StreamEvent) -> StreamEvent | None:
        return None if self._is_closed and isinstance(event, StreamDeltaEvent) else event

    def for_stream(self) -> Transformer:
        return self


def _as_events(result: Any) -> list[StreamEvent] | None:
    """The result of a transformer as a list; None when it is nothing that one may give."""
    if result is None:
        return []
    events = list(result) if isinstance(result, list | tuple) else [result]
    return events if all(isinstance(one, StreamEvent) for one in events) else None


async def settle(passed: Passed) -> list[StreamEvent]:
    """The events, awaited where it takes that."""
    return passed if isinstance(passed, list) else await passed


def _nothing() -> None:
    return None
