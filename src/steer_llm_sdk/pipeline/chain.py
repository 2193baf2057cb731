"""Sends one stream's events through its transformers.

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
from steer_llm_sdk.pipeline.user_errors import USER_ERRORS, UserErrorLog, await_user_code

Processed: TypeAlias = list[StreamEvent] | Awaitable[list[StreamEvent]]


class TransformerChain:
    """Sends one stream's events through its transformers, in order.

    Args:
        transformers: Each gives the instance that serves this stream.
        errors: Where it is reported that one raised; by default it is logged.
        is_strict: Whether a delta is dropped when a transformer gives what is no result; by
            default it goes on unchanged.

    Attributes:
        instances: What serves this stream, in the order of the transformers.
    """

    __slots__ = ("_errors", "_is_finished", "_is_strict", "_steps", "instances")

    def __init__(
        self,
        transformers: Iterable[Transformer],
        errors: UserErrorLog | None = None,
        *,
        is_strict: bool = False,
    ) -> None:
        self._errors = errors if errors is not None else UserErrorLog()
        self._is_strict = is_strict
        self.instances = tuple(self._instance_of(one) for one in transformers)
        self._steps = tuple((place, one.transform) for place, one in enumerate(self.instances, 1))
        self._is_finished = False

    def _instance_of(self, one: Transformer) -> Transformer:
        """Ask a transformer for the instance that serves this stream."""
        is_closed = bool(getattr(one, "fails_closed", False))
        try:
            given = one.for_stream()
        except USER_ERRORS as raised:
            error: BaseException = raised
        else:
            if isinstance(given, Transformer):
                return given
            error = TypeError(f"for_stream: expected a transformer, found {type(given).__name__}")
        self._report(one, error, "deltas are dropped" if is_closed else "events pass unchanged")
        return _BrokenTransformer(is_closed)

    def observe_start(self, event: StreamStartEvent) -> None:
        """Show the start event to the transformers, before any filter."""
        for one in self.instances:
            observe = getattr(one, "observe_start", None)
            if observe is None:
                continue
            try:
                observe(event)
            except USER_ERRORS as error:
                self._report(one, error)

    def process(self, event: StreamEvent, start: int = 0) -> Processed:
        """Send one event through the transformers.

        Args:
            event: The event.
            start: How many of the transformers it has passed already.

        Returns:
            The events that it became: a plain list where every transformer was synchronous,
            otherwise something to await.
        """
        for place, transform in self._steps[start:]:
            try:
                result = transform(event)
            except USER_ERRORS as error:
                result = self._recover(event, place, error)
            if result is event:
                continue
            if isinstance(result, Awaitable) and not isinstance(result, StreamEvent | list):
                return self._process_awaitable(event, result, place)
            return self._process_all(self._check(event, result, place), place)
        return [event]

    def finish(self) -> Processed:
        """Take what each transformer holds and send it through those after it; only once."""
        if self._is_finished:
            return []
        self._is_finished = True
        released: list[StreamEvent] = []
        for place, one in enumerate(self.instances, 1):
            processed = self._finish_one(one, place)
            if not isinstance(processed, list):
                return self._finish_rest(released, processed, place)
            released += processed
        return released

    async def _process_awaitable(
        self, event: StreamEvent, result: Awaitable[Any], place: int
    ) -> list[StreamEvent]:
        awaited, error = await await_user_code(result)
        if error is not None:
            awaited = self._recover(event, place, error)
        return await resolve(self._process_all(self._check(event, awaited, place), place))

    def _process_all(self, events: list[StreamEvent], start: int) -> Processed:
        processed: list[StreamEvent] = []
        for index, event in enumerate(events, 1):
            result = self.process(event, start)
            if not isinstance(result, list):
                return self._process_rest(processed, result, events[index:], start)
            processed += result
        return processed

    async def _process_rest(
        self,
        processed: list[StreamEvent],
        result: Awaitable[list[StreamEvent]],
        rest: list[StreamEvent],
        start: int,
    ) -> list[StreamEvent]:
        processed += await result
        processed += await resolve(self._process_all(rest, start))
        return processed

    def _finish_one(self, one: Transformer, place: int) -> Processed:
        finish: Callable[[], Any] = getattr(one, "finish", _nothing)
        try:
            result = finish()
        except USER_ERRORS as error:
            self._report(one, error)
            return []
        if isinstance(result, Awaitable) and not isinstance(result, StreamEvent | list):
            return self._finish_awaitable(result, one, place)
        return self._process_all(self._check(None, result, place), place)

    async def _finish_awaitable(
        self, result: Awaitable[Any], one: Transformer, place: int
    ) -> list[StreamEvent]:
        awaited, error = await await_user_code(result)
        if error is not None:
            self._report(one, error)
            return []
        return await resolve(self._process_all(self._check(None, awaited, place), place))

    async def _finish_rest(
        self, released: list[StreamEvent], processed: Awaitable[list[StreamEvent]], done: int
    ) -> list[StreamEvent]:
        released += await processed
        for place, one in enumerate(self.instances[done:], done + 1):
            released += await resolve(self._finish_one(one, place))
        return released

    def _check(self, event: StreamEvent | None, result: Any, place: int) -> list[StreamEvent]:
        """Make a list of a transformer's result; an error event stays in it, whatever it says."""
        events = as_events(result)
        if result is None and event is not None:
            self._errors.note_silence(self.instances[place - 1])
        if events is None:
            error = TypeError(
                f"expected an event, a list of events or None, found {type(result).__name__}"
            )
            if event is None:
                self._report(self.instances[place - 1], error)
                return []
            is_dropped = self._is_strict and isinstance(event, StreamDeltaEvent)
            events = as_events(self._recover(event, place, error, is_dropped=is_dropped)) or []
        if isinstance(event, StreamErrorEvent) and not any(
            isinstance(one, StreamErrorEvent) for one in events
        ):
            events.append(event)
        return events

    def _recover(
        self, event: StreamEvent, place: int, error: BaseException, *, is_dropped: bool = False
    ) -> StreamEvent | None:
        """Report what a transformer raised; gives the event that goes on in spite of it."""
        one = self.instances[place - 1]
        if getattr(one, "fails_closed", False) and isinstance(event, StreamDeltaEvent):
            is_dropped = True
        self._report(one, error, "the event is dropped" if is_dropped else "the event goes on")
        return None if is_dropped else event

    def _report(
        self, one: Transformer, error: BaseException, consequence: str = "the stream goes on"
    ) -> None:
        self._errors.report("transformer", one, consequence, error)


class _BrokenTransformer:
    """Takes the place of a transformer that cannot serve a stream, as if it raised at each event.

    Args:
        is_closed: Whether deltas are dropped; else they pass.
    """

    def __init__(self, is_closed: bool) -> None:
        self._is_closed = is_closed

    def transform(self, event: StreamEvent) -> StreamEvent | None:
        return None if self._is_closed and isinstance(event, StreamDeltaEvent) else event

    def for_stream(self) -> Transformer:
        return self


def as_events(result: Any) -> list[StreamEvent] | None:
    """Make a list of what a transformer gave; None when it is nothing that one may give."""
    if result is None:
        return []
    events = list(result) if isinstance(result, list | tuple) else [result]
    return events if all(isinstance(one, StreamEvent) for one in events) else None


async def resolve(processed: Processed) -> list[StreamEvent]:
    """Await the events, where they are not there yet."""
    return processed if isinstance(processed, list) else await processed


def _nothing() -> None:
    return None
